"""LoRA: the average adapter adds the mean of what the adapters add, to the last bit that float32 has."""

from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from steersman.averaging.layouts import NotAveraged
from steersman.averaging.writing import write_average

IDS = torch.arange(12).reshape(2, 6) % 32


def base():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=16, n_embd=16, n_layer=2, n_head=2)).eval()


def adapters(tmp_path, **options):
    """Three adapters of one config with random weights, saved; with what each adds to each weight, by hand."""
    settings = {"r": 2, "lora_alpha": 6, "target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True, **options}
    added: list[dict[str, torch.Tensor]] = []
    for step in (10, 20, 30):
        model = get_peft_model(base(), LoraConfig(**settings))
        torch.manual_seed(step)
        for name, parameter in model.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(tmp_path / f"checkpoint-{step}")
        state = {n: p.detach().clone() for n, p in model.named_parameters() if "lora_" in n or "modules_to_save" in n}
        added.append(state)
    return [tmp_path / f"checkpoint-{step}" for step in (10, 20, 30)], added


def by_hand(added, scaling):
    """The base model with the mean of s B A added to its weights."""
    model = base()
    weights = dict(model.named_parameters())
    for name in added[0]:
        if name.endswith("lora_A.default.weight"):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.default.weight")
            other = name.replace("lora_A", "lora_B")
            deltas = [scaling(module) * state[other].double() @ state[name].double() for state in added]
            mean = (sum(deltas) / 3).float()
            with torch.no_grad():
                weights[f"{module}.weight"] += mean.T  # GPT-2 keeps its weights turned
        elif "modules_to_save" in name:
            target = name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")
            with torch.no_grad():
                weights[target].copy_(sum(state[name] for state in added) / 3)
    return model


@pytest.mark.parametrize(
    ("options", "scaling"),
    [
        ({}, lambda module: 6 / 2),
        ({"use_rslora": True}, lambda module: 6 / 2**0.5),
        (
            {"rank_pattern": {"c_fc": 4}, "alpha_pattern": {"c_fc": 2}, "modules_to_save": ["ln_f"]},
            lambda module: 2 / 4 if module.endswith("c_fc") else 6 / 2,
        ),
    ],
)
def test_the_mean_of_ba(tmp_path, options, scaling):
    """The logits of the average adapter are those of the base with the mean of s B A added; it has three times the rank."""
    places, added = adapters(tmp_path, **options)

    goal = write_average(places, tmp_path / "average", (10, 20, 30))

    model = PeftModel.from_pretrained(base(), goal).eval()
    with torch.no_grad():
        got, wanted, plain = model(IDS).logits, by_hand(added, scaling)(IDS).logits, base()(IDS).logits
    assert torch.allclose(got, wanted, atol=1e-5)
    assert (got - plain).abs().max() > 0.1
    assert model.peft_config["default"].r == 6


def test_a_mean_that_is_no_adapter(tmp_path):
    """DoRA, another kind, and one whose config changed midway are refused with the reason."""
    places, _ = adapters(tmp_path)

    def change(place, **values):
        path = place / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    change(places[1], lora_alpha=7)
    with pytest.raises(NotAveraged, match="checkpoint-20 and .*checkpoint-10 differ in 'lora_alpha'"):
        write_average(places, tmp_path / "average")
    for place in places:
        change(place, lora_alpha=6, use_dora=True)
    with pytest.raises(NotAveraged, match="has use_dora: DoRA scales each column anew"):
        write_average(places, tmp_path / "average")
    for place in places:
        change(place, use_dora=False, peft_type="LOHA")
    with pytest.raises(NotAveraged, match="an adapter of the kind LOHA"):
        write_average(places, tmp_path / "average")
    assert not (tmp_path / "average").exists()
