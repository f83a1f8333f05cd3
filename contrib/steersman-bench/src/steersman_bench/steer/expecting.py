"""What the shipped strategies came to on the quick runs when that was last recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from steersman.results.bootstrap import interval_of_mean
from steersman_bench.steer.benchmark import Table
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING
from steersman_bench.steer.table import Row

FILE = Path(__file__).with_name("expected.json")
_OURS_NOT = (NOTHING, BEST, BASELINE)


def record(table: Table) -> None:
    """Write what each shipped strategy came to, in place of what there was."""
    told = {row.name: _figures(row, table) for row in table.rows if row.name not in _OURS_NOT}
    FILE.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def worse(table: Table) -> Iterator[str]:
    """Yield a sentence for each recorded strategy that is not there, or lies above one of its recorded intervals."""
    expected: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    rows = {row.name: row for row in table.rows}
    for name, recorded in expected.items():
        row = rows.get(name)
        if row is None or row.problem:
            yield f"{name} was not measured: {row.problem if row else 'it is not installed'}"
            continue
        for figure, now in _figures(row, table).items():
            if now["mean"] > recorded[figure]["high"] + 0.05:
                yield f"{name}: its {figure} is {now['mean']:.2f}, above the {recorded[figure]['high']:.2f} recorded"


def _figures(row: Row, table: Table) -> Mapping[str, Mapping[str, float]]:
    [baseline] = [other for other in table.rows if other.name == BASELINE]
    others = {(run.case, run.seed): run.excess for run in baseline.sick}
    differences = [run.excess - others[run.case, run.seed] for run in row.sick]
    return {
        "excess against clip + skip": _interval(differences),
        "healthy cost": _interval([run.cost for run in row.healthy]),
        "cost of its own actions": _interval([run.own_cost for run in row.healthy]),
    }


def _interval(values: list[float]) -> Mapping[str, float]:
    low, high = interval_of_mean(values) or (values[0], values[0])
    return {"mean": fmean(values), "low": low, "high": high}
