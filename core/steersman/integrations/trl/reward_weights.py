"""The weights of the reward functions: one multiplier on all, times a weight for each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from attrs import define, field

from steersman.hyperparameters import Hyperparameter
from steersman.integrations.trl.reward_gate import gate_of

SHARED = "reward_weight"


@define(eq=False)
class RewardWeights:
    """`trainer.reward_weights` as `multiplier` x a weight for each function, so that changes of both compose.

    The multiplier is 1 at first, and again where somebody else sets the weights: theirs are then in force.
    """

    trainer: Any
    _multiplier: float = field(default=1.0, init=False)
    _weights: list[float] = field(factory=list[float], init=False)
    _seen: torch.Tensor | None = field(default=None, init=False)

    def multiplier(self) -> float:
        """Return the factor on all weights."""
        self._look()
        return self._multiplier

    def weight(self, index: int) -> float:
        """Return the weight of one reward function, without the multiplier."""
        self._look()
        return self._weights[index]

    def multiply(self, multiplier: float) -> None:
        """Put another multiplier in force."""
        self._look()
        self._multiplier = multiplier
        self._place()

    def weigh(self, index: int, weight: float) -> None:
        """Put another weight in force for one reward function."""
        self._look()
        self._weights[index] = weight
        self._place()

    def _look(self) -> None:
        tensor: torch.Tensor = self.trainer.reward_weights
        if self._seen is None or not torch.equal(tensor, self._seen):
            self._seen, self._multiplier = tensor.clone(), 1.0
            self._weights = [float(weight) for weight in tensor]

    def _place(self) -> None:
        old: torch.Tensor = self.trainer.reward_weights
        products = [weight * self._multiplier for weight in self._weights]
        self._seen = torch.tensor(products, dtype=old.dtype, device=old.device)
        self.trainer.reward_weights = self._seen.clone()


def handles(trainer: Any) -> Iterator[Hyperparameter]:
    """Yield the multiplier, then the weight of each reward function under a name of its own."""
    all_weights = RewardWeights(trainer)
    yield Hyperparameter(SHARED, all_weights.multiplier, all_weights.multiply)
    for index, name in enumerate(own_names(trainer.reward_func_names)):
        read, write = partial(all_weights.weight, index), partial(all_weights.weigh, index)
        yield Hyperparameter(f"{SHARED}[{name}]", read, write)


def own_names(names: list[str]) -> list[str]:
    """Return the names such that each occurs once: a second `length` becomes `length_2`."""
    own: list[str] = []
    for name in names:
        count, unique = 1, name
        while unique in own or (count > 1 and unique in names):
            count += 1
            unique = f"{name}_{count}"
        own.append(unique)
    return own


def why_cancelled(trainer: Any) -> str:
    """Return the setting that cancels a factor on all weights (up to the 1e-4 TRL adds to the divisor), or nothing."""
    if gate_of(trainer) is not None:
        return ""  # the threshold is compared with the weighted sum
    if getattr(trainer, "multi_objective_aggregation", "") == "normalize_then_sum":
        return "multi_objective_aggregation=normalize_then_sum divides the weighted rewards by their own deviation"
    scale = getattr(trainer, "scale_rewards", "none")
    if scale != "none":
        return f"scale_rewards={scale} divides the weighted rewards by their own deviation"
    clipped_or_penalised = getattr(trainer, "reward_clip_range", None) or trainer.beta
    if getattr(trainer, "normalize_advantages", False) and not clipped_or_penalised:
        return "normalize_advantages divides the advantages by their own deviation"
    return ""


def is_alone(trainer: Any, index: int) -> bool:
    """Return whether no other reward function has a weight."""
    return all(float(weight) == 0 for i, weight in enumerate(trainer.reward_weights) if i != index)
