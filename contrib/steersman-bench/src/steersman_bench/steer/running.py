"""Which runs a benchmark consists of, and one of them made: a policy on a case, from a seed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch  # here, so that a worker has it before its first run is timed
from attrs import frozen

from steersman_bench.steer.case import SICK, Subject
from steersman_bench.steer.cases import case_named
from steersman_bench.steer.ending import Ran
from steersman_bench.steer.loop import train
from steersman_bench.steer.policies import NOTHING, Policy, always


@frozen
class Piece:
    """One run: a case by its name, its seed, whether with its fault, and the policy."""

    case: str
    seed: int
    sick: bool
    policy: Policy

    @property
    def key(self) -> tuple[str, int, bool, str]:
        """What tells it from every other."""
        return self.case, self.seed, self.sick, self.policy.name


def pieces(cases: Iterable[Subject], policies: Sequence[Policy], seeds: Sequence[int]) -> Iterator[Piece]:
    """Yield every run: each policy on each case, and the healthy twin of each sick one, with nobody at the wheel."""
    [nothing] = [policy for policy in policies if policy.name == NOTHING]
    for seed in seeds:
        for case in cases:
            is_sick = case.group in SICK
            if is_sick:
                yield Piece(case.name, seed, False, nothing)
            for policy in policies:
                yield Piece(case.name, seed, is_sick, policy)


def made(piece: Piece) -> Ran:
    """Make one run, in a folder that is removed after it, on one thread."""
    torch.set_num_threads(1)
    training = case_named(piece.case).make(piece.seed, piece.sick)
    with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
        return train(training, piece.policy.asked, Path(folder))


def warmed_up() -> None:
    """Make a run that counts for nothing: the first of a process loads what torch and Steersman load when needed."""
    made(Piece("perceptron, SGD", 100, False, always()[0]))
