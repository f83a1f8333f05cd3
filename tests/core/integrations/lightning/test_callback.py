"""A Lightning run under supervision: its records, its score, what is changed, and what is left behind."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from attrs import define
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

import steersman
from steersman import Adjust, Hyperparameter, Rollback, Save, Stop, hookimpl, state
from steersman.integrations.lightning import SteersmanCallback
from steersman.integrations.lightning.callback import NEVER_BEST

DECISIONS = ("score", "finding", "proposal", "adjustment")


@define(eq=False)
class Asks:
    """Returns at the checks of given steps what a test wants proposed, and remembers the checks."""

    answers: dict[int, Any]
    asked_at: list[int] = state([])

    @hookimpl
    def propose_adjustments(self, run: Any, check: Any) -> Any:
        self.asked_at.append(check.step)
        return self.answers.get(check.step)


def _halve(*steps: int, name: str = "learning_rate") -> Asks:
    return Asks({step: Adjust(name, scale=0.5, because="a test") for step in steps})


class _Boom(pl.Callback):
    """Ends the training with an error at a step, before Lightning saves."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("boom")


def test_the_records_are_those_of_the_run(fit, entries, act):
    """Training logs at every second step and before each validation, evaluations, fractional epochs, our names."""
    fit(SteersmanCallback(act()), max_epochs=2, log_every_n_steps=3)

    told = [(e.step, e.data["of"], sorted(e.data["metrics"]), e.data["epoch"]) for e in entries("record")]
    assert told == [
        (3, "train", ["loss"], 0.75),
        (4, "train", ["loss"], 1.0),
        (4, "eval", ["eval_loss"], 1.0),
        (6, "train", ["loss"], 1.5),
        (8, "train", ["loss"], 2.0),
        (8, "eval", ["eval_loss"], 2.0),
    ]


@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_the_values_are_those_that_lightning_logs(fit, entries, act, module, interval):
    """Loss and eval loss are the numbers of that very step; what was logged once is not told again."""
    seen: dict[int, float] = {}

    class Remembers(module):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("train_kl", 2.0 * loss)
            seen[self.global_step + 1] = loss.item()
            return loss

        def on_train_epoch_end(self):
            self.log("train_of_epoch", 1.0)

    fit(SteersmanCallback(act()), module=Remembers(), val_check_interval=interval)

    logs = [e for e in entries("record") if e.data["of"] == "train"]
    assert {e.step: e.data["metrics"]["loss"] for e in logs} == {s: seen[s] for s in (2, 4, 6, 8, 10, 12)}
    assert {name for e in logs for name in e.data["metrics"]} == {"loss", "kl"}
    assert {name for e in entries("record") if e.data["of"] == "eval" for name in e.data["metrics"]} == {"eval_loss"}


def test_the_loss_is_heard_where_nothing_is_logged(fit, entries, act, module):
    """A module that logs no training loss is heard through what its training_step returns, whole when accumulating."""
    seen = []

    class Silent(module):
        def training_step(self, batch, batch_idx):
            loss = self.loss(batch)
            seen.append(loss.item())
            return {"loss": loss}

    fit(SteersmanCallback(act()), module=Silent(), accumulate_grad_batches=2, log_every_n_steps=1, max_epochs=1)

    logs = [e for e in entries("record") if e.data["of"] == "train"]
    assert [(e.step, e.data["epoch"]) for e in logs] == [(1, 0.5), (2, 1.0)]
    assert [e.data["metrics"]["loss"] for e in logs] == pytest.approx([seen[1], seen[3]])


def test_several_dataloaders_are_one_evaluation(fit, entries, act, module, batches):
    """The metrics of each loader come under its own name; the first one's loss stands in for `eval_loss`."""

    class Two(module):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            self.log("val_loss", self.loss(batch) + dataloader_idx)

    fit(SteersmanCallback(act()), module=Two(), val=[batches(8, 2), batches(8, 3)], max_epochs=1)

    [record] = [e for e in entries("record") if e.data["of"] == "eval"]
    assert sorted(record.data["metrics"]) == ["eval_dataloader_0_loss", "eval_dataloader_1_loss"]
    score = entries("score")[0]
    assert score.data["eval_loss"] == record.data["metrics"]["eval_dataloader_0_loss"]


def test_the_score_chooses_the_checkpoint(fit, entries, act):
    """ModelCheckpoint(monitor="steersman_score") keeps the best by score, and the journal knows where it lies."""
    keeper = ModelCheckpoint(monitor="steersman_score", mode="min", save_top_k=1)
    callback = SteersmanCallback(act())

    fit(callback, keeper)

    scores = {e.step: e.data["value"] for e in entries("score") if e.data["decides"]}
    best = min(scores, key=scores.__getitem__)
    assert keeper.best_model_score.item() == scores[best]
    assert callback.summary["best"]["step"] == best
    assert callback.summary["best"]["path"] == keeper.best_model_path


def test_nothing_scored_is_never_best_and_ends_nothing(fit, act, module):
    """Without a score the checkpoint monitor still finds a value, worse than any, and EarlyStopping goes on."""

    class Other(module):
        def validation_step(self, batch, batch_idx):
            self.log("val_f1", 0.5)

    keeper = ModelCheckpoint(monitor="steersman_score", mode="min")
    stopper = EarlyStopping("steersman_score", patience=9, mode="min")

    trainer = fit(stopper, SteersmanCallback(act()), keeper, module=Other())

    assert trainer.callback_metrics["steersman_score"].item() == NEVER_BEST
    assert trainer.global_step == 12


@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_early_stopping_may_stand_before_us(fit, act, interval):
    """EarlyStopping on the score works from the first validation on, wherever it stands in the list."""
    stopper = EarlyStopping("steersman_score", patience=1, mode="min", min_delta=100.0)

    trainer = fit(stopper, SteersmanCallback(act()), val_check_interval=interval)

    assert trainer.global_step == (8 if interval == 1.0 else 4)


def test_a_decision_takes_effect_in_the_next_step(fit, act, rates_used):
    """What is decided on the validation of step 4 is in force in step 5, exactly factor x the schedule."""
    fit()
    schedule, rates_used[:] = list(rates_used), []

    fit(SteersmanCallback(act(_halve(4))))

    assert rates_used == schedule[:4] + [rate * 0.5 for rate in schedule[4:]]


def test_micro_batches_are_no_steps(fit, entries, act, rates_used):
    """Accumulating, steps are those of the optimizer, and a change acts on the whole of the next one."""
    asks = _halve(2)

    fit(SteersmanCallback(act(asks)), accumulate_grad_batches=2, log_every_n_steps=1)

    assert [e.step for e in entries("record") if e.data["of"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert asks.asked_at == [2, 4, 6]
    assert rates_used[1:3] == [0.05, pytest.approx(rates_used[2])]
    assert [e.step for e in entries("adjustment")] == [2]


@pytest.mark.parametrize(
    ("clip", "manual", "algorithm", "status", "reason"),
    [
        (1.0, False, None, "live", ""),
        (None, False, None, "inert", "clipping is off (gradient_clip_val is None)"),
        (None, True, None, "unsupported", "with manual optimization your training_step clips by itself"),
        (1.0, False, "value", "unsupported", "gradients are clipped by value, not by norm"),
    ],
)
def test_what_can_be_clipped_is_said(fit, entries, act, module, clip, manual, algorithm, status, reason):
    """The gradient norm is live where Lightning clips by norm, and else the reason is journaled."""

    class Own(module):
        automatic_optimization = not manual

        def training_step(self, batch, batch_idx):
            loss = self.loss(batch)
            if manual:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

    fit(SteersmanCallback(act()), module=Own(), gradient_clip_val=clip, gradient_clip_algorithm=algorithm, max_epochs=1)

    found = {h["name"]: h for h in entries("run")[0].data["hyperparameters"]}["max_grad_norm"]
    assert (found["status"], found["reason"]) == (status, reason)


def test_the_clip_is_changed_and_put_back(fit, entries, act, module):
    """`gradient_clip_val` follows a decision from the next step on, and is the user's own after the run."""
    clipped = []

    class Looks(module):
        def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
            clipped.append(gradient_clip_val)

    config = act(_halve(4, name="max_grad_norm"), hyperparameters={"max_grad_norm": {}})
    trainer = fit(SteersmanCallback(config), module=Looks(), gradient_clip_val=1.0)

    assert clipped == [1.0] * 4 + [0.5] * 8
    assert trainer.gradient_clip_val == 1.0


def test_several_optimizers_are_counted_and_not_changed(fit, entries, act, module):
    """With two optimizers every step of each counts, as in `global_step`, and the rate is unsupported, with the reason."""

    class Gan(module):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                loss = self.loss(batch)
                self.manual_backward(loss)
                optimizer.step()
            self.log("train_loss", loss)

        def configure_optimizers(self):
            return [torch.optim.AdamW(layer.parameters(), lr=0.05) for layer in (self.net[0], self.net[2])]

    asks = _halve(8)
    fit(SteersmanCallback(act(asks)), module=Gan(), log_every_n_steps=4)

    assert [e.step for e in entries("record") if e.data["of"] == "train"] == [4, 8, 12, 16, 20, 24]
    assert asks.asked_at == [8, 16, 24]
    [proposal] = entries("proposal")
    assert proposal.data["verdict"] == "refused"
    assert "this module has 2 optimizers, and which rate is meant is not known" in proposal.data["reason"]


def test_a_hyperparameter_of_the_users_own(fit, entries, act):
    """A value handed over follows a decision and is put back."""
    own = Hyperparameter.holding("kl_penalty", 0.4)
    config = act(_halve(4, name="kl_penalty"), hyperparameters={"kl_penalty": {}})

    fit(SteersmanCallback(config, hyperparameters=[own]))

    assert [e.data["new"] for e in entries("adjustment")] == [0.2]
    assert own.value == 0.4


def test_a_stop_ends_the_run_with_a_checkpoint(fit, entries, act, tmp_path):
    """A Stop decided at step 4 ends the run after step 5, evaluated and saved."""
    callback = SteersmanCallback(act(Asks({4: Stop("enough")})))

    trainer = fit(callback)

    assert trainer.global_step == 5
    [saved] = entries("checkpoint_saved")
    assert (saved.step, saved.data["path"]) == (5, str(tmp_path / "steersman" / "checkpoints" / "step-5.ckpt"))
    assert (tmp_path / "steersman" / "checkpoints" / "step-5.ckpt").is_file()


def test_a_save_is_made_once(fit, entries, act):
    """A Save decided at step 4 is made after step 5, and not again."""
    fit(SteersmanCallback(act(Asks({4: Save("to be safe")}))))

    assert [entry.step for entry in entries("checkpoint_saved")] == [5]


def _trained(trainer: Any) -> list[torch.Tensor]:
    return list(trainer.lightning_module.parameters())


def _assert_same(one: Any, other: Any) -> None:
    assert all(torch.equal(a, b) for a, b in zip(_trained(one), _trained(other), strict=True))


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_a_watched_run_is_bit_identical(fit, entries, act, mode):
    """Without leave to act, parameters and random state are those of the run alone, dropout active."""
    plain = fit()
    random_state = torch.get_rng_state()

    watched = fit(SteersmanCallback(act(_halve(4), mode=mode, console=True)))

    _assert_same(watched, plain)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert "save_checkpoint" not in vars(watched)
    assert len(entries("score")) == 6


@pytest.mark.parametrize("boom", [5, 9, 10])
def test_a_resumed_run_is_the_straight_one(fit, entries, act, rates_used, tmp_path, module, boom):
    """Killed and resumed from its last checkpoint: the same decisions, rates, ranking and parameters."""

    class Seeded(module):  # a resumed Lightning run does not restore random states
        def on_train_batch_start(self, batch, batch_idx):
            torch.manual_seed(self.global_step)

    def callback(name: str) -> SteersmanCallback:
        return SteersmanCallback(act(_halve(4, 8), "trend-health"), folder=tmp_path / name)

    ours = callback("straight")
    straight = fit(ours, module=Seeded())
    rates, rates_used[:] = list(rates_used), []
    keeper = ModelCheckpoint(monitor="steersman_score", save_top_k=-1)
    with pytest.raises(RuntimeError, match="boom"):
        fit(callback("resumed"), keeper, _Boom(boom), module=Seeded())
    rates_used.clear()
    last = max(tmp_path.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns)

    again = callback("resumed")
    resumed = fit(again, module=Seeded(), ckpt_path=last)

    assert rates_used == rates[4 if boom == 5 else 8 :]
    _assert_same(resumed, straight)
    folders = (tmp_path / "straight", tmp_path / "resumed")
    one, other = ([(e.kind, e.step, dict(e.data)) for e in entries(*DECISIONS, folder=f)] for f in folders)
    assert one == other
    assert [step for kind, step, _ in one if kind == "adjustment"] == [4, 8]
    assert again.summary["best"]["step"] == ours.summary["best"]["step"]
    assert again.summary["best"]["score"] == ours.summary["best"]["score"]


def test_a_second_fit_goes_on(fit, entries, act, module, batches, rates_used):
    """`fit` again with more epochs goes on: steps count on, the ranking is kept, and the factor is in force again once."""
    callback = SteersmanCallback(act(_halve(4)))
    trainer = fit(callback, max_epochs=2)
    rates_used.clear()

    trainer.fit_loop.max_epochs = 3
    trainer.fit(trainer.lightning_module, batches(), batches(8, 2))

    assert callback.summary["evaluations"] == 3
    assert [e.step for e in entries("adjustment")] == [4]
    assert rates_used[0] == 0.5 * 0.05
    assert callback.step == 12


def test_testing_a_checkpoint_changes_nothing(fit, act, module, batches):
    """`test(ckpt_path=...)` between two fits loads no state into the run to come."""
    callback, keeper = SteersmanCallback(act(_halve(4))), ModelCheckpoint(save_top_k=-1)

    class Tested(module):
        def test_step(self, batch, batch_idx):
            assert not self.training
            self.log("test_loss", self.loss(batch))

    trainer = fit(callback, keeper, module=Tested())
    first = sorted(str(p) for p in keeper.best_k_models) or [keeper.best_model_path]
    before = callback.state_dict()

    trainer.test(trainer.lightning_module, batches(8, 2), ckpt_path=first[0], verbose=False)

    assert callback.state_dict() == before


def test_validating_alone_adds_no_score(fit, act, module, batches):
    """`validate` outside a run is not scored, and its metrics are as without us."""
    trainer = fit(SteersmanCallback(act()))

    trainer.validate(trainer.lightning_module, batches(8, 2), verbose=False)

    assert list(trainer.callback_metrics) == ["val_loss"]


def test_another_trainer_begins_anew(fit, act):
    """The same callback in a new trainer supervises a new run, with nothing of the last one's."""
    callback = SteersmanCallback(act(_halve(4)))
    fit(callback)

    fit(callback, max_epochs=1)

    assert (callback.summary["evaluations"], callback.summary["changes"]) == (1, 0)


def test_a_checkpoint_saved_without_us_brings_no_state(fit, entries, act, tmp_path):
    """Resumed from a checkpoint that knows nothing of Steersman, a used callback keeps nothing, and says so."""
    fit(ModelCheckpoint(tmp_path / "alone", filename="first"), max_epochs=2)
    callback = SteersmanCallback(act(_halve(4)))
    fit(callback)

    fit(callback, ckpt_path=tmp_path / "alone" / "first.ckpt")

    assert (callback.summary["evaluations"], callback.summary["changes"]) == (1, 0)
    said = "this checkpoint was saved without Steersman: what was evaluated before it is not ranked"
    assert said in entries("run")[-1].data["preflight"]


def test_a_run_alone_after_an_error_of_the_users(fit, entries, act, rates_used):
    """An exception in the training puts the user's values back, is journaled, and is raised on."""
    callback = SteersmanCallback(act(_halve(4)))
    with pytest.raises(RuntimeError, match="boom"):
        fit(callback, _Boom(6))

    assert callback.session is None
    notes = [e.data["message"] for e in entries("note")]
    assert "training ended at step 6 by RuntimeError, before its end" in notes
    assert callback.state_dict()["hyperparameters"]["learning_rate"]["factor"] == 0.5


def test_our_own_errors_end_nothing(fit, entries, act, monkeypatch):
    """When Steersman itself fails three times the training goes on, the checkpoint monitor included."""
    callback, keeper = SteersmanCallback(act()), ModelCheckpoint(monitor="steersman_score")
    monkeypatch.setattr("steersman.integrations.lightning.callback.epoch_of", None)

    trainer = fit(callback, keeper)

    assert trainer.global_step == 12
    assert [e.data["quarantined"] for e in entries("error")] == [False, False, True]


def test_switched_off_the_validation_loss_chooses(fit, act, tmp_path, monkeypatch):
    """With STEERSMAN_DISABLED nothing is journaled, and ModelCheckpoint keeps the lowest validation loss."""
    monkeypatch.setenv("STEERSMAN_DISABLED", "1")
    keeper = ModelCheckpoint(monitor="steersman_score")

    trainer = fit(SteersmanCallback(act()), keeper)

    assert not (tmp_path / "steersman").exists()
    assert trainer.callback_metrics["steersman_score"] == trainer.callback_metrics["val_loss"]


def test_the_sanity_check_is_no_evaluation(fit, entries, act):
    """The validation batches that Lightning runs first are not heard."""
    fit(SteersmanCallback(act()), num_sanity_val_steps=2, max_epochs=1)

    assert [e.step for e in entries("record") if e.data["of"] == "eval"] == [4]


@pytest.mark.parametrize(
    ("callbacks", "settings", "said"),
    [
        ([], {"val": None}, "there is no validation in this run: no checkpoint will be scored"),
        ([], {"limit_val_batches": 0}, "there is no validation in this run: no checkpoint will be scored"),
        (
            [ModelCheckpoint(monitor="val_loss")],
            {},
            "no ModelCheckpoint monitors steersman_score: the best checkpoint will be named, and may not be kept",
        ),
        (
            [ModelCheckpoint(monitor="steersman_score", mode="max")],
            {},
            "ModelCheckpoint monitors steersman_score with mode 'max': a lower steersman_score is better, so set mode='min'",
        ),
        (
            [ModelCheckpoint(monitor="steersman_score")],
            {"log_every_n_steps": 0},
            "log_every_n_steps is 0: the training loss is heard only where there is a validation",
        ),
    ],
)
def test_what_will_not_happen_is_said_first(fit, entries, act, callbacks, settings, said):
    """Each thing that will silently not happen has its sentence at train begin."""
    fit(SteersmanCallback(act()), *callbacks, max_epochs=1, **settings)

    assert entries("run")[0].data["preflight"] == [said]


@pytest.mark.parametrize(
    ("settings", "total", "every", "per_epoch"),
    [
        ({}, 12, 4, 4),
        ({"max_epochs": 4, "check_val_every_n_epoch": 2}, 16, 8, 4),
        ({"val_check_interval": 2}, 12, 2, 4),
        ({"val_check_interval": 3, "check_val_every_n_epoch": None}, 12, 3, 4),
        ({"max_epochs": -1, "max_steps": 6}, 6, 4, 4),
        ({"accumulate_grad_batches": 2}, 6, 2, 2),
        ({"limit_train_batches": 2}, 6, 2, 2),
    ],
)
def test_the_plan_is_that_of_the_run(fit, entries, act, settings, total, every, per_epoch):
    """Total steps, evaluations and epochs are told in optimizer steps before the first, and come true."""
    trainer = fit(SteersmanCallback(act()), **settings)

    plan = entries("run")[0].data["plan"]
    assert (plan["total_steps"], plan["eval_every"], plan["steps_per_epoch"]) == (total, every, per_epoch)
    assert trainer.global_step == total
    assert sorted({e.step for e in entries("record") if e.data["of"] == "eval"}) == list(range(every, total + 1, every))


def test_a_rollback_returns_to_the_healthy_weights(fit, entries, act):
    """Proposed after the weights went bad, a rollback brings back those of the newest healthy check."""
    before: dict[int, Any] = {}

    class Breaks(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            before[trainer.global_step] = pl_module.net[0].weight.detach().clone()
            if trainer.global_step == 6:
                pl_module.net[0].weight.data.mul_(100.0)

    goes_back = Asks({8: Rollback("a test")})
    config = act(goes_back, recovery={"snapshots": "memory"}, hyperparameters={})

    fit(SteersmanCallback(config), Breaks())

    assert [(e.step, e.data["to_step"]) for e in entries("rollback")] == [(8, 4)]
    assert torch.equal(before[8], before[4])


def test_what_scores_depend_on_is_told(fit, entries, act):
    """The run's line names what must be the same for scores to be comparable after a resume."""
    fit(SteersmanCallback(act()), accumulate_grad_batches=2, max_epochs=1)

    facts = entries("run")[0].data["facts"]
    assert facts["the batches of an optimizer step"] == 2
    assert facts["the share of the validation batches"] == 1.0
    assert facts["the precision"] == "32-true"


def test_tokens_are_counted_from_the_batches(fit, entries, act, module):
    """Batches with an attention mask are counted in the log after them, with the time of every micro-batch of a step."""
    rows = [{"input_ids": torch.ones(4), "attention_mask": torch.tensor([1, 1, 1, 0])} for _ in range(32)]

    class Reads(module):
        def loss(self, batch):
            time.sleep(0.02)
            return super().loss(batch["input_ids"])

    data = torch.utils.data.DataLoader(rows, batch_size=8)
    settings = {"max_epochs": 1, "accumulate_grad_batches": 2, "log_every_n_steps": 1}
    fit(SteersmanCallback(act()), module=Reads(), train=data, val=data, **settings)

    usage = [u for e in entries("record") for u in e.data["usage"]]
    assert [(u["tokens"], u["samples"]) for u in usage] == [(48, 16), (48, 16)]
    assert all(u["seconds"] > 0.04 for u in usage)


def test_the_public_names(act):
    """`steersman.LightningCallback` is the callback, and a fault of the config is told before training."""
    assert steersman.LightningCallback is SteersmanCallback
    with pytest.raises(steersman.ConfigError, match="unknown key 'moode'"):
        SteersmanCallback({"moode": "act"})


def test_the_journal_lies_in_the_log_dir(fit, act, tmp_path):
    """With a logger that has a folder of its own the journal lies there."""
    logger = pl.loggers.CSVLogger(tmp_path / "logs")

    callback = SteersmanCallback(act())
    fit(callback, logger=logger, max_epochs=1)

    assert callback.summary["journal"] == f"{logger.log_dir}/steersman/journal.jsonl"
    assert math.isfinite(callback.summary["best"]["score"])


def test_what_is_required_holds_for_lightnings_best_too(fit, entries, act, module):
    """Only the second of three evaluations meets what is required: its checkpoint is kept, whatever the losses are."""

    class Judged(module):
        def on_validation_epoch_end(self):
            self.log("val_quality", 1.0 if self.trainer.current_epoch == 1 else 0.0)

    keeper = ModelCheckpoint(monitor="steersman_score", mode="min", save_top_k=1)
    callback = SteersmanCallback(act(score={"require": {"eval_quality": ">= 1"}}))

    fit(callback, keeper, module=Judged(), num_sanity_val_steps=0)

    scores = {e.step: e.data["value"] for e in entries("score") if e.data["decides"]}
    assert keeper.best_model_score.item() == scores[8]
    assert "step=8" in keeper.best_model_path
