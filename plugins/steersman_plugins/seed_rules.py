"""The `seed` preset of trend-health: the origin's rules, to the digit."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from steersman import Adjust
from steersman.decisions import Proposal, Severity
from steersman_plugins.trends import Trend


@frozen
class Fired:
    """A rule that fired: what it saw, in words and figures, and what it proposes."""

    rule: str
    message: str
    evidence: dict[str, float | None]
    changes: tuple[Proposal, ...] = ()
    severity: Severity = "warning"


@frozen
class SeedRules:
    """Thresholds, factors and bounds of the `seed` preset. Losses and rewards are means of a window."""

    spike_rise: float = 0.2
    """Rise of the mean loss between two windows, in units of the loss, above which it is a spike."""
    high_loss: float = 0.5
    """Mean loss above which it is high, whatever it does; nearly every language model is above it."""
    lr_factor: float = 0.8
    """What the learning rate is multiplied by when the loss spikes, rises or is high."""
    lr_min: float = 1e-7
    """The learning rate below which no rule goes."""
    spike_kl_factor: float = 1.2
    """What the KL penalty is multiplied by after a spike."""
    spike_kl_max: float = 0.3
    """The KL penalty above which a spike does not raise it."""
    clip_factor: float = 0.8
    """What the gradient clip is multiplied by after a spike."""
    clip_min: float = 0.1
    """The gradient clip below which no rule goes."""
    reward_weight_factor: float = 1.15
    """What the reward weight is multiplied by when the reward falls or stands still."""
    reward_weight_max: float = 3.0
    """The reward weight above which no rule goes."""
    declining_kl_factor: float = 0.9
    """What the KL penalty is multiplied by when the reward falls while the loss is low."""
    declining_kl_min: float = 0.05
    """The KL penalty below which a falling reward does not lower it."""
    declining_kl_below_loss: float = 0.4
    """Mean loss below which a falling reward lowers the KL penalty."""
    stagnant_change: float = 0.01
    """Movement of the mean reward over two windows below which it stands still."""
    stagnant_below: float = 0.3
    """Mean reward below which standing still counts: above it, it may have arrived."""
    variance_threshold: float = 0.08
    """Variance of the reward above which the reward threshold rises."""
    threshold_step: float = 0.02
    """What is added to the reward threshold then."""
    threshold_max: float = 0.3
    """The reward threshold above which no rule goes."""
    overfitting_reward_rise: float = 0.01
    """Rise of the mean reward between two windows that may be overfitting to it."""
    overfitting_loss_rise: float = 0.05
    """Rise of the mean loss between the same two windows that makes it so."""
    overfitting_kl_factor: float = 1.1
    """What the KL penalty is multiplied by then."""
    overfitting_kl_max: float = 0.25
    """The KL penalty above which overfitting does not raise it."""
    exploration_loss_fall: float = 0.05
    """Fall of the mean loss between two windows that asks for exploration."""
    exploration_reward_rise: float = 0.01
    """Rise of the mean reward below which it does."""
    exploration_below_loss: float = 0.3
    """Mean loss below which it does."""
    temperature_factor: float = 1.1
    """What the sampling temperature is multiplied by to explore."""
    temperature_max: float = 1.5
    """The temperature above which no rule goes."""


def seed_rules(r: SeedRules, t: Trend) -> Iterator[Fired]:
    """Yield each rule that fires on the newest window. The first window only sets the baseline."""
    yield from _loss_rules(r, t)
    yield from _reward_rules(r, t)
    yield from _joint_rules(r, t)


def _loss_rules(r: SeedRules, t: Trend) -> Iterator[Fired]:
    loss, rise = t.loss, t.loss_change
    if loss is None or rise is None:
        return
    evidence: dict[str, float | None] = {"loss": loss, "loss_change": rise}

    def cut(rule: str) -> Adjust:
        return Adjust("learning_rate", scale=r.lr_factor, at_least=r.lr_min, because=rule)

    if rise > r.spike_rise:
        kl = Adjust("kl_penalty", scale=r.spike_kl_factor, at_most=r.spike_kl_max, because="loss-spike")
        clip = Adjust("max_grad_norm", scale=r.clip_factor, at_least=r.clip_min, because="loss-spike")
        yield Fired("loss-spike", f"loss spiked by {rise:.4f} to {loss:.4f}", evidence, (cut("loss-spike"), kl, clip))
    if rise > 0:
        yield Fired("loss-rising", f"loss rose by {rise:.4f} to {loss:.4f}", evidence, (cut("loss-rising"),))
    if loss > r.high_loss:
        message = f"loss {loss:.4f} is above {r.high_loss:g}"
        yield Fired("loss-high", message, evidence, (cut("loss-high"),))


def _reward_rules(r: SeedRules, t: Trend) -> Iterator[Fired]:
    reward, change = t.reward, t.reward_change
    if reward is None or change is None:
        return
    evidence: dict[str, float | None] = {"reward": reward, "reward_change": change, "loss": t.loss}

    def weight(rule: str) -> Adjust:
        return Adjust("reward_weight", scale=r.reward_weight_factor, at_most=r.reward_weight_max, because=rule)

    if change < 0:
        changes = [weight("reward-declining")]
        if t.loss is not None and t.loss < r.declining_kl_below_loss:
            factor, least = r.declining_kl_factor, r.declining_kl_min
            changes.append(Adjust("kl_penalty", scale=factor, at_least=least, because="reward-declining"))
        yield Fired("reward-declining", f"reward fell by {-change:.4f} to {reward:.4f}", evidence, tuple(changes))
    if len(t.rewards) > 2 and abs(reward - t.rewards[-3]) < r.stagnant_change and reward < r.stagnant_below:
        message = f"reward {reward:.4f} has moved by less than {r.stagnant_change:g} in two windows"
        seen = {**evidence, "reward_two_before": t.rewards[-3]}
        yield Fired("reward-stagnant", message, seen, (weight("reward-stagnant"),))
    if t.variance is not None and t.variance > r.variance_threshold:
        raised = Adjust("reward_threshold", add=r.threshold_step, at_most=r.threshold_max, because="reward-variance")
        message = f"reward variance {t.variance:.4f} is above {r.variance_threshold:g}"
        yield Fired("reward-variance", message, {"variance": t.variance}, (raised,))


def _joint_rules(r: SeedRules, t: Trend) -> Iterator[Fired]:
    rise, gain, loss = t.loss_change, t.reward_change, t.loss
    if rise is None or gain is None or loss is None:
        return
    evidence: dict[str, float | None] = {"loss": loss, "loss_change": rise, "reward_change": gain}
    if gain > r.overfitting_reward_rise and rise > r.overfitting_loss_rise:
        factor, most = r.overfitting_kl_factor, r.overfitting_kl_max
        raised = Adjust("kl_penalty", scale=factor, at_most=most, because="overfitting")
        yield Fired("overfitting", f"reward rose by {gain:.4f} while loss rose by {rise:.4f}", evidence, (raised,))
    if -rise > r.exploration_loss_fall and gain < r.exploration_reward_rise and loss < r.exploration_below_loss:
        factor, most = r.temperature_factor, r.temperature_max
        warmer = Adjust("temperature", scale=factor, at_most=most, because="needs-exploration")
        message = f"loss fell by {-rise:.4f} while reward changed by {gain:+.4f} only"
        yield Fired("needs-exploration", message, evidence, (warmer,))
