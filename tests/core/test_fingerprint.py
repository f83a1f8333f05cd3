"""What scores depend on besides the model, and what happens when it changes."""

from __future__ import annotations

import pytest
from attrs import define

from steersman import Score, fingerprint, hookimpl, state
from steersman.config import read
from steersman.journal import from_json, to_json
from steersman.loaded import Loaded, Source
from steersman.loading import load
from steersman.scoring import Scoring


@define(eq=False)
class Best:
    """Scores by the eval loss, and remembers how many it scored."""

    weight: float = 1.0
    scored: int = state(0)

    @hookimpl
    def score_checkpoint(self, checkpoint):
        self.scored += 1
        return Score(checkpoint.metrics["eval_loss"] * self.weight, {"scored": self.scored})


@define(eq=False)
class Counts:
    """Scores nothing, and counts checks."""

    checks: int = state(0)

    @hookimpl
    def diagnose(self, check):
        self.checks += 1


FACTS = {"the evaluation set": "64 rows", "the batch": 8}


def test_it_holds_facts_and_scorers():
    """Facts as text, and each scorer with its options; a strategy that scores nothing is no part of it."""
    loaded = (
        Loaded("best", Best(), Source("here"), "test:Best", {"weight": 2.0}, hooks=frozenset({"score_checkpoint"})),
        Loaded("counts", Counts(), Source("here")),
    )

    assert fingerprint.of(FACTS, loaded) == {
        "the evaluation set": "64 rows",
        "the batch": "8",
        "the scorer best": 'test:Best {"weight": 2.0}',
    }


def test_the_short_form_tells_apart():
    """Twelve characters that do not depend on the order, and change with every fact."""
    short = fingerprint.short({"a": "1", "b": "2"})

    assert (len(short), short) == (12, fingerprint.short({"b": "2", "a": "1"}))
    assert len({short, fingerprint.short({"a": "1"}), fingerprint.short({"a": "1", "b": "3"})}) == 3


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({}, {"a": "1"}, ""),
        ({"a": "1"}, {"a": "1"}, ""),
        ({"a": "1"}, {"a": "2"}, "a was 1 and is 2"),
        ({"a": "1", "b": "2"}, {"a": "1"}, "b was 2 and is not there"),
        ({"a": "1"}, {"a": "2", "c": "3"}, "a was 1 and is 2; c was not there and is 3"),
    ],
)
def test_the_differences_in_words(before, now, told):
    """Each is said with what was and what is; where nothing is known of before nothing is said."""
    assert fingerprint.differences(before, now) == told


@pytest.fixture
def interrupted(supervise):
    """Return a function that resumes a run at step 20 with the facts it is given."""

    def resume(facts, *, weight=1.0):
        settings = {"check_every": "eval", "use": [{f"{__file__}:Best": {"weight": 1.0}}, Counts()]}
        first = supervise(config=settings, facts=FACTS)
        for step, loss in ((10, 1.0), (20, 2.0)):
            first.evaluate(step, eval_loss=loss)
        first.supervisor.settle()
        saved = from_json(to_json(first.supervisor.save()))
        settings = {**settings, "use": [{f"{__file__}:Best": {"weight": weight}}, Counts()]}
        second = supervise(config=settings, facts=facts, begin=False)
        second.supervisor.begin((), saved, step=20)
        for step in (30, 40):
            second.evaluate(step, eval_loss=3.0)
        second.supervisor.end()
        return second

    return resume


def test_the_same_fingerprint_goes_on(interrupted):
    """Nothing begins anew: the best is that of before, and the scorer remembers what it scored."""
    run = interrupted(FACTS)

    assert run.of("restart") == []
    assert run.of("end")[0].data["best"]["step"] == 10
    assert [e.data["terms"]["scored"] for e in run.of("score")] == [3, 4]


CHANGES = {
    "another evaluation set": ({**FACTS, "the evaluation set": "32 rows"}, 1.0, "the evaluation set was 64 rows and is 32 rows"),
    "another batch": ({**FACTS, "the batch": 16}, 1.0, "the batch was 8 and is 16"),
    "other options of the scorer": (FACTS, 2.0, 'Best {"weight": 1.0} '),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "weight", "said"), CHANGES.values(), ids=list(CHANGES))
def test_another_fingerprint_begins_the_ranking_anew(interrupted, facts, weight, said):
    """It is said which, the best is one of after it, and only scorers forget."""
    run = interrupted(facts, weight=weight)

    (restart,) = run.of("restart")
    assert restart.step == 20
    assert restart.data["because"].startswith("scores are not comparable with those before the resume: ")
    assert said in restart.data["because"]
    assert run.of("end")[0].data["best"]["step"] == 30
    assert [e.data["terms"]["scored"] for e in run.of("score")] == [1, 2]
    assert run.supervisor.dispatch.strategies[1].strategy.checks == 5
    assert run.supervisor.run.restarted_at == 20


def test_each_score_carries_it(interrupted):
    """Scores of one fingerprint carry the same twelve characters, those of another others."""
    same, other = interrupted(FACTS), interrupted({**FACTS, "the batch": 16})
    marks = [{e.data["fingerprint"] for e in run.of("score")} for run in (same, other)]

    assert [len(mark) for mark in marks] == [1, 1]
    assert marks[0] != marks[1]
    assert isinstance(same.supervisor.scoring, Scoring)


def test_options_of_an_object_count():
    """A scorer given as an object has its options in the fingerprint, as one that a config names."""
    one, other = (load(read({"extends": [], "use": [Best(weight)]}), []) for weight in (1.0, 2.0))
    assert one[0].options == {"weight": 1.0}
    assert fingerprint.of({}, one) != fingerprint.of({}, other)
