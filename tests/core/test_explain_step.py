"""What is told of one step, and of a run that was never supervised, against figures by hand."""

from __future__ import annotations

import json

import pytest

from steersman import Adjust, Finding, LateScore, Score, hookimpl
from steersman.explain_step import (
    Standing,
    entries_at,
    entries_of,
    explain_replay,
    explain_step,
    nearest_evaluated,
    standings,
)
from steersman.journal import JournalEntry
from steersman.late.hearing import RecordedLate
from steersman.replaying import replay


class Sees:
    """Finds and proposes something at step 20, and rejects step 30."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        if checkpoint.step == 30:
            return Score.reject("it is the last")
        loss = checkpoint.metrics["eval_loss"]
        return Score(2 * loss, {"twice": 2 * loss})

    @hookimpl
    def diagnose(self, check):
        return Finding("odd", "something is odd", "warning") if check.step == 20 else None

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust("learning_rate", scale=0.5, because="odd") if check.step == 20 else None


LOGS = (
    {"step": 10, "loss": 1.5, "learning_rate": 0.1},
    {"step": 10, "eval_loss": 1.0, "eval_accuracy": 0.5},
    {"step": 20, "loss": 1.2, "learning_rate": 0.1},
    {"step": 20, "eval_loss": 0.8, "eval_accuracy": 0.6},
    {"step": 30, "eval_loss": 0.7},
)


@pytest.fixture
def replayed(tmp_path):
    """Return what replays a run with these logs under the given strategies."""

    def build(*logs, use=None):
        path = tmp_path / "trainer_state.json"
        path.write_text(json.dumps({"log_history": logs, "max_steps": 100}))
        return replay(path, {"use": list(use or (Sees(), "eval-loss"))})

    return build


def told(replayed, step):
    """Return the sentences of each chapter by its title."""
    return {c.title: list(c.sentences) for c in explain_step(replayed.entries, replayed.ranking, step)}


def test_a_step_that_was_evaluated(replayed):
    """Its metrics, its train loss, and each scorer's opinion with its place and against the best or the runner-up."""
    said = told(replayed(*LOGS), 10)
    assert said["Step 10"] == [
        "It was evaluated.",
        "Step 10 has eval_loss 1 and eval_accuracy 0.5.",
        "Its train loss is 1.5, from the same step.",
    ]
    assert said["How it was scored"] == [
        "sees gave it 2.0000 (lower is better), number 2 of 2.",
        "Its terms: twice 2.0000.",
        "Against step 10, step 20 gains 0.4000 by twice: better by 0.4000 in all.",
        "eval-loss gave it 1.0000 (lower is better), number 3 of 3.",
        "Its terms: eval_loss 1.0000.",
        "Against step 10, step 30 gains 0.3000 by eval_loss: better by 0.3000 in all.",
    ]
    assert said["What was noticed there"] == ["Nothing, in the health check of step 10."]


def test_the_best_is_held_against_the_runner_up(replayed):
    """The best of a scorer is told with what it gains over the second."""
    assert (
        "Against step 10, step 20 gains 0.4000 by twice: better by 0.4000 in all."
        in (told(replayed(*LOGS), 20)["How it was scored"])
    )


def test_a_step_that_was_rejected(replayed):
    """A rejected checkpoint has the reason and no place."""
    said = told(replayed(*LOGS), 30)
    assert said["How it was scored"][0] == "sees rejected it: it is the last."
    assert "Its train loss is 1.2, 10 steps old." in said["Step 30"]


def test_findings_and_proposals_at_a_step(replayed):
    """What was noticed and proposed at the step is told with the verdict."""
    said = told(replayed(*LOGS), 20)
    assert said["What was noticed there"] == ["odd (warning, sees), step 20: something is odd."]
    [proposal] = said["What was proposed there"]
    assert proposal.startswith("learning_rate x0.5 by sees because of odd, step 20: ")


@pytest.mark.parametrize(("step", "nearest"), [(14, 10), (15, 10), (16, 20), (1000, 30), (0, 10)])
def test_the_nearest_evaluated_step(replayed, step, nearest):
    """A step that was not evaluated is answered with the nearest that was; of two, the earlier."""
    made = replayed(*LOGS)
    checkpoint = nearest_evaluated(made.ranking, step)
    assert checkpoint is not None
    assert checkpoint.step == nearest
    first = told(made, step)[f"Step {step}"][0]
    assert first == f"Step {step} was not evaluated; the nearest evaluated step is {nearest}."


def test_a_run_without_an_evaluation(runs):
    """Without an evaluation the nearest health check is told, with its finding."""
    made = replay(runs / "trainer_state" / "16831-project-01.json")
    said = told(made, 700)
    assert said["Step 700"] == ["No step of this run was evaluated."]
    first, second, third = said["What was noticed there"]
    assert first == "No health check was made at step 700; the nearest is that of step 500."
    assert second.startswith("non-finite-grad-norm (critical, trend-health), step 500: ")
    assert third.startswith("diverged (critical, recovery), step 500: ")
    assert {entry.step for entry in entries_at(made.entries, made.ranking, 700)} == {500}


def test_a_run_without_a_check(replayed):
    """A run of which no check was made says so."""
    made = replayed({"step": 1, "loss": 1.0})
    entries = [entry for entry in made.entries if entry.kind != "check"]
    [noticed] = [c for c in explain_step(entries, made.ranking, 1) if c.title == "What was noticed there"]
    assert noticed.sentences == ("No health check was made in this run.",)


def test_a_checkpoint_that_nobody_scored(replayed):
    """A scorer with no opinion is named; where no strategy scores at all, that is said."""
    without = ({"step": 10, "eval_accuracy": 0.5}, {"step": 20, "eval_loss": 1.0})
    assert told(replayed(*without, use=("eval-loss",)), 10)["How it was scored"] == ["eval-loss gave it no score."]
    assert told(replayed(*without[:1], use=("eval-loss",)), 10)["How it was scored"] == ["No strategy scored it."]


def test_where_each_scorer_ranks_it(replayed):
    """The place of each scorer: second of two, third of three; a rejected checkpoint has none."""
    made = replayed(*LOGS)
    first, last = nearest_evaluated(made.ranking, 10), nearest_evaluated(made.ranking, 30)
    assert first is not None
    assert last is not None
    assert standings(first, made.ranking) == (Standing("sees", 2, 2), Standing("eval-loss", 3, 3))
    assert standings(last, made.ranking) == (Standing("sees", None, 2), Standing("eval-loss", 1, 3))


def test_the_metrics_of_a_journal(supervise):
    """A journal has the metrics of an evaluation in its records: they are told beside the loss of the score."""
    run = supervise("eval-loss")
    run.evaluate(10, eval_loss=1.0, eval_accuracy=0.5)
    run.supervisor.end()
    chapters = explain_step(run.entries, run.supervisor.ranking, 10)
    assert "Step 10 has eval_loss 1 and eval_accuracy 0.5." in chapters[0].sentences


def test_a_run_that_was_never_supervised(runs):
    """Its story begins with that it was not, says who was asked, and tells why the best is the best and where it is."""
    made = replay(runs / "roberta")
    first, best, *_ = explain_replay(made)
    assert first.sentences[0].startswith("Steersman was not attached to this run: this is what the default strategies ")
    assert (
        "eval-loss, trend-health, rl-health, recovery, step-guard, averaged and token-accounting." in first.sentences[1]
    )
    assert first.sentences[2] == "12 records up to step 3000: 6 evaluations and 6 health checks."
    assert best.title == "Why the best checkpoint is the best"
    assert best.sentences[-1] == f"It was saved in {runs / 'roberta' / 'checkpoint-3000'}."
    assert [e.step for e in entries_of(made) if e.kind == "checkpoint_saved"] == [500, 1000, 1500, 2000, 2500, 3000]


def test_a_lone_log_says_nothing_of_disks(runs):
    """Where it is not known what was saved, nothing is said of it."""
    told_of_it = explain_replay(replay(runs / "trainer_state" / "llama-factory-01.json"))
    assert not any("saved" in sentence for chapter in told_of_it for sentence in chapter.sentences)


GATE = {"score": {"require": {"safety": ">= 0.9"}}}


@pytest.mark.parametrize(
    ("safety", "first", "place"),
    [
        (None, "It may not be best yet: it is waiting for safety.", "."),
        (0.89, "It may not be best: safety 0.89 is not >= 0.9.", "."),
        (0.95, "eval-loss gave it 0.8000 (lower is better), number 1 of 1 that may be best.", ""),
    ],
)
def test_what_is_required_is_told_of_a_step(supervise, safety, first, place):
    """Of a step that waits or fails the reason comes first and it has no place; the places are of those that may be."""
    late = RecordedLate({} if safety is None else {(20, "end"): (LateScore(20, {"safety": safety}, "red team"),)})
    run = supervise("eval-loss", config=GATE, late=late)
    for step, loss in ((10, 1.0), (20, 0.8)):
        run.evaluate(step, eval_loss=loss)
    run.supervisor.end()
    recorded = (
        [] if safety is None else [JournalEntry("late_score", 20, {"metrics": {"safety": safety}, "by": "red team"})]
    )
    entries = [JournalEntry("run", 0, {}), *recorded, *run.entries]
    chapters = {c.title: c.sentences for c in explain_step(entries, run.supervisor.ranking, 20)}
    scored = chapters["How it was scored"]

    assert scored[0] == first
    assert place == "" or f"eval-loss gave it 0.8000 (lower is better){place}" in scored
    assert chapters.get("What came late", ()) == (
        () if safety is None else (f"Step 20: safety {safety} by red team, heard at step 20.",)
    )
