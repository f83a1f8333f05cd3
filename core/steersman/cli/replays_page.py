"""Prints what is told of many replayed runs together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from steersman.cli.compare_view import notes
from steersman.cli.terminal import show_section, show_title
from steersman.cli.totals_page import show_totals
from steersman.hindsight import count, listed
from steersman.results.totals import Total

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from steersman.asking import Asking

_SHOWN = 10


def page(total: Total, failed: Mapping[str, str], asking: Asking, output: Path | None, out: Console) -> None:
    """Print the totals of many runs; `failed` are those that could not be read, with the reason."""
    show_title(out, f"Replay of {count(total.runs, 'run')}")
    show_section(out, "What was read", _what_was_read(total, asking, output))
    show_section(out, "What could not be read", _not_read(failed), "red")
    if total.read:
        show_totals(total, asking.names(), out)


def _what_was_read(total: Total, asking: Asking, output: Path | None) -> Iterator[str]:
    read = f"{total.read} of {count(total.runs, 'run')}"
    records, evaluations = count(total.records, "record"), count(total.evaluations, "evaluation")
    yield f"{read}: {records} and {evaluations} in {count(total.steps, 'step')}."
    own = "" if asking.is_given else ", or a supervised run's own"
    yield f"Config: {asking.source}{own}. Asked in this order: {listed([*asking.names()]) or 'no strategy'}."
    yield from notes(total)
    if output is not None:
        yield f"The results are in {output}, an object a line."


def _not_read(failed: Mapping[str, str]) -> Iterator[str]:
    yield from list(failed.values())[:_SHOWN]
    if len(failed) > _SHOWN:
        yield f"... and {len(failed) - _SHOWN} more; --json and --output name each."
