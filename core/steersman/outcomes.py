"""Since a change: better, worse or unclear, beside how often the same judgement says so where nothing was changed.

A run that decays in health is lower after most of its checks, so a change that does nothing is called "better" too:
the label alone undoes nothing. What raises risk is undone unless it is clearly better; a cut is released when the run
has been healthy for a while.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal

import cattrs
from attrs import define, evolve, field, frozen

from steersman.decisions import Adjust
from steersman.hyperparameters import Entry
from steersman.rails import Offer
from steersman.validating import within
from steersman.windows import Window

Label = Literal["better since", "worse since", "unclear"]
OWN_NAME = "steersman"
"""The strategy named in the journal where Steersman itself undoes or releases a change."""
_JUDGED_BY = (("eval_loss", 1.0), ("reward", -1.0), ("loss", 1.0))
_PLACEBOS_NEEDED = 3
_PLACEBOS_NEAREST = 5


@frozen
class Settings:
    """When a change is judged, undone and released.

    `judge_after` checks after a change it is judged. A change that raises risk is then undone unless it is clearly
    better, if `revert_risky`. A cut is released after `release_after` healthy checks in a row, twice as many each
    further time; 0 is never.
    """

    judge_after: int = field(default=3, validator=within(1))
    """Scheduled checks after a change at which it is judged, and windows on each side that are compared."""
    revert_risky: bool = True
    """Whether a change that raised risk is then taken back unless it is clearly better."""
    release_after: int = field(default=2, validator=within(0))
    """Healthy checks in a row after which a cut is released, twice as many each further time; 0 is never."""


@frozen
class Comparison:
    """Means of `checks` windows after a step against as many before it, lower is better; `noise` is their scatter."""

    metric: str
    before: float
    after: float
    noise: float

    @property
    def difference(self) -> float:
        """After less before: below 0 is better."""
        return self.after - self.before

    @property
    def label(self) -> Label:
        """What the plain comparison says."""
        if abs(self.difference) <= self.noise:
            return "unclear"
        return "better since" if self.difference < 0 else "worse since"


@frozen
class Judged:
    """What became of a change, with how often the same judgement says so at the checks where nothing was changed."""

    hyperparameter: str
    strategy: str
    changed_at: int
    label: Label
    comparison: Comparison | None
    placebo_better: int
    placebo_worse: int
    placebos: int
    is_clear: bool


@define
class Trial:
    """A change that is being watched. `undo` is the factor or summand that takes it back."""

    hyperparameter: str
    strategy: str
    step: int
    raises_risk: bool
    is_cut: bool
    scale: float | None
    add: float | None
    checks: int = 0
    healthy: int = 0
    judged: bool = False
    must_go: bool = False

    def undone(self, because: str) -> Adjust:
        """Return the change that takes this one back."""
        if self.scale is not None:
            return Adjust(self.hyperparameter, scale=1 / self.scale, because=because)
        return Adjust(self.hyperparameter, add=-(self.add or 0.0), because=because)


def compare(windows: Sequence[Window], step: int, checks: int, moved: Sequence[int] = ()) -> Comparison | None:
    """Return the comparison around `step`, or None where a side has fewer than `checks` windows of any metric.

    Rewards are compared over none of the steps `moved`, at which something was changed that moves them by itself.
    """
    for metric, sign in _JUDGED_BY:
        known = [(w, sign * mean) for w in windows if (mean := w.mean(metric)) is not None]
        before = [mean for window, mean in known if window.last_step <= step][-checks:]
        after = [mean for window, mean in known if window.first_step >= step][:checks]
        if len(before) == len(after) == checks:
            if metric == "reward" and _holds(known, step, checks, moved):
                return None
            noise = _scatter(before) + _scatter(after)
            return Comparison(metric, fmean(before), fmean(after), noise)
    return None


def _holds(known: Sequence[tuple[Window, float]], step: int, checks: int, moved: Sequence[int]) -> bool:
    """Whether one of `moved` lies between the first and the last of the windows that are compared around `step`."""
    first = [window for window, _ in known if window.last_step <= step][-checks].first_step
    last = [window for window, _ in known if window.first_step >= step][checks - 1].last_step
    return any(first < at < last for at in moved)


def placebos(windows: Sequence[Window], changed: Sequence[int], checks: int) -> list[tuple[int, Comparison]]:
    """Return the same comparison at every check none of whose windows holds a change, with its step."""
    found: list[tuple[int, Comparison]] = []
    for i in range(checks, len(windows) - checks + 1):
        first, last = windows[i - checks].first_step, windows[i + checks - 1].last_step
        if not any(first < step < last for step in changed):
            compared = compare(windows[i - checks : i + checks], windows[i - 1].last_step, checks)
            if compared is not None:
                found.append((windows[i - 1].last_step, compared))
    return found


@define
class Outcomes:
    """Every change that is still watched."""

    settings: Settings = field(factory=Settings)
    trials: list[Trial] = field(factory=list[Trial])
    released: dict[str, int] = field(factory=dict[str, int])

    def watch(
        self, entry: Entry, strategy: str, step: int, old: float, new: float, adjust: Adjust, ratio: float
    ) -> None:
        """Watch a change that was just made."""
        up = new > old
        beyond = entry.factor > 1 + _ROUNDING if up else entry.factor < 1 - _ROUNDING  # of the user's own value
        risky = beyond and ((entry.safer == "down" and up) or (entry.safer == "up" and not up))
        scaled = adjust.scale is not None
        cut = entry.safer == ("down" if not up else "up") and not adjust.lasting
        self.trials.append(
            Trial(
                entry.name, strategy, step, risky, cut,
                ratio if scaled else None, None if scaled else new - old,
            )
        )  # fmt: skip
        self.trials = self.trials[-256:]

    def undo_was_made(self, undo: Adjust, *, released: bool) -> None:
        """Stop watching the newest change that `undo` took back or released."""
        for i in reversed(range(len(self.trials))):
            trial = self.trials[i]
            if (trial.is_cut if released else trial.raises_risk) and trial.undone(undo.because) == undo:
                del self.trials[i]
                break
        if released:
            name = undo.hyperparameter
            self.released[name] = self.released.get(name, 0) + 1

    def forget(self) -> None:
        """Watch nothing any more: everything was put back."""
        self.trials.clear()

    def examine(
        self,
        windows: Sequence[Window],
        changed: Sequence[int],
        factors: Mapping[str, float],
        *,
        healthy: bool,
        moved: Sequence[int] = (),
    ) -> tuple[list[Judged], list[Offer]]:
        """Count one scheduled check; return the changes judged at it, and what is to be undone or released.

        `factors` are the products of all changes so far: a cut that others have taken back is no cut any more. `moved`
        are those of the steps `changed` at which something was changed that moves the rewards by itself.
        """
        judged: list[Judged] = []
        offers: list[Offer] = []
        cuts: dict[str, Trial] = {}
        for trial in self.trials:
            trial.checks += 1
            trial.healthy = trial.healthy + 1 if healthy else 0
            if not trial.judged and trial.checks >= self.settings.judge_after:
                trial.judged = True
                verdict = self.judge(trial, windows, changed, moved)
                judged.append(verdict)
                trial.must_go = trial.raises_risk and self.settings.revert_risky and not verdict.is_clear
            if trial.must_go:
                offers.append(Offer(OWN_NAME, trial.undone(_WHY_UNDONE), "revert"))
            trial.is_cut = trial.is_cut and not _is_taken_back(trial, factors.get(trial.hyperparameter, 1.0))
            if trial.is_cut:
                cuts[trial.hyperparameter] = trial
        offers += [
            Offer(OWN_NAME, _released(cut, factors.get(name, 1.0)), "release")
            for name, cut in cuts.items()
            if self.settings.release_after and cut.healthy >= self._healthy_checks_needed(name)
        ]
        releases = bool(self.settings.release_after)
        self.trials = [t for t in self.trials if not t.judged or (t.is_cut and releases) or t.must_go]
        return judged, offers

    def judge(
        self, trial: Trial, windows: Sequence[Window], changed: Sequence[int], moved: Sequence[int] = ()
    ) -> Judged:
        """Return what the windows say of a change, beside the same at checks without one."""
        checks = self.settings.judge_after
        compared = compare(windows, trial.step, checks, moved)
        others = [
            (step, c) for step, c in placebos(windows, changed, checks) if compared and c.metric == compared.metric
        ]
        nearest = sorted(others, key=lambda other: abs(other[0] - trial.step))[:_PLACEBOS_NEAREST]
        label: Label = compared.label if compared else "unclear"
        is_clear = (
            compared is not None
            and label == "better since"
            and len(nearest) >= _PLACEBOS_NEEDED
            and all(compared.difference < other.difference for _, other in nearest)
        )
        labels = [other.label for _, other in others]
        return Judged(
            trial.hyperparameter, trial.strategy, trial.step, label, compared,
            labels.count("better since"), labels.count("worse since"), len(labels), is_clear,
        )  # fmt: skip

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry."""
        return {"trials": cattrs.unstructure(self.trials), "released": dict(self.released)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` returned."""
        self.trials = [cattrs.structure(trial, Trial) for trial in saved.get("trials", [])]
        self.released = {name: int(count) for name, count in saved.get("released", {}).items()}

    def _healthy_checks_needed(self, name: str) -> int:
        return int(self.settings.release_after * 2 ** self.released.get(name, 0))


def _is_taken_back(cut: Trial, factor: float) -> bool:
    """Whether the value is back at the user's own, or beyond it, whatever this cut did."""
    return cut.scale is not None and (factor >= 1.0 if cut.scale < 1 else factor <= 1.0)


def _released(cut: Trial, factor: float) -> Adjust:
    """Return the change that releases a cut, no further than to the user's own value."""
    undo = cut.undone(f"release after {cut.healthy} healthy checks")
    if undo.scale is None or cut.scale is None:
        return undo
    own = 1 / factor
    return evolve(undo, scale=min(undo.scale, own) if cut.scale < 1 else max(undo.scale, own))


_ROUNDING = 1e-9
_WHY_UNDONE = "it raised risk and is not clearly better since"


def _scatter(values: Sequence[float]) -> float:
    """Return the standard error of a mean, from the median absolute deviation (x1.4826 for a normal distribution)."""
    middle = median(values)
    return 1.4826 * median(abs(value - middle) for value in values) / math.sqrt(len(values))
