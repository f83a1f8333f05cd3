"""The stage that the name of a metric tells: `train/loss`, `val_loss`, `loss/valid`, `test_accuracy`."""

from __future__ import annotations

import re
from typing import Literal

Stage = Literal["train", "eval", "test"]

_WORDS: dict[Stage, str] = {"train": "train|training", "eval": "val|valid|validation|eval", "test": "test"}
_BEFORE: dict[Stage, re.Pattern[str]] = {stage: re.compile(rf"(?:{words})[_/]") for stage, words in _WORDS.items()}
_AFTER: dict[Stage, re.Pattern[str]] = {stage: re.compile(rf"[_/](?:{words})$") for stage, words in _WORDS.items()}
_WITHIN: dict[Stage, re.Pattern[str]] = {
    stage: re.compile(rf"[_/](?:{words})[_/]") for stage, words in _WORDS.items() if stage != "test"
}  # a reward may be called `rewards/test_cases/mean`


def stage_of(name: str) -> Stage | None:
    """Return the stage that a name tells, before, after or within it, or None."""
    lowered = name.lower()
    for stage, before in _BEFORE.items():
        if before.match(lowered):
            return stage
    for stage, after in _AFTER.items():
        if after.search(lowered):
            return stage
    return next((stage for stage, within in _WITHIN.items() if within.search(lowered)), None)


def bare(name: str, stage: Stage) -> str:
    """Return a name without the word that tells its stage, where that is its first or its last."""
    lowered = name.lower()
    if match := _BEFORE[stage].match(lowered):
        return name[match.end() :]
    match = _AFTER[stage].search(lowered)
    return name[: match.start()] + name[match.end() :] if match else name


def ours(stage: Stage, name: str) -> str:
    """Return the name that strategies read of a metric of this stage: the stage's word gone, `eval_` before it.

    `train_loss` is `loss`, `val_loss` and `loss/valid` are `eval_loss`. Lightning's mark of a second loader becomes the
    name of a set: `val_loss/dataloader_idx_1` is `eval_dataloader_1_loss`.
    """
    name, _, loader = name.partition("/dataloader_idx_")
    prefix = "" if stage == "train" else "eval_"
    return f"{prefix}dataloader_{loader}_{bare(name, stage)}" if loader else f"{prefix}{bare(name, stage)}"
