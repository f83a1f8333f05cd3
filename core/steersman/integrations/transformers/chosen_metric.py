"""The metric by which the user lets the Trainer pick its best model: `metric_for_best_model`."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from steersman.integrations.transformers import native_score


@frozen
class ChosenMetric:
    """It as evaluations name it, which way is better, and what the best saved checkpoint has of it, if known."""

    name: str
    higher: bool
    best: float | None

    @classmethod
    def of(cls, trainer: Any) -> ChosenMetric:
        """Return that of a trainer."""
        args = trainer.args
        told = args.metric_for_best_model or "loss"
        name = native_score.KEY if native_score.is_chosen(args) else f"eval_{told.removeprefix('eval_')}"
        return cls(name, bool(args.greater_is_better), trainer.state.best_metric)

    def is_decided_by(self, leader: str) -> bool:
        """Whether the scorer that decides has the same in mind: the score itself, or the eval loss."""
        return self.name == native_score.KEY or (self.name == "eval_loss" and leader == "eval-loss")

    def is_better(self, value: float | None) -> bool:
        """Whether an average with this value is better than the best saved checkpoint."""
        if value is None or self.best is None:
            return False
        return value > self.best if self.higher else value < self.best

    def why_not(self, value: float | None) -> str:
        """Return why an average with this value is not loaded, as a clause."""
        asked = f"load_best_model_at_end asks for the best {self.name}"
        if value is None or self.best is None:
            return f"{asked}, and there is none to compare it by"
        return f"{asked}, and its {value:.6g} is no better than {self.best:.6g}"
