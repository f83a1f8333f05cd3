"""Prints what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from steersman.cli.terminal import filled, show_section, show_title, table_of
from steersman_bench.select.measuring import Report, Row
from steersman_bench.select.regrets import Figures
from steersman_bench.select.tied_sets import TiedSets
from steersman_bench.statistics import Mean

if TYPE_CHECKING:
    from rich.console import Console

MEANING = (
    "Regret: how much of the untrained-to-best gain in test loss is given away by the candidate that is kept, in %. "
    "The best is the lowest test loss of all recorded candidates, raw checkpoints and averages alike.",
    "Against: the regret less that of the lowest eval loss in the same runs, with a 95 % interval over runs. "
    "Below zero is better.",
)


def page(report: Report, out: Console) -> None:
    """Print the figures of each strategy, then those by size and by family, and the tied sets."""
    told = report.recording
    families = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in told["families"].items())
    show_title(out, f"Checkpoint choice on {told['runs']} recorded runs")
    show_section(out, "", (f"{families}. Validation sizes {', '.join(map(str, told['sizes']))}.", *MEANING))
    columns = ("strategy", ">regret", ">against [95 %]", ">won/tied/lost", ">task regret")
    out.print()
    out.print(filled(table_of(*columns), ([row.name, *cells(row)] for row in report.rows)))
    for title, of in (("Regret by validation size", _by_size), ("Regret by family", _by_family)):
        names = [*dict.fromkeys(name for row in report.rows for name in of(row))]
        heads = (f">{name.replace('_', ' ')}" for name in names)
        show_section(out, title, ("",))
        out.print(filled(table_of("strategy", *heads), _parted(report.rows, names, of)))
    show_section(out, "Checkpoints tied with the lowest eval loss", ("",))
    head = (">examples", ">hold the best", ">checkpoints", ">regret of the latest", ">of the earliest")
    out.print(
        filled(
            table_of(*head),
            map(_tied, report.tied),
        )
    )
    show_section(out, "What went wrong", (f"{row.name}: {row.says}" for row in report.rows if row.says))


def cells(row: Row) -> list[str]:
    """Return the cells of a strategy's row, after its name."""
    found = row.figures
    if found is None:
        return ["none"] * 4
    tally, task = found.tally, found.task_regret
    return [
        f"{found.regret.mean:.2f}",
        with_interval(found.difference),
        f"{tally.wins:.0f}/{tally.ties:.0f}/{tally.losses:.0f}",
        f"{task.mean:.2f}" if task else "none",
    ]


def with_interval(mean: Mean) -> str:
    """Return a mean with its sign and its interval."""
    if mean.low is None or mean.high is None:
        return f"{mean.mean:+.2f}"
    return f"{mean.mean:+.2f} [{mean.low:+.2f}, {mean.high:+.2f}]"


def _tied(at: TiedSets) -> list[str]:
    shares = (f"{at.covers:.1f} %", f"{at.checkpoints:.1f}")
    return [str(at.size), *shares, f"{at.latest_regret:.2f}", f"{at.earliest_regret:.2f}"]


Parts = Callable[[Row], "dict[str, Figures]"]


def _by_size(row: Row) -> dict[str, Figures]:
    return dict(row.by_size)


def _by_family(row: Row) -> dict[str, Figures]:
    return dict(row.by_family)


def _parted(rows: Iterable[Row], names: Iterable[str], of: Parts) -> Iterable[list[str]]:
    named = [*names]
    for row in rows:
        yield [row.name, *(f"{of(row)[n].regret.mean:.2f}" if n in of(row) else "none" for n in named)]
