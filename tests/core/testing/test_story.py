from __future__ import annotations

import json
import math
from typing import Any

import pytest
from attrs import define, field

from steersman import Adjust, ConfigError, Finding, Rollback, Score, Stop, Usage, hookimpl, state
from steersman.config import read
from steersman.testing import Found, Proposed, a_run
from steersman.testing.settings import NO_RAILS


@define(eq=False)
class Hears:
    """Keeps what it hears, for the test to look at."""

    logs: list[Any] = field(factory=list)
    evaluations: list[Any] = field(factory=list)
    epochs: list[int] = field(factory=list)
    saved: list[Any] = field(factory=list)
    begins: list[Any] = field(factory=list)

    @hookimpl
    def on_train_begin(self, run):
        self.begins.append((run.step, run.plan, run.mode))

    @hookimpl
    def on_log(self, run, log):
        self.logs.append(log)

    @hookimpl
    def on_eval(self, run, evaluation):
        self.evaluations.append((run.step, dict(evaluation.metrics)))

    @hookimpl
    def on_epoch_end(self, run, window):
        self.epochs.append(run.step)

    @hookimpl
    def on_checkpoint_saved(self, run, checkpoint):
        self.saved.append((checkpoint.step, checkpoint.path))


@define(eq=False)
class Proposes:
    """Proposes, at each check, what it is given for its step."""

    at: dict[int, Any] = field(factory=dict)

    @hookimpl
    def propose_adjustments(self, run, check):
        return self.at.get(check.step)


@define(eq=False)
class EvalLoss:
    """Scores by eval loss and rejects what is above `limit`."""

    limit: float = math.inf

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        loss = checkpoint.metrics.get("eval_loss")
        if loss is None:
            return None
        return Score.reject("too high") if loss > self.limit else Score(loss)


@define(eq=False)
class Counts:
    """Stops after three evaluations; what it counts is state, or not."""

    seen: int = state(0)
    hidden: int = field(default=0, init=False)
    hides: bool = False

    @hookimpl
    def on_eval(self, run, evaluation):
        self.seen += 1
        self.hidden += 1

    @hookimpl
    def propose_adjustments(self, run, check):
        return Stop("three evaluations") if (self.hidden if self.hides else self.seen) == 3 else None


def test_an_epoch_has_its_logs_evenly_spread():
    """Three logs in an epoch of ten steps are at steps 3, 7 and 10; a number is in each, a list has one for each."""
    heard = Hears()
    a_run(steps_per_epoch=10).epoch(logs=3, loss=[3.0, 2.0, 1.0], grad_norm=0.5).play(heard)
    assert [(log.step, log.epoch, dict(log.metrics)) for log in heard.logs] == [
        (3, 0.3, {"loss": 3.0, "grad_norm": 0.5}),
        (7, 0.7, {"loss": 2.0, "grad_norm": 0.5}),
        (10, 1.0, {"loss": 1.0, "grad_norm": 0.5}),
    ]
    assert heard.epochs == [10]


def test_a_log_is_some_steps_after_the_one_before():
    """`log` trains one step, or as many as it is told, and an evaluation is at the step that was reached."""
    heard = Hears()
    a_run(steps_per_epoch=4).log(loss=2.0).log(steps=5, loss=1.0).evaluate(eval_loss=1.5, eval_accuracy=0.5).play(heard)
    assert [(log.step, log.epoch) for log in heard.logs] == [(1, 0.25), (6, 1.5)]
    assert heard.evaluations == [(6, {"eval_loss": 1.5, "eval_accuracy": 0.5})]


def test_a_loop_may_know_no_epochs():
    """With None for its steps an epoch is neither in a log nor in the plan, and checks are made by steps."""
    heard = Hears()
    played = a_run(steps_per_epoch=None).log(steps=4, loss=2.0).log(steps=4, loss=1.0).play(heard, check_every=4)
    assert [(log.step, log.epoch) for log in heard.logs] == [(4, None), (8, None)]
    assert [(entry.step, entry.data["reason"]) for entry in played.of("check")] == [
        (4, "scheduled"),
        (8, "scheduled"),
        (8, "end"),
    ]
    ((_, plan, _),) = heard.begins
    assert (plan.steps_per_epoch, heard.epochs) == (None, [])


def test_two_evaluations_at_a_step_are_two_sets():
    """A second evaluation at the same step is another set of the same evaluation, as with named evaluation sets."""
    heard = Hears()
    story = a_run().epoch(loss=1.0).evaluate(eval_chat_loss=2.0).evaluate(eval_code_loss=3.0)
    story.play(heard)
    assert heard.evaluations == [(10, {"eval_chat_loss": 2.0, "eval_code_loss": 3.0, "eval_loss": 2.0})]


def test_a_story_is_never_changed():
    """Every method returns a new story, so that two endings may follow from one beginning."""
    begun = a_run().epoch(loss=2.0)
    good, bad = begun.evaluate(eval_loss=1.0), begun.evaluate(eval_loss=9.0)
    assert good.play(EvalLoss).scores == {10: 1.0}
    assert bad.play(EvalLoss).scores == {10: 9.0}
    assert begun.play(EvalLoss).scores == {}


def test_what_was_spent_comes_with_the_next_log():
    """Usage is carried by the next training log, not by an evaluation before it, and by that one only."""
    heard = Hears()
    story = a_run().spent("teacher", tokens=3, seconds=0.5, samples=2, received=7).spent("generation", tokens=4)
    story.evaluate(eval_loss=1.0).epoch(logs=2, loss=1.0).play(heard)
    assert [log.usage for log in heard.logs] == [(Usage("teacher", 3, 0.5, 2, 7), Usage("generation", 4)), ()]


def test_time_passes_when_it_is_told():
    """A log has no time before the first seconds that pass; then it has all of them so far."""
    heard = Hears()
    a_run().log(loss=1.0).takes(2.5).log(loss=1.0).takes(1.0).log(loss=1.0).play(heard)
    assert [log.elapsed for log in heard.logs] == [None, 2.5, 3.5]


def test_the_plan():
    """How long a run will be is what `lasts` says, else not known; whether it evaluates is what the story tells."""
    known, unknown = Hears(), Hears()
    a_run(steps_per_epoch=4).epoch(loss=1.0).evaluate(eval_loss=1.0).lasts(40).play(known, mode="advise")
    a_run().epoch(loss=1.0).play(unknown)
    ((_, plan, mode),) = known.begins
    assert (plan.total_steps, plan.steps_per_epoch, plan.evaluates, mode) == (40, 4, True, "advise")
    ((_, plan, mode),) = unknown.begins
    assert (plan.total_steps, plan.evaluates, mode) == (None, False, "act")


def test_a_checkpoint_is_saved_where_it_is_told():
    """`saved` writes a directory for the step, which is there while the run goes on."""
    there = []

    @define(eq=False)
    class Looks:
        """Looks whether the directory is there."""

        @hookimpl
        def on_checkpoint_saved(self, run, checkpoint):
            from pathlib import Path

            there.append(Path(checkpoint.path).is_dir())

    heard = Hears()
    a_run().epoch(loss=1.0).evaluate(eval_loss=1.0).saved().epoch(loss=1.0).saved().play(heard, Looks)
    assert [(step, path.rpartition("/")[2]) for step, path in heard.saved] == [
        (10, "checkpoint-10"),
        (20, "checkpoint-20"),
    ]
    assert there == [True, True]


def test_scores_and_the_best():
    """Scores are those of the first strategy with an opinion; a rejected checkpoint is infinite and never best."""
    story = a_run().epoch(loss=1.0).evaluate(eval_loss=2.0).epoch(loss=1.0).evaluate(eval_loss=1.0, eval_x=5.0)
    played = story.play(Hears, EvalLoss(limit=1.5), EvalLoss)
    assert played.scores == {10: math.inf, 20: 1.0}
    assert played.best is not None
    assert (played.best.step, played.best.metrics["eval_x"]) == (20, 5.0)
    assert list(played.best.scores) == ["eval-loss", "eval-loss-2"]


def test_every_hyperparameter_may_be_changed_and_nothing_else_holds_it():
    """Without rails three checks in a row change a value, by nine tenths too, within the proposal's own bound alone."""
    cut = Adjust("learning_rate", scale=0.1, at_least=0.02, because="sharp")
    story = a_run(learning_rate=1.0).epoch(loss=1.0).epoch(loss=1.0).epoch(loss=1.0)
    played = story.play(Proposes({10: cut, 20: cut, 30: cut}))
    assert [(c.step, c.epoch, c.old, c.new, c.strategy) for c in played.changes] == [
        (10, 1.0, 1.0, 0.1, "proposes"),
        (20, 2.0, 0.1, 0.02, "proposes"),
    ]
    assert [(p.step, p.verdict) for p in played.proposals] == [(10, "applied"), (20, "applied"), (30, "refused")]
    assert played.values == {"learning_rate": 0.02}


def test_rails_may_be_put_up():
    """`rails=True` is what an empty config has, and a table is what it says; both hold a change of nine tenths."""
    story = a_run(learning_rate=1.0).epoch(loss=1.0)
    cut = {10: Adjust("learning_rate", scale=0.1, because="sharp")}
    assert story.play(Proposes(cut), rails=True).values == {"learning_rate": 0.5}
    assert story.play(Proposes(cut), rails={"largest_change": 0.25}).values == {"learning_rate": 0.75}


def test_more_of_a_config():
    """Further keys are those of a config: bounds of a hyperparameter, a metric's name, the mode."""
    story = a_run(learning_rate=1.0).epoch(train_loss_x=2.0).evaluate(eval_chat=1.0)
    halve = Proposes({10: Adjust("learning_rate", scale=0.5, because="half")})
    heard = Hears()
    played = story.play(
        halve, heard, EvalLoss, hyperparameters={"learning_rate": {"min": 0.75}}, metrics={"eval_chat": "eval_loss"}
    )
    assert played.values == {"learning_rate": 0.75}
    assert played.scores == {10: 1.0}
    assert [p.verdict for p in story.play(halve, mode="advise").proposals] == ["advised"]


def test_what_is_not_named_by_the_run_may_not_be_changed():
    """A hyperparameter that the run was not given is unsupported, as in a trainer that has none."""
    played = a_run().epoch(loss=1.0).play(Proposes({10: Adjust("temperature", scale=2.0, because="warm")}))
    (proposed,) = played.proposals
    assert (proposed.verdict, played.changes) == ("refused", ())


def test_findings_and_proposals_are_values():
    """Findings and proposals are compared as values; a stop has neither hyperparameter nor change."""
    finding = Finding("flat", "nothing moves", "info", {"loss": 1.0})
    story = a_run(kl_penalty=0.2).epoch(loss=1.0)
    played = story.play(Proposes({10: [finding, Stop("enough"), Adjust("kl_penalty", add=0.02, because="drift")]}))
    assert played.findings == (Found(10, "proposes", "flat", "info", "nothing moves", {"loss": 1.0}),)
    assert played.proposals == (
        Proposed(10, "proposes", "stop", "", "", "enough", "accepted", "at the next step"),
        Proposed(10, "proposes", "adjust", "kl_penalty", "+0.02", "drift", "applied", "0.2 -> 0.22"),
    )


def test_a_proposal_has_its_own_bounds():
    """The bounds are those the strategy gave, also where the change did not come near them; a stop has none."""
    bounded = Adjust("kl_penalty", scale=1.5, at_least=0.1, at_most=0.9, because="drift")
    played = a_run(kl_penalty=0.2).epoch(loss=1.0).play(Proposes({10: [bounded, Stop("enough")]}))
    assert {(p.action, p.at_least, p.at_most) for p in played.proposals} == {
        ("adjust", 0.1, 0.9),
        ("stop", None, None),
    }


def test_after_a_stop_nothing_happens():
    """A stop that is carried out ends the story: what is told after it is not heard."""
    heard = Hears()
    story = a_run().epoch(loss=3.0).epoch(loss=2.0).epoch(loss=1.0)
    played = story.play(Proposes({10: Stop("enough")}), heard)
    assert played.stopped_at == 10
    assert [log.step for log in heard.logs] == [10]
    assert story.play(Proposes({10: Stop("enough")}), mode="advise").stopped_at is None
    assert story.play(Proposes({30: Stop("enough")})).stopped_at == 30


def test_a_rollback_has_something_to_return_to():
    """Where a strategy may propose a rollback, snapshots are kept on paper, and it is carried out."""

    class RollsBack(Proposes):
        """Rolls back."""

        needs_snapshots = True

    story = a_run(learning_rate=1.0).epoch(loss=1.0).epoch(loss=9.0)
    (proposed,) = story.play(RollsBack({20: Rollback("diverged")})).proposals[:1]
    assert (proposed.action, proposed.verdict) == ("rollback", "applied")
    (refused,) = story.play(Proposes({20: Rollback("diverged")})).proposals[:1]
    assert refused.verdict == "refused"


def test_state_survives_a_resume_and_nothing_else_does():
    """Two evaluations before a resume and one after are three for what is state, and one for what is not."""
    story = a_run().epoch(loss=1.0).evaluate(eval_loss=1.0).epoch(loss=1.0).evaluate(eval_loss=1.0)
    resumed = story.resume().epoch(loss=1.0).evaluate(eval_loss=1.0)
    assert resumed.play(Counts).stopped_at == 30
    assert resumed.play(Counts(hides=True)).stopped_at is None


def test_values_changed_before_a_resume_are_in_force_after_it():
    """A changed value is restored once, and the run's own history is heard again without being judged again."""
    cut = {
        10: Adjust("learning_rate", scale=0.5, because="half"),
        20: Adjust("learning_rate", scale=0.5, because="half"),
    }
    story = a_run(learning_rate=1.0).epoch(loss=1.0).evaluate(eval_loss=3.0).resume().epoch(loss=1.0)
    played = story.evaluate(eval_loss=2.0).resume().play(Proposes(cut), EvalLoss)
    assert played.values == {"learning_rate": 0.25}
    assert played.scores == {10: 3.0, 20: 2.0}
    assert played.best is not None and played.best.step == 20


def test_the_options_survive_a_resume():
    """The strategy made anew has the options of the one that was given."""
    story = a_run().epoch(loss=1.0).resume().epoch(loss=1.0).evaluate(eval_loss=2.0)
    assert story.play(EvalLoss(limit=1.0)).scores == {20: math.inf}


def test_state_that_cannot_be_taken_back_is_an_error():
    """A state that JSON does not bring back as it was is told among the errors."""

    @define(eq=False)
    class Odd:
        """Keeps something else than it says."""

        seen: int = state(0)

        @hookimpl
        def on_log(self, run, log):
            self.seen = "many"  # type: ignore[assignment]

    (error,) = a_run().epoch(loss=1.0).resume().epoch(loss=1.0).play(Odd).errors
    assert error.startswith("odd could not take back its state: ")


def test_a_failure_is_a_sentence():
    """A strategy that raises is named with hook, step and error; the run goes on."""

    @define(eq=False)
    class Fails:
        """Needs a loss."""

        @hookimpl
        def on_log(self, run, log):
            log.metrics["loss"]

    played = a_run().epoch(grad_norm=1.0).epoch(loss=1.0).play(Fails)
    assert played.errors == ("fails failed in on_log at step 10: KeyError: 'loss'",)
    assert [entry.data["hook"] for entry in played.of("error")] == ["on_log"]


def test_a_strategy_is_given_not_named():
    """A name is refused, whether or not it is installed, and so is a config that would look for one."""
    story = a_run().epoch(loss=1.0)
    with pytest.raises(TypeError, match=r"'eval-loss' is a name, .* give the class or an instance"):
        story.play("eval-loss")
    for key in ("use", "score", "extends"):
        with pytest.raises(TypeError, match=f"{key}= is not for a test"):
            story.play(EvalLoss, **{key: ["eval-loss"]})


def test_what_is_no_strategy_is_told_with_all_its_faults():
    """A class that is no strategy, and a config that is wrong, are told at once."""

    class Bare:
        @hookimpl
        def on_logs(self, run):
            pass

    with pytest.raises(ConfigError) as told:
        a_run().epoch(loss=1.0).play(Bare, mode="actt")
    assert "there is no hook 'on_logs', did you mean 'on_log'?" in str(told.value)
    assert "did you mean 'act'?" in str(told.value)


def test_a_class_that_needs_options_is_given_as_an_instance():
    """A class without defaults says that an instance is wanted."""

    @define(eq=False)
    class Needs:
        """Needs a metric."""

        metric: str

        @hookimpl
        def on_log(self, run, log):
            pass

    with pytest.raises(TypeError, match=r"Needs\(\) cannot be made: .*; give an instance"):
        a_run().play(Needs)


@pytest.mark.parametrize(
    ("tell", "error", "sentence"),
    [
        (lambda: a_run(steps_per_epoch=0), ValueError, "an epoch has at least 1 step, got steps_per_epoch=0"),
        (lambda: a_run(learning_rate="1e-4"), TypeError, "learning_rate must be a number, got str '1e-4'"),
        (lambda: a_run(4).epoch(logs=5), ValueError, "an epoch of 4 steps has 1 to 4 logs, not 5"),
        (
            lambda: a_run(steps_per_epoch=None).epoch(loss=1.0),
            ValueError,
            "this run has no epochs; say a_run(steps_per_epoch=10), or .log(steps=10)",
        ),
        (lambda: a_run().epoch(loss=[1.0, 2.0]), ValueError, "loss has 2 values for 1 logs; say logs=2"),
        (lambda: a_run().epoch(loss=None), TypeError, "loss must be a number, got NoneType None"),
        (lambda: a_run().log(steps=-1), ValueError, "a run goes forward; steps must be at least 0, got -1"),
        (
            lambda: a_run().evaluate(loss=1.0),
            ValueError,
            "an evaluation logs names that start with eval_, so say eval_loss, not loss",
        ),
        (
            lambda: a_run().epoch(loss=1.0).spent("teacher", tokens=1).play(),
            ValueError,
            "what was spent is carried by the next log, and none comes: end with .log() or .epoch()",
        ),
    ],
)
def test_what_cannot_be_told(tell, error, sentence):
    """A story that makes no sense says what was expected."""
    with pytest.raises(error) as told:
        tell()
    assert str(told.value) == sentence


def test_no_rails_is_what_the_config_of_that_name_says():
    """Without rails means here what `extends: no-rails` means in a config."""
    here, shipped = read({"extends": [], **NO_RAILS}), read({"extends": "no-rails"})
    assert (here.rails, here.outcomes) == (shipped.rails, shipped.outcomes)


def test_entries_can_be_written_as_json():
    """The raw entries are those of a journal, in order."""
    played = a_run().epoch(loss=1.0).evaluate(eval_loss=1.0).play(EvalLoss)
    assert [entry.kind for entry in played.entries] == ["record", "record", "score", "check", "check", "end"]
    assert json.loads(json.dumps(played.entries[0].data["metrics"])) == {"loss": 1.0}
