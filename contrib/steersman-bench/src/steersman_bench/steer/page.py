"""What `steersman bench steer` prints: a page, or one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from steersman.cli.terminal import filled, show_section, show_title, table_of
from steersman_bench.steer.benchmark import Table
from steersman_bench.steer.case import SICK
from steersman_bench.steer.table import Row

if TYPE_CHECKING:
    from rich.console import Console

VERSION = 1
"""The version of what `--json` prints; a key is never renamed or dropped without a new one."""
_TITLES = {"fixable": "fixable", "unfixable": "unfixable", "rl": "RL", "held-out": "held out"}


def page(table: Table, out: Console) -> None:
    """Print the tables."""
    if table.cases:
        _show(table, out, "bench steer", "clip + skip with the best loaded")
    if (beside := table.trainers) is not None:
        _show(beside, out, "Through the Trainer of Hugging Face and TRL's GRPO", "clip with the best loaded")
    show_section(out, "", [f"{table.seconds:.0f} seconds"])


def _show(table: Table, out: Console, title: str, against: str) -> None:
    kind = "development" if table.development else "published"
    show_title(out, f"{title}: {len(table.cases)} cases, {kind} seeds {', '.join(map(str, table.seeds))}")
    groups = [group for group in SICK if any(group in row.groups for row in table.rows)]
    if groups:
        show_section(out, f"Sick runs: mean excess, and its difference to {against}", [" "])
        columns = ["policy", *(f">{_TITLES[group]}" for group in groups), ">fixable, difference", ">seen", ">delay"]
        out.print(filled(table_of(*columns), (_sick(row, groups) for row in table.rows)))
        for group in groups:
            names = (case.name for case in table.cases if case.group == group)
            of_cases = ([name, *(_number(row.mean_excess(name)) for row in table.rows)] for name in names)
            show_section(out, f"Mean excess, {_TITLES[group]}", [" "])
            out.print(filled(table_of("case", *(f">{row.name}" for row in table.rows)), of_cases))
    if any(row.well for row in table.rows):
        show_section(out, "Runs that were well: what it cost them, in percent of their gain", [" "])
        columns = [
            "policy",
            ">cost",
            ">worst",
            ">own",
            ">worst own",
            ">acted on",
            ">destroyed",
            ">alarmed",
            ">alarms / 1000 steps",
        ]
        out.print(filled(table_of(*columns), (_well(row) for row in table.rows)))
    show_section(out, "Problems", (f"{row.name}: {row.problem}" for row in table.rows if row.problem), "red")


def _sick(row: Row, groups: list[Any]) -> Iterator[str]:
    yield row.name
    for group in groups:
        yield _number(row.groups[group].excess if group in row.groups else None)
    fixable = row.groups.get("fixable")
    if fixable is None or fixable.difference is None:
        yield ""
    else:
        low, high = fixable.interval or (None, None)
        within = "" if low is None or high is None else f" [{low:+.1f}, {high:+.1f}]"
        yield f"{fixable.difference:+.1f}{within}"
    yield "" if fixable is None else f"{fixable.recall:.0%}"
    yield _number(fixable.delay if fixable else None)


def _well(row: Row) -> Iterator[str]:
    yield row.name
    if (well := row.well) is None:
        return
    for value in (well.cost, well.worst_cost, well.own_cost, well.worst_own_cost):
        yield f"{value:+.2f}"
    for share in (well.acted_on, well.destroyed, well.alarmed):
        yield f"{share:.0%}"
    yield "" if row.alarms is None else f"{row.alarms.per_thousand_steps:.2f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def object_of(table: Table) -> dict[str, Any]:
    """Return everything as plain values: each row, and in it one figure for each run."""
    return {
        "version": VERSION,
        "development": table.development,
        "seeds": list(table.seeds),
        "largest_model": table.largest,
        "seconds": round(table.seconds, 1),
        "cases": [{"name": c.name, "group": c.group, "onset": c.onset} for c in table.cases],
        "policies": [_row(row) for row in table.rows],
        "trainers": None if (beside := table.trainers) is None else _of_trainers(beside),
    }


def _of_trainers(table: Table) -> dict[str, Any]:
    """Return the table of the trainers, which is what the other is."""
    return {key: value for key, value in object_of(table).items() if key not in ("version", "trainers")}


def _row(row: Row) -> dict[str, Any]:
    well = row.well
    return {
        "name": row.name,
        "problem": row.problem,
        "groups": {
            group: {
                "runs": g.runs, "excess": g.excess, "difference": g.difference,
                "interval": None if g.interval is None else list(g.interval), "recall": g.recall, "delay": g.delay,
            }
            for group, g in row.groups.items()
        },
        "healthy": None if well is None else {
            "runs": well.runs, "cost": well.cost, "worst_cost": well.worst_cost, "worst_case": well.worst_case,
            "own_cost": well.own_cost, "worst_own_cost": well.worst_own_cost, "acted_on": well.acted_on,
            "destroyed": well.destroyed, "alarmed": well.alarmed,
        },
        "precision": row.precision,
        "unfixable_named": row.named,
        "unfixable_unchanged": row.unchanged,
        "public_logs": None if (heard := row.alarms) is None else {
            "alarms": heard.alarms, "steps": heard.steps, "runs": heard.runs,
            "per_thousand_steps": heard.per_thousand_steps,
        },
        "cases": {name: row.mean_excess(name) for name in dict.fromkeys(run.case for run in row.sick)},
        "runs": [*_runs(row)],
    }  # fmt: skip


def _runs(row: Row) -> Iterator[Mapping[str, Any]]:
    for sick in row.sick:
        yield {
            "case": sick.case, "seed": sick.seed, "excess": sick.excess, "delay": sick.delay,
            "findings": _said(sick.ran.findings), "actions": _said(sick.ran.actions), "steps": sick.ran.steps,
        }  # fmt: skip
    for well in row.healthy:
        yield {
            "case": well.case, "seed": well.seed, "cost": well.cost, "own_cost": well.own_cost,
            "findings": _said(well.ran.findings), "actions": _said(well.ran.actions), "steps": well.ran.steps,
        }  # fmt: skip


def _said(said: tuple[Any, ...]) -> list[list[Any]]:
    return [[each.step, each.name] for each in said]
