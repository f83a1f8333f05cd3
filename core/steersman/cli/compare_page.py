"""Prints runs side by side, and what they tell together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from steersman.cli import compare_view as told
from steersman.cli.terminal import printable, show_section, show_title, table_of
from steersman.cli.totals_page import show_totals
from steersman.hindsight import listed
from steersman.results.picking import OF_MANY, Picked
from steersman.results.run import LAST, LOWEST_EVAL_LOSS
from steersman.results.totals import Total

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BESIDE = (LOWEST_EVAL_LOSS, LAST)
_NARROWEST, _PADDING = 10, 2


def page(picked: Picked, total: Total, named: Sequence[str], out: Console, *, config: str) -> None:
    """Print what was read, each run, how the choices did on the task, the alarms, the proposals."""
    runs = picked.runs
    choosers = told.choosers_of(named, runs, total)
    show_title(out, f"Comparison of {listed([*named]) or 'nothing'}")
    show_section(out, "What was read", told.what_was_read(total, named, choosers, config=config))
    show_section(out, "", told.notes(total))
    if runs:
        many = f"The {OF_MANY} of {picked.seen} runs whose choices differ most"
        title = many if picked.of_many else "Which checkpoint each keeps"
        show_section(out, title, ("Under each run: the step that is kept, then what is known of it.",))
        for some in _that_fit(choosers, out.width):
            out.print()
            out.print(_runs_table(tuple(told.figures(runs, choosers)), (*some, *_BESIDE)))
    show_totals(total, named, out)


def _that_fit(choosers: Sequence[str], width: int) -> Iterable[Sequence[str]]:
    """Yield the choosers table by table: as many as fit beside the names of the runs and the two baselines."""
    room = width - width // 3 - len(_BESIDE) * (_NARROWEST + _PADDING)
    left, some = room, list[str]()
    for name in choosers:
        needed = max(len(name), _NARROWEST) + _PADDING
        if some and needed > left:
            yield tuple(some)
            some, left = [], room
        some.append(name)
        left -= needed
    yield tuple(some)


def _runs_table(figures: Sequence[told.Figure], columns: Sequence[str]) -> Table:
    table = table_of("run", *(f">{printable(name)}" for name in columns))
    for column in table.columns[-len(_BESIDE) :]:
        column.max_width = _NARROWEST
    for line in figures:
        cells = (printable(line.at.get(name, "")) for name in columns)
        table.add_row(printable(line.what if line.is_run else f"  {line.what}"), *cells)
    return table
