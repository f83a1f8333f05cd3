"""Prints what is told of a replayed run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steersman import recurring
from steersman.cli import replay_view as told
from steersman.cli.replay_view import View
from steersman.cli.terminal import filled, printable, show_section, show_title, table_of
from steersman.hindsight import Comparison, figure, why_best

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {"critical": "red", "warning": "yellow"}


def page(view: View, out: Console) -> None:
    """Print a replay: what was read, the choices, the findings, the proposals, and what is not known."""
    show_title(out, f"Replay of {view.replay.recording.path}")
    show_section(out, "What was read", told.what_was_read(view))
    show_section(out, "Which checkpoint", why_best(view.ranking))
    rows = told.choice_rows(view)
    if rows:
        out.print()
        out.print(choices_table(rows, with_paths=bool(view.replay.recording.saved)))
        note = f"Lower is better. The last two rows have {view.ranking.leader}'s score." if view.ranking.leader else ""
        show_section(out, "", (note,) if note else (), "dim")
    disagreement = told.disagreement(view)
    if disagreement is not None:
        out.print()
        out.print(terms_table(disagreement))
    task = told.on_the_task(view)
    show_section(out, "How each choice does on the task", told.unknown_direction(view) or (("",) if task else ()))
    if task:
        columns = (f">{who}" for who in told.choosers(view))
        out.print(filled(table_of("metric", *columns, ">best of all"), task))
    noticed = told.noticed(view)
    show_section(out, "What the health checks found", () if noticed else (told.when_healthy(view),))
    for i, (severity, sentence) in enumerate(noticed):
        title = "What the health checks found" if i == 0 else ""
        show_section(out, title, (sentence,), _STYLES.get(severity, ""))
    show_section(out, "", told.alarm_rate(view))
    show_section(out, "What would have been proposed", told.proposed(view) or ("Nothing.",))
    show_section(out, "What a stop would have saved", told.stops(view))
    show_section(out, "Strategies that failed", recurring.failures_told(view.replay.entries), "red")
    show_section(out, "Accounts", recurring.accounts(view.replay.entries))
    show_section(out, "What never came", told.never_came(view))
    show_section(out, "What this cannot say", (told.NOT_PREDICTED,))


def choices_table(rows: tuple[told.Row, ...], *, with_paths: bool) -> Table:
    """Return the table of which checkpoint each scorer would keep."""
    table = table_of("kept by", ">step", ">score", ">eval loss", "train loss", *(["checkpoint"] if with_paths else []))
    for row in rows:
        cells = (row.who, str(row.step), row.score, row.eval_loss, row.train_loss)
        table.add_row(*map(printable, cells), *([printable(row.directory)] if with_paths else []))
    return table


def terms_table(c: Comparison) -> Table:
    """Return the terms of two checkpoints side by side."""
    table = table_of(
        f"{printable(c.scorer)} (lower is better)", f">step {c.better.step}", f">step {c.worse.step}", ">gain"
    )
    for name, ours, theirs in c.terms:
        table.add_row(printable(name), f"{figure(ours)}", f"{figure(theirs)}", f"{theirs - ours:+.4f}")
    ours, theirs = c.better.scores[c.scorer].value, c.worse.scores[c.scorer].value
    table.add_row("score", f"{figure(ours)}", f"{figure(theirs)}", f"{theirs - ours:+.4f}", style="bold")
    return table
