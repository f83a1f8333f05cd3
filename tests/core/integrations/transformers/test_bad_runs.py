"""Training never dies of Steersman, and ends as it would without."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from transformers import TrainerCallback

import steersman
from steersman import Adjust, Score, hookimpl
from steersman.journal import read
from steersman.supervisor import Supervisor

HOOKS = [
    "on_train_begin",
    "on_train_end",
    "on_log",
    "on_eval",
    "on_epoch_end",
    "score_checkpoint",
    "on_checkpoint_scored",
    "on_checkpoint_saved",
    "diagnose",
    "propose_adjustments",
    "veto_adjustment",
    "on_adjusted",
    "on_journaled",
]


@pytest.fixture
def plain(make_trainer, everything):
    """What the run leaves behind without Steersman."""
    trainer = make_trainer(name="plain")
    trainer.train()
    return everything(trainer)


@pytest.fixture
def ends_the_same(make_trainer, everything, assert_same, plain, capsys):
    """Return a function that runs a supervised training, holds it to the unsupervised one, and returns what was printed."""

    def run(config, **settings):
        trainer = make_trainer(**settings)
        callback = steersman.supervise(trainer, config)
        trainer.train()
        assert_same(everything(trainer), plain, ("parameters", "torch", "python", "numpy"))
        assert trainer.state.global_step == 12
        return callback, capsys.readouterr().out

    return run


def test_a_journal_that_cannot_be_opened(ends_the_same, tmp_path):
    """A journal below a regular file cannot be made: that is said once, the rest works, and the parameters are the same."""
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "journal.jsonl"

    callback, printed = ends_the_same({"journal": str(path)})

    assert printed.count(f"the journal {path} cannot be written: Not a directory; training goes on") == 1
    assert printed.count("cannot be written") == 1
    assert callback.summary["best"]["step"] in (4, 8, 12)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full(ends_the_same):
    """A journal on a full disk: that is said once, the rest works, and the parameters are the same."""
    callback, printed = ends_the_same({"journal": "/dev/full"})

    assert printed.count("the journal /dev/full cannot be written: No space left on device; training goes on") == 1
    assert printed.count("cannot be written") == 1
    assert callback.summary["best"]["step"] in (4, 8, 12)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_strategy_that_raises(make_trainer, every_hook, companion, journal, capsys, hook):
    """A strategy that raises in one hook is journaled, told once, and rests after three times; all else goes on."""
    bad, good = every_hook(raises_in=hook), companion()
    trainer = make_trainer()
    config = {"extends": "no-rails", "use": [bad, good], "mode": "act", "hyperparameters": {"learning_rate": {}}}
    steersman.supervise(trainer, config)

    trainer.train()

    assert trainer.state.global_step == 12
    errors = journal(trainer, "error")
    assert {(e.data["strategy"], e.data["hook"], e.data["error"]) for e in errors} == {
        ("every-hook", hook, f"RuntimeError: broken {hook}")
    }
    assert [e.data["quarantined"] for e in errors] == [False, False, True][: len(errors)]
    assert "given in Python" in errors[0].data["origin"]
    printed = capsys.readouterr().out
    told = [line for line in printed.splitlines() if f"broken {hook}" in line]
    assert len(told) == min(len(errors), 2 if len(errors) >= 3 else 1)
    assert good.calls["on_train_end"] == 1
    assert good.calls["score_checkpoint"] == 4  # three evaluations, and the average of their checkpoints


NONSENSE = {
    "an infinite score": ("score_checkpoint", Score(math.inf), "returned a score of inf; use Score.reject(reason)"),
    "a score of NaN": ("score_checkpoint", Score(math.nan), "returned a score of nan; use Score.reject(reason)"),
    "a number for a score": ("score_checkpoint", 0.5, "returned float 0.5; expected a Score or None"),
    "text for findings": ("diagnose", "it is ill", "returned str 'it is ill'; expected Findings"),
    "a number among proposals": ("propose_adjustments", [3], "returned int 3; expected Adjust, Stop, Save"),
    "a score for a finding": ("diagnose", [Score(1.0)], "expected Findings"),
}


@pytest.mark.parametrize(("hook", "answer", "said"), NONSENSE.values(), ids=list(NONSENSE))
def test_a_strategy_that_returns_nonsense(make_trainer, every_hook, companion, journal, hook, answer, said):
    """What a hook may not return is journaled as an error that says what was expected; it is no score and no finding."""
    trainer = make_trainer(metric_for_best_model="steersman_score", load_best_model_at_end=True)
    bad = every_hook(answers_in=hook, answer=answer)
    steersman.supervise(trainer, {"extends": "no-rails", "use": [bad, companion()], "console": False})

    trainer.train()

    assert trainer.state.global_step == 12
    errors = journal(trainer, "error")
    assert len(errors) == 3
    assert all(said in e.data["error"] and e.data["hook"] == hook for e in errors)
    assert {e.data["strategy"] for e in errors} == {"every-hook"}
    assert math.isfinite(trainer.state.best_metric)
    if hook == "score_checkpoint":
        assert {e.data["strategy"] for e in journal(trainer, "score")} == {"companion"}


BROKEN = {
    "at train begin": "restore",
    "at each record": "feed",
    "at each step": "settle",
    "at the end": "end",
    "at a save": "save",
}


@pytest.mark.parametrize("method", BROKEN.values(), ids=list(BROKEN))
def test_steersman_itself_broken(ends_the_same, monkeypatch, caplog, method):
    """An error of Steersman's own, wherever it is, is told once, and the run ends with the same parameters."""

    def broken(*args, **kwargs):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setattr(Supervisor, method, broken)

    _, printed = ends_the_same({}, metric_for_best_model="steersman_score")

    told = [line for line in printed.splitlines() if "a bug of ours" in line and "goes on without" not in line]
    logged = [r for r in caplog.records if r.name == "steersman"]
    assert len(told) + len(logged) == 1
    assert printed.count("a bug of ours") <= 2
    if told:
        assert "training goes on" in told[0]


def test_a_broken_steersman_gives_everything_back(make_trainer, act, monkeypatch, rates_used, journal):
    """When Steersman gives up in the middle of a run, the user's own rate is in force from the next step on."""
    feed = Supervisor.feed

    def breaks(self, record):
        if record.step >= 8:
            raise ZeroDivisionError("a bug of ours")
        return feed(self, record)

    monkeypatch.setattr(Supervisor, "feed", breaks)
    trainer = make_trainer(lr_scheduler_type="constant", metric_for_best_model="steersman_score")
    callback = steersman.supervise(trainer, act())

    trainer.train()

    assert rates_used[:8] == [1e-3] * 8
    assert rates_used[8:16] == [5e-4] * 8
    assert rates_used[-4:] == [1e-3] * 4
    assert callback.failures == 3
    errors = journal(trainer, "error")
    assert [e.data["quarantined"] for e in errors] == [False, False, True]
    assert trainer.state.best_global_step == 4, "an evaluation nobody scored became the best"
    assert len(trainer.optimizer.optimizer._optimizer_step_pre_hooks) == 0


class _Metrics(TrainerCallback):
    """Keeps the score in the metrics of each evaluation, as the Trainer will choose by them."""

    def __init__(self):
        self.scores = {}

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.scores[state.global_step] = metrics["eval_steersman_score"]


def test_a_score_that_failed_is_not_the_last_one(make_trainer, monkeypatch):
    """Where Steersman fails over one evaluation, that one is never best; the others have scores of their own."""
    feed = Supervisor.feed

    def breaks(self, record):
        if record.kind == "eval" and record.step == 8:
            raise ZeroDivisionError("a bug of ours")
        return feed(self, record)

    monkeypatch.setattr(Supervisor, "feed", breaks)
    metrics = _Metrics()
    trainer = make_trainer(callbacks=[metrics], metric_for_best_model="steersman_score")
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    assert [math.isfinite(metrics.scores[step]) for step in (4, 8, 12)] == [True, False, True]


def test_a_failure_is_forgotten_by_the_next_run(make_trainer, monkeypatch):
    """A Steersman that gave up in one train() supervises the next."""
    trainer = make_trainer()
    callback = steersman.supervise(trainer, {"console": False})
    with monkeypatch.context() as broken:
        broken.setattr(Supervisor, "feed", lambda *args: 1 / 0)
        trainer.train()
    assert callback.summary == {}

    trainer.train()

    assert callback.summary["best"]["step"] in (4, 8, 12)


@pytest.mark.parametrize("on_error", ["raise", "stop"])
def test_who_wants_it_may_let_a_strategy_end_the_run(make_trainer, every_hook, act, on_error, journal):
    """`on_error: raise` ends the run with the strategy's error and gives everything back; `stop` ends it with a checkpoint."""
    bad = every_hook(raises_in="on_checkpoint_scored")
    trainer = make_trainer(lr_scheduler_type="constant")
    config = act(bad, on_error=on_error) | {"use": [bad]}
    steersman.supervise(trainer, config)

    if on_error == "raise":
        with pytest.raises(steersman.StrategyError, match="every-hook failed in on_checkpoint_scored: broken"):
            trainer.train()
        assert trainer.state.global_step == 4
    else:
        trainer.train()
        assert trainer.state.global_step == 5
        assert [e.step for e in journal(trainer, "checkpoint_saved")] == [4, 5]
    assert len(trainer.optimizer.optimizer._optimizer_step_pre_hooks) == 0
    assert len(trainer.model._forward_pre_hooks) == 0


def test_no_evaluation_at_all(make_trainer, capsys):
    """Without evaluations the run is watched, nothing is scored, and that is said at its begin and at its end."""
    trainer = make_trainer(eval_strategy="no", eval_dataset="none")
    callback = steersman.supervise(trainer)
    trainer.train()

    printed = capsys.readouterr().out
    assert "no checkpoint will be scored" in printed
    assert "no checkpoint was scored" in printed
    assert callback.summary["best"] is None


def test_a_journal_is_whole_lines(make_trainer):
    """Every line of the journal of a finished run is whole JSON, in the order of its steps, and of version 1."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"console": False})
    trainer.train()

    path = Path(trainer.args.output_dir) / "steersman" / "journal.jsonl"
    entries = list(read(path))
    assert len(entries) == path.read_bytes().count(b"\n")
    assert [e.step for e in entries] == sorted(e.step for e in entries)
    assert [e.kind for e in entries][0] == "run" and [e.kind for e in entries][-1] == "end"


def test_a_config_that_is_missing(make_trainer, tmp_path):
    """A config file that is not there, and one that is no YAML, is a ConfigError naming it, before training."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("use: [unclosed")

    with pytest.raises(steersman.ConfigError, match="nowhere.yaml: 1 problem\n  it cannot be read: No such file"):
        steersman.supervise(make_trainer(), tmp_path / "nowhere.yaml")
    with pytest.raises(steersman.ConfigError, match="broken.yaml: 1 problem\n  it does not parse"):
        steersman.supervise(make_trainer(), broken)


@pytest.mark.parametrize("getter", [lambda: None, lambda: "much", lambda: 1 / 0], ids=["None", "text", "raises"])
def test_a_hyperparameter_whose_value_is_not_known(make_trainer, journal, getter):
    """A getter that gives no number leaves its value unknown; the run is supervised to its end all the same."""
    trainer = make_trainer()
    own = steersman.Hyperparameter("mine", getter, lambda value: None)
    steersman.supervise(trainer, {"mode": "act", "hyperparameters": {"mine": {}}}, hyperparameters=[own])

    trainer.train()

    assert len(journal(trainer, "score")) == 3
    assert len(journal(trainer, "end")) == 1
    (begin,) = journal(trainer, "run")
    assert next(h["value"] for h in begin.data["hyperparameters"] if h["name"] == "mine") is None


def test_ctrl_c_gives_everything_back(make_trainer, act, journal):
    """After Ctrl-C the clip is the user's again, no hook is left on optimizer or model, and the journal says so."""

    class Interrupts(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 10:
                raise KeyboardInterrupt

    trainer = make_trainer(callbacks=[Interrupts()])
    own = [steersman.Hyperparameter("mine", lambda: 1.0, lambda value: None)]
    config = act(HalvesTheClip(), check_every=4, hyperparameters={"max_grad_norm": {}})
    steersman.supervise(trainer, config, hyperparameters=own)

    with pytest.raises(KeyboardInterrupt):
        trainer.train()

    assert len(journal(trainer, "adjustment")) > 0
    assert trainer.args.max_grad_norm == 1.0
    assert not trainer.model._forward_pre_hooks
    assert not trainer.optimizer.optimizer._optimizer_step_pre_hooks
    assert "by KeyboardInterrupt, before its end" in journal(trainer, "note")[-1].data["message"]


class HalvesTheClip:
    """Proposes half the clip at every check."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("max_grad_norm", scale=0.5, because="a test")


def test_nan_parameters_are_never_healthy(make_trainer, act, journal):
    """Whatever the preset, a check on NaN gradients is not called healthy, and `seed` says what it sees."""

    class Breaks(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == 5:
                for parameter in model.parameters():
                    parameter.data.fill_(float("nan"))

    trainer = make_trainer(callbacks=[Breaks()])
    steersman.supervise(trainer, {"use": ["eval-loss", {"trend-health": {"preset": "seed"}}]})

    trainer.train()

    after = [entry for entry in journal(trainer, "check") if entry.step > 5]
    assert after and not any(entry.data["healthy"] for entry in after)
    assert "non-finite-grad-norm" in {entry.data["name"] for entry in journal(trainer, "finding")}
