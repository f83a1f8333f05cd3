"""What of a table is recorded, to be compared with the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from steersman.results.bootstrap import interval_of_mean
from steersman_bench.expected import CameTo, Figures
from steersman_bench.steer.benchmark import Table
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING
from steersman_bench.steer.table import Row

FILE = Path(__file__).with_name("expected.json")
LEEWAY = 0.05
"""By how much a mean may lie above its recorded interval."""
_OURS_NOT = (NOTHING, BEST, BASELINE)


def came_to(table: Table) -> CameTo:
    """Return what each shipped strategy came to."""
    return {row.name: row.problem or _figures(row, table) for row in table.rows if row.name not in _OURS_NOT}


def _figures(row: Row, table: Table) -> Figures:
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
