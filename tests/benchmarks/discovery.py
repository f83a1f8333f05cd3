"""What many installed strategies cost: listing them, and reading a config that uses them.

Run it: `python tests/benchmarks/discovery.py`. Listing is measured against the interpreter's start and the import of
what prints the table, in the same run, in turns.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from steersman.config import read
from steersman.config.structuring import structure
from steersman.loading import installed

DISTRIBUTIONS, CARRYING, RUNS, READS = 200, 20, 31, 51
BARE = "import rich.console, rich.table"
STRATEGY = '''"""`bench-{n}`: lower the learning rate when the loss of a window stands far above the median of those before it.

The rule is robust: it compares with the median, and measures the distance in median absolute deviations.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Literal

from attrs import define, field, validators

from steersman import Adjust, Check, Finding, Run, hookimpl, state


def distance(values: tuple[float, ...]) -> float:
    """Return how many median absolute deviations the newest value lies above the median of those before it."""
    *before, newest = values
    middle = median(before)
    spread = median(abs(value - middle) for value in before)
    return (newest - middle) / spread if spread > 0 else 0.0


@define(eq=False)
class Bench{n}:
    """Lower the learning rate when the loss stands far above what it was, rule {n}.

    It proposes once for each time the loss rises above `limit`, and is silent until it has fallen below it again.
    Source: Hampel (1974), The influence curve and its role in robust estimation.
    """

    window: int = field(default=8, validator=validators.ge(3))
    """How many of the newest windows count."""
    limit: float = field(default=5.0, validator=validators.gt(0))
    """Median absolute deviations above the median that are too many."""
    factor: float = field(default=0.8, validator=[validators.gt(0), validators.lt(1)])
    """What the learning rate is multiplied by."""
    least: float = 1e-7
    """The learning rate below which it is left alone."""
    metric: Literal["loss", "eval_loss"] = "loss"
    """Which mean of a window is looked at."""

    is_above: bool = state(False)

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        values = tuple(w.mean(self.metric) for w in check.windows[-self.window :])
        known = tuple(value for value in values if value is not None)
        far = len(known) > 2 and distance(known) > self.limit
        if far and not self.is_above:
            yield Finding("loss-outlier", f"{{self.metric}} is {{known[-1]:.4f}}", evidence={{"value": known[-1]}})
        self.is_above = far

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Iterator[Adjust]:
        if check.findings:
            yield Adjust("learning_rate", scale=self.factor, at_least=self.least, because="loss-outlier")
'''


def build(site: Path) -> None:
    """Install the distributions into a folder: those that carry a strategy, and others, a quarter with a script."""
    for n in range(DISTRIBUTIONS):
        info = site / f"bench_{n}-1.{n}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: bench-{n}\nVersion: 1.{n}\n\n# Bench\n" * 20)
        if n < CARRYING:
            package = site / f"bench_{n}"
            package.mkdir()
            (package / "__init__.py").write_text(f"from bench_{n}.rule import Bench{n}\n\n__all__ = ['Bench{n}']\n")
            (package / "rule.py").write_text(STRATEGY.format(n=n))
            points = f"[steersman.strategies]\nbench-{n} = bench_{n}:Bench{n}\n"
            (info / "entry_points.txt").write_text(points)
        elif n % 4 == 0:
            (info / "entry_points.txt").write_text(f"[console_scripts]\nbench-{n} = bench_{n}:main\n")


def listing(site: Path) -> dict[str, list[float]]:
    """Return the milliseconds of each command in each run: the bare imports, those with click, and the list itself."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**own, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path[1:])])}
    script = str(Path(sys.executable).with_name("steersman"))
    commands = {
        "bare": [sys.executable, "-c", BARE],
        "click": [sys.executable, "-c", f"{BARE}, steersman.cli"],
        "list": [sys.executable, script, "strategies"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(RUNS + 1):
        for name, command in commands.items():
            begin = perf_counter()
            said = subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, check=True)
            if run:  # the first writes the bytecode
                times[name].append(1000 * (perf_counter() - begin))
    assert all(f"bench-{n}" in said.stdout for n in range(CARRYING)), said.stdout
    return times


def reading(site: Path) -> tuple[float, int]:
    """Return the median milliseconds of reading a config of twenty strategies and structuring their options."""
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    use = "".join(f"  - bench-{n}: {{window: {n + 3}, factor: 0.5, metric: eval_loss}}\n" for n in range(CARRYING))
    config = site / "steersman.yaml"
    config.write_text(f"mode: act\nuse:\n{use}hyperparameters: {{learning_rate: {{min_factor: 0.25}}}}\n")
    known = installed()
    classes = {name: points[0].load() for name, points in known.items() if name.startswith("bench-")}
    times: list[float] = []
    for _ in range(READS):
        problems: list[str] = []
        begin = perf_counter()
        used = read(config).use
        made = [structure(entry.options, classes[entry.name], entry.name, problems) for entry in used]
        times.append(1000 * (perf_counter() - begin))
        assert all(made) and not problems, problems
    return statistics.median(times), len(config.read_text().splitlines())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        build(site)
        times = listing(site)
        read_in, lines = reading(site)
    table = Table("what", "median", "above", "least", "above", "ratio", "aim", title="Discovery, ms")
    bare, least = statistics.median(times["bare"]), min(times["bare"])
    for name, what, aim in (
        ("bare", f"python -c '{BARE}'", ""),
        ("click", "the same and `import steersman.cli`, which is click", ""),
        ("list", f"`steersman strategies`, {DISTRIBUTIONS} distributions more, {CARRYING} with strategies", "<= +30"),
    ):
        middle, fastest = statistics.median(times[name]), min(times[name])
        figures = (middle, middle - bare, fastest, fastest - least)
        table.add_row(what, *(f"{figure:.1f}" for figure in figures), f"{middle / bare:.2f}", aim)
    table.add_row(f"read a config of {CARRYING} strategies ({lines} lines)", f"{read_in:.2f}", "", "", "", "", "<= 5")
    Console().print(table)


if __name__ == "__main__":
    main()
