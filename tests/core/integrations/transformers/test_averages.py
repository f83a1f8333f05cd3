"""Averages at the end of a real Trainer's run: tried with its own evaluation, the best kept, nothing disturbed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from attrs import define
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel, TrainerCallback

import steersman
from steersman import Average, Score, hookimpl
from steersman.choosing import best_of
from steersman.examples import kept_of
from steersman_plugins.averaged import Averaged
from steersman_plugins.eval_loss import EvalLoss

OF_THE_TRAINER = 15 / 16
"""The Trainer divides the losses of 16 tokens, of which 15 are predicted, by 16."""


@define(eq=False)
class Names:
    """Propose these averages, and score by eval loss; a higher loss is better where told so."""

    steps: tuple[tuple[int, ...], ...] = ((4, 8), (8, 12))
    higher: bool = False
    leeway: float = 0.0

    @hookimpl
    def score_checkpoint(self, checkpoint):
        loss = checkpoint.metrics["eval_loss"]
        return Score.higher(loss) if self.higher else Score(loss)

    @hookimpl
    def propose_averages(self):
        return [Average(steps, self.leeway) for steps in self.steps]


class Heard(TrainerCallback):
    """Counts the evaluations it hears of."""

    def __init__(self) -> None:
        self.evaluations = 0

    def on_evaluate(self, *args, **kwargs) -> None:
        self.evaluations += 1


def act(*strategies):
    return {"mode": "act", "use": [*strategies], "keep_both_bests": False}


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def loss_of(folder, dataset):
    """The eval loss of what lies in a folder, by a forward of its own."""
    model = GPT2LMHeadModel.from_pretrained(folder).eval()
    batch = {k: torch.stack([row[k] for row in dataset]) for k in dataset[0]}
    with torch.no_grad():
        return model(**batch).loss.item() * OF_THE_TRAINER


def test_the_best_average_is_kept(make_trainer, tmp_path, capsys):
    """Each candidate has a line with the loss of its folder; the better one alone is on disk, is what `best` names, and loads.

    The trainer's weights, log and callbacks are as without it.
    """
    heard = Heard()
    trainer = make_trainer(callbacks=[heard], learning_rate=3e-2, lr_scheduler_type="constant")
    callback = steersman.supervise(trainer, act(Names()))
    trainer.train()

    out = tmp_path / "run"
    lines = [json.loads(line) for line in (out / "steersman" / "journal.jsonl").read_text().splitlines()]
    tried = [line for line in lines if line["kind"] == "averaged"]
    raw = {line["step"]: line["value"] for line in lines if line["kind"] == "score"}
    assert [line["steps"] for line in tried] == [[4, 8], [8, 12]]
    assert [line["reason"] for line in tried] == ["", ""]
    losses = {tuple(line["steps"]): line["metrics"]["eval_loss"] for line in tried}
    wins = min(losses, key=losses.__getitem__)
    assert losses[wins] < min(raw.values()), "the learning rate is high enough for the mean to win"

    [kept] = out.glob("averaged-*")
    assert kept.name == f"averaged-{wins[0]}-{wins[1]}-of-2"
    assert loss_of(kept, trainer.eval_dataset) == pytest.approx(losses[wins], rel=1e-4)
    mean = load_file(kept / "model.safetensors")
    first, second = (load_file(out / f"checkpoint-{step}" / "model.safetensors") for step in wins)
    assert all(torch.allclose(mean[name], (first[name] + second[name]) / 2, atol=1e-7) for name in mean)

    last = load_file(out / "checkpoint-12" / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], last[name]) for name in last)
    assert (heard.evaluations, [e["step"] for e in trainer.state.log_history if "eval_loss" in e]) == (3, [4, 8, 12])
    assert callback.summary["best"]["averaged"] == list(wins)
    chosen = best_of(out)
    assert (chosen.path, chosen.checkpoint.averaged) == (kept, wins)
    printed = capsys.readouterr().out
    assert f"best checkpoint by names: the average of steps {wins[0]} and {wins[1]} (score" in printed


def test_none_that_is_worse_is_kept(make_trainer, tmp_path, capsys):
    """Where no average beats the best checkpoint, each has its line and none is left on disk."""
    trainer = make_trainer()
    steersman.supervise(trainer, act(Names(higher=True)))
    trainer.train()

    assert [*(tmp_path / "run").glob("averaged-*")] == []
    assert best_of(tmp_path / "run").checkpoint.step == 4
    assert "2 averages were tried; none is better than the best checkpoint" in capsys.readouterr().out


def test_the_best_is_loaded_where_that_is_asked_for(make_trainer, tmp_path, capsys):
    """With load_best_model_at_end the average that wins is what the model holds afterwards, and that is said."""
    trainer = make_trainer(
        learning_rate=3e-2, lr_scheduler_type="constant", load_best_model_at_end=True, save_total_limit=3
    )
    steersman.supervise(trainer, act(Names()))
    trainer.train()

    [kept] = (tmp_path / "run").glob("averaged-*")
    mean = load_file(kept / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], mean[name]) for name in mean)
    assert "it is loaded, as load_best_model_at_end asks for the best" in capsys.readouterr().out


@pytest.mark.parametrize(("higher", "loads"), [(False, True), (True, False)])
def test_the_users_own_metric_decides_what_is_loaded(make_trainer, tmp_path, capsys, higher, loads):
    """Our score finds the average better; the user asked for the best `eval_mine`, which it is one way, and not the other.

    It is loaded only where it is best by that, and stays on disk.
    """
    values = iter((3.0, 2.0, 2.5, 1.0, 1.5))
    trainer = make_trainer(
        learning_rate=3e-2, lr_scheduler_type="constant", load_best_model_at_end=True, save_total_limit=3,
        metric_for_best_model="mine", greater_is_better=higher, parts={"compute_metrics": lambda _: {"mine": next(values)}},
    )  # fmt: skip
    steersman.supervise(trainer, act(Names()))
    trainer.train()

    [kept] = (tmp_path / "run").glob("averaged-*")
    best = kept if loads else tmp_path / "run" / "checkpoint-4"
    there = load_file(best / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], there[name]) for name in there)
    assert Path(trainer.state.best_model_checkpoint).name == ("checkpoint-4" if higher else "checkpoint-8")
    said = "it is not loaded: load_best_model_at_end asks for the best eval_mine, and its"
    assert (said in capsys.readouterr().out) is not loads


@pytest.mark.parametrize("chosen", ["code", "noise"])
def test_of_several_sets_that_of_the_user_decides(make_trainer, make_rows, tmp_path, capsys, chosen):
    """Of three sets the first gives our score, and the user's own, another, decides whether the average is loaded.

    By random bytes every step makes the model worse, so the first checkpoint stays best; by prose the average wins.
    """
    torch.manual_seed(1)
    noise = [{**row, "input_ids": ids, "labels": ids} for row in make_rows(8) for ids in [torch.randint(256, (16,))]]
    sets = {"chat": make_rows(8, start=100_000), "code": make_rows(8, start=200_000), "noise": noise}
    trainer = make_trainer(
        learning_rate=3e-2, lr_scheduler_type="constant", load_best_model_at_end=True, save_total_limit=3,
        metric_for_best_model=f"eval_{chosen}_loss", eval_dataset=sets,
    )  # fmt: skip
    steersman.supervise(trainer, act(Names()))
    trainer.train()

    out = tmp_path / "run"
    [kept] = out.glob("averaged-*")
    lines = [json.loads(line) for line in (out / "steersman" / "journal.jsonl").read_text().splitlines()]
    metrics = {tuple(line["steps"]): line["metrics"] for line in lines if line["kind"] == "averaged"}
    first, second = (metrics[steps]["eval_loss"] for steps in ((4, 8), (8, 12)))
    assert kept.name == ("averaged-4-8-of-2" if first < second else "averaged-8-12-of-2")
    told = metrics[(4, 8) if first < second else (8, 12)]
    assert told["eval_loss"] == told["eval_chat_loss"]
    for name, dataset in sets.items():
        assert told[f"eval_{name}_loss"] == pytest.approx(loss_of(kept, dataset), rel=1e-4)

    raw = {step: loss_of(out / f"checkpoint-{step}", sets[chosen]) for step in (4, 8, 12)}
    loads = told[f"eval_{chosen}_loss"] < min(raw.values())
    assert loads is (chosen == "code")
    best = load_file((kept if loads else out / "checkpoint-4") / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], best[name]) for name in best)
    said = capsys.readouterr().out
    assert ("it is loaded, as load_best_model_at_end asks for the best" in said) is loads
    assert ("it is not loaded: load_best_model_at_end asks for the best eval_noise_loss, and its" in said) is not loads


def test_ctrl_c_while_an_average_is_evaluated(make_trainer, tmp_path, capsys):
    """The weights are those of the last step, nothing half made lies there, the end is written, and Ctrl-C goes on."""
    trainer = make_trainer()
    evaluate, calls = trainer.evaluate, []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return evaluate(*args, **kwargs)

    trainer.evaluate = interrupted
    steersman.supervise(trainer, act(Names()))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()

    out = tmp_path / "run"
    last = load_file(out / "checkpoint-12" / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], last[name]) for name in last)
    lines = [json.loads(line) for line in (out / "steersman" / "journal.jsonl").read_text().splitlines()]
    assert (lines[-1]["kind"], [*out.glob("averaged-*")]) == ("end", [])
    assert "best checkpoint by names: step 12" in capsys.readouterr().out


def test_an_evaluation_that_fails(make_trainer, tmp_path, capsys):
    """An evaluate that raises at an average is its line; weights and result stand, and nothing is left of it."""
    trainer = make_trainer()
    evaluate, calls = trainer.evaluate, []

    def fails(*args, **kwargs):
        calls.append(args)
        if len(calls) > 3:
            raise RuntimeError("out of memory")
        return evaluate(*args, **kwargs)

    trainer.evaluate = fails
    callback = steersman.supervise(trainer, act(Names(steps=((4, 8), (4, 99)))))
    trainer.train()

    lines = [json.loads(line) for line in (tmp_path / "run" / "steersman" / "journal.jsonl").read_text().splitlines()]
    assert [line["reason"] for line in lines if line["kind"] == "averaged"] == [
        "its evaluation failed: RuntimeError: out of memory",
        "no checkpoint of step 99 is there any more",
    ]
    last = load_file(tmp_path / "run" / "checkpoint-12" / "model.safetensors")
    assert all(torch.equal(trainer.model.state_dict()[name], last[name]) for name in last)
    assert (callback.summary["best"]["step"], [*(tmp_path / "run").glob("averaged-*")]) == (12, [])
    assert "2 averages were not tried: its evaluation failed: RuntimeError: out of memory" in capsys.readouterr().out


def test_in_advise_it_only_says_which(make_trainer, tmp_path, capsys):
    """The strategy that ships proposes the one window of three; nothing is made of it."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"mode": "advise", "use": [EvalLoss(), Averaged()]})
    trainer.train()

    assert "1 average is worth a try: averaged-4-12-of-3" in capsys.readouterr().out
    assert [*(tmp_path / "run").glob("averaged-*")] == []


def test_too_few_saved_is_told(make_trainer, tmp_path, capsys):
    """With one checkpoint left of three evaluated none can be averaged: one line says what that needs."""
    trainer = make_trainer(save_total_limit=1)
    steersman.supervise(trainer, act(EvalLoss(), Averaged()))
    trainer.train()

    said = "no averages: they need 3 or more saved checkpoints when the run ends, and there are 1"
    assert capsys.readouterr().out.count(said) == 1


def test_a_lora_run(make_trainer, make_model, tmp_path):
    """The average adapter has twice the rank, its logits are those of the mean of s B A added, and the model keeps its own."""
    model = get_peft_model(
        make_model(),
        LoraConfig(r=4, lora_alpha=8, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False),
    )
    trainer = make_trainer(model=model, learning_rate=1.0, lr_scheduler_type="constant", max_grad_norm=100.0)
    steersman.supervise(trainer, act(Names(steps=((4, 8), (8, 12)))))
    trainer.train()

    out = Path(tmp_path / "run")
    lines = [json.loads(line) for line in (out / "steersman" / "journal.jsonl").read_text().splitlines()]
    tried = {tuple(line["steps"]): line for line in lines if line["kind"] == "averaged"}
    assert [line["reason"] for line in tried.values()] == ["", ""]
    assert list(trainer.model.peft_config) == ["default"] and trainer.model.active_adapters == ["default"]
    last = load_file(out / "checkpoint-12" / "adapter_model.safetensors")
    held = trainer.model.state_dict()
    assert all(torch.equal(held[n.replace(".weight", ".default.weight")], t) for n, t in last.items())

    [kept] = out.glob("averaged-*")
    wins = tuple(json.loads((kept / "steersman-average.json").read_text())["steps"])
    batch = torch.stack([row["input_ids"] for row in trainer.eval_dataset])
    by_hand = make_model().eval()
    parts = [load_file(out / f"checkpoint-{step}" / "adapter_model.safetensors") for step in wins]
    with torch.no_grad():
        for layer, block in enumerate(by_hand.transformer.h):
            key = f"base_model.model.transformer.h.{layer}.attn.c_attn.lora_"
            deltas = [8 / 4 * part[f"{key}B.weight"] @ part[f"{key}A.weight"] for part in parts]
            block.attn.c_attn.weight += (sum(deltas) / 2).T
        got = PeftModel.from_pretrained(make_model(), kept).eval()(batch).logits
        assert torch.allclose(got, by_hand(batch).logits, atol=1e-5)
        loss = by_hand(batch, labels=batch).loss.item() * OF_THE_TRAINER
    assert loss == pytest.approx(tried[wins]["metrics"]["eval_loss"], rel=1e-4)


def test_examples_are_paired_in_a_trainer(make_trainer, tmp_path, capsys):
    """`steersman.example_losses` in compute_metrics keeps eight losses of each evaluation, and those of an average.

    Their mean is the mean loss of the predicted tokens: the eval loss, but for how the Trainer counts. The loss falls
    to the end, so the average of the first two is worse than the last, and is best by its leeway alone.
    """

    def each(logits, labels):
        losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none")
        return losses.mean(1)

    def tell(prediction):
        steersman.example_losses(prediction.predictions)
        return {}

    parts = {"preprocess_logits_for_metrics": each, "compute_metrics": tell}
    trainer = make_trainer(parts=parts)
    callback = steersman.supervise(trainer, act(Names(steps=((4, 8),), leeway=1000.0)))
    trainer.train()

    kept = kept_of(tmp_path / "run").read()
    assert [(key, len(losses)) for key, losses in kept.items()] == [
        ((4, ()), 8), ((8, ()), 8), ((12, ()), 8), ((8, (4, 8)), 8)
    ]  # fmt: skip
    logged = {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}
    for step, loss in logged.items():
        assert sum(kept[step, ()]) / 8 * OF_THE_TRAINER == pytest.approx(loss, rel=1e-4)
    assert (callback.summary["tied"]["how"], callback.summary["tied"]["examples"]) == ("paired", 8)
    best, lowest = callback.summary["best"], callback.summary["lowest_eval_loss"]
    assert (best["averaged"], lowest["step"], best["eval_loss"] > lowest["eval_loss"]) == ([4, 8], 12, True)
    assert best_of(tmp_path / "run").path == tmp_path / "run" / "averaged-4-8-of-2"
    said = "the average of steps 4 and 8 is within 1000 standard errors of step 12, the best that is there, and kept in"
    assert said in capsys.readouterr().out
