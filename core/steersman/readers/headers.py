"""The first row of a table that was written for people: a W&B chart, the table that a Trainer shows in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import frozen

from steersman.readers.names import ELAPSED, EPOCHS, STEPS

_MIN, _MAX = "__MIN", "__MAX"
_BETWEEN = " - "
_TRAINING, _VALIDATION = "Training Loss", "Validation Loss"


def is_empty(cell: str) -> bool:
    """Whether a cell holds no value: nothing, or what a notebook shows where nothing was logged."""
    return cell.strip() in ("", "No log")


@frozen
class Header:
    """The names of the columns; one that is left out has none. `runs` are the names of those in a chart."""

    names: tuple[str, ...]
    runs: tuple[str, ...] = ()


def header_of(cells: Sequence[str], own: Collection[str] = ()) -> Header:
    """Return the header that these cells are; names that are in `own` stay as they are."""
    cells = [cell.strip() for cell in cells]
    if any(f"{cell}{_MIN}" in cells for cell in cells):
        return _of_a_chart(cells)
    if _TRAINING in cells and _VALIDATION in cells:
        return Header(tuple(cell if cell in own else _of_a_notebook(cell) for cell in cells))
    return Header(tuple(cells))


def _of_a_chart(cells: Sequence[str]) -> Header:
    """Return the header of a chart: `Step`, then for each run `NAME - METRIC` with its least and greatest value."""
    names: list[str] = []
    runs: dict[str, None] = {}
    for cell in cells:
        run, between, metric = cell.rpartition(_BETWEEN)
        is_drawn = f"{cell}{_MIN}" in cells
        if is_drawn and between:
            runs[run] = None
        is_spread = cell.endswith((_MIN, _MAX))
        names.append("" if is_spread or (between and metric in STEPS) else metric if is_drawn else cell)
    return Header(tuple(names), tuple(runs))


def _of_a_notebook(cell: str) -> str:
    """Return the name of a column, such as `Macro F1`, which was `eval_macro_f1`."""
    if cell in (_TRAINING, _VALIDATION):
        return "loss" if cell == _TRAINING else "eval_loss"
    is_metric = bool(cell) and cell not in (*STEPS, *EPOCHS, *ELAPSED)
    return f"eval_{cell.lower().replace(' ', '_')}" if is_metric else cell
