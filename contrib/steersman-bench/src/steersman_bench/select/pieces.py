"""The pieces of the benchmark: one strategy on one run, at every validation size, in a process that can be killed."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import define, field, frozen

from steersman.planned import Planned
from steersman_bench.select.curves import Curves, Recording, read
from steersman_bench.select.naming import planned
from steersman_bench.select.playing import Play, play, prepare
from steersman_bench.steer.workers import in_processes

SIZES = (8, 32, 128, 256)
"""Validation sizes; the last is the whole split."""


@frozen
class Piece:
    """The text that names a strategy, and a run: the file it is in, and its name.

    `folder` is where the checkpoints of all runs are said to lie.
    """

    use: str
    file: Path
    run: str
    folder: Path


@define(eq=False)
class Playing:
    """What came of a strategy. `plays` are by the run's number and by size; `problems` are of runs that failed whole.

    `hung` is whether it was given up after a run in which it took too long.
    """

    plays: dict[tuple[int, int], Play] = field(factory=dict[tuple[int, int], Play])
    problems: list[str] = field(factory=list[str])
    hung: bool = False


def play_all(
    made: Mapping[str, Playing], recording: Recording, *, timeout: float, workers: int
) -> Iterator[tuple[str, str]]:
    """Yield which strategy was played which run, as that is done; what came of each is in `made`, by its text.

    `timeout` is the seconds that a strategy may take over one run; it is not asked again once it took longer.
    """
    number = {run.name: at for at, run in enumerate(recording.runs)}
    with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
        prepare(Path(folder))
        pieces = [Piece(use, recording.file, run, Path(folder)) for use in made for run in number]
        for piece, done in in_processes(
            pieces, played, workers=workers, timeout=timeout, skipped=lambda piece: made[piece.use].hung
        ):
            mine = made[piece.use]
            mine.hung = mine.hung or done.hung
            if done.problem:
                mine.problems.append(done.problem)
            else:
                mine.plays |= {(number[piece.run], size): one for size, one in zip(SIZES, done.value, strict=True)}
            yield piece.use, piece.run


def played(piece: Piece) -> tuple[Play, ...]:
    """Return what a strategy keeps of a run at each validation size. Called in a worker."""
    run, strategy = _runs(piece.file)[piece.run], _strategy(piece.use)
    return tuple(play(strategy, run, size, piece.folder) for size in SIZES)


@functools.lru_cache(maxsize=1)
def _strategy(use: str) -> Planned:
    return planned(use)


@functools.cache
def _runs(file: Path) -> Mapping[str, Curves]:
    """Return the runs of a file by name. From here on what a strategy prints goes to standard error."""
    os.dup2(2, 1)
    logging.getLogger("steersman").disabled = True  # a failure is told once, in its row
    return {run.name: run for run in read(file).runs}
