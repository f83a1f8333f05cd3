"""Measures strategies on recorded runs, and tells what came of it as one object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import frozen

from steersman.cli.terminal import with_bar
from steersman_bench.rows import verdict
from steersman_bench.select.candidates import EVALUATIONS
from steersman_bench.select.curves import Recording
from steersman_bench.select.pieces import SIZES, Playing, play_all
from steersman_bench.select.regrets import Figures, figures, parts
from steersman_bench.select.strategies import LAST
from steersman_bench.select.tied_sets import TiedSets, tied_sets

VERSION = 1


@frozen
class Row:
    """A strategy: its figures over all plays and in parts, None where nothing was kept; `says` what else there is.

    `failed` are the runs in which it failed. `stopped` is how many in a hundred it ended early, `averages` how many
    averages it proposed in one.
    """

    name: str
    use: str
    figures: Figures | None
    by_size: Mapping[str, Figures]
    by_family: Mapping[str, Figures]
    failed: int
    stopped: float
    averages: float
    says: str


@frozen
class Report:
    """What was measured, on what."""

    rows: tuple[Row, ...]
    tied: tuple[TiedSets, ...]
    recording: Mapping[str, Any]

    def as_object(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "version": VERSION,
            "benchmark": "select",
            "recording": dict(self.recording),
            "strategies": [attrs.asdict(row) for row in self.rows],
            "tied_sets": [attrs.asdict(one) for one in self.tied],
        }


def measure(
    asked: Mapping[str, str],
    recording: Recording,
    *,
    timeout: float,
    workers: int,
) -> Report:
    """Return what the strategies `asked`, by the names of their rows, come to on the runs of a recording.

    While that takes, a bar on standard error says how far it is.
    """
    made = {use: Playing() for use in asked.values()}
    plays = play_all(made, recording, timeout=timeout, workers=workers)
    for _ in with_bar(plays, len(made) * len(recording.runs), "Playing"):
        pass
    runs = recording.runs
    last = {(at, size): EVALUATIONS for at in range(len(runs)) for size in SIZES}
    rows = [_row(name, use, made[use], recording) for name, use in asked.items()]
    rows.insert(1, _figured(LAST, "", last, recording, 0, 0.0, 0.0, ""))
    told = {
        **recording.told,
        "runs": len(runs),
        "families": dict(Counter(run.family for run in runs)),
        "parameters": [f(run.told["parameters"] for run in runs) for f in (min, max)],
        "sizes": [*SIZES],
    }
    return Report(tuple(rows), tuple(tied_sets(runs, SIZES)), told)


def _row(name: str, use: str, made: Playing, recording: Recording) -> Row:
    plays = made.plays
    kept = {key: play.kept for key, play in plays.items() if play.kept is not None}
    failed = {run: play.problem for (run, _), play in reversed(plays.items()) if play.kept is None}
    problems = [*made.problems, *reversed(failed.values())]
    says = verdict(problems, of=len(recording.runs)) + ("; it was not asked again" if made.hung else "")
    count = max(len(plays), 1)
    stopped = 100 * sum(play.stopped for play in plays.values()) / count
    averages = sum(play.averages for play in plays.values()) / count
    return _figured(name, use, kept, recording, len(problems), stopped, averages, says)


def _figured(
    name: str,
    use: str,
    kept: Mapping[tuple[int, int], int],
    recording: Recording,
    failed: int,
    stopped: float,
    averages: float,
    says: str,
) -> Row:
    runs = recording.runs
    return Row(
        name,
        use,
        figures(runs, kept),
        parts(runs, kept, lambda key: str(key[1])),
        parts(runs, kept, lambda key: runs[key[0]].family),
        failed,
        stopped,
        averages,
        says,
    )
