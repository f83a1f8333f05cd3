"""What of a report is recorded, to be compared with the next."""

from __future__ import annotations

from pathlib import Path

from attrs import asdict

from steersman_bench.expected import CameTo, Figures
from steersman_bench.select.measuring import Report, Row

FILE = Path(__file__).with_name("expected.json")


def came_to(report: Report) -> CameTo:
    """Return what each strategy came to."""
    return {row.name: row.says or _figures(row) or "it kept nothing" for row in report.rows}


def _figures(row: Row) -> Figures:
    told = row.figures
    return {"regret": asdict(told.regret), "difference": asdict(told.difference)} if told is not None else {}
