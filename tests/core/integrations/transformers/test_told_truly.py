"""What is said afterwards is what happened: after a resume, a rotation, with a journal elsewhere, under a schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from transformers import TrainerCallback

import steersman
from steersman import Adjust, hookimpl
from steersman.cli import main

SEED = ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}]


def told(*arguments: object) -> str:
    """Return what a command prints, in one line."""
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert ran.exit_code == 0, ran.output
    return " ".join(ran.output.split())


def test_replay_of_a_journal_knows_the_rate_that_was_changed(make_trainer, journal):
    """Under a schedule that moves, the journal's replay rules on the very values that live ruled on."""
    config = {
        "extends": "no-rails",
        "mode": "act",
        "use": SEED,
        "hyperparameters": {"learning_rate": {"min": 3.5e-4}},
        "console": False,
    }
    config["check_every"] = 2
    trainer = make_trainer(lr_scheduler_type="linear")
    steersman.supervise(trainer, config)

    trainer.train()

    def rulings(entries):
        names = ("verdict", "reason", "old", "new", "because")
        proposals = [e for e in entries if e.kind == "proposal" and e.data["hyperparameter"] == "learning_rate"]
        return [(e.step, *(e.data[name] for name in names)) for e in proposals]

    live = rulings(journal(trainer))
    assert {verdict for _, verdict, *_ in live} >= {"applied", "refused"}
    assert rulings(steersman.replay(trainer.args.output_dir).entries) == live


def test_a_resumed_run_announces_the_rate_in_force(make_trainer, act, journal):
    """At a resume the journal's begin shows the rate with its factor, not the schedule's own."""
    config = act(console=False)
    first = make_trainer(max_steps=8)
    steersman.supervise(first, config)
    first.train()

    second = make_trainer(max_steps=12)
    callback = steersman.supervise(second, config)
    seen = []

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            seen.append(callback.session.supervisor.registry.view("learning_rate").value)

    second.add_callback(Watch())
    second.train(resume_from_checkpoint=str(Path(second.args.output_dir) / "checkpoint-8"))

    begin = [e for e in journal(second, "run") if e.data["resumed"]][-1]
    (rate,) = [h["value"] for h in begin.data["hyperparameters"] if h["name"] == "learning_rate"]
    assert rate == pytest.approx(seen[0])
    factors = [e.data["factor"] for e in journal(first, "adjustment")]
    assert factors and factors[-1] < 1


def test_a_kept_checkpoint_is_not_called_gone(make_trainer):
    """After the Trainer's rotation, `explain` and `replay` find the copy that keep_both_bests made."""

    class FirstIsBest:
        @hookimpl
        def score_checkpoint(self, run, checkpoint):
            return steersman.Score(float(checkpoint.step))

    trainer = make_trainer(save_total_limit=1)
    steersman.supervise(trainer, {"use": [FirstIsBest()], "keep_both_bests": True, "console": False})
    trainer.train()

    out = Path(trainer.args.output_dir)
    assert not (out / "checkpoint-4").exists()
    kept = out / "steersman" / "kept" / "best" / "checkpoint-4"
    assert kept.is_dir()
    assert f"It was saved in {kept}" in told("explain", out).replace(" /", "/").replace("in/", "in /")
    assert steersman.replay(out).recording.saved[4] == str(kept)


def test_a_journal_elsewhere_is_found(make_trainer, tmp_path):
    """With `journal:` set, `explain` of the run directory still finds it."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"journal": str(tmp_path / "elsewhere.jsonl"), "console": False})
    trainer.train()

    assert (tmp_path / "elsewhere.jsonl").is_file()
    assert "eval-loss decides" in told("explain", trainer.args.output_dir)


def test_a_stop_or_save_at_the_last_step_is_refused(make_trainer, journal):
    """Where no step is left, a stop and a save are refused as a change is."""

    class AtTheEnd:
        @hookimpl
        def propose_adjustments(self, run, check):
            if check.step == 12:
                yield steersman.Save("late")
                yield steersman.Stop("late")
                yield Adjust("learning_rate", scale=0.5, because="late")

    trainer = make_trainer()
    config = {
        "extends": "no-rails",
        "mode": "act",
        "use": [AtTheEnd()],
        "hyperparameters": {"learning_rate": {}},
        "console": False,
    }
    steersman.supervise(trainer, config)
    trainer.train()

    assert [entry.data["verdict"] for entry in journal(trainer, "proposal")] == ["refused"] * 3


def test_which_set_stands_in_for_eval_loss_is_said_once(make_trainer, eval_sets, journal):
    """With named sets alone the user is told, once, which of them is taken for `eval_loss`."""
    trainer = make_trainer(eval_dataset=eval_sets)
    steersman.supervise(trainer, {"console": False})
    trainer.train()

    said = [e.data["message"] for e in journal(trainer, "note") if "eval_loss is taken from" in e.data["message"]]
    assert len(said) == 1
    assert said[0].startswith("eval_loss is taken from eval_chat_loss, the first evaluation set")


def test_the_switch_is_announced(make_trainer, journal):
    """With the health check switched off, no checks are announced and no warning about their number is given."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"logging": {"epoch_health_check_enabled": False}, "console": False})
    trainer.train()

    (begin,) = journal(trainer, "run")
    assert begin.data["checks_ahead"] is None
    assert begin.data["check_every"].startswith("off")
    assert not any("health check" in sentence for sentence in begin.data["preflight"])
    assert [entry.data["reason"] for entry in journal(trainer, "check")] == ["end"]


def test_a_metric_that_is_no_number_is_told_as_such(journal, make_trainer):
    """A metric that came as text is not said to have never come: once, it is said to be no number."""

    class Texts(TrainerCallback):
        def on_evaluate(self, args, state, control, **kwargs):
            return None

    trainer = make_trainer(callbacks=[Texts()])
    steersman.supervise(trainer, {"console": False})
    log = trainer.log

    def speaks(logs, *args, **kwargs):
        log({**logs, "mood": "good"}, *args, **kwargs)

    trainer.log = speaks
    trainer.train()

    said = [e.data["message"] for e in journal(trainer, "note") if "'mood'" in e.data["message"]]
    assert said == ["the metric 'mood' came as something that is no number; such values are left out"]
