"""What the shipped strategies came to on the quick runs when that was last recorded: a file beside each benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

Figures = Mapping[str, Mapping[str, float]]
"""Of each figure its `mean`, and `low` and `high`, the ends of its interval. Lower is better."""
CameTo = Mapping[str, Figures | str]
"""Of each strategy its figures, or the problem for which it was not measured."""


def record(file: Path, came: CameTo) -> None:
    """Write the figures of each strategy that was measured, in place of those there were."""
    told = {name: figures for name, figures in came.items() if not isinstance(figures, str)}
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def worse(file: Path, came: CameTo, *, leeway: float = 1e-9) -> Iterator[str]:
    """Yield a sentence for each recorded strategy that is not there, or lies above a recorded interval by `leeway`."""
    for name, figures in json.loads(file.read_text(encoding="utf-8")).items():
        now = came.get(name, "it is not installed")
        if isinstance(now, str):
            yield f"{name} was not measured: {now}"
            continue
        for figure, interval in figures.items():
            if now[figure]["mean"] > interval["high"] + leeway:
                high = f"{interval['high']:.3f} of its recorded interval"
                yield f"{name}: its {figure} is {now[figure]['mean']:.3f}, above the {high}"
