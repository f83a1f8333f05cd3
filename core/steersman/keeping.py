"""Keeps both bests, the first scorer's and that of the lowest eval loss, past the Trainer's rotation.

Where the config requires a metric that comes late, the best that waits for it is kept as well.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import define, field

from steersman.checkpoints import Checkpoint
from steersman.ranking import Ranking, exists
from steersman.requirements import Barrier, barrier

_Late = Mapping[int, Mapping[str, float]]


@define
class Keeper:
    """Hard-links both bests under `folder`; a link costs no disk until the Trainer deletes its own copy.

    What lies there when a run begins that is not `resumed` is another run's: it stands for no step of this one.
    """

    folder: Path
    resumed: bool = False
    _of_another: set[Path] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._of_another = set() if self.resumed else set(self.folder.glob("*/checkpoint-*"))

    def keep(self, ranking: Ranking, unheard: _Late | None = None) -> Iterator[str]:
        """Keep what is best now, let go of what was; yield a sentence for each, with its size.

        `unheard` are late metrics by step that no check of the run has heard yet. Nothing is let go of before all that
        is wanted is in its place, wherever it lay.
        """
        self._find(ranking)
        best, waiting = _bests(ranking, unheard or {})
        wanted = {"best": best, "waiting": waiting, "lowest-eval-loss": _lowest_loss(ranking)}
        left_alone: set[str] = set()
        for role, checkpoint in wanted.items():
            if checkpoint is None or checkpoint.path is None:
                continue
            goal = self._goal(role, checkpoint)
            try:
                if not goal.exists() or goal in self._of_another:
                    self._of_another.discard(goal)
                    _copy(Path(checkpoint.path), goal)
                    yield _kept(role, checkpoint, goal)
            except OSError as error:
                left_alone.add(goal.name)
                yield f"the {role} checkpoint could not be kept in {goal}: {error.strerror or error}"
        for role, checkpoint in wanted.items():
            if checkpoint is not None:
                yield from self._let_go(role, checkpoint, left_alone)
        self._find(ranking)

    def _find(self, ranking: Ranking) -> None:
        """Note where checkpoints lie that were saved and that the Trainer has deleted since."""
        lost = [c for c in ranking.all() if c.path is not None and not exists(c)]
        for checkpoint in lost:
            places = set(self.folder.glob(f"*/checkpoint-{checkpoint.step}")) - self._of_another
            if places:
                ranking.mark_saved(checkpoint.step, str(min(places)))

    def _let_go(self, role: str, checkpoint: Checkpoint, left_alone: set[str]) -> Iterator[str]:
        goal = self._goal(role, checkpoint)
        if not goal.exists():
            return
        for old in [o for o in goal.parent.iterdir() if o != goal and o.name not in left_alone]:
            try:
                shutil.rmtree(old)
            except OSError as error:
                yield f"{old} is kept no more, and could not be deleted: {error.strerror or error}"

    def _goal(self, role: str, checkpoint: Checkpoint) -> Path:
        return self.folder / role / f"checkpoint-{checkpoint.step}"


def _bests(ranking: Ranking, unheard: _Late) -> tuple[Checkpoint | None, Checkpoint | None]:
    """Return the best that is there, and the better one that waits for a metric, with what is known by now."""
    waiting: Checkpoint | None = None
    for checkpoint in filter(exists, ranking.ranked(barred=True)):
        why = _barrier(ranking, checkpoint, unheard)
        if why is None:
            return checkpoint, waiting
        waiting = checkpoint if why.waits and waiting is None else waiting
    return None, waiting


def _barrier(ranking: Ranking, checkpoint: Checkpoint, unheard: _Late) -> Barrier | None:
    return barrier(ranking.requires, {**checkpoint.metrics, **unheard.get(checkpoint.step, {})})


def _lowest_loss(ranking: Ranking) -> Checkpoint | None:
    there = [
        c
        for c in ranking.all()
        if not c.is_baseline and math.isfinite(c.metrics.get("eval_loss", math.inf)) and exists(c)
    ]
    return min(there, key=lambda c: (c.metrics["eval_loss"], c.step), default=None)


def _copy(source: Path, goal: Path) -> None:
    making = goal.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    shutil.copytree(source, making, copy_function=_link)
    if goal.exists():
        shutil.rmtree(goal)
    making.rename(goal)


def _kept(role: str, checkpoint: Checkpoint, goal: Path) -> str:
    size = sum(file.stat().st_size for file in goal.rglob("*") if file.is_file())
    return f"kept the {role} checkpoint of step {checkpoint.step} in {goal}: {size / 1e6:,.1f} MB on disk at most"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
