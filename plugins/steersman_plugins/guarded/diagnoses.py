"""What no learning rate can mend, named: dead units, gradients that vanish."""

from __future__ import annotations

from steersman import Window
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.seed_rules import Fired


def incurable(r: EvaluatedRules, window: Window) -> Fired | None:
    """Return what the health of the gradients in a window shows that is not mended by any hyperparameter.

    `gradient_zero_share` and `gradient_depth_ratio` are measured where a strategy guards the steps.
    """
    dead, ratio = window.mean("gradient_zero_share"), window.mean("gradient_depth_ratio")
    if dead is not None and dead >= r.zero_share:
        message = f"{dead:.0%} of the weight tensors have no gradient at all: their units are dead"
        advice = "; no learning rate revives them: begin anew with another initialisation or activation"
        return Fired("dead-units", message + advice, {"gradient_zero_share": dead}, (), "critical")
    if ratio is not None and ratio < r.depth_ratio:
        message = f"the gradients of the first layers are {ratio:.1e} of those of the last: they vanish"
        advice = "; normalisation, residual connections or another initialisation help, a learning rate does not"
        return Fired("vanishing-gradients", message + advice, {"gradient_depth_ratio": ratio}, (), "critical")
    return None
