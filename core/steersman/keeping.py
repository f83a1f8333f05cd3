"""Keeps both bests: the best checkpoint of the first scorer and that of the lowest eval loss, past the Trainer's rotation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from steersman.ranking import Ranking, exists


class Keeper:
    """Hard-links both bests under `folder`; a link costs no disk until the Trainer deletes its own copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, ranking: Ranking) -> Iterator[str]:
        """Keep what is best now, let go of what was; yield a sentence for each, with its size."""
        for role, checkpoint in (("best", ranking.best()), ("lowest-eval-loss", ranking.lowest_loss)):
            if checkpoint is None or not exists(checkpoint) or checkpoint.path is None:
                continue
            goal = self.folder / role / f"checkpoint-{checkpoint.step}"
            if goal.exists():
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
            yield f"kept the {role} checkpoint of step {checkpoint.step} in {goal}: {size / 1e6:,.1f} MB on disk at most"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
