"""What may be changed, what is changed, and what is put back."""

from __future__ import annotations

import math

import pytest
import torch

import steersman
from steersman import Adjust, ConfigError, Hyperparameter, hookimpl


class Halve:
    """Proposes, at every check, to halve each of the given hyperparameters."""

    def __init__(self, *names):
        self.names = names

    @hookimpl
    def propose_adjustments(self, run, check):
        return [Adjust(name, scale=0.5, because="a test") for name in self.names]


class Smoothing:
    """A user's own value, with every one it ever had; a setter that raises or does nothing where told to."""

    def __init__(self, value=0.8, *, broken="", kind=float):
        self.had, self.broken, self.kind = [value], broken, kind

    @property
    def value(self):
        return self.had[-1]

    def get(self):
        if self.broken == "unreadable":
            raise RuntimeError("nobody knows")
        return self.kind(self.value)

    def set(self, value):
        if self.broken == "raises":
            raise RuntimeError("read only")
        if self.broken != "ignores":
            self.had.append(value)


def _config(*names, mode="act", allowed=None):
    allowed = {name: {} for name in names} if allowed is None else allowed
    return {"extends": "no-rails", "mode": mode, "use": [Halve(*names)], "hyperparameters": allowed, "console": False}


def _verdicts(journal, trainer):
    return [(e.step, e.data["hyperparameter"], e.data["verdict"]) for e in journal(trainer, "proposal")]


def _entry(journal, trainer, name):
    return next(h for h in journal(trainer, "run")[0].data["hyperparameters"] if h["name"] == name)


def test_a_users_own_is_changed_and_put_back(make_trainer, journal):
    """`Hyperparameter(name, get, set)` is halved at the checks of steps 4 and 8, and is the user's at the end."""
    smoothing = Smoothing()
    trainer = make_trainer()
    own = Hyperparameter("label_smoothing", smoothing.get, smoothing.set)
    steersman.supervise(trainer, _config("label_smoothing"), hyperparameters=[own])

    trainer.train()

    assert smoothing.had == [0.8, 0.4, 0.2, 0.8]
    assert _verdicts(journal, trainer) == [
        (4, "label_smoothing", "applied"),
        (8, "label_smoothing", "applied"),
        (12, "label_smoothing", "refused"),
    ]
    read_back = [(e.data["old"], e.data["new"], e.data["read_back"]) for e in journal(trainer, "adjustment")]
    assert read_back == [(0.8, 0.4, 0.4), (0.4, 0.2, 0.2)]


def test_a_value_in_a_tensor_is_a_number_in_the_journal(make_trainer, journal):
    """A getter that returns a tensor is read as a number; the journal and the checkpoint hold numbers."""
    smoothing = Smoothing(kind=lambda value: torch.tensor(value, dtype=torch.float64))
    trainer = make_trainer()
    own = Hyperparameter("label_smoothing", smoothing.get, smoothing.set)
    steersman.supervise(trainer, _config("label_smoothing"), hyperparameters=[own])

    trainer.train()

    assert _entry(journal, trainer, "label_smoothing")["value"] == 0.8
    assert [e.data["read_back"] for e in journal(trainer, "adjustment")] == [0.4, 0.2]
    assert smoothing.value == 0.8


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("raises", "writing it raised RuntimeError: read only"), ("ignores", "it was set to 0.4 and reads 0.8")],
)
def test_a_setter_that_fails_is_given_up(make_trainer, journal, broken, reason):
    """A setter that raises or does nothing is tried once, journaled with the reason, refused from then on; training ends."""
    smoothing = Smoothing(broken=broken)
    trainer = make_trainer()
    own = Hyperparameter("label_smoothing", smoothing.get, smoothing.set)
    steersman.supervise(trainer, _config("label_smoothing"), hyperparameters=[own])

    trainer.train()

    assert [verdict for _, _, verdict in _verdicts(journal, trainer)] == ["failed", "refused", "refused"]
    assert reason in journal(trainer, "proposal")[0].data["reason"]
    assert journal(trainer, "adjustment") == []
    assert trainer.state.global_step == 12
    assert smoothing.value == 0.8


def test_a_getter_that_fails_is_unsupported(make_trainer, journal):
    """A value that cannot be read at train begin is unsupported, with the reason: nothing is written."""
    smoothing = Smoothing(broken="unreadable")
    trainer = make_trainer()
    own = Hyperparameter("label_smoothing", smoothing.get, smoothing.set)
    steersman.supervise(trainer, _config("label_smoothing"), hyperparameters=[own])

    trainer.train()

    assert [verdict for _, _, verdict in _verdicts(journal, trainer)] == ["refused"] * 3
    assert smoothing.had == [0.8]
    assert journal(trainer, "error") == []
    assert trainer.state.global_step == 12


@pytest.mark.parametrize("value", [0.0, None, math.inf])
def test_clipping_that_is_off_is_inert(make_trainer, journal, value):
    """Where nothing is clipped, max_grad_norm is inert, with the reason, and is never written."""
    trainer = make_trainer(max_grad_norm=0.0 if value is None else value, save_strategy="no", max_steps=4, eval_steps=2)
    steersman.supervise(trainer, _config("max_grad_norm"))
    if value is None:  # the Trainer itself dies of None at its first step
        trainer.args.max_grad_norm = None
        with pytest.raises(TypeError):
            trainer.train()
    else:
        trainer.train()
        assert {verdict for _, _, verdict in _verdicts(journal, trainer)} == {"refused"}

    entry = _entry(journal, trainer, "max_grad_norm")
    assert (entry["status"], entry["reason"]) == ("inert", f"clipping is off (max_grad_norm is {value})")
    assert trainer.args.max_grad_norm == value


def test_every_hyperparameter_is_told(make_trainer, journal):
    """At train begin each of the six, and each group's learning rate, is live, inert or unsupported, with the reason."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"extends": "origin", "console": False})

    trainer.train()

    told = {h["name"]: (h["status"], h["reason"]) for h in journal(trainer, "run")[0].data["hyperparameters"]}
    assert told == {
        "learning_rate": ("live", ""),
        "learning_rate[0]": ("live", ""),
        "learning_rate[1]": ("live", ""),
        "max_grad_norm": ("live", ""),
        "kl_penalty": ("unsupported", "this trainer has none"),
        "reward_weight": ("unsupported", "this trainer has none"),
        "reward_threshold": ("unsupported", "this trainer has none"),
        "temperature": ("unsupported", "this trainer has none"),
    }


def test_it_is_printed_what_may_be_changed(make_trainer, capsys):
    """In act the bounds of each hyperparameter named, and the reason of each that cannot be changed, are printed."""
    trainer = make_trainer(max_steps=4)
    steersman.supervise(trainer, {"extends": "origin"})

    trainer.train()

    said = capsys.readouterr().out
    assert "mode act" in said
    assert "learning_rate may change within >= 1e-07; now 0.001" in said
    assert "cannot be changed (this trainer has none): kl_penalty, reward_weight, reward_threshold, temperature" in said
    assert "off: STEERSMAN_DISABLED=1" in said
    assert "journal.jsonl" in said


def test_an_unknown_name_is_a_config_error(make_trainer):
    """A misspelt hyperparameter is refused before training, with its path and the nearest name, along with other faults."""
    trainer = make_trainer()

    with pytest.raises(ConfigError) as caught:
        steersman.supervise(trainer, {"hyperparameters": {"learnin_rate": {}}, "mood": "act"})

    assert len(caught.value.problems) == 2
    text = str(caught.value)
    assert "$.hyperparameters.learnin_rate: there is no such hyperparameter, did you mean 'learning_rate'?" in text
    assert "unknown key 'mood', did you mean 'mode'?" in text


def test_a_refused_config_leaves_the_trainer_alone(make_trainer):
    """After a ConfigError the trainer has no callback of Steersman's, and can be supervised with a better one."""
    trainer = make_trainer()
    before = list(trainer.callback_handler.callbacks)
    with pytest.raises(ConfigError):
        steersman.supervise(trainer, {"mode": "acting"})

    assert trainer.callback_handler.callbacks == before
    steersman.supervise(trainer, {"console": False})


def test_a_users_own_name_may_be_configured(make_trainer):
    """The name of a user's own hyperparameter is known under `hyperparameters:`, and suggested when misspelt."""
    own = Hyperparameter("label_smoothing", lambda: 0.1, lambda value: None)

    with pytest.raises(ConfigError, match="did you mean 'label_smoothing'"):
        steersman.supervise(make_trainer(), {"hyperparameters": {"label_smothing": {}}}, hyperparameters=[own])


@pytest.mark.parametrize(
    ("mode", "allowed", "verdicts"),
    [
        ("act", {"max_grad_norm": {}}, {"label_smoothing": "refused", "learning_rate": "refused"}),
        ("advise", None, {"label_smoothing": "advised", "learning_rate": "advised"}),
        ("observe", None, {"label_smoothing": "advised", "learning_rate": "advised"}),
    ],
)
def test_without_consent_nothing_is_written(make_trainer, journal, rates_used, mode, allowed, verdicts):
    """What the config does not name is not written in act; in advise and observe nothing is; each proposal is journaled."""
    smoothing = Smoothing()
    trainer = make_trainer(lr_scheduler_type="constant")
    own = Hyperparameter("label_smoothing", smoothing.get, smoothing.set)
    config = _config("label_smoothing", "learning_rate", mode=mode, allowed=allowed)
    steersman.supervise(trainer, config, hyperparameters=[own])

    trainer.train()

    assert smoothing.had == [0.8]
    assert set(rates_used) == {1e-3}
    assert journal(trainer, "adjustment") == []
    first = {name: verdict for step, name, verdict in _verdicts(journal, trainer) if step == 4}
    assert first == verdicts


def test_without_a_config_the_mode_is_advise(make_trainer, journal, rates_used):
    """supervise(trainer) alone advises: it scores by the shipped strategies, in their order, and writes nothing."""
    trainer = make_trainer(lr_scheduler_type="constant")
    steersman.supervise(trainer)

    trainer.train()

    begin = journal(trainer, "run")[0].data
    assert begin["mode"] == "advise"
    assert [s["name"] for s in begin["strategies"]][:2] == ["eval-loss", "trend-health"]
    assert set(rates_used) == {1e-3}


def test_bounds_hold_at_the_moment_of_decision(make_trainer, journal, rates_used):
    """A rate that the config allows down to 4e-4 is shortened to it, and is then refused."""
    trainer = make_trainer(lr_scheduler_type="constant")
    steersman.supervise(trainer, _config("learning_rate", allowed={"learning_rate": {"min": 4e-4}}))

    trainer.train()

    assert rates_used == [1e-3] * 8 + [5e-4] * 8 + [pytest.approx(4e-4)] * 8
    assert [v for _, _, v in _verdicts(journal, trainer)] == ["applied", "applied", "refused"]


def test_a_users_own_learning_rate_takes_the_place_of_ours(make_trainer, rates_used):
    """A Hyperparameter named learning_rate is the only one that writes: no factor is multiplied in beside it."""
    trainer = make_trainer(lr_scheduler_type="constant", logging_steps=1)
    groups = lambda: trainer.optimizer.param_groups  # noqa: E731

    def set_rate(value):
        for group in groups():
            group["lr"] = group["initial_lr"] = value
        trainer.lr_scheduler.base_lrs = trainer.lr_scheduler._last_lr = [value for _ in groups()]

    own = Hyperparameter("learning_rate", lambda: groups()[0]["lr"], set_rate)
    steersman.supervise(trainer, _config("learning_rate"), hyperparameters=[own])

    trainer.train()

    assert rates_used[-2:] == [2.5e-4] * 2
    logged = [e["learning_rate"] for e in trainer.state.log_history if "loss" in e]
    assert logged[5:] == rates_used[10::2]
    assert [group["lr"] for group in groups()] == [1e-3, 1e-3]
    assert len(trainer.optimizer.optimizer._optimizer_step_pre_hooks) == 0


class Asks:
    """Asks for a stop or a save at step 4."""

    def __init__(self, what):
        self.what = what

    @hookimpl
    def propose_adjustments(self, run, check):
        return self.what("a test says so") if check.step == 4 else None


@pytest.mark.parametrize(("mode", "ends_at"), [("act", 5), ("advise", 12), ("observe", 12)])
def test_a_stop_is_obeyed_in_act_only(make_trainer, journal, mode, ends_at):
    """Stop takes effect at the next step, with a checkpoint first, in act; elsewhere it is advice."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"mode": mode, "use": [Asks(steersman.Stop)], "console": False})

    trainer.train()

    assert trainer.state.global_step == ends_at
    saved = [e.step for e in journal(trainer, "checkpoint_saved")]
    assert saved == ([4, 5] if mode == "act" else [4, 8, 12])


def test_a_save_is_made_at_the_next_step(make_trainer, journal):
    """Save makes one checkpoint, at the next step."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"mode": "act", "use": [Asks(steersman.Save)], "console": False})

    trainer.train()

    assert [e.step for e in journal(trainer, "checkpoint_saved")] == [4, 5, 8, 12]
