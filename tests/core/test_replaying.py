import gc
import json
import math
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import asdict, define, field

from steersman import Adjust, ConfigError, JournalEntry, Record, Run, RunPlan, Score, hookimpl, replay
from steersman.history import WritableHistory
from steersman.journal import Journal, to_json
from steersman.readers import UnreadableRun
from steersman.supervisor import Supervisor
from steersman.windows import Window


class ByLoss:
    """Scores by eval loss."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(checkpoint.metrics["eval_loss"])


class Halves:
    """Halves the learning rate at each check."""

    @hookimpl
    def propose_adjustments(self):
        return Adjust("learning_rate", scale=0.5, because="each check")


def scores(replayed, strategy):
    return {e.step: e.data["value"] for e in replayed.of("score") if e.data["strategy"] == strategy}


def test_a_run_with_evaluations(runs):
    """LLaMA-Factory's run: eval-loss keeps the checkpoint the Trainer itself called best; multi-metric another one."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    trainer = json.loads(path.read_text())
    replayed = replay(path, {"use": ["multi-metric", "eval-loss"]})
    assert len(scores(replayed, "eval-loss")) == len(scores(replayed, "multi-metric")) == 12
    best = replayed.summary["best_per_scorer"]["eval-loss"]
    assert f"output/checkpoint-{best['step']}" == trainer["best_model_checkpoint"]
    assert best["score"] == trainer["best_metric"]
    by_hand = {100: 0.536825, 200: 0.521031, 300: 0.533421, 1100: 0.531031, 1200: 0.633019}
    given = scores(replayed, "multi-metric")
    assert {step: round(given[step], 6) for step in by_hand} == by_hand
    summary = replayed.summary
    assert (summary["scorer"], summary["best"]["step"], summary["lowest_eval_loss"]["step"]) == (
        "multi-metric", 200, 1100,
    )  # fmt: skip
    assert summary["disagree"]
    assert summary["elapsed"] is None
    assert replayed.of("error") == ()


def test_a_masked_divergence(runs):
    """A run whose loss of 0.0 hides NaN gradients is a critical finding from its first check on."""
    replayed = replay(runs / "trainer_state" / "16831-project-01.json")
    findings = [entry for entry in replayed.of("finding") if entry.data["name"] == "non-finite-grad-norm"]
    assert {entry.data["severity"] for entry in findings} == {"critical"}
    assert findings[0].step == 500
    cuts = [e for e in replayed.of("proposal") if e.data.get("hyperparameter") == "learning_rate"]
    assert cuts
    assert {entry.data["verdict"] for entry in cuts} <= {"advised", "lost", "refused"}
    assert cuts[0].data["old"] == 1.3333333333333334e-06


def test_a_healthy_policy_gradient_run(runs):
    """On a healthy GRPO run the default preset proposes nothing, has no error and comes to its end."""
    replayed = replay(runs / "trainer_state" / "unslothgrpo-01.json")
    assert replayed.of("proposal") == ()
    assert replayed.of("error") == ()
    assert replayed.summary["evaluations"] == 0
    assert len([e for e in replayed.of("check") if e.data["reason"] == "scheduled"]) == 20


def test_a_named_evaluation_set(runs):
    """A run whose only evaluation set has a name is scored by that set's loss."""
    path = runs / "trainer_state" / "merilion-01.json"
    replayed = replay(path, {"use": ["multi-metric", "eval-loss"]})
    given = scores(replayed, "eval-loss")
    assert len(given) == 8
    assert given[800] == json.loads(path.read_text())["best_metric"]
    assert replayed.summary["best_per_scorer"]["eval-loss"]["step"] == 800
    assert round(scores(replayed, "multi-metric")[700], 6) == 0.676446
    assert replayed.summary["best"]["step"] == 700


def test_a_run_directory(runs, tmp_path):
    """Checkpoints of one run are one run: the longest log, and each checkpoint with whether it is there."""
    shutil.copytree(runs / "roberta", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoint-3000")
    replayed = replay(tmp_path / "run")
    assert list(scores(replayed, "eval-loss")) == [500, 1000, 1500, 2000, 2500]
    assert replayed.summary["best_per_scorer"]["eval-loss"]["step"] == 2500
    assert replayed.summary["saved_known"]
    assert replayed.summary["best_saved"]["exists"]


def test_replay_is_a_function(runs):
    """The same log and config give the same entries, but for the time of day."""

    def plain(replayed):
        return [(e.kind, e.step, to_json(e.data)) for e in replayed.entries if e.kind != "end"]

    path = runs / "trainer_state" / "llama-factory-01.json"
    config = {"extends": "origin", "check_every": 100}
    assert plain(replay(path, config)) == plain(replay(path, config))


def write_state(path, log, **state):
    path.write_text(json.dumps({"log_history": log, **state}))
    return path


def test_values_that_the_log_does_not_hold(tmp_path):
    """A value given by hand is known to the arbiter; one that is not has the verdict `unknown`."""

    class Raises:
        @hookimpl
        def propose_adjustments(self):
            return [Adjust("kl_penalty", scale=1.2, at_most=0.3), Adjust("temperature", scale=0.9)]

    path = write_state(tmp_path / "trainer_state.json", [{"step": s, "eval_loss": 1.0} for s in (10, 20)], max_steps=40)
    replayed = replay(path, {"extends": [], "use": [Raises()]}, values={"kl_penalty": 0.15})
    first = [(e.data["hyperparameter"], e.data["verdict"], e.data["new"]) for e in replayed.of("proposal")][:2]
    assert first == [("kl_penalty", "advised", pytest.approx(0.18)), ("temperature", "unknown", None)]


def test_the_logged_learning_rate_is_the_value_in_force(tmp_path):
    """The learning rate is the last logged one; after a change on paper the changed one, until the next log."""
    log = [
        {"step": 10, "learning_rate": 1e-3}, {"step": 10, "eval_loss": 1.0}, {"step": 20, "eval_loss": 1.0},
        {"step": 30, "learning_rate": 8e-4}, {"step": 30, "eval_loss": 1.0},
    ]  # fmt: skip
    path = write_state(tmp_path / "trainer_state.json", log, max_steps=100)
    config = {"extends": "no-rails", "mode": "act", "hyperparameters": {"learning_rate": {}}, "use": [Halves()]}
    replayed = replay(path, config)
    assert [(e.step, e.data["old"], e.data["new"]) for e in replayed.of("adjustment")] == [
        (10, 1e-3, 5e-4), (20, 5e-4, 2.5e-4), (30, 8e-4, 4e-4),
    ]  # fmt: skip


def test_names_are_mapped_as_in_a_live_run(tmp_path):
    """A user's name mapped onto `eval_loss` makes an evaluation of a log, which is scored and checked."""
    log = [
        {"step": 10, "loss": 1.5},
        {"step": 10, "val_loss": 2.0},
        {"step": 20, "loss": 1.2},
        {"step": 20, "val_loss": 1.0},
    ]
    path = write_state(tmp_path / "trainer_state.json", log, max_steps=20)
    assert replay(path, {"extends": [], "use": [ByLoss()]}).of("score") == ()
    replayed = replay(path, {"extends": [], "use": [ByLoss()], "metrics": {"val_loss": "eval_loss"}})
    assert scores(replayed, "by-loss") == {10: 2.0, 20: 1.0}
    assert [e.step for e in replayed.of("check") if e.data["reason"] == "scheduled"] == [10, 20]


def fed():
    for step in range(3, 61, 3):
        loss = math.nan if step == 33 else 4.0 - step / 30 + (1.0 if 20 < step < 30 else 0.0)
        yield Record(step, "train", {"loss": loss, "learning_rate": 1e-4 - step * 1e-6, "grad_norm": 1.0}, step / 20)
        if step % 4 == 0:
            yield Record(step, "eval", {"eval_loss": 3.0 - step / 40}, step / 20)


@pytest.mark.parametrize("check_every", ["auto", "epoch", "eval", 7])
@pytest.mark.parametrize("preset", ["seed", "guarded"])
def test_a_journal_replays_what_was_decided_live(tmp_path, supervise, preset, check_every):
    """The journal of a live run, replayed, gives the same scores, checks, findings and proposals."""
    config = {
        "extends": [], "check_every": check_every,
        "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": preset}}, "token-accounting"],
    }  # fmt: skip
    plan, values = RunPlan(60, evaluates=True), {"learning_rate": 1e-4, "kl_penalty": 0.15}
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.open()
    journal.write("run", 0, plan=asdict(plan), values=values)
    live = supervise(config=config, plan=plan, values=values, journal=journal)
    for record in fed():
        live.supervisor.feed(record)
    live.supervisor.end()
    journal.close()
    replayed = replay(path, config)

    def decided(entries):
        kinds = ("score", "unscored", "check", "finding")
        found = [(e.kind, e.step, json.dumps(to_json(e.data), sort_keys=True)) for e in entries if e.kind in kinds]
        proposed = [
            (e.step, e.data["strategy"], e.data["hyperparameter"], e.data["change"], e.data["because"])
            for e in entries
            if e.kind == "proposal"
        ]
        return found, proposed

    assert decided(live.entries)[0]
    assert decided(replayed.entries) == decided(live.entries)


def test_every_fault_of_the_config_at_once(runs):
    """Faults of the config and of its strategies come together."""
    with pytest.raises(ConfigError) as caught:
        replay(runs / "roberta", {"mode": "acting", "use": ["evalloss", {"multi-metric": {"gap": 1}}]})
    assert sorted(problem.split(":")[0] for problem in caught.value.problems) == [
        "$.mode", "$.use[0]", "$.use[1].multi-metric",
    ]  # fmt: skip


def test_a_run_that_is_not_there(tmp_path):
    """A path that does not exist is a sentence with the path."""
    with pytest.raises(UnreadableRun, match="there is no such file or directory"):
        replay(tmp_path / "gone")


@define(eq=False)
class Tells:
    """Acts outside the run: it tells a list of everything journaled."""

    effects: ClassVar[bool] = True
    told: list[tuple[str, bool]] = field(init=False, factory=list)

    @hookimpl
    def on_journaled(self, run: Run, entry: JournalEntry) -> None:
        self.told.append((entry.kind, run.replaying))


def test_effects_are_left_out_unless_asked_for(runs: Path) -> None:
    """A replay tells nobody outside, and says so; with `effects` it does, and the strategy knows that it replays."""
    path = runs / "trainer_state" / "merilion-01.json"
    tells = Tells()

    without = replay(path, {"use": [tells, "eval-loss"]})

    assert tells.told == []
    assert [e.data["message"] for e in without.of("note") if "effects" in e.data["message"]] == [
        "tells acts outside the run, so it is left out of the replay; --effects asks it"
    ]
    with_effects = replay(path, {"use": [tells, "eval-loss"]}, effects=True)
    assert {replaying for _, replaying in tells.told} == {True}
    assert [kind for kind, _ in tells.told] == [entry.kind for entry in with_effects.entries]


def test_a_run_that_was_replayed_is_free_at_once(runs):
    """Nothing of a replayed run waits for the garbage collector: no object of it refers to itself by way of others."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    changing = {"extends": "no-rails", "mode": "act", "hyperparameters": {"learning_rate": {"min": 1e-7}}}
    replay(path)
    before = _kept()
    gc.disable()
    try:
        replay(path)
        replay(path, changing)
        left = [kept for kept in _kept() if not any(kept is known for known in before)]
    finally:
        gc.enable()
    assert left == []


def _kept():
    return [found for found in gc.get_objects() if type(found) in (Supervisor, WritableHistory, Window)]
