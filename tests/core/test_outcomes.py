"""What is said of a change some checks later, and what is undone or released because of it."""

from __future__ import annotations

import math
import random

import pytest
from attrs import define, field

from steersman import Adjust, Finding, RunPlan, hookimpl
from steersman.hyperparameters import Entry, OnPaper
from steersman.outcomes import Comparison, Outcomes, Settings, compare, placebos
from steersman.windows import Window


def windows_of(*losses, name="loss", every=10):
    """One window of ten steps for each mean."""
    return [
        Window(every * i, every * (i + 1), None, {} if mean is None else {name: mean}, {}, {}, 1)
        for i, mean in enumerate(losses)
    ]


def test_the_comparison():
    """Three windows after step 30 against three before it; the noise is 1.4826 MAD / sqrt(3) of either side, added."""
    found = compare(windows_of(1.0, 1.1, 1.2, 0.6, 0.5, 0.4, 9.0), 30, 3)

    assert (found.metric, found.before, found.after) == ("loss", pytest.approx(1.1), pytest.approx(0.5))
    assert found.noise == pytest.approx(2 * 1.4826 * 0.1 / math.sqrt(3))
    assert found.label == "better since"


@pytest.mark.parametrize(
    ("after", "label"), [(1.2, "unclear"), (0.8, "unclear"), (1.21, "worse since"), (0.79, "better since")]
)
def test_within_the_noise_nothing_is_clear(after, label):
    """A difference of no more than the noise is unclear, in either direction."""
    assert Comparison("loss", 1.0, after, 0.2000001).label == label


def test_what_it_is_judged_by():
    """The eval loss before the reward before the train loss; a reward is better when higher."""
    both = [
        Window(10 * i, 10 * (i + 1), None, {"loss": 1.0, "reward": reward}, {}, {}, 1)
        for i, reward in enumerate((1.0, 1.0, 2.0, 2.0))
    ]
    found = compare(both, 20, 2)

    assert (found.metric, found.before, found.after, found.label) == ("reward", -1.0, -2.0, "better since")
    with_eval = [Window(w.first_step, w.last_step, None, {**w.means, "eval_loss": 1.0}, {}, {}, 1) for w in both]
    assert compare(with_eval, 20, 2).metric == "eval_loss"


@pytest.mark.parametrize(("at", "is_compared"), [(0, True), (10, False), (20, False), (30, False), (40, True)])
def test_rewards_are_not_compared_over_what_moves_them(at, is_compared):
    """Of a change at 20, a reward weight changed between 0 and 40 leaves rewards without a meaning; the loss is none."""
    both = [Window(10 * i, 10 * (i + 1), None, {"loss": 1.0, "reward": 1.0}, {}, {}, 1) for i in range(4)]

    assert (compare(both, 20, 2, [at]) is not None) is is_compared
    assert compare(windows_of(1, 1, 1, 1), 20, 2, [at]) is not None


def test_a_change_that_moves_the_rewards_is_unclear_by_itself(supervise):
    """Without a restart too: the reward halves with its weight at step 40, and that is not worse; nothing is said."""
    told = supervise(
        Steers({40: Adjust("reward_weight", scale=0.5)}, ()),
        config={
            "mode": "act", "check_every": 10, "hyperparameters": {"reward_weight": {}},
            "rails": {"restart_baselines": False},
        },
        plan=RunPlan(10_000),
        values={"reward_weight": 1.0},
    )  # fmt: skip
    for i in range(1, 11):
        told.train(10 * i, loss=0.0, reward=1.0 if i <= 4 else 0.5)
    told.supervisor.settle()

    assert told.of("restart") == []
    assert [(e.data["label"], e.data["metric"]) for e in told.of("outcome")] == [("unclear", None)]


def test_too_few_windows_compare_with_nothing():
    """With two windows on a side, or with means missing, three cannot be compared."""
    assert compare(windows_of(1, 1, 1, 1, 1), 30, 3) is None
    assert compare(windows_of(1, 1, 1, 1, None, 1), 30, 3) is None


def test_placebos_are_the_checks_without_a_change():
    """Of ten windows compared two by two seven places are possible; a change at step 50 takes those that hold it."""
    ten = windows_of(*range(10))

    assert [step for step, _ in placebos(ten, [], 2)] == [20, 30, 40, 50, 60, 70, 80]
    assert [step for step, _ in placebos(ten, [50], 2)] == [20, 30, 70, 80]


def decaying(seed, checks=30):
    """The losses of a healthy run: falling ever more slowly, with noise."""
    draw = random.Random(seed)
    return windows_of(*(1.0 + 2.0 * math.exp(-i / 10) + draw.gauss(0, 0.03) for i in range(checks)))


def test_a_change_that_does_nothing_is_called_better_as_often_as_the_placebo():
    """In 300 healthy decaying runs the label is right about the curve, and says no more than it does of no change."""
    better, placebo, clear = 0, 0.0, 0
    for seed in range(300):
        outcomes = Outcomes()
        cut = Adjust("learning_rate", scale=0.8)
        outcomes.watch(Entry("learning_rate", OnPaper(1.0), "live", safer="down"), "a", 150, 1.0, 0.8, cut, 0.8)
        judged = outcomes.judge(outcomes.trials[0], decaying(seed), [150])
        better += judged.label == "better since"
        placebo += judged.placebo_better / judged.placebos
        clear += judged.is_clear
    assert better / 300 > 0.6, "a decaying run flatters every change, so this test would show little"
    assert abs(better - placebo) / 300 < 0.1
    assert clear / 300 < 0.25


@define(eq=False)
class Steers:
    """Proposes the given changes at the given steps, and finds something at others."""

    changes: dict = field(factory=dict)
    sick: tuple = ()

    @hookimpl
    def diagnose(self, check):
        return Finding("sick", "a test says so") if check.step in self.sick else None

    @hookimpl
    def propose_adjustments(self, check):
        return self.changes.get(check.step)


@pytest.fixture
def steer(supervise):
    """Return a function that runs checks ten steps apart over the given losses; nothing is limited but what is told."""

    def run(changes, losses, *, name="learning_rate", sick=(), before=(), plan=None, **config):
        told = supervise(
            *before,
            Steers(changes, sick),
            config={
                "mode": "act",
                "check_every": 10,
                "hyperparameters": {name: {}},
                "outcomes": {"revert_risky": True, "release_after": 3},
                **config,
            },
            plan=plan or RunPlan(10_000),
            values={name: 1.0},
        )
        for i, loss in enumerate(losses, 1):
            told.train(10 * i, loss=loss)
        told.supervisor.settle()
        return told

    return run


def made(told):
    return [(e.step, e.data["strategy"], e.data["new"], e.data["because"]) for e in told.of("adjustment")]


RISKY = [
    ("learning_rate", Adjust("learning_rate", scale=2.0), 2.0),
    ("kl_penalty", Adjust("kl_penalty", scale=0.5), 0.5),
    ("temperature", Adjust("temperature", add=0.25), 1.25),
]


@pytest.mark.parametrize(("name", "adjust", "new"), RISKY, ids=[name for name, _, _ in RISKY])
def test_what_raises_risk_is_undone_unless_clearly_better(steer, name, adjust, new):
    """A raise at step 40 that changes nothing is judged at step 70 and taken back there, once."""
    told = steer({40: adjust}, [1.0] * 12, name=name)

    back = (70, "steersman", 1.0, "it raised risk and is not clearly better since")
    assert made(told) == [(40, "steers", new, ""), back]
    assert [(e.step, e.data["label"]) for e in told.of("outcome")] == [(70, "unclear")]


def test_a_better_label_alone_does_not_keep_a_risk(steer):
    """In a decaying run the raise is called better since, as no change would be too, so it is taken back."""
    told = steer({200: RISKY[0][1]}, [1.0 + 2.0 * math.exp(-i / 15) for i in range(24)])

    (judged,) = told.of("outcome")
    assert (judged.data["label"], judged.data["clear"]) == ("better since", False)
    assert judged.data["placebo_better"] == judged.data["placebos"] > 3
    assert [step for step, *_ in made(told)] == [200, 230]


def test_a_risk_that_is_clearly_better_stays(steer):
    """A raise after which the loss falls more than at the five nearest checks without a change stays in force."""
    losses = [2.0 - 0.01 * i for i in range(20)] + [1.0 - 0.01 * i for i in range(10)]
    told = steer({200: RISKY[0][1]}, losses)

    (judged,) = told.of("outcome")
    assert (judged.data["label"], judged.data["clear"]) == ("better since", True)
    assert [step for step, *_ in made(told)] == [200]


def test_a_worse_label_undoes_no_cut(steer):
    """A cut after which the loss is worse is not undone for it: only healthy checks release it."""
    told = steer({40: Adjust("learning_rate", scale=0.5)}, [1.0] * 4 + [5.0] * 8, sick=range(50, 130, 10))

    assert [e.data["label"] for e in told.of("outcome")] == ["worse since"]
    assert [step for step, *_ in made(told)] == [40]


def test_a_cut_is_released_after_healthy_checks(steer):
    """Cut at step 20; step 30 is unhealthy, 40 to 60 are healthy: at step 60 the value is as before."""
    told = steer({20: Adjust("learning_rate", scale=0.5)}, [1.0] * 9, sick=(30,))

    assert made(told)[1:] == [(60, "steersman", 1.0, "release after 3 healthy checks")]


def test_a_lasting_cut_is_not_released(steer):
    """A cut that its strategy means to last stays in a healthy run, and is judged as any other."""
    told = steer({20: Adjust("learning_rate", scale=0.5, lasting=True)}, [1.0] * 12)

    assert made(told) == [(20, "steers", 0.5, "")]
    assert [e.data["label"] for e in told.of("outcome")] == ["unclear"]


def test_a_lasting_risk_is_no_less_a_risk(steer):
    """What raises risk is taken back though its strategy means it to last: no strategy switches a rail off."""
    told = steer({40: Adjust("learning_rate", scale=2.0, lasting=True)}, [1.0] * 12)

    assert [new for _, _, new, _ in made(told)] == [2.0, 1.0]


def test_the_way_back_to_the_users_own_value_is_no_risk(steer):
    """A strategy that takes back its own cut is left alone; one that goes beyond the user's own value is not."""
    cut = Adjust("learning_rate", scale=0.5, lasting=True)
    back = steer({20: cut, 40: Adjust("learning_rate", scale=2.0)}, [1.0] * 12)
    beyond = steer({20: cut, 40: Adjust("learning_rate", scale=3.0)}, [1.0] * 12)

    assert [new for _, _, new, _ in made(back)] == [0.5, 1.0]
    assert [new for _, _, new, _ in made(beyond)] == [0.5, 1.5, 0.5]


def test_each_further_release_waits_twice_as_long(steer):
    """The first cut is released after three healthy checks, the next after six."""
    cut = Adjust("learning_rate", scale=0.5)
    told = steer({20: cut, 60: cut}, [1.0] * 20)

    assert [(step, who) for step, who, *_ in made(told)] == [
        (20, "steers"), (50, "steersman"), (60, "steers"), (120, "steersman"),
    ]  # fmt: skip


def test_a_change_that_is_neither_safer_nor_riskier_is_only_judged(steer):
    """A reward weight has no safer way: the outcome is told, and nothing is taken back."""
    told = steer({40: Adjust("reward_weight", scale=2.0)}, [1.0] * 12, name="reward_weight")

    assert ([e.step for e in told.of("outcome")], len(made(told))) == ([70], 1)


def test_both_are_configurable(steer):
    """`judge_after: 2`, `revert_risky: false`, `release_after: 0`: judged a check earlier, and nothing is taken back."""
    settings = {"judge_after": 2, "revert_risky": False, "release_after": 0}
    changes = {40: RISKY[0][1], 80: Adjust("learning_rate", scale=0.5)}
    told = steer(changes, [1.0] * 20, outcomes=settings)

    assert [e.step for e in told.of("outcome")] == [60, 100]
    assert [step for step, *_ in made(told)] == [40, 80]
    assert told.supervisor.decider.outcomes.trials == []


def test_the_journal_has_the_figures(steer):
    """The means before and after, the noise and the placebos are written beside the label."""
    told = steer({40: RISKY[0][1]}, [1.0] * 4 + [3.0] * 4)

    (judged,) = (e.data for e in told.of("outcome"))
    figures = ("changed_at", "metric", "before", "after", "noise", "label", "placebos")
    assert [judged[name] for name in figures] == [40, "loss", 1.0, 3.0, 0.0, "worse since", 0]


def test_of_two_raises_the_one_that_was_undone_is_forgotten(steer):
    """The first of two different raises is undone when it is judged; the second is watched on, and undone in its turn."""
    told = steer({40: Adjust("learning_rate", scale=2.0), 50: Adjust("learning_rate", scale=1.5)}, [1.0] * 12)

    assert [(step, new) for step, _, new, _ in made(told)] == [(40, 2.0), (50, 3.0), (70, 1.5), (80, 1.0)]


def test_a_change_that_moves_the_metrics_is_unclear(steer):
    """After a new KL penalty baselines begin anew, so there is nothing before it to compare with."""
    rails = {"restart_baselines": True}
    told = steer({40: Adjust("kl_penalty", scale=1.5)}, [1.0] * 12, name="kl_penalty", rails=rails)

    assert [e.step for e in told.of("restart")][:1] == [40]
    assert [(e.data["label"], e.data["metric"]) for e in told.of("outcome")] == [("unclear", None)]


def test_no_release_in_the_last_fifth(steer):
    """A cut at step 70 of 100 would be released at step 100; in the last fifth it is refused and stays."""
    told = steer({60: Adjust("learning_rate", scale=0.5)}, [1.0] * 10, plan=RunPlan(100), rails={"last_share": 0.2})

    assert [step for step, *_ in made(told)] == [60]
    refused = [(e.step, e.data["verdict"]) for e in told.of("proposal") if e.data["strategy"] == "steersman"]
    assert refused == [(90, "refused"), (100, "refused")]


def test_trials_go_through_a_checkpoint():
    """What is watched, for how long and how healthily is given back, to the last bit of the factor that undoes it."""
    outcomes, entry = Outcomes(Settings()), Entry("learning_rate", OnPaper(1.0), "live", safer="down")
    outcomes.watch(entry, "a", 10, 1.0, 0.7, Adjust("learning_rate", scale=0.7), 0.7)
    outcomes.examine(windows_of(1.0), [10], {"learning_rate": 0.7}, healthy=True)
    outcomes.undo_was_made(outcomes.trials[0].undone("why"), released=True)
    outcomes.watch(entry, "b", 20, 1.0, 1.25, Adjust("learning_rate", add=0.25), 1.25)
    back = Outcomes(Settings())
    back.restore(outcomes.save())

    assert back == outcomes
    assert back.trials[0].undone("why") == Adjust("learning_rate", add=-0.25, because="why")


def test_a_cut_that_others_took_back_is_not_released(steer):
    """Halved, then raised to the user's own value again: there is nothing left to release, and no risk is added."""
    told = steer(
        {10: Adjust("learning_rate", scale=0.8), 30: Adjust("learning_rate", scale=1.25)},
        [1.0] * 10,
        outcomes={"revert_risky": False, "release_after": 3},
    )

    assert [factor for _, _, factor, *_ in made(told)] == [0.8, 1.0]
