"""The `guarded` preset of trend-health: the lessons its origin learned from the `seed` rules.

The learning rate moves only on divergence. Falling reward never raises temperature or reward weight and never lowers
the KL penalty. High variance lowers temperature. The KL penalty rises slowly, towards a ceiling. All thresholds but
those on KL are relative to the run's own history.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from attrs import evolve, frozen

from steersman import Adjust, Window
from steersman_plugins.courses import Courses
from steersman_plugins.nonfinite import non_finite
from steersman_plugins.seed_rules import Fired
from steersman_plugins.trends import setback

_NORMS = 64


@frozen
class GuardedRules:
    """Thresholds, factors and bounds of the `guarded` preset."""

    lr_factor: float = 0.5
    """What the learning rate is multiplied by on divergence: one strong cut, not many weak ones."""
    lr_min: float = 1e-7
    """The learning rate below which no rule goes."""
    explosion_multiple: float = 10.0
    """How many times its median a mean gradient norm must exceed to be an explosion."""
    kl_ceiling_seen: float = 5.0
    """KL, as the trainer logs it, above which a run with rewards has run away from its reference."""
    kl_jump: float = 2.0
    """Rise of KL since the last check that is a runaway too."""
    windows_needed: int = 4
    """Windows before a setback can be seen: fewer give no measure of noise."""
    noise_multiple: float = 6.0
    """How many times its noise a mean must lie off its best; noise is the median deviation of its steps."""
    progress_share: float = 0.12
    """Share of the progress so far that must be lost, too: it keeps runs without noise silent."""
    kl_factor: float = 1.05
    """What the KL penalty is multiplied by when KL runs away or the reward falls; small, as it acts for long."""
    kl_max: float = 0.3
    """The KL penalty above which no rule goes."""
    variance_multiple: float = 3.0
    """How many times its median the reward variance of a window must be to be high."""
    temperature_factor: float = 0.95
    """What the sampling temperature is multiplied by when the reward variance is high."""
    temperature_min: float = 0.5
    """The temperature below which no rule goes: colder, samples are all alike."""


def divergence(r: GuardedRules, window: Window, before: Window | None, earlier: Sequence[Window]) -> Iterator[Fired]:
    """Yield what shows at once that the run has left its course: non-finite values, huge gradients, runaway KL.

    KL is compared with the window `before`, gradients with all `earlier` ones.
    """
    for fired in non_finite(window):
        yield evolve(fired, changes=(_cut(r, "divergence"),)) if fired.rule != "non-finite-eval-loss" else fired
    norm = window.mean("grad_norm")
    norms = [n for w in earlier[-_NORMS:] if (n := w.mean("grad_norm")) is not None] if norm is not None else []
    usual = statistics.median(norms) if len(norms) >= r.windows_needed else math.inf
    if norm is not None and norm > r.explosion_multiple * usual:
        message = f"gradient norm {norm:.4g} is above {r.explosion_multiple:g} times its median of {usual:.4g}"
        cuts = () if "eval_loss" in window.means else (_cut(r, "divergence"),)  # an eval loss shows what it did
        yield Fired("gradient-explosion", message, {"grad_norm": norm, "median": usual}, cuts, "critical")
    kl = window.mean("kl")
    if kl is None:
        return
    old = before.mean("kl") if before else None
    jump = kl - old if old is not None else 0.0
    if "reward" in window.means and (kl > r.kl_ceiling_seen or jump > r.kl_jump):
        message = f"KL is {kl:.4g}" + (f", {jump:+.4g} since the last check" if old is not None else "")
        changes = (_cut(r, "divergence"), _tether(r, "kl-runaway"))
        yield Fired("kl-runaway", message, {"kl": kl, "kl_change": jump}, changes, "critical")


def setbacks(
    r: GuardedRules, courses: Courses, of_rewards: Courses, *, use_loss: bool, use_reward: bool
) -> Iterator[Fired]:
    """Yield what has moved against the run further than its own noise and progress explain.

    `of_rewards` begins where rewards can be compared; `use_loss` and `use_reward` are whether the newest window has
    them.
    """
    losses, falls = courses.losses, of_rewards.falls
    has_losses = use_loss and len(losses) > r.windows_needed
    if has_losses and (found := losses.setback(r.noise_multiple, r.progress_share)) is not None:
        above, limit = found
        message = f"loss {losses[-1]:.4f} is {above:.4f} above its best; noise and progress explain {limit:.4f}"
        evidence: dict[str, float | None] = {"loss": losses[-1], "above_best": above, "limit": limit}
        yield Fired("loss-diverged", message, evidence, (_cut(r, "loss-diverged"),), "critical")
    if not use_reward or len(falls) <= r.windows_needed + 1:
        return
    if (found := falls.setback(r.noise_multiple, r.progress_share)) is not None:
        below, limit = found
        below_before, limit_before = setback(tuple(falls[:-1]), r.noise_multiple, r.progress_share)
        if below_before > limit_before:
            fell = f"reward {-falls[-1]:.4f} is {below:.4f} below its best"
            message = f"{fell}, for two checks running more than noise explains"
            seen: dict[str, float | None] = {"reward": -falls[-1], "below_best": below, "limit": limit}
            yield Fired("reward-declining", message, seen, (_tether(r, "reward-declining"),))
    usual = of_rewards.usual[len(of_rewards.usual) // 2] if of_rewards.usual else 0.0
    newest = of_rewards.variances[-1] if of_rewards.variances else 0.0
    if usual > 0 and newest > r.variance_multiple * usual:
        factor, least = r.temperature_factor, r.temperature_min
        cooler = Adjust("temperature", scale=factor, at_least=least, because="reward-variance")
        message = f"reward variance {newest:.4f} is above {r.variance_multiple:g} times its median {usual:.4f}"
        yield Fired("reward-variance", message, {"variance": newest, "median": usual}, (cooler,))


def _cut(r: GuardedRules, because: str) -> Adjust:
    return Adjust("learning_rate", scale=r.lr_factor, at_least=r.lr_min, because=because)


def _tether(r: GuardedRules, because: str) -> Adjust:
    return Adjust("kl_penalty", scale=r.kl_factor, at_most=r.kl_max, because=because)


def without_cooling(fired: Fired, cooling: frozenset[str]) -> Fired:
    """Return the rule without the changes to hyperparameters that were changed less than an epoch ago."""
    kept = tuple(c for c in fired.changes if not (isinstance(c, Adjust) and c.hyperparameter in cooling))
    return evolve(fired, changes=kept)
