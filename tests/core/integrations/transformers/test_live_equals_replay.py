"""The same records give the same decisions, live and over the finished run's own trainer_state.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import Trainer, TrainerCallback

import steersman
from steersman.journal import JournalEntry
from steersman.readers import journal as journal_reader

SEED = {
    "extends": "no-rails",
    "mode": "act",
    "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}],
    "console": False,
}
ALLOWED = {"learning_rate": {"min": 1e-7}, "max_grad_norm": {"min": 0.1}}


class _Fault(TrainerCallback):
    """Makes the loss spike for real: from step 6 on the weights are pushed around."""

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step in (6, 7):
            for parameter in model.parameters():
                parameter.data.mul_(3.0)


def _decisions(entries: Any, kinds: tuple[str, ...] = ("score", "finding", "proposal")) -> list[tuple[Any, ...]]:
    """Return what was decided, without the values of hyperparameters, which a log holds a step late."""
    told: list[tuple[Any, ...]] = []
    for entry in entries:
        if entry.kind in kinds and entry.data.get("name") != "token-ledger":
            data = {k: v for k, v in entry.data.items() if k not in ("old", "new", "reason")}
            told.append((entry.kind, entry.step, data))
    return told


LAYOUTS = {
    "logs every 3, evaluations every 4": {"logging_steps": 3, "eval_steps": 4},
    "logs every 5, evaluations every 2": {"logging_steps": 5, "eval_steps": 2},
    "by epoch": {"logging_strategy": "epoch", "eval_strategy": "epoch", "save_strategy": "epoch"},
    "partial last epoch": {"max_steps": 10, "logging_steps": 3, "eval_steps": 3},
}


@pytest.mark.parametrize("check_every", ["auto", "epoch", 3])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_trainer_state_gives_the_decisions_of_the_live_run(
    make_trainer: Callable[..., Trainer], layout: dict[str, Any], check_every: Any
) -> None:
    """A supervised run and its trainer_state.json replayed give the same scores, findings, proposals and verdicts."""
    config = {**SEED, "hyperparameters": ALLOWED, "check_every": check_every}
    trainer = make_trainer(callbacks=[_Fault()], **layout)
    steersman.supervise(trainer, config)

    trainer.train()
    trainer.save_state()

    out = Path(trainer.args.output_dir)
    live = journal_reader.current(out / "steersman" / "journal.jsonl")
    replayed = steersman.replay(out / "trainer_state.json", config)
    assert _decisions(live)
    assert _decisions(replayed.entries) == _decisions(live)


def test_journal_gives_the_decisions_of_the_live_run(make_trainer: Callable[..., Trainer]) -> None:
    """A run directory is replayed from its journal, and gives the same again."""
    config = {**SEED, "hyperparameters": ALLOWED}
    trainer = make_trainer(callbacks=[_Fault()], logging_steps=3)
    steersman.supervise(trainer, config)

    trainer.train()

    out = Path(trainer.args.output_dir)
    live = journal_reader.current(out / "steersman" / "journal.jsonl")
    replayed = steersman.replay(out, config)
    assert replayed.recording.format == "journal"
    assert _decisions(replayed.entries) == _decisions(live)
    assert any(_is_spike(entry) for entry in live), "the fault made no spike, so this test shows little"


def test_several_evaluation_sets_replay_as_they_ran(make_trainer: Callable[..., Trainer], eval_sets: Any) -> None:
    """Named evaluation sets are merged at their step, live and in replay alike."""
    config = {**SEED, "hyperparameters": ALLOWED}
    trainer = make_trainer(eval_dataset=eval_sets, logging_steps=3)
    steersman.supervise(trainer, config)

    trainer.train()
    trainer.save_state()

    out = Path(trainer.args.output_dir)
    live = journal_reader.current(out / "steersman" / "journal.jsonl")
    assert len([entry for entry in live if entry.kind == "score" and entry.data["decides"]]) == 3
    assert _decisions(steersman.replay(out / "trainer_state.json", config).entries) == _decisions(live)


def _is_spike(entry: JournalEntry) -> bool:
    return entry.kind == "finding" and entry.data["name"] == "loss-spike"
