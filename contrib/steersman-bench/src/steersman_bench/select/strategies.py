"""What is measured where nothing is named: what ships, as far as it is installed."""

from __future__ import annotations

from steersman_bench.select.naming import or_class

BASELINE, LAST = "eval-loss", "last checkpoint"
"""What every choice is held against; and what is kept where nobody chooses."""
AVERAGED, _NO_LEEWAY = "averaged", "{leeway: 0}"
"""It is measured twice: without a leeway too, as it is where the losses of single examples are not known."""
_SHIPPED = {
    BASELINE: "steersman_plugins.eval_loss:EvalLoss",
    "multi-metric": "steersman_plugins.multi_metric:MultiMetric",
    "early-stopping": "steersman_early_stopping:EarlyStopping",
    "smoothed-loss": "steersman_smoothed_loss:SmoothedLoss",
    AVERAGED: "steersman_plugins.averaged:Averaged",
}


def asked(uses: tuple[str, ...]) -> dict[str, str]:
    """Return what is played, by the name of its row: the baseline first, then `uses`, or all that ships."""
    if uses:
        given = {use.strip(): use for use in uses}
        return {BASELINE: _SHIPPED[BASELINE], **given} if BASELINE not in given else given
    found = {name: or_class(name, target) for name, target in _SHIPPED.items()}
    rows = {name: use for name, use in found.items() if use is not None}
    unpaired = {f"{AVERAGED}: {_NO_LEEWAY}": f"{rows[AVERAGED]}: {_NO_LEEWAY}"} if AVERAGED in rows else {}
    return {**rows, **unpaired}
