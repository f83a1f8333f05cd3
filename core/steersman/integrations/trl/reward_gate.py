"""A gate on the reward, which TRL does not have: what scores below a threshold is not learned from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

from steersman.hyperparameters import Hyperparameter
from steersman.logs import logger

if TYPE_CHECKING:
    import torch


def reward_gate(trainer: Any, threshold: float = 0.0, *, least_survivors: float = 0.5) -> RewardGate:
    """Keep samples whose weighted reward is below `threshold` out of the training of a GRPO or RLOO trainer.

    TRL then treats such a sample as one that no reward function could score: its advantage is 0, and neither the mean
    of its group nor the logged rewards count it. A sample that is left alone in its group has nothing to be compared
    with, so it is kept out too. Where fewer than the share `least_survivors` of a generation would be left, over all
    ranks, that generation passes whole. Evaluations are not gated.

    Call it before `train()`; the threshold is then the hyperparameter `reward_threshold`.
    Raises ValueError for a share outside (0, 1], TypeError for a trainer that calculates no rewards, and RuntimeError
    where the trainer has a gate already.
    """
    if not 0 < least_survivors <= 1:
        raise ValueError(f"least_survivors is a share above 0 and at most 1, got {least_survivors}")
    if not hasattr(trainer, "_calculate_rewards") or not hasattr(trainer, "reward_weights"):
        raise TypeError(f"reward_gate is for GRPO and RLOO trainers; {type(trainer).__name__} calculates no rewards")
    if gate_of(trainer) is not None:
        raise RuntimeError("this trainer has a reward gate already; release() that one first")
    gate = RewardGate(trainer, threshold, least_survivors, trainer._calculate_rewards)
    trainer._calculate_rewards = gate
    return gate


def gate_of(trainer: Any) -> RewardGate | None:
    """Return the gate of a trainer, or None."""
    gate: object = getattr(trainer, "_calculate_rewards", None)
    return gate if isinstance(gate, RewardGate) else None


@define(eq=False)
class RewardGate:
    """Stands before `trainer._calculate_rewards`.

    `generations` counts what it saw, `passed_whole` those with too few survivors; `told` is the sentence it said when
    that happened first, empty before.
    """

    trainer: Any
    threshold: float
    least_survivors: float
    _calculate: Callable[..., Any]
    _is_open: bool = field(default=False, init=False)
    generations: int = field(default=0, init=False)
    passed_whole: int = field(default=0, init=False)
    told: str = field(default="", init=False)

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the rewards, one row a sample of all ranks, with NaN in each row that is kept out."""
        rewards: torch.Tensor = self._calculate(*args, **kwargs)
        if self._is_open or not self.trainer.model.training:
            return rewards
        self.generations += 1
        weights = self.trainer.reward_weights.to(rewards.device)
        scored = ~rewards.isnan().all(dim=1)
        survive = survivors(rewards, weights, self.threshold, self.trainer.num_generations)
        left, of = int(survive.sum()), int(scored.sum())
        if of and left / of < self.least_survivors:
            self._pass_whole(left, of)
            return rewards
        return rewards.masked_fill(~survive.unsqueeze(1), float("nan"))

    def handle(self) -> Hyperparameter:
        """Return the handle of the threshold."""
        return Hyperparameter("reward_threshold", lambda: self.threshold, self._set)

    def release(self) -> None:
        """Take the gate off the trainer; where somebody wrapped it, leave it open."""
        self._is_open = True
        if gate_of(self.trainer) is self:
            del self.trainer._calculate_rewards
            if self.trainer._calculate_rewards != self._calculate:  # it stood before another one's
                self.trainer._calculate_rewards = self._calculate

    def _set(self, threshold: float) -> None:
        self.threshold = threshold

    def _pass_whole(self, left: int, of: int) -> None:
        self.passed_whole += 1
        if self.told:
            return
        self.told = (
            f"the reward gate let a whole generation pass: {left} of {of} samples reached {self.threshold:g} in "
            f"company, fewer than {self.least_survivors:.0%}; this is said once, and counted in `passed_whole`"
        )
        if self.trainer.accelerator.is_main_process:
            logger().warning(self.told)


def survivors(rewards: torch.Tensor, weights: torch.Tensor, threshold: float, group_size: int) -> torch.Tensor:
    """Return which rows (samples x functions) reach the threshold, in a group where at least one other does."""
    total = (rewards * weights).nansum(dim=1)
    reached = (total >= threshold) & ~rewards.isnan().all(dim=1)
    company = reached.view(-1, group_size).sum(dim=1, keepdim=True) >= 2
    return (reached.view(-1, group_size) & company).view(-1)
