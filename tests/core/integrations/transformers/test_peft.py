"""LoRA through peft is a run like any other."""

from __future__ import annotations

from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model

import steersman


@pytest.fixture
def lora(make_model):
    """The tiny GPT-2 with adapters on its attention; about one parameter in twenty is trained."""
    return get_peft_model(
        make_model(), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, lora_dropout=0.1)
    )


def test_it_is_scored_adjusted_kept_and_counted(make_trainer, act, cut, lora, journal, rates_used):
    """A LoRA run is scored and its rate halved exactly; its adapter checkpoints are listed, its tokens are a recount."""
    trainer = make_trainer(
        model=lora,
        lr_scheduler_type="constant",
        load_best_model_at_end=True,
        metric_for_best_model="steersman_score",
        save_total_limit=2,
    )
    callback = steersman.supervise(trainer, act(cut(), "token-accounting"))

    trainer.train()

    assert [e.step for e in journal(trainer, "score") if e.data["strategy"] == "eval-loss"] == [4, 8, 12]
    assert set(rates_used[:4]) == {1e-3} and set(rates_used[-8:]) == {5e-4}
    assert [e.step for e in journal(trainer, "adjustment")] == [4]
    on_disk = sorted(int(p.name.split("-")[1]) for p in Path(trainer.args.output_dir).glob("checkpoint-*"))
    assert sorted(c["step"] for c in callback.summary["ranking"]) == on_disk
    assert all(Path(c["path"], "adapter_model.safetensors").exists() for c in callback.summary["ranking"])
    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == 12 * 8 * 16
    assert ledger["backpropagation_samples"] == 12 * 8


def test_observe_is_bit_identical(make_trainer, make_model, everything, assert_same, lora):
    """A LoRA run under observe leaves what it leaves without Steersman."""
    config = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, lora_dropout=0.1)
    plain = make_trainer(name="plain", model=lora)
    plain.train()
    without = everything(plain)
    watched = make_trainer(name="watched", model=get_peft_model(make_model(), config))
    steersman.supervise(watched, {"mode": "observe", "console": False})

    watched.train()

    assert_same(everything(watched), without)
