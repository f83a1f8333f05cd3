"""What a person reads when the run is over: the best, what is passed over for it, and what never came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from steersman.checkpoints import averaged_name
from steersman.hindsight import count

_PASSED_OVER_TOLD = 3
"""How many checkpoints that are passed over are told of."""


def ending(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (style, line) for the `end` entry of a journal."""
    best, lowest = data["best"], data["lowest_eval_loss"]
    listed = data.get("passed_over", ())
    if listed:
        over = [f"step {c['step']} (score {c['score']:.6f}): {c['why']}" for c in listed[:_PASSED_OVER_TOLD]]
        left = data.get("passed_over_count", len(listed)) - len(over)
        more = f"; and {left} more" if left > 0 else ""
        yield "warning", f"{'no checkpoint may be best' if best is None else 'passed over'}: {'; '.join(over)}{more}"
    elif best is None:
        yield "warning", "no checkpoint was scored"
    if best is not None:
        yield "", f"best checkpoint by {data['scorer']}: {_checkpoint(best)}"
        tied = data.get("tied")
        if tied and tied["how"] == "paired" and tied["sentence"]:
            yield "", tied["sentence"]
        if data["disagree"]:
            yield "warning", f"the lowest eval loss is another: {_checkpoint(lowest)}"
        kept = data["best_saved"]
        if data["saved_known"] and (kept is None or _name(kept) != _name(best)):
            saved = (
                f"the best saved one is {_checkpoint(kept)}"
                if kept
                else "no checkpoint that may be best was saved and is there"
            )
            yield "warning", f"{_name(best)} was evaluated and never saved, or is gone; {saved}"
    for name, nearest in data["never_came"].items():
        near = f"; the nearest that came is {nearest!r}" if nearest else ""
        yield "warning", f"the metric {name!r} was asked for and never came{near}"
    took = {name: seconds for name, seconds in data["strategy_seconds"].items() if seconds >= 0.005}
    if took:
        each = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in sorted(took.items(), key=lambda item: -item[1]))
        yield "", f"time spent in strategies: {each}"
    if data.get("journal"):
        back = data.get("rollbacks", 0)  # older journals do not say
        made = count(data["changes"], "change") + (f", {count(back, 'rollback')}" if back else "")
        yield "", f"{made}; journal: {data['journal']}"


def _name(c: Mapping[str, Any]) -> str:
    averaged = c.get("averaged")
    return averaged_name(averaged) if averaged else f"step {c['step']}"


def _checkpoint(c: Mapping[str, Any]) -> str:
    terms = ", ".join(f"{name} {value:+.4f}" for name, value in c["terms"].items())
    where = f" in {c['path']}" if c["exists"] else ""
    score = "no score" if c["score"] is None else f"score {c['score']:.6f}" if isfinite(c["score"]) else "rejected"
    loss = f"eval loss {c['eval_loss']:.4f}" if c["eval_loss"] is not None else "no eval loss"
    return f"{_name(c)} ({score}, {loss}{f'; {terms}' if terms else ''}){where}"
