"""The KL penalty: `trainer.beta`, which the loss (GRPO, DPO, KTO) or the reward (RLOO) reads."""

from __future__ import annotations

from typing import Any

from steersman.hyperparameters import Hyperparameter


def handle(trainer: Any) -> Hyperparameter:
    """Return the handle of `trainer.beta`. It never crosses 0: there TRL has no reference to compare with."""

    def set_beta(value: float) -> None:
        if value <= 0:
            raise ValueError(f"a KL penalty must stay above 0, got {value:g}")
        trainer.beta = value

    return Hyperparameter("kl_penalty", lambda: trainer.beta, set_beta)


def why_unsupported(trainer: Any) -> str:
    """Return why the KL penalty of a trainer that generates cannot be changed, or nothing where it can."""
    if trainer.beta == 0:
        return "beta was 0 at the start, so TRL prepared no reference model; start with a small one, such as 1e-6"
    return ""


def why_inert(trainer: Any) -> str:
    """Return why the loss of a trainer on preferences does not read the KL penalty, or nothing where it does."""
    kinds: list[str] = getattr(trainer, "loss_types", [])
    return "the loss `sft` does not read beta" if kinds and set(kinds) == {"sft"} else ""
