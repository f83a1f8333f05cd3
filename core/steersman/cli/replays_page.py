"""Prints what is told of many replayed runs together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from steersman.cli.replay_view import NOT_PREDICTED
from steersman.cli.terminal import printable, show_section, show_title, table_of
from steersman.hindsight import count, listed
from steersman.totals import Total

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from steersman.asking import Asking

_SHOWN = 10
_METRICS = 4


def page(total: Total, failed: Mapping[str, str], asking: Asking, output: Path | None, out: Console) -> None:
    """Print the totals of many runs; `failed` are those that could not be read, with the reason."""
    show_title(out, f"Replay of {count(total.runs, 'run')}")
    show_section(out, "What was read", _what_was_read(total, asking, output))
    show_section(out, "What could not be read", _not_read(failed), "red")
    show_section(out, "Which checkpoint", _agreed(total) or ("No run has a scored evaluation.",))
    show_comparisons(total, out)
    if total.alarms:
        show_section(out, "What the health checks found", _alarmed(total))
        out.print()
        out.print(_alarms(total))
    else:
        show_section(out, "What the health checks found", ("Nothing.",))
    show_section(out, "What would have been proposed", tuple(_proposed(total)) or ("Nothing.",))
    show_section(out, "What stops would have saved", tuple(_stopped(total)))
    show_section(out, "What this cannot say", (NOT_PREDICTED,))


def show_comparisons(total: Total, out: Console) -> None:
    """Print how each choice did on each metric of the task, where there is one."""
    if total.comparisons:
        metrics = list(dict.fromkeys(c.metric for c in total.comparisons))
        left = (
            f"{count(len(metrics) - _METRICS, 'metric')} of fewer runs: see --json." if len(metrics) > _METRICS else ""
        )
        show_section(out, _TITLE, (f"{_ON_THE_TASK} {left}",))
        out.print()
        out.print(_comparisons(total, metrics[:_METRICS]))
    unknown = [f"{name} ({count(runs, 'run')})" for name, runs in list(total.unknown_direction.items())[:_SHOWN]]
    if unknown:
        say = "Which way these are better is not known, so they are left out; give --task-metric NAME:higher or :lower"
        show_section(
            out, "" if total.comparisons else "How each choice did on the task", (f"{say}: {listed(unknown)}.",)
        )


_TITLE = "How each choice did on the task"
_ON_THE_TASK = (
    "The mean difference is positive where the choice is better than what it is held against; `from` and `to` are the "
    "ends of its 95 % interval (percentile bootstrap over runs; none for one run). A pair that ties in every run is "
    "left out."
)


def _what_was_read(total: Total, asking: Asking, output: Path | None) -> Iterator[str]:
    read = f"{total.read} of {count(total.runs, 'run')}"
    records, evaluations = count(total.records, "record"), count(total.evaluations, "evaluation")
    yield f"{read}: {records}, {evaluations}, {total.steps:,} steps."
    yield f"Config: {asking.source if asking.is_given else 'none given, so the defaults, or a supervised run its own'}."
    if output is not None:
        yield f"The results are in {output}, an object a line."


def _not_read(failed: Mapping[str, str]) -> Iterator[str]:
    yield from list(failed.values())[:_SHOWN]
    if len(failed) > _SHOWN:
        yield f"... and {len(failed) - _SHOWN} more; --json and --output name each."


def _agreed(total: Total) -> tuple[str, ...]:
    return tuple(
        f"{a.chooser} keeps the checkpoint of the lowest eval loss in {a.same} of {count(a.runs, 'run')}."
        for a in total.agreements
    )


def _comparisons(total: Total, metrics: Collection[str]) -> Table:
    table = table_of("metric", "choice", "against", ">wins", ">ties", ">losses", ">mean", ">from", ">to")
    shown = ""
    for c in (c for c in total.comparisons if c.metric in metrics and c.wins + c.losses):
        name = "" if c.metric == shown else c.metric
        shown = c.metric
        low, high = (f"{c.interval[0]:+.4f}", f"{c.interval[1]:+.4f}") if c.interval else ("none", "none")
        cells = (str(c.wins), str(c.ties), str(c.losses), f"{c.mean_difference:+.4f}", low, high)
        table.add_row(printable(name), printable(c.chooser), c.against, *cells)
    return table


def _alarmed(total: Total) -> tuple[str, ...]:
    alarms = sum(alarm.alarms for alarm in total.alarms)
    rate = f", {1000 * alarms / total.steps:.2f} per thousand steps" if total.steps else ""
    return (f"{count(alarms, 'alarm')} in {total.runs_with_alarm} of {count(total.read, 'run')}{rate}.",)


def _alarms(total: Total) -> Table:
    table = table_of("finding", "by", ">alarms", ">critical", ">runs", ">per 1,000 steps")
    for a in sorted(total.alarms, key=lambda a: -a.alarms):
        rate = f"{a.per_thousand_steps:.3f}" if a.per_thousand_steps is not None else ""
        cells = (str(a.alarms), str(a.critical), str(a.runs), rate)
        table.add_row(printable(a.name), printable(a.strategy), *cells)
    return table


def _proposed(total: Total) -> Iterator[str]:
    by: dict[str, list[str]] = {}
    for p in total.proposals:
        by.setdefault(p.strategy, []).append(f"{p.proposals} {p.verdict}")
    for strategy, verdicts in by.items():
        yield f"{strategy}: {listed(verdicts)}."


def _stopped(total: Total) -> Iterator[str]:
    for s in total.stops:
        given_up = f"in {s.gave_up_better} of them it would have given up a better checkpoint"
        yield f"{s.strategy} asks for a stop in {count(s.runs, 'run')}: {s.steps_saved:,} steps saved; {given_up}."
