"""What `steersman strategies` prints: a table, or one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from steersman.catalogue.discovering import Found
from steersman.cli.terminal import printable, show_title

if TYPE_CHECKING:
    from rich.console import Console


def page(rows: Sequence[Found], active: frozenset[str] | None, config: str | None, out: Console) -> None:
    """Print the strategies as a table; what is wrong with one follows it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    show_title(out, "Strategies")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for name, width in zip(
        ("strategy", "what it does, and in which hooks", "from", "active"),
        _widths(rows, out.width, active),
        strict=False,
    ):
        table.add_column(name, width=width, overflow="fold")  # rich would measure every cell to find the widths
    for row in rows:
        says = Text(printable(row.summary or ("not known" if row.problem else "")))
        if row.hooks:
            says.append("\n" + ", ".join(row.hooks), style="dim")
        cells = [Text(printable(row.name)), says, Text(printable(_from(row)))]
        if active is not None:
            cells.append(Text("yes" if row.name in active else ""))
        table.add_row(*cells, style="red" if row.problem else "")
    out.print(table)
    for row in rows:
        if row.problem:
            out.print(Text(printable(f"{row.name} ({_from(row)}): {row.problem}"), style="red"))
    if active is not None:
        out.print(Text(printable(f"Active is what {config} uses. What is installed and not used does not run.")))
    out.print(Text("`steersman strategies show NAME` tells what one takes, and has a config to paste."))


def _widths(rows: Sequence[Found], whole: int, active: frozenset[str] | None) -> list[int]:
    """Return the width of each column: names as wide as they are, within reason, and the text takes the rest."""
    name = min(max((len(row.name) for row in rows), default=0) + 1, whole // 3)
    origin = min(max((len(_from(row)) for row in rows), default=0) + 1, whole // 4)
    last = [] if active is None else [len("active")]
    between = 3 * (3 + len(last))
    return [name, max(whole - name - origin - sum(last) - between, 20), origin, *last]


def _from(row: Found) -> str:
    return row.origin or ("a file" if row.target else "nowhere")


def object_of(rows: Sequence[Found], active: frozenset[str] | None, config: str | None) -> dict[str, Any]:
    """Return what `--json` prints; `active` is null without a config."""
    from steersman.cli.as_json import VERSION

    return {
        "version": VERSION,
        "config": config,
        "strategies": [
            {
                "name": row.name,
                "summary": row.summary,
                "hooks": row.hooks,
                "effects": row.effects,
                "distribution": row.distribution or None,
                "distribution_version": row.version or None,
                "target": row.target or None,
                "active": None if active is None else row.name in active,
                "problem": row.problem or None,
            }
            for row in rows
        ],
    }
