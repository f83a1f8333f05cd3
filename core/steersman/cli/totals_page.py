"""Prints what many replayed runs tell together: the choices on the task, the alarms, the proposals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steersman.cli import compare_view as told
from steersman.cli.terminal import filled, show_section, table_of
from steersman.results.totals import Total

if TYPE_CHECKING:
    from rich.console import Console

NOT_PREDICTED = (
    "Nothing was changed: these runs are over. A change that was never made would have changed every metric after it; "
    "those are not predicted, here or anywhere."
)


def show_totals(total: Total, named: Sequence[str], out: Console) -> None:
    """Print how the choices did, how often each strategy raised an alarm, and what it would have proposed."""
    rows = tuple(told.comparison_rows(total))
    show_section(out, "On the task", told.on_the_task(total))
    _show_table(out, rows, "metric, kept by", "against", ">runs", ">won/tied/lost", ">mean gain", ">95 % interval")
    show_section(out, "How often it is the lowest eval loss", told.agreements(total))
    if total.read:
        show_section(out, "Alarms", told.alarms(total))
        rows = tuple(told.alarm_rows(total, named))
        _show_table(out, rows, "strategy, finding", ">alarms", ">critical", ">per 1000 steps", ">runs")
    show_section(out, "What would have been proposed", told.proposals(total))
    show_section(out, "Strategies that failed", told.failures(total), "red")
    show_section(out, "What this cannot say", (NOT_PREDICTED,))


def _show_table(out: Console, rows: Sequence[told.Row], *columns: str) -> None:
    if rows:
        out.print()
        out.print(filled(table_of(*columns), rows))
