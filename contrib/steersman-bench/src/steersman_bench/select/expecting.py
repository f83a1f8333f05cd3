"""What the shipped strategies came to on the quick runs when that was last recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import asdict

from steersman_bench.select.measuring import Report

FILE = Path(__file__).with_name("expected.json")


def record(report: Report) -> None:
    """Write the intervals of each row, in place of those there were."""
    told = {
        row.name: {"regret": asdict(row.figures.regret), "difference": asdict(row.figures.difference)}
        for row in report.rows
        if row.figures is not None
    }
    FILE.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def worse(report: Report) -> Iterator[str]:
    """Yield a sentence for each recorded strategy that is not there, or lies above one of its recorded intervals."""
    expected: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    rows = {row.name: row for row in report.rows}
    for name, figures in expected.items():
        row = rows.get(name)
        if row is None or row.figures is None or row.says:
            yield f"{name} was not measured: {row.says if row else 'it is not installed'}"
            continue
        for figure, interval in figures.items():
            now, high = getattr(row.figures, figure).mean, interval["high"]
            if now > high + 1e-9:
                yield f"{name}: its {figure} is {now:.3f}, above the {high:.3f} of its recorded interval"
