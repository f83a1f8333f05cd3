"""When a window of steps closes, and its means."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import define, evolve, field, frozen

from steersman.records import Record

WATCHED = ("loss", "grad_norm", "eval_loss")
"""A non-finite value of one of these is an anomaly: it is looked at as soon as its step is settled."""


@frozen
class Window:
    """The logs of the steps after `first_step` up to and with `last_step`.

    `means` are weighted by the steps each log covers; NaN and infinity are left out and counted in `nonfinite`.
    `variances` are those between the logs, with the same weights (population variance).
    """

    first_step: int
    last_step: int
    epoch: float | None
    means: Mapping[str, float]
    variances: Mapping[str, float]
    nonfinite: Mapping[str, int]
    logs: int
    is_partial: bool = False

    def mean(self, name: str) -> float | None:
        """Return the mean of a metric, or None where it had no finite value here."""
        return self.means.get(name)

    def has_diverged(self, name: str) -> bool:
        """Whether every value of the metric was NaN or infinite."""
        return name in self.nonfinite and name not in self.means

    def copied(self) -> Window:
        """Return it with figures of its own, for somebody who might write into them."""
        means, variances, nonfinite = dict(self.means), dict(self.variances), dict(self.nonfinite)
        return evolve(self, means=means, variances=variances, nonfinite=nonfinite)

    @property
    def reward_variance(self) -> float | None:
        """Variance of the rewards: of the mixture where batches log `reward` and `reward_std`, else of the rewards.

        A mixture's variance is the mean of the squared deviations plus the variance of the means.
        """
        between = self.variances.get("reward")
        if between is None or "reward_std" not in self.means:
            return between
        return between + self.variances["reward_std"] + self.means["reward_std"] * self.means["reward_std"]


@define
class _Moments:
    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float, weight: float) -> None:
        """West's (1979) update of a weighted mean and sum of squared deviations."""
        self.weight += weight
        delta = value - self.mean
        self.mean += delta * weight / self.weight
        self.squares += weight * delta * (value - self.mean)


def _no_moments() -> dict[str, _Moments]:
    return {}


def _no_counts() -> dict[str, int]:
    return {}


@define
class OpenWindow:
    """Collects logs until it is closed; its memory is one entry per metric."""

    first_step: int = 0
    last_step: int = 0
    epoch: float | None = None
    logs: int = 0
    moments: dict[str, _Moments] = field(factory=_no_moments)
    nonfinite: dict[str, int] = field(factory=_no_counts)

    def add(self, record: Record, covers: int) -> None:
        """Add a record whose values are means over the last `covers` steps."""
        self.logs += 1
        self.last_step, self.epoch = record.step, record.epoch if record.epoch is not None else self.epoch
        for name, value in record.metrics.items():
            if math.isfinite(value):
                moments = self.moments.get(name)
                if moments is None:
                    moments = self.moments[name] = _Moments()
                moments.add(value, covers)
            else:
                self.nonfinite[name] = self.nonfinite.get(name, 0) + 1

    def close(self, *, is_partial: bool = False) -> Window:
        """Return what was collected."""
        means = {name: m.mean for name, m in self.moments.items()}
        variances = {name: m.squares / m.weight for name, m in self.moments.items()}
        last = max(self.last_step, self.first_step)
        return Window(self.first_step, last, self.epoch, means, variances, dict(self.nonfinite), self.logs, is_partial)


def anomalies(record: Record) -> tuple[str, ...]:
    """Return the watched metrics of `record` that are NaN or infinite."""
    return tuple(name for name in WATCHED if name in record.metrics and not math.isfinite(record.metrics[name]))


@define
class Windows:
    """The open check window and the open epoch window, and the check windows already closed (the newest 512)."""

    closed: tuple[Window, ...] = ()
    check: OpenWindow = field(factory=OpenWindow)
    epoch: OpenWindow = field(factory=OpenWindow)
    last_log: int = 0

    def start(self, step: int) -> None:
        """Begin at `step`: the first log covers the steps since then."""
        self.last_log = self.check.first_step = self.epoch.first_step = step

    def add(self, record: Record) -> None:
        """Add a record to both open windows. Only train records cover steps."""
        covers = max(record.step - self.last_log, 1)
        self.check.add(record, covers)
        self.epoch.add(record, covers)
        if "loss" in record.metrics or (record.kind == "train" and not anomalies(record)):
            self.last_log = record.step

    def restart(self, step: int) -> None:
        """Forget what was before `step`: it cannot be compared with what comes."""
        self.closed = tuple(window for window in self.closed if window.first_step >= step)
        if self.check.first_step < step:
            self.drop_open(step)

    def drop_open(self, step: int) -> None:
        """Forget what the open check window holds: a rollback has undone it."""
        self.check = OpenWindow(first_step=step, last_step=step, epoch=self.check.epoch)

    def close_check(self, step: int) -> Window:
        """Close the check window at `step` and open the next."""
        self.check.last_step = step
        window = self.check.close()
        self.closed = (*self.closed, window)[-512:]
        self.check = OpenWindow(first_step=step, last_step=step, epoch=window.epoch)
        return window

    def close_epoch(self, step: int) -> Window:
        """Close the epoch window at `step` and open the next."""
        self.epoch.last_step = step
        window = self.epoch.close()
        self.epoch = OpenWindow(first_step=step, last_step=step, epoch=window.epoch)
        return window
