"""What the demo says when it is over, from the journal alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steersman.demo.training import FAULT_AT, FAULT_FACTOR
from steersman.journal import JournalEntry


def facts(entries: Sequence[JournalEntry], output: Path, seed: int) -> dict[str, Any]:
    """Return everything the demo reports as one JSON object, `version` 1."""
    end = next(entry.data for entry in entries if entry.kind == "end")
    ledger = next(e.data["evidence"] for e in entries if e.kind == "finding" and e.data["name"] == "token-ledger")
    checks = [entry for entry in entries if entry.kind == "check" and entry.data.get("loss") is not None]
    return {
        "version": 1,
        "seed": seed,
        "preset": "seed",
        "fault": {"step": FAULT_AT, "learning_rate_factor": FAULT_FACTOR},
        "spikes": [
            {"step": e.step, "message": e.data["message"], "evidence": e.data["evidence"]}
            for e in entries
            if e.kind == "finding" and e.data["name"] == "loss-spike"
        ],
        "losses": [{"step": entry.step, "loss": entry.data["loss"]} for entry in checks],
        "changes": [
            {"step": e.step, **{k: e.data[k] for k in ("hyperparameter", "old", "new", "read_back", "because")}}
            for e in entries
            if e.kind == "adjustment"
        ],
        "scores": [
            {"step": e.step, **{k: e.data[k] for k in ("strategy", "value", "terms", "train_loss")}}
            for e in entries
            if e.kind == "score"
        ],
        "best": end["best"],
        "best_per_scorer": end["best_per_scorer"],
        "lowest_eval_loss": end["lowest_eval_loss"],
        "disagree": end["disagree"],
        "ranking": end["ranking"],
        "tokens": ledger,
        "duration_seconds": end["elapsed"],
        "journal": end["journal"],
        "output": str(output),
    }


def story(told: dict[str, Any]) -> str:
    """Return what happened in three sentences with the figures."""
    fault, losses = told["fault"], told["losses"]
    before = [item for item in losses if item["step"] <= fault["step"]]
    after = [item for item in losses if item["step"] > fault["step"]]
    if not before or not after:
        return "The run was too short to tell."
    worst = max(after, key=lambda item: item["loss"])
    rates = [c for c in told["changes"] if c["hyperparameter"] == "learning_rate" and c["step"] > fault["step"]]
    caught = told["spikes"][0] if told["spikes"] else None
    seen = f"The check at step {caught['step']} caught it" if caught else "No check called it a spike"
    cut = (
        f"the rate was cut {len(rates)} times, from {rates[0]['old']:.3g} to {rates[-1]['new']:.3g}"
        if rates
        else "no cut"
    )
    return (
        f"From step {fault['step']} on the schedule multiplied the learning rate by {fault['learning_rate_factor']:g}: "
        f"the mean loss went from {before[-1]['loss']:.2f} to {worst['loss']:.2f}. {seen}; {cut}. "
        f"The last window's loss is {after[-1]['loss']:.2f}."
    )


def by_hyperparameter(told: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the changes of each hyperparameter, in order."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for change in told["changes"]:
        changes.setdefault(change["hyperparameter"], []).append(change)
    return changes
