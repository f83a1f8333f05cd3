"""Measure how often `divergence` alarms on what is healthy, and how often it finds what is not.

Run it from the folder of this distribution, with steersman-divergence installed: python tests/false_alarms.py
It prints a table in Markdown. The healthy logs are real (runs/SOURCES.md); the simulated ones are a falling loss with
noise, of Gaussian and of heavy-tailed (Student's t with 3 degrees of freedom) shape, from a fixed seed.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from attrs import define
from steersman_divergence import Divergence

from steersman.testing import Played, a_run, play

RUNS = Path(__file__).parent / "runs"
NOT_HEALTHY = {"16831-project-01.json", "llama2-7b-miniguanaco-dpo-01.json"}
LOGS, EPOCH, NOISE, SIMULATED = 200, 10, 0.05, 200


@define
class Tally:
    """How many runs and judged logs there were, and what was found in them; a run's first logs are not judged."""

    name: str
    runs: int = 0
    judged: int = 0
    warnings: int = 0
    criticals: int = 0
    alarmed: int = 0

    def add(self, played: Played, logs: int) -> None:
        """Add a run of so many training logs."""
        assert not played.errors, played.errors
        self.runs, self.judged = self.runs + 1, self.judged + max(logs - Divergence().needed, 0)
        self.warnings += sum(finding.severity == "warning" for finding in played.findings)
        self.criticals += sum(finding.severity == "critical" for finding in played.findings)
        self.alarmed += bool(played.findings)

    def __str__(self) -> str:
        findings = self.warnings + self.criticals
        most = 3000 / self.judged  # Hanley and Lippman-Hand (1983): with none in n, at most 3 / n with 95 % confidence
        rate = f"{1000 * findings / self.judged:.2f}" if findings else f"0 (at most {most:.2g})"
        return (
            f"| {self.name} | {self.runs} | {self.judged} | {self.warnings} | {self.criticals} | {rate} "
            f"| {self.alarmed} of {self.runs} |"
        )


def gaussian(draw: random.Random) -> float:
    """Return a draw of a normal distribution."""
    return draw.gauss(0.0, 1.0)


def heavy_tailed(draw: random.Random) -> float:
    """Return a draw of Student's t with 3 degrees of freedom: one in 160 is beyond six of its own deviations."""
    return gaussian(draw) / math.sqrt(sum(gaussian(draw) ** 2 for _ in range(3)) / 3)


def losses(noise: Callable[[random.Random], float], draw: random.Random) -> list[float]:
    """Return the losses of a healthy run: from 4 towards 2, with noise."""
    return [2.0 + 2.0 * math.exp(-i / 50) + NOISE * noise(draw) for i in range(LOGS)]


def told(values: Sequence[float]) -> Played:
    """Return what is found in a run that logs these losses, ten to an epoch, with a check after each."""
    story = a_run(steps_per_epoch=EPOCH)
    for begin in range(0, len(values), EPOCH):
        story = story.epoch(logs=EPOCH, loss=list(values[begin : begin + EPOCH]))
    return story.play(Divergence())


def table(head: str, tallies: Iterable[Tally]) -> None:
    """Print a table."""
    print(f"| {head} | runs | judged logs | warnings | critical | findings per 1000 | runs with a finding |")
    print("|---|---|---|---|---|---|---|")
    for tally in tallies:
        print(tally)
    print()


def real() -> Iterable[Tally]:
    """Tally the healthy real logs."""
    tally = Tally("real logs")
    for path in sorted(RUNS.glob("*.json")):
        if path.name not in NOT_HEALTHY:
            logs = json.loads(path.read_text())["log_history"]
            tally.add(play(path, Divergence()), sum("loss" in log for log in logs))
    yield tally


def simulated() -> Iterable[Tally]:
    """Tally simulated noise."""
    for noise in (gaussian, heavy_tailed):
        tally, draw = Tally(f"simulated, {noise.__name__.replace('_', '-')} noise"), random.Random(1)
        for _ in range(SIMULATED):
            tally.add(told(losses(noise, draw)), LOGS)
        yield tally


def faults() -> Iterable[Tally]:
    """Tally what should be found: one log, or all from the middle on, too high by some deviations of the noise."""
    for noise in (gaussian, heavy_tailed):
        for high in (5, 10, 20):
            for name, last in ((f"one log {high} deviations", LOGS // 2 + 1), (f"half of it {high} deviations", LOGS)):
                tally, draw = Tally(f"{noise.__name__.replace('_', '-')}, {name} too high"), random.Random(2)
                for _ in range(SIMULATED // 4):
                    values = losses(noise, draw)
                    for i in range(LOGS // 2, last):
                        values[i] += high * NOISE
                    tally.add(told(values), LOGS)
                yield tally


if __name__ == "__main__":
    table("healthy", [*real(), *simulated()])
    table("faulty", faults())
