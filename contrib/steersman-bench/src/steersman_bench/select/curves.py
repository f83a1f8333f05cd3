"""The recorded runs: what was logged, and how each candidate did on the validation and on the test split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from attrs import frozen

from steersman_bench.select.candidates import RAW, windows

SHIPPED = Path(__file__).with_name("recorded.npz")
Values = npt.NDArray[np.float64]


class NoRecording(ValueError):
    """A file that holds no recorded runs."""


@frozen(eq=False)
class Curves:
    """One run. A row for each candidate: the untrained model, the checkpoints, then the averages.

    `losses` are those of the examples of the validation split; `test` is the mean loss and `task` the mean of the
    task's metric on the test split, which no strategy sees. `logs` are the mean train loss and the learning rate, as
    many to each evaluation. `told` are the facts of the run.
    """

    family: str
    name: str
    steps: int
    higher_is_better: bool
    losses: npt.NDArray[np.float16]
    test: Values
    task: Values
    logs: npt.NDArray[np.float32]
    told: Mapping[str, Any]

    @property
    def gain(self) -> float:
        """How much lower the lowest test loss of all candidates is than that of the untrained model."""
        return float(self.test[0] - self.test.min())

    @property
    def epochs(self) -> float:
        """How often the run saw each example of its training split."""
        return self.steps * float(self.told["batch"]) / float(self.told["train_size"])

    def step_of(self, evaluation: int) -> int:
        """Return the step of an evaluation, from 1."""
        return evaluation * self.steps // (RAW - 1)

    def subset(self, size: int) -> npt.NDArray[np.intp]:
        """Return which examples are the validation set of `size`: drawn once a run, the same for every strategy."""
        draw = np.random.default_rng([size, *self.name.encode()])
        return np.sort(draw.choice(self.losses.shape[1], size=size, replace=False))

    def means(self, size: int) -> Values:
        """Return the eval loss of every candidate on the validation set of `size`."""
        return cast("Values", self.losses[:, self.subset(size)].astype(np.float64).mean(axis=1))


@frozen(eq=False)
class Recording:
    """Runs of a file. `told` says with which versions and from which seed it was made."""

    file: Path
    runs: tuple[Curves, ...]
    told: Mapping[str, Any]

    def quick(self) -> Recording:
        """Return every sixth run."""
        return Recording(self.file, self.runs[::6], self.told)

    def of(self, families: tuple[str, ...]) -> Recording:
        """Return the runs of some families."""
        return Recording(self.file, tuple(run for run in self.runs if run.family in families), self.told)


def read(path: Path = SHIPPED) -> Recording:
    """Return the recorded runs. Raises NoRecording with a sentence where the file holds none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            told = json.loads(bytes(file["told"]))
            found = {name: file[name] for name in ("losses", "test", "task", "logs")}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise NoRecording(f"{path} holds no recorded runs ({error}); make some with --remake --out {path}") from None
    if found["losses"].shape[1] != len(windows()):
        raise NoRecording(f"{path} was made by another version; make it again with --remake --out {path}")
    return Recording(path, tuple(_runs(told, found)), {name: value for name, value in told.items() if name != "runs"})


def _runs(told: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Curves]:
    for at, facts in enumerate(told["runs"]):
        yield Curves(
            facts["family"],
            facts["name"],
            facts["steps"],
            facts["metric"] == "accuracy",
            found["losses"][at],
            found["test"][at],
            found["task"][at],
            found["logs"][at],
            facts,
        )
