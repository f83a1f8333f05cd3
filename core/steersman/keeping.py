"""Keeps both bests, the first scorer's and that of the lowest eval loss, past the Trainer's rotation.

Where the config requires a metric that comes late, the best that waits for it is kept as well.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from steersman.checkpoints import Checkpoint
from steersman.ranking import Ranking, exists


class Keeper:
    """Hard-links both bests under `folder`; a link costs no disk until the Trainer deletes its own copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, ranking: Ranking) -> Iterator[str]:
        """Keep what is best now, let go of what was; yield a sentence for each, with its size."""
        for role, checkpoint in (
            ("best", self._best(ranking)),
            ("waiting", self._waiting(ranking)),
            ("lowest-eval-loss", self._lowest_loss(ranking)),
        ):
            if checkpoint is None or checkpoint.path is None:
                continue
            goal = self._goal(role, checkpoint)
            if goal.exists():
                if not exists(checkpoint):
                    ranking.mark_saved(checkpoint.step, str(goal))  # the Trainer has deleted its own
                continue
            try:
                making = goal.with_suffix(".making")
                shutil.rmtree(making, ignore_errors=True)
                shutil.copytree(checkpoint.path, making, copy_function=_link)
                for old in [o for o in goal.parent.iterdir() if o != making]:
                    shutil.rmtree(old)
                making.rename(goal)
            except OSError as error:
                yield f"the {role} checkpoint could not be kept in {goal}: {error.strerror or error}"
                continue
            size = sum(file.stat().st_size for file in goal.rglob("*") if file.is_file())
            on_disk = f"{size / 1e6:,.1f} MB on disk at most"
            which = f"the {role} checkpoint of step {checkpoint.step}"
            yield f"kept {which} in {goal}: {on_disk}"

    def _best(self, ranking: Ranking) -> Checkpoint | None:
        return ranking.best(where=lambda c: exists(c) or self._goal("best", c).exists())

    def _waiting(self, ranking: Ranking) -> Checkpoint | None:
        waiting = (c for c, why in ranking.passed_over() if why.waits)
        return next((c for c in waiting if exists(c) or self._goal("waiting", c).exists()), None)

    def _lowest_loss(self, ranking: Ranking) -> Checkpoint | None:
        there = [
            c
            for c in ranking.all()
            if not c.is_baseline
            and math.isfinite(c.metrics.get("eval_loss", math.inf))
            and (exists(c) or self._goal("lowest-eval-loss", c).exists())
        ]
        return min(there, key=lambda c: (c.metrics["eval_loss"], c.step), default=None)

    def _goal(self, role: str, checkpoint: Checkpoint) -> Path:
        return self.folder / role / f"checkpoint-{checkpoint.step}"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
