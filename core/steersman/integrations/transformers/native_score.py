"""The score as a metric of the Trainer's own: for `metric_for_best_model`, log_history and the reporters."""

from __future__ import annotations

import math
from typing import Any

KEY = "eval_steersman_score"


def is_chosen(args: Any) -> bool:
    """Whether `metric_for_best_model` names the score."""
    name = args.metric_for_best_model
    return isinstance(name, str) and f"eval_{name.removeprefix('eval_')}" == KEY


def set_direction(args: Any) -> str:
    """Make lower better where the score is chosen; return what was changed, or nothing.

    The Trainer takes every metric whose name does not end in `loss` for one that is better when higher.
    """
    if not is_chosen(args) or args.greater_is_better is False:
        return ""
    args.greater_is_better = False
    return "greater_is_better was set to False: a lower steersman_score is better"


def instead(metrics: dict[str, Any], *, failed: bool) -> None:
    """Fill in where nobody scores: the eval loss where Steersman is off, infinity (never best) where it failed."""
    metrics.setdefault(KEY, math.inf if failed else metrics.get("eval_loss", math.inf))


class NativeScore:
    """Puts the score where the Trainer looks for it.

    `always` is set where `metric_for_best_model` names it: then the metrics of every evaluation have it, as infinity
    (never best) where nothing was scored or what the config requires is not met, because the Trainer dies of a missing
    key; logs never hold infinity. Only the leading scorer's values are put there: those of different scorers cannot
    be compared.
    """

    def __init__(self, *, always: bool, into_logs: bool) -> None:
        self.always = always
        self.value = math.inf
        self._into_logs = into_logs

    def heard(self, value: float | None) -> None:
        """Note the score of the evaluation just logged; None where there is none."""
        self.value = math.inf if value is None or not math.isfinite(value) else value

    def write_logs(self, logs: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Put the score into the log just made and its copy in log_history."""
        if not self._into_logs or not math.isfinite(self.value):
            return
        logs[KEY] = self.value
        if history and any(name.startswith("eval_") for name in history[-1]):
            history[-1][KEY] = self.value

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Put the score into the metrics the Trainer picks the best model by."""
        if self.always or (self._into_logs and math.isfinite(self.value)):
            metrics[KEY] = self.value
