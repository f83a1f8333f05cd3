"""The Trainer's events, in whatever order and place they come, make one sound run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import define
from transformers import TrainerCallback

import steersman
from steersman import hookimpl, state
from steersman.journal import attempts

OBSERVING = {"console": False}


@define(eq=False)
class Counts:
    """Counts its hooks, with the steps they were called at."""

    evaluations: list[list[Any]] = state([])
    epochs: list[list[Any]] = state([])
    logs: list[int] = state([])
    begun: int = state(0)

    @hookimpl
    def on_train_begin(self, run):
        self.begun += 1

    @hookimpl
    def on_eval(self, run, evaluation):
        self.evaluations.append([evaluation.step, sorted(n for n in evaluation.metrics if n.endswith("loss"))])

    @hookimpl
    def on_epoch_end(self, run, window):
        self.epochs.append([run.step, window.first_step, window.last_step, window.mean("loss")])

    @hookimpl
    def on_log(self, run, log):
        self.logs.append(log.step)


class _At(TrainerCallback):
    """Calls a function at the end of the given steps."""

    def __init__(self, steps, call):
        self.steps, self.call = steps, call

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step in self.steps:
            self.call()


def _with(*strategies, **settings):
    return {"console": False, "use": ["multi-metric", "eval-loss", *strategies]} | settings


def _decided(entries):
    return [(e.kind, e.step, e.data.get("strategy"), e.data.get("value")) for e in entries]


def test_evaluations_before_and_after_a_run_are_no_part_of_it(make_trainer, journal):
    """evaluate() and predict() outside a run score nothing, log nothing and change no decision of the run."""
    plain = make_trainer(name="plain")
    steersman.supervise(plain, OBSERVING)
    plain.train()
    trainer = make_trainer()
    callback = steersman.supervise(trainer, OBSERVING)

    trainer.evaluate()
    trainer.predict(trainer.eval_dataset)
    assert callback.session is None
    assert not Path(trainer.args.output_dir, "steersman").exists()
    trainer.train()
    after_the_run = len(journal(trainer))
    trainer.evaluate()
    trainer.evaluate(metric_key_prefix="final")
    trainer.predict(trainer.eval_dataset)

    assert len(journal(trainer)) == after_the_run
    kinds = ("score", "record", "check")
    assert [(e.kind, e.step) for e in journal(trainer, *kinds)] == [(e.kind, e.step) for e in journal(plain, *kinds)]


def test_an_evaluation_after_the_run_is_not_replayed(make_trainer):
    """What evaluate() after the run adds to trainer_state.json is left out when it is replayed."""
    trainer = make_trainer()
    steersman.supervise(trainer, OBSERVING)
    trainer.train()
    path = Path(trainer.args.output_dir) / "trainer_state.json"
    trainer.save_state()
    before = steersman.replay(path, OBSERVING)
    trainer.evaluate()
    trainer.evaluate(metric_key_prefix="final")
    trainer.save_state()

    after = steersman.replay(path, OBSERVING)

    assert len(before.recording.records) > 6
    assert after.recording.records == before.recording.records


@pytest.mark.parametrize("what", ["predict", "evaluate under another prefix"])
def test_a_test_set_inside_a_run_is_no_part_of_it(make_trainer, journal, what):
    """predict(), and evaluate() under a prefix of its own, in the middle of a run leave records, scores and checks alone."""
    plain = make_trainer(name="plain", eval_steps=3, logging_steps=3)
    steersman.supervise(plain, _with(check_every=3))
    plain.train()
    made = []
    trainer = make_trainer(eval_steps=3, logging_steps=3, callbacks=[_At((4, 7), lambda: made.append(look()))])
    look = {
        "predict": lambda: trainer.predict(trainer.eval_dataset),
        "evaluate under another prefix": lambda: trainer.evaluate(metric_key_prefix="test"),
    }[what]
    steersman.supervise(trainer, _with(check_every=3))

    trainer.train()
    trainer.save_state()

    assert len(made) == 2
    kinds = ("record", "score", "check")
    assert [(e.kind, e.step) for e in journal(trainer, *kinds)] == [(e.kind, e.step) for e in journal(plain, *kinds)]
    replayed = steersman.replay(Path(trainer.args.output_dir) / "trainer_state.json", _with(check_every=3))
    scores = [(e.step, e.data["value"]) for e in journal(trainer, "score")]
    assert [(e.step, e.data["value"]) for e in replayed.of("score")] == scores


def test_eval_on_start_is_a_baseline(make_trainer, journal):
    """The evaluation before the first step is scored as step 0, makes no check, and is never the best."""
    trainer = make_trainer(eval_on_start=True, learning_rate=10.0, load_best_model_at_end=True,
                           metric_for_best_model="steersman_score")  # fmt: skip
    callback = steersman.supervise(trainer, _with())

    trainer.train()

    losses = {e.step: e.data["eval_loss"] for e in journal(trainer, "score") if e.data["strategy"] == "eval-loss"}
    assert sorted(losses) == [0, 4, 8, 12]
    assert min(losses, key=losses.get) == 0, "training made it better, so this shows little"
    assert callback.summary["best"]["step"] != 0
    assert callback.summary["lowest_eval_loss"]["step"] != 0
    assert trainer.state.best_global_step != 0
    assert [e.step for e in journal(trainer, "check") if e.data["reason"] == "scheduled"] == [4, 8, 12]


def test_train_twice_is_two_runs(make_trainer, act, cut, rates_used):
    """A second train() starts afresh: no doubled hooks, no factor left over, fresh strategies, a second run in the journal."""
    trainer = make_trainer(lr_scheduler_type="constant")
    counts, cuts = Counts(), cut()
    steersman.supervise(trainer, act(cuts, counts))

    trainer.train()
    first, rates_used[:] = list(rates_used), []
    seen_first = list(counts.evaluations)
    trainer.train()

    assert first == [1e-3] * 8 + [5e-4] * 16
    assert rates_used == first
    assert [step for step, _ in seen_first] == [4, 8, 12]
    assert counts.evaluations == seen_first
    assert counts.begun == 1
    runs = attempts(Path(trainer.args.output_dir) / "steersman" / "journal.jsonl")
    assert [[e.step for e in run if e.kind == "adjustment"] for run in runs] == [[4], [4]]
    assert [[e.data["resumed"] for e in run if e.kind == "run"] for run in runs] == [[False], [False]]


def test_a_smaller_batch_is_a_new_start(make_trainer, act, cut, journal, rates_used):
    """auto_find_batch_size starts over after an out-of-memory error: one hook, no factor left over, a fresh journal run."""

    def fail_once():
        if trainer._train_batch_size == 8:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    trainer = make_trainer(
        auto_find_batch_size=True, lr_scheduler_type="constant", callbacks=[_At((6,), fail_once)], max_steps=12
    )
    counts = Counts()
    steersman.supervise(trainer, act(cut(), counts))

    trainer.train()

    assert rates_used[:12] == [1e-3] * 8 + [5e-4] * 4
    assert rates_used[12:] == [1e-3] * 8 + [5e-4] * 16
    assert [step for step, _ in counts.evaluations] == [4, 8, 12]
    assert counts.begun == 1
    path = Path(trainer.args.output_dir) / "steersman" / "journal.jsonl"
    assert [any(e.kind == "end" for e in run) for run in attempts(path)] == [False, True]
    assert [e.step for e in journal(trainer, "adjustment")] == [4]


def test_a_run_that_ends_in_mid_epoch(make_trainer, journal):
    """max_steps 10 of 4 a epoch: two epochs end, the half third does not, and its window gives findings, no proposals."""
    counts, spoken = Counts(), _Speaks()
    trainer = make_trainer(max_steps=10, logging_steps=3, eval_strategy="no")
    steersman.supervise(trainer, _with(counts, spoken, check_every="epoch"))

    trainer.train()

    assert [epoch[0] for epoch in counts.epochs] == [6, 9]
    checks = [(e.step, e.data["reason"]) for e in journal(trainer, "check")]
    assert checks == [(6, "scheduled"), (9, "scheduled"), (10, "end")]
    assert spoken.diagnosed == ["scheduled", "scheduled", "end"]
    assert spoken.proposed == ["scheduled", "scheduled"]


@define(eq=False)
class _Speaks:
    diagnosed: list[str] = state([])
    proposed: list[str] = state([])

    @hookimpl
    def diagnose(self, run, check):
        self.diagnosed.append(check.reason)

    @hookimpl
    def propose_adjustments(self, run, check):
        self.proposed.append(check.reason)


def test_by_epoch_the_window_holds_that_epochs_log(make_trainer):
    """The Trainer ends an epoch before it logs it; the window of an epoch holds that epoch's own loss all the same."""
    counts = Counts()
    trainer = make_trainer(logging_strategy="epoch", eval_strategy="epoch", save_strategy="epoch")
    steersman.supervise(trainer, _with(counts))

    trainer.train()

    losses = {e["step"]: e["loss"] for e in trainer.state.log_history if "loss" in e}
    assert sorted(losses) == [4, 8, 12]
    assert counts.epochs == [
        [4, 0, 4, losses[4]],
        [8, 4, 8, losses[8]],
        [12, 8, 12, losses[12]],
    ]


def test_the_final_summary_is_no_log_of_the_loss(make_trainer, journal):
    """The summary at the end, with train_loss, enters neither the windows nor the scores."""
    trainer = make_trainer()
    steersman.supervise(trainer, _with(check_every=4))

    trainer.train()

    assert "train_loss" in trainer.state.log_history[-1]
    records = journal(trainer, "record")
    assert [r.data["of"] for r in records].count("summary") == 1
    last = [e for e in journal(trainer, "check") if e.data["reason"] == "scheduled"][-1]
    losses = {e["step"]: e["loss"] for e in trainer.state.log_history if "loss" in e}
    assert last.step == 12
    assert last.data["loss"] == pytest.approx((losses[10] + losses[12]) / 2)


def test_several_sets_make_one_evaluation_a_step(make_trainer, eval_sets, journal):
    """Two evaluation sets make one on_eval a step, closed when both have come, the first standing in for eval_loss."""
    counts = Counts()
    trainer = make_trainer(eval_dataset=eval_sets)
    steersman.supervise(trainer, _with(counts))

    trainer.train()

    names = ["eval_chat_loss", "eval_code_loss", "eval_loss"]
    assert counts.evaluations == [[4, names], [8, names], [12, names]]
    first = {e["step"]: e["eval_chat_loss"] for e in trainer.state.log_history if "eval_chat_loss" in e}
    scored = {e.step: e.data["eval_loss"] for e in journal(trainer, "score") if e.data["decides"]}
    assert scored == first


def test_weights_over_the_sets_make_the_score(make_trainer, eval_sets, journal):
    """`score:` weighs the named sets: 0.7 of one loss and 0.3 of the other."""
    trainer = make_trainer(eval_dataset=eval_sets)
    steersman.supervise(trainer, {"console": False, "score": {"eval_chat_loss": 0.7, "eval_code_loss": 0.3}})

    trainer.train()

    logs = trainer.state.log_history
    chat, code = ({e["step"]: e[f"eval_{n}_loss"] for e in logs if f"eval_{n}_loss" in e} for n in ("chat", "code"))
    scored = {e.step: e.data["value"] for e in journal(trainer, "score") if e.data["decides"]}
    assert scored == {step: pytest.approx(0.7 * chat[step] + 0.3 * code[step]) for step in (4, 8, 12)}
    shown = {e["step"]: e["eval_steersman_score"] for e in logs if "eval_steersman_score" in e}
    assert shown == scored


class _Poison(TrainerCallback):
    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == 5:
            next(model.parameters()).data.fill_(float("nan"))


@pytest.mark.parametrize("preset", ["seed", "guarded"])
def test_nan_is_a_critical_finding_though_the_trainer_hides_it(make_trainer, journal, preset):
    """The Trainer logs a sound loss over NaN batches; the gradient norm gives it away, at once and not at the next check."""
    trainer = make_trainer(callbacks=[_Poison()], eval_steps=12)
    steersman.supervise(trainer, _with({"trend-health": {"preset": preset}}, check_every=12))

    trainer.train()

    hidden = [e["loss"] for e in trainer.state.log_history if "loss" in e]
    assert all(loss == loss for loss in hidden), "the loss shows the NaN itself, so this shows little"
    (anomaly,) = (e for e in journal(trainer, "check") if e.data["reason"] == "anomaly")
    assert anomaly.step == 6
    assert anomaly.data["nonfinite"] == {"grad_norm": 1}
    if preset == "guarded":
        severe = [e.step for e in journal(trainer, "finding") if e.data["severity"] == "critical"]
        assert severe and severe[0] == 6
    assert trainer.state.global_step == 12


def test_nan_is_never_best(make_trainer, journal):
    """A checkpoint whose eval loss is NaN is not the best by anybody's score."""
    trainer = make_trainer(callbacks=[_Poison()], metric_for_best_model="steersman_score", load_best_model_at_end=True)
    callback = steersman.supervise(trainer, _with())

    trainer.train()

    assert trainer.state.best_global_step == 4
    assert callback.summary["best"]["step"] == 4
    assert [e.step for e in journal(trainer, "unscored")] == [8, 12]


def test_accumulated_gradients_count_steps_once(make_trainer, journal, act, cut, rates_used):
    """With gradient accumulation a step is an optimizer step: checks, logs and the factor are keyed on it."""
    trainer = make_trainer(per_device_train_batch_size=2, gradient_accumulation_steps=4, lr_scheduler_type="constant")
    steersman.supervise(trainer, act(cut()))

    trainer.train()

    assert rates_used == [1e-3] * 8 + [5e-4] * 16
    assert [e.step for e in journal(trainer, "check") if e.data["reason"] == "scheduled"] == [4, 8, 12]
    assert journal(trainer, "run")[0].data["plan"]["steps_per_epoch"] == 4


@pytest.mark.parametrize("value", [None, "text", [1.0], torch.tensor(2.0), float("nan")], ids=str)
def test_a_metric_that_is_no_number_is_left_out(make_trainer, journal, value):
    """A log with None, text, a list, a tensor or NaN in it is heard; what is no number is named, and the run ends."""

    class Odd(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                trainer.log({"loss": 1.0, "odd": value})

    trainer = make_trainer(callbacks=[Odd()], save_strategy="no")
    steersman.supervise(trainer, _with())

    trainer.train()

    (record,) = (e for e in journal(trainer, "record") if e.step == 3)
    if value == value and not isinstance(value, float):
        assert (record.data["metrics"], record.data["dropped"]) == ({"loss": 1.0}, ["odd"])
    else:
        assert str(record.data["metrics"]["odd"]) == "nan"
    assert trainer.state.global_step == 12
