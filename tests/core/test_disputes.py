"""Two strategies that pull one hyperparameter opposite ways."""

from __future__ import annotations

import pytest
from attrs import define

from steersman import Adjust, RunPlan, hookimpl
from steersman.arbiter import Verdict
from steersman.disputes import Disputes
from steersman.rails import Offer

UP, DOWN = Adjust("learning_rate", scale=1.1), Adjust("learning_rate", scale=0.9)
SENTENCE = (
    "a and b have pulled learning_rate opposite ways for 10 checks in a row; name one of them as its owner: "
    "`hyperparameters: {learning_rate: {owner: a}}`"
)


def check(**wanted):
    return [Verdict(Offer(name, adjust), "accepted", "") for name, adjust in wanted.items()]


def told(checks):
    disputes = Disputes()
    return [disputes.hear(verdicts) for verdicts in checks]


def test_ten_checks_in_a_row():
    """At the tenth check at which both wanted opposite things it is said, once, with the way out."""
    assert told([check(a=UP, b=DOWN)] * 25) == [[]] * 9 + [[SENTENCE]] + [[]] * 15


def test_taking_turns():
    """One raises, the other lowers at the check after, and so on: the eleventh check is the tenth turn."""
    turns = [check(a=UP) if i % 2 else check(b=DOWN) for i in range(11)]

    assert told(turns) == [[]] * 10 + [[SENTENCE]]


@pytest.mark.parametrize(
    "peace",
    [check(a=UP, b=UP), check(a=UP), [], check(a=Adjust("learning_rate", scale=1.0))],
    ids=["both the same way", "only one", "nobody", "a change of nothing"],
)
def test_peace_begins_the_count_anew(peace):
    """A check without a dispute ends the row: nine, one of peace, and nine more say nothing."""
    rows = [check(a=UP, b=DOWN)] * 9 + [peace] + [check(a=UP, b=DOWN)] * 9

    assert told(rows) == [[]] * 19


def test_a_strategy_of_two_minds_is_no_dispute():
    """One strategy that proposes both ways, or turns about, fights nobody."""
    both = [Verdict(Offer("a", adjust), "accepted", "") for adjust in (UP, DOWN)]
    turns = [check(a=UP) if i % 2 else check(a=DOWN) for i in range(20)]

    assert told([both] * 20 + turns) == [[]] * 40


def test_what_steersman_undoes_is_no_side():
    """A strategy that lowers while Steersman takes a cut back is not in a dispute."""
    back = Verdict(Offer("steersman", UP, "release"), "accepted", "")

    assert told([[*check(a=DOWN), back]] * 12) == [[]] * 12


def test_each_hyperparameter_is_counted_for_itself():
    """Opposite ways with two different hyperparameters are no dispute."""
    clip = Adjust("max_grad_norm", scale=0.9)

    assert told([check(a=UP, b=clip)] * 12) == [[]] * 12


def test_what_nobody_wants_any_more_is_forgotten():
    """Names that are proposed once each take no memory."""
    disputes = Disputes()
    for i in range(100):
        disputes.hear(check(a=Adjust(f"made_up_{i}", scale=1.1)))

    assert (len(disputes.rows), len(disputes.last)) == (1, 1)


def test_the_count_goes_through_a_checkpoint():
    """Six checks before a resume and four after it are ten."""
    before, after = Disputes(), Disputes()
    for _ in range(6):
        before.hear(check(a=UP, b=DOWN))
    after.restore(before.save())

    assert [after.hear(check(a=UP, b=DOWN)) for _ in range(4)] == [[], [], [], [SENTENCE]]


@define(eq=False)
class A:
    @hookimpl
    def propose_adjustments(self, check):
        return UP


@define(eq=False)
class B:
    @hookimpl
    def propose_adjustments(self, check):
        return DOWN


def test_the_run_is_told(supervise):
    """In a run the safer wins each time, nothing crashes, and one note tells of the dispute."""
    config = {"mode": "act", "check_every": 1, "hyperparameters": {"learning_rate": {}}}
    run = supervise(A(), B(), config=config, plan=RunPlan(20), values={"learning_rate": 1.0})
    for step in range(1, 13):
        run.train(step, loss=1.0)
    run.supervisor.end()

    assert [e.data["message"] for e in run.of("note")] == [SENTENCE]
    assert {(e.data["strategy"], e.data["verdict"]) for e in run.of("proposal")} == {("a", "lost"), ("b", "applied")}
