"""One run of a trainer, supervised as a user would: `steersman.supervise(trainer, config)`."""

from __future__ import annotations

import gc
import tempfile
from importlib import import_module
from pathlib import Path

import steersman
from steersman.readers.journal import current
from steersman_bench.steer.ending import Ran, Tally
from steersman_bench.steer.policies import BEST, NOTHING, Policy, always
from steersman_bench.steer.running import Piece
from steersman_bench.steer.trainers.case import TrainerCase, Ways
from steersman_bench.steer.trainers.cases import CASES, case_named
from steersman_bench.steer.trainers.policies import config_for
from steersman_bench.steer.trainers.setting import hush

CLIP = 1.0
"""The Trainer's own default of `max_grad_norm`."""


def made(piece: Piece) -> Ran:
    """Make one run, in a folder that is removed after it, on one thread."""
    with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
        return driven(case_named(piece.case), piece.seed, piece.sick, piece.policy, Path(folder))


def driven(case: TrainerCase, seed: int, sick: bool, policy: Policy, folder: Path) -> Ran:
    """Train to the end, or to where a strategy stops it, and return how it ended and what was said and done."""
    hush()
    import_module("torch").set_num_threads(1)
    ways = Ways(folder, 0.0 if policy.name in (NOTHING, BEST) else CLIP, policy.asked.load_best)
    trained = case.make(seed, sick, ways)
    trainer, untrained = trained.trainer, trained.test()
    steersman.supervise(trainer, config_for(policy, case.ranked_by))
    trainer.train()
    tally, end = Tally(), trained.test()
    for entry in current(folder / "steersman" / "journal.jsonl"):
        tally.hear(entry)
    parameters = sum(p.numel() for p in trainer.model.parameters())
    return tally.ran(untrained, end, end, trainer.state.global_step, parameters)


def warmed_up() -> None:
    """Make a run that counts for nothing: the first of a process imports what all of them need."""
    made(Piece(CASES[-1].name, 100, False, always()[0]))
    gc.collect()
    gc.freeze()  # the trainer collects at each end of a run: what is imported would be looked through every time
