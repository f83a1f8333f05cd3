"""What a run of TRL decided live is what its trainer_state.json tells afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import steersman
from steersman.readers import journal as journal_reader

CONFIG = {
    "extends": "no-rails",
    "mode": "advise",
    "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed", "loss_rules": "on"}}],
    "console": False,
}
OWN = {"learning_rate": 1e-3, "max_grad_norm": 1.0, "kl_penalty": 0.05, "temperature": 1.0}


def _decided(entries: Any) -> list[tuple[Any, ...]]:
    """Return what was decided, without the reasons, which tell whether a value could be changed live."""
    kept = [e for e in entries if e.kind in ("score", "finding", "proposal") and e.data.get("severity") != "info"]
    return [(e.kind, e.step, {k: v for k, v in e.data.items() if k not in ("fingerprint", "reason")}) for e in kept]


@pytest.mark.parametrize("check_every", ["auto", "epoch", 3])
def test_grpo(grpo, check_every):
    """Scores, findings, proposals and verdicts of a GRPO run, by step and by epoch, with the values it had given."""
    trainer = grpo(logging_steps=1, eval_strategy="steps", eval_steps=4)
    steersman.supervise(trainer, {**CONFIG, "check_every": check_every})
    trainer.train()
    trainer.save_state()
    out = Path(trainer.args.output_dir)
    live = _decided(journal_reader.current(out / "steersman" / "journal.jsonl"))
    assert [step for kind, step, data in live if kind == "score" and data["decides"]] == [4, 8, 12]
    assert check_every != 3 or {"finding", "proposal"} <= {kind for kind, _, _ in live}
    told = steersman.replay(out / "trainer_state.json", {**CONFIG, "check_every": check_every}, values=OWN)
    assert _decided(told.entries) == live


def test_sft_by_epoch(make_dataset, saved, settings):
    """An SFT run that logs, evaluates and saves once an epoch tells the same from its state."""
    from trl import SFTConfig, SFTTrainer

    texts = make_dataset(text=[" ".join(f"w{w}" for w in range(i % 40, i % 40 + 5 + i % 9)) for i in range(32)])
    by_epoch = {"logging_strategy": "epoch", "eval_strategy": "epoch", "max_steps": -1, "num_train_epochs": 3}
    config = SFTConfig(per_device_train_batch_size=4, max_length=32, **{**settings, **by_epoch})
    trainer = SFTTrainer(str(saved), args=config, train_dataset=texts, eval_dataset=texts.select(range(8)))
    steersman.supervise(trainer, CONFIG)
    trainer.train()
    trainer.save_state()
    out = Path(trainer.args.output_dir)
    live = _decided(journal_reader.current(out / "steersman" / "journal.jsonl"))
    assert [step for kind, step, data in live if kind == "score" and data["decides"]] == [8, 16, 24]
    told = steersman.replay(out / "trainer_state.json", CONFIG, values={"learning_rate": 1e-3, "max_grad_norm": 1.0})
    assert _decided(told.entries) == live
