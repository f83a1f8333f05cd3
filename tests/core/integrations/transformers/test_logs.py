"""What the Trainer logs is what was used, and after the run everything is the user's again."""

from __future__ import annotations

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

import steersman

SCHEDULERS = {
    "linear": {"lr_scheduler_type": "linear", "warmup_steps": 3},
    "cosine": {"lr_scheduler_type": "cosine"},
    "cosine with a floor": {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-4}},
    "constant": {"lr_scheduler_type": "constant"},
    "plateau": {"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"patience": 0, "mode": "max"}},
}


def _scalars(trainer, tmp_path):
    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture
def tensorboard(tmp_path, monkeypatch):
    """Settings of a Trainer that reports to TensorBoard, and a function that reads it back."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tb"))
    return {"report_to": ["tensorboard"]}, lambda trainer: _scalars(trainer, tmp_path)


@pytest.mark.parametrize("settings", SCHEDULERS.values(), ids=list(SCHEDULERS))
def test_the_rate_logged_is_the_rate_used(make_trainer, cut, act, rates_used, tensorboard, settings):
    """After two changes, every logged rate is the one AdamW computed that step with, in log_history and TensorBoard."""
    reports, read = tensorboard
    trainer = make_trainer(logging_steps=1, **reports, **settings)
    steersman.supervise(trainer, act(cut(at=(4, 8))))

    trainer.train()

    used = {step: rates_used[2 * step - 2] for step in range(1, 13)}  # two groups a step: with and without decay
    logged = {entry["step"]: entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry}
    assert logged == used
    shown = dict(read(trainer)["train/learning_rate"])
    assert {step: shown[step] for step in used} == pytest.approx(used, rel=1e-6)


@pytest.mark.parametrize("settings", SCHEDULERS.values(), ids=list(SCHEDULERS))
def test_the_rate_used_is_the_factor_times_the_schedule(make_trainer, cut, act, rates_used, settings, no_feedback):
    """From the step after each check on, the Trainer's own scheduler is scaled by exactly the product of the changes."""
    plain = make_trainer(name="plain", **settings)
    no_feedback(plain)
    plain.train()
    schedule, rates_used[:] = list(rates_used), []
    trainer = make_trainer(**settings)
    no_feedback(trainer)
    steersman.supervise(trainer, act(cut(at=(4, 8))))

    trainer.train()

    factors = [1.0] * 4 + [0.5] * 4 + [0.25] * 4
    assert rates_used == [rate * factors[i // 2] for i, rate in enumerate(schedule)]


@pytest.fixture
def no_feedback():
    """Return a function that freezes what a plateau scheduler hears, so that a change cannot feed back into it."""

    def freeze(trainer):
        evaluate = trainer.evaluate
        trainer.evaluate = lambda *a, **k: evaluate(*a, **k) | {"eval_loss": 1.0}

    return freeze


def test_afterwards_everything_is_the_users(make_trainer, cut, act, journal):
    """After the run, max_grad_norm and the groups' rates are the user's and no hook is on the optimizer or the model."""
    trainer = make_trainer(max_grad_norm=0.7, lr_scheduler_type="constant")
    both = act(cut(), _Clip(), hyperparameters={"learning_rate": {}, "max_grad_norm": {}})
    steersman.supervise(trainer, both)

    trainer.train()

    changed = {e.data["hyperparameter"]: (e.data["old"], e.data["new"]) for e in journal(trainer, "adjustment")}
    assert changed == {"learning_rate": (1e-3, 5e-4), "max_grad_norm": (0.7, pytest.approx(0.07))}
    assert trainer.args.max_grad_norm == 0.7
    inner = trainer.optimizer.optimizer
    assert [group["lr"] for group in inner.param_groups] == [1e-3, 1e-3]
    assert len(inner._optimizer_step_pre_hooks) == len(inner._optimizer_step_post_hooks) == 0
    assert len(trainer.model._forward_pre_hooks) == 0


class _Clip:
    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        return steersman.Adjust("max_grad_norm", scale=0.1, because="a test") if check.step == 4 else None


def test_max_grad_norm_acts_from_the_next_step(make_trainer, act):
    """A smaller max_grad_norm is what the gradients of the next step are clipped to."""
    norms = []
    trainer = make_trainer(max_grad_norm=0.7, callbacks=[_Norms(norms)])
    steersman.supervise(trainer, act(_Clip(), hyperparameters={"max_grad_norm": {}}))

    trainer.train()

    assert norms[:4] == [pytest.approx(0.7, rel=1e-3)] * 4
    assert norms[4:] == [pytest.approx(0.07, rel=1e-3)] * 8


class _Norms(TrainerCallback):
    def __init__(self, norms):
        self.norms = norms

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.norms.append(sum(float(p.grad.norm()) ** 2 for p in model.parameters()) ** 0.5)


def test_tensorboard_has_score_and_changes(make_trainer, act, tensorboard, journal):
    """The event file has the score of every evaluation as eval/steersman_score, and each change under HealthCheck."""
    reports, read = tensorboard
    trainer = make_trainer(**reports)
    steersman.supervise(trainer, act())

    trainer.train()

    scores = {e.step: e.data["value"] for e in journal(trainer, "score") if e.data["decides"]}
    scalars = read(trainer)
    assert sorted(scores) == [4, 8, 12]
    assert dict(scalars["eval/steersman_score"]) == pytest.approx(scores, rel=1e-6)
    changes = [(e.step, e.data["new"]) for e in journal(trainer, "adjustment")]
    assert [step for step, _ in changes] == [4]
    assert scalars["HealthCheck/learning_rate"].count((4, pytest.approx(changes[0][1]))) == 1
    in_history = {e["step"]: e["eval_steersman_score"] for e in trainer.state.log_history if "eval_loss" in e}
    assert in_history == scores


def test_a_plain_callback_writes_no_wrong_rate(make_trainer, act, rates_used):
    """As a plain callback, behind the reporters, Steersman still corrects the rate in log_history."""
    trainer = make_trainer(callbacks=[steersman.SteersmanCallback(act())], logging_steps=1)

    trainer.train()

    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "loss" in entry]
    assert logged == rates_used[::2]
