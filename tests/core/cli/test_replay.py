"""`steersman replay`: what it prints of real finished runs, and of small ones whose figures are known."""

from __future__ import annotations

import math

import pytest

import steersman
from steersman import Record
from steersman.cli.terminal import with_bar

BOTH = ("--use", "multi-metric", "--use", "eval-loss")
GOLDEN = (
    {"step": 10, "epoch": 1.0, "loss": 0.4562, "reward": 0.2398, "learning_rate": 4e-6},
    {"step": 20, "epoch": 2.0, "loss": 0.8188, "reward": 0.2485, "learning_rate": 4e-6},
)
"""The golden epoch of the default strategies: the loss spikes by 0.3626."""


@pytest.fixture
def seed(write):
    """A config with the rules of the origin, which propose something."""
    text = "mode: advise\ncheck_every: epoch\nuse: [{trend-health: {preset: seed}}, token-accounting]\n"
    return write("seed.yaml", text)


def test_choices_of_each_scorer(printed_json, runs):
    """Each scorer's own best is named, with the score that the formula gives for the logged losses."""
    told = printed_json("replay", runs / "trainer_state" / "llama-factory-01.json", *BOTH)
    assert told["version"] == 1
    path = str(runs / "trainer_state" / "llama-factory-01.json")
    assert {name: told["runs"][0][name] for name in ("path", "format", "records", "evaluations", "error")} == {
        "path": path,
        "format": "trainer_state",
        "records": 257,
        "evaluations": 12,
        "error": None,
    }
    # 0.5 x 1.000608 + 0.3 x |0.6433 - 1.000608| / 1.000608 + 0.1 x exp(1.000608) / 20 - 0.1
    assert told["choices"]["multi-metric"] == {
        "step": 200,
        "value": pytest.approx(0.521031, abs=1e-6),
        "path": None,
        "eval_loss": 1.0006080865859985,
    }
    assert told["choices"]["eval-loss"]["step"] == 1100
    assert told["choices"]["eval-loss"]["value"] == 0.8828257918357849


def test_each_score_has_the_source_of_its_train_loss(printed_json, runs):
    """Every score says which train loss it used, where that came from and how old it is."""
    told = printed_json("replay", runs / "trainer_state" / "llama-factory-01.json", *BOTH)
    at_200 = next(score for score in told["scores"] if score["step"] == 200 and score["strategy"] == "multi-metric")
    assert at_200["train_loss"] == {"value": 0.6433, "source": "recent", "age_steps": 0}
    assert at_200["terms"]["gap"] == pytest.approx(0.107127, abs=1e-6)
    assert len(told["scores"]) == 24


def test_disagreement_is_shown_with_both_terms(command, runs):
    """Where the best and the lowest eval loss are different checkpoints, both are named with their terms."""
    said = command("replay", runs / "trainer_state" / "llama-factory-01.json", *BOTH).stdout
    assert "its best is step 200, with 0.5210" in said
    assert "The lowest eval loss, 0.8828 (at step 200: 1.0006), is at step 1100" in said
    gap = next(line for line in said.splitlines() if line.startswith(" gap"))
    assert gap.split() == ["gap", "0.1071", "0.1775", "+0.0704"]
    loss = next(line for line in said.splitlines() if line.startswith(" eval_loss"))
    assert loss.split() == ["eval_loss", "0.5003", "0.4414", "-0.0589"]
    last = next(line for line in said.splitlines() if line.startswith(" last evaluation"))
    assert last.split() == ["last", "evaluation", "1200", "0.6330", "0.8834", "0.3556,", "same", "step"]


def test_age_of_a_train_loss(command, trainer_state):
    """A train loss that is older than its evaluation says how much."""
    path = trainer_state({"step": 7, "loss": 1.5}, {"step": 10, "eval_loss": 1.0})
    assert "1.5000, 3 steps old" in command("replay", path).stdout


def test_the_stand_in_for_eval_loss_is_named(command, runs):
    """A run whose only evaluation set has a name says which metric counts as its eval loss."""
    said = command("replay", runs / "trainer_state" / "merilion-01.json").stdout
    assert "eval_yahma/alpaca-cleaned_loss stands in for it" in said


def test_unscored_run(command, printed_json, runs):
    """A run without an evaluation is said to be unscored, and its findings are told all the same."""
    path = runs / "trainer_state" / "16831-project-01.json"
    said = command("replay", path).stdout
    assert "No checkpoint was scored: the run has no evaluation." in said
    assert "non-finite-grad-norm by trend-health" in said
    told = printed_json("replay", path)
    assert told["choices"] == {}
    assert {(f["name"], f["severity"]) for f in told["findings"] if f["severity"] != "info"} == {
        ("non-finite-grad-norm", "critical"),
        ("diverged", "critical"),
    }
    assert {(p["hyperparameter"], p["change"]) for p in told["proposals"]} == {
        ("learning_rate", "x0.5"),
        (None, "rollback"),
    }


def test_evaluations_without_a_loss(command, trainer_state):
    """A run that evaluates without a loss says that nobody could score it."""
    path = trainer_state({"step": 10, "eval_accuracy": 0.5})
    assert "1 evaluation, and no strategy could score one: no checkpoint is best." in " ".join(
        command("replay", path).stdout.split()
    )


def test_a_healthy_run(command, printed_json, runs):
    """On a healthy GRPO run nothing is found and nothing is proposed, and how many checks looked is said."""
    path = runs / "trainer_state" / "unslothgrpo-01.json"
    assert printed_json("replay", path)["proposals"] == []
    assert "Nothing, in 20 health checks: every 12 steps." in command("replay", path).stdout


def test_accounts_only_where_something_was_counted(command, runs):
    """A log without time and tokens has no account of them."""
    assert "Training Duration" not in command("replay", runs / "trainer_state" / "unslothgrpo-01.json").stdout


def test_values_that_are_given(printed_json, trainer_state, seed):
    """With the values given by hand, the golden epoch gives the changes of the specification."""
    given = ("--set", "kl_penalty=0.15", "--set", "max_grad_norm=0.3")
    told = printed_json("replay", trainer_state(*GOLDEN), "--config", seed, *given)
    spike = [p for p in told["proposals"] if p["verdict"] == "advised"]
    assert [(p["step"], p["hyperparameter"], p["change"], p["reason"].partition(";")[0]) for p in spike] == [
        (20, "learning_rate", "x0.8", "4e-06 -> 3.2e-06"),
        (20, "kl_penalty", "x1.2", "0.15 -> 0.18"),
        (20, "max_grad_norm", "x0.8", "0.3 -> 0.24"),
    ]


def test_values_that_are_not_known(command, trainer_state, seed):
    """A proposal for a value that the log does not hold is unknown, and how to give the value is said."""
    said = " ".join(command("replay", trainer_state(*GOLDEN), "--config", seed).stdout.split())
    assert "kl_penalty x1.2 by trend-health because of loss-spike: unknown, step 20" in said
    assert "--set kl_penalty=VALUE" in said


def test_a_misspelt_value_is_noticed(command, trainer_state):
    """A value for a name that is nearly one of ours is answered with that name."""
    result = command("replay", trainer_state(*GOLDEN), "--set", "learning_rat=1")
    assert result.exit_code == 0
    assert "did you mean 'learning_rate'?" in result.stderr


def test_checks_that_never_fell_due(command, trainer_state, seed):
    """Where no health check fell due that is said, and not that nothing was found."""
    path = trainer_state({"step": 10, "epoch": 0.5, "loss": 9.0})
    assert (
        "No health check fell due in this run: they come each epoch" in command("replay", path, "--config", seed).stdout
    )


def test_what_is_not_predicted(command, trainer_state):
    """Every replay ends with what it cannot say."""
    said = " ".join(command("replay", trainer_state(*GOLDEN)).stdout.split())
    assert "A change that was never made would have changed every metric after it; those are not predicted" in said


def test_a_run_directory(printed_json, command, runs):
    """A run directory is read from its longest log, and a choice that is on disk has its path."""
    told = printed_json("replay", runs / "roberta")
    assert told["runs"][0]["evaluations"] == 6
    chosen = told["choices"]["eval-loss"]
    assert chosen["path"] == str(runs / "roberta" / f"checkpoint-{chosen['step']}")
    assert f"checkpoint-{chosen['step']}" in command("replay", runs / "roberta").stdout


def test_not_a_number_is_text_in_json(printed_json, trainer_state):
    """NaN in a log becomes the text NaN: the output is strict JSON."""
    path = trainer_state({"step": 10, "loss": math.nan}, {"step": 10, "eval_loss": 1.0}, {"step": 20, "loss": 1.0})
    told = printed_json("replay", path)
    assert "non-finite-loss" in {finding["name"] for finding in told["findings"]}


def test_a_metric_that_never_came(command, printed_json, trainer_state, write):
    """A metric that the config asks for and the log does not hold is named, with the nearest that came."""
    config = write("bleu.yaml", "score: {eval_blue: 1.0}\nuse: []\n")
    path = trainer_state({"step": 10, "eval_loss": 1.0, "eval_bleu": 0.3})
    assert printed_json("replay", path, "--config", config)["never_came"] == {"eval_blue": "eval_bleu"}
    said = command("replay", path, "--config", config).stdout
    assert "eval_blue was asked for and is not in this log; the nearest that is: eval_bleu" in said


def test_a_strategy_that_fails(command, printed_json, trainer_state, write):
    """A strategy that raises is told with its hook and its error; the others are told as if it were not there."""
    write("broken.py", BROKEN)
    config = write("broken.yaml", "use: [./broken.py:Broken, eval-loss]\n")
    path = trainer_state({"step": 10, "loss": 1.0}, {"step": 10, "eval_loss": 1.0})
    told = printed_json("replay", path, "--config", config)
    assert [(e["strategy"], e["hook"], e["error"]) for e in told["errors"]] == [
        ("Broken", "score_checkpoint", "ValueError: no such metric")
    ]
    assert told["choices"]["eval-loss"]["step"] == 10
    said = " ".join(command("replay", path, "--config", config).stdout.split())
    assert "failed in score_checkpoint, step 10: ValueError: no such metric" in said


def test_nothing_is_written(command, trainer_state, tmp_path):
    """A replay leaves the folder of the run as it was."""
    path = trainer_state(*GOLDEN)
    before = [(p, p.stat().st_mtime_ns) for p in sorted(tmp_path.rglob("*"))]
    assert command("replay", tmp_path).exit_code == 0
    assert [(p, p.stat().st_mtime_ns) for p in sorted(tmp_path.rglob("*"))] == before
    assert path.exists()


def test_what_a_run_says_cannot_steer_the_terminal(command, trainer_state):
    """Control characters in the name of a metric are shown as such."""
    path = trainer_state({"step": 10, "eval_\x1b[2J_loss": 1.0})
    said = command("replay", path).stdout
    assert "\x1b" not in said
    assert "eval_�[2J_loss stands in" in said


@pytest.mark.parametrize(("seconds_a_look", "is_shown"), [(0.1, False), (1.5, True)])
def test_a_bar_after_two_seconds(capsys, monkeypatch, seconds_a_look, is_shown):
    """A bar on standard error comes only when reading takes over two seconds; no record is lost by it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    records = tuple(Record(step, "train") for step in range(1000))
    times = iter(seconds_a_look * look for look in range(100))
    assert tuple(with_bar(records, len(records), "Replaying", lambda: next(times))) == records
    out, err = capsys.readouterr()
    assert out == ""
    assert ("Replaying" in err) == is_shown


BROKEN = """
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Broken:
    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        raise ValueError("no such metric")
"""


def test_what_acts_outside_is_named_as_left_out(command, printed_json, runs, write):
    """A strategy with effects is not told as asked; both the page and the object say that it was left out."""
    path = write(
        "posts.py",
        "from attrs import define\nfrom steersman import hookimpl\n\n\n@define(eq=False)\nclass Posts:\n"
        "    effects = True\n\n    @hookimpl\n    def on_journaled(self):\n        pass\n",
    )
    text = path.read_text().replace("    effects = True", "    effects: ClassVar[bool] = True")
    path.write_text("from typing import ClassVar\n" + text)
    config = write("posts.yaml", f"use: ['{path}:Posts as posts', eval-loss]")
    log = runs / "trainer_state" / "llama-factory-01.json"
    said = " ".join(command("replay", log, "--config", config).stdout.split())
    assert "Asked in this order: eval-loss." in said
    assert "Left out, because they act outside the run: posts; --effects asks them." in said
    assert printed_json("replay", log, "--config", config)["left_out"] == ["posts"]
    assert printed_json("replay", log, "--config", config, "--effects")["left_out"] == []


def test_a_rejected_checkpoint_in_the_table(command, trainer_state, write):
    """Its score is no figure: the word stands there."""
    write(
        "careful.py",
        "from steersman import Score, hookimpl\n"
        "class Careful:\n"
        "    @hookimpl\n"
        "    def score_checkpoint(self, checkpoint):\n"
        "        loss = checkpoint.metrics['eval_loss']\n"
        "        return Score.reject('too good') if loss < 1 else Score(loss)\n",
    )
    path = trainer_state({"step": 10, "eval_loss": 0.5}, {"step": 20, "eval_loss": 2.0})
    config = write("careful.yaml", "use: [./careful.py:Careful]\n")
    said = command("replay", path, "--config", config).stdout

    assert [line.split()[3:5] for line in said.splitlines() if "lowest eval loss  " in line] == [["10", "rejected"]]
    assert " inf" not in said


def test_a_required_metric_that_never_came(command, printed_json, trainer_state, write):
    """A misspelt name is told as never come, with the nearest; one that came late only is not."""
    config = write("steersman.yaml", "score: {require: {eval_acuracy: '> 0', safety: '> 0'}}\nuse: [eval-loss]\n")
    path = trainer_state({"step": 10, "eval_loss": 0.5, "eval_accuracy": 0.5})
    steersman.record(path.parent, 10, safety=1.0)

    assert printed_json("replay", path.parent, "--config", config)["never_came"] == {"eval_acuracy": "eval_accuracy"}
