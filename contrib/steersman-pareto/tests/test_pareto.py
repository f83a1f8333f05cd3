"""`pareto`: scales, scores and fronts by hand, and what the strategy makes of a run."""

from __future__ import annotations

import itertools
import math
import random
import re
from pathlib import Path

import pytest
import yaml
from attrs import define
from steersman_pareto import Objective, Pareto
from steersman_pareto.constraints import constraint_of
from steersman_pareto.front import front_of
from steersman_pareto.objectives import scale_of, tchebycheff, weighted_sum

from steersman import Adjust, hookimpl
from steersman.config import read
from steersman.config.structuring import structure
from steersman.testing import a_run, play

RUN = Path(__file__).parent / "runs" / "semeval23-human-values-detec-01.json"
BOTH = {"eval_loss": 1.0, "eval_accuracy": Objective(0.5, "higher")}
POINTS = {
    "eval_loss": Objective(1.0, "lower", ideal=0.0, nadir=2.0),
    "eval_accuracy": Objective(0.5, "higher", ideal=1.0, nadir=0.6),
}


@define(eq=False)
class Cooler:
    """Lowers the temperature at the check of step 10."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("temperature", scale=0.9, because="a test says so") if check.step == 10 else None


def told(found, name):
    """Return the findings of this name."""
    return [finding for finding in found.findings if finding.name == name]


@pytest.mark.parametrize(
    ("objective", "first", "value", "expected"),
    [
        (Objective(), 2.0, 2.0, 1.0),  # the first value is the nadir
        (Objective(), 2.0, 0.5, 0.25),  # a quarter of the way to 0 is left
        (Objective(direction="higher"), 0.6, 0.8, 0.5),  # half of the way from 0.6 to 1
        (Objective(direction="higher"), 0.0, 0.25, 0.75),  # an accuracy that begins at 0
        (Objective(direction="higher"), 40.0, 50.0, 0.75),  # in percent: a quarter of 40 better
        (Objective(direction="higher"), -2.0, -1.0, 0.5),  # a reward below 0: half of its size better
        (Objective(), -4.0, -5.0, 0.75),  # a density's log-likelihood below 0: a quarter of its size better
        (Objective(), 0.0, 0.3, 1.3),  # begins at its ideal: the unit is the metric's own
        (Objective(ideal=0.0, nadir=0.5), 0.001, 0.1, 0.2),  # a KL with both points: the first value counts for nothing
        (Objective(nadir=0.5), 0.001, 0.1, 0.2),
        (Objective(ideal=1.0), 3.0, 2.0, 0.5),
        (Objective(ideal=0.5), 0.4, 0.3, 0.0),  # begins better than its ideal: still lower is better
    ],
)
def test_a_metric_is_read_as_its_distance_from_the_ideal(objective, first, value, expected):
    """1 at the nadir and 0 at the ideal, whichever of them the options name."""
    assert scale_of(objective, first).read(value) == pytest.approx(expected)


def test_a_metric_without_nadir_or_first_value_has_no_scale():
    """Before its first value nothing can be said, unless the options say it."""
    assert scale_of(Objective(ideal=0.0), None) is None
    assert scale_of(Objective(ideal=0.0, nadir=2.0), None).read(1.0) == 0.5


def test_the_weighted_mean_shares_the_weights():
    """Weights 3 and 1 of values 0.4 and 0.8: 0.3 and 0.2, together 0.5."""
    terms = weighted_sum({"a": 0.4, "b": 0.8}, {"a": 3.0, "b": 1.0})
    assert terms == {"a": pytest.approx(0.3), "b": pytest.approx(0.2)}


def test_tchebycheff_is_the_worst_and_a_little_of_all():
    """Weights 3 and 1 of 0.4 and 0.8: the worst is 0.3, and a hundredth of 0.5."""
    terms = tchebycheff({"a": 0.4, "b": 0.8}, {"a": 3.0, "b": 1.0}, 0.01)
    assert terms == {"worst": pytest.approx(0.3), "augmentation": pytest.approx(0.005)}


def test_only_tchebycheff_reaches_a_front_that_is_not_convex():
    """(0, 1), (0.6, 0.6) and (1, 0) are all on the front; no weighted mean prefers the middle one, tchebycheff does."""
    points = [{"a": 0.0, "b": 1.0}, {"a": 0.6, "b": 0.6}, {"a": 1.0, "b": 0.0}]
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        weights = {"a": share, "b": 1 - share}
        assert min(points, key=lambda p: sum(weighted_sum(p, weights).values())) is not points[1]
    even = {"a": 1.0, "b": 1.0}
    assert min(points, key=lambda p: sum(tchebycheff(p, even, 0.01).values())) is points[1]


def test_the_front_holds_what_nothing_else_covers():
    """Of four points in two coordinates (2, 2) is covered by (1, 2); of two equal ones the first stays."""
    assert front_of([(2.0, 2.0), (1.0, 2.0), (3.0, 1.0), (1.0, 2.0)]) == [1, 2]
    assert front_of([]) == []
    assert front_of([(5.0,), (4.0,), (4.0,)]) == [1]


def test_the_front_is_that_of_its_definition():
    """Against the definition, pair by pair, on 200 points of three small whole numbers, with many ties."""
    draw = random.Random(0)
    points = [tuple(float(draw.randint(0, 5)) for _ in range(3)) for _ in range(200)]
    dominated = {
        j
        for (i, p), (j, q) in itertools.permutations(enumerate(points), 2)
        if all(a <= b for a, b in zip(p, q, strict=True)) and (p != q or i < j)
    }
    assert front_of(points) == [i for i in range(200) if i not in dominated]


@pytest.mark.parametrize(
    ("text", "value", "keeps"),
    [
        (">= 0.92", 0.92, True),
        ("> 0.92", 0.92, False),
        ("<=3", 3.0, True),
        (" < 3 ", 3.0, False),
        (">= -1e-3", 0.0, True),
    ],
)
def test_a_constraint_is_kept_or_broken(text, value, keeps):
    """The four signs, at their bound."""
    assert (constraint_of(text).broken_by("m", value) == "") is keeps


@pytest.mark.parametrize("text", ["0.92", "= 0.92", "=> 0.92", ">= high", ">= nan", ">= inf", "", ">= 1 2"])
def test_what_is_no_constraint_is_refused(text):
    """The sentence says what was expected."""
    with pytest.raises(ValueError, match=re.escape(f"such as '>= 0.92', got {text!r}")):
        constraint_of(text)


def test_a_run_is_scored_by_the_share_of_the_way_that_is_left():
    """First 2.0 and 0.6: 1. Then 1.0 and 0.8, half of both ways: 0.5. Then 1.5 and 0.9: 2/3 x 0.75 + 1/3 x 0.25."""
    story = (
        a_run()
        .epoch(loss=2.0).evaluate(eval_loss=2.0, eval_accuracy=0.6)
        .epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.8)
        .epoch(loss=1.0).evaluate(eval_loss=1.5, eval_accuracy=0.9)
    )  # fmt: skip
    found = story.play(Pareto(BOTH))
    assert found.scores == {10: pytest.approx(1.0), 20: pytest.approx(0.5), 30: pytest.approx(7 / 12)}
    assert found.best.step == 20
    assert found.best.score.terms == {"eval_loss": pytest.approx(1 / 3), "eval_accuracy": pytest.approx(1 / 6)}


def test_the_baseline_fixes_the_scale_where_the_run_evaluates_at_step_0():
    """4.0 at step 0 is the nadir: 2.0 after an epoch is half of it."""
    story = a_run().evaluate(eval_loss=4.0).epoch(loss=2.0).evaluate(eval_loss=2.0)
    assert story.play(Pareto({"eval_loss": 1.0})).scores == {0: 1.0, 10: 0.5}


def test_early_and_late_scores_are_on_one_scale():
    """The scores of a run that went on are those of the run that ended early, and rank as the last of them would rank
    on the same scale: with ranges of the values so far the first two would change places."""
    first = a_run().epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.5)
    second = first.epoch(loss=1.0).evaluate(eval_loss=0.9, eval_accuracy=0.48)
    third = second.epoch(loss=1.0).evaluate(eval_loss=20.0, eval_accuracy=0.7)
    objectives = {"eval_loss": 1.0, "eval_accuracy": Objective(1.0, "higher")}
    scores = third.play(Pareto(objectives)).scores
    assert scores == {10: 1.0, 20: pytest.approx(0.5 * 0.9 + 0.5 * 1.04), 30: pytest.approx(0.5 * 20 + 0.5 * 0.6)}
    assert second.play(Pareto(objectives)).scores == {10: scores[10], 20: scores[20]}


def test_tchebycheff_scores_a_run_by_its_worst_objective():
    """1.0 of 2.0 and 0.8 of 0.6 to 1: shares of 1/3 and 1/6, so 1/3 + 0.01 x 1/2."""
    story = a_run().epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.8)
    found = story.play(Pareto(POINTS, scalarization="tchebycheff"))
    assert found.scores == {10: pytest.approx(1 / 3 + 0.005)}


@pytest.mark.parametrize(
    ("safety", "says"),
    [
        ({"eval_safety": 0.9}, "eval_safety is 0.9, and must be >= 0.92"),
        ({"eval_safety": math.nan}, "eval_safety is nan, so it is not shown to be >= 0.92"),
        ({}, "eval_safety was not evaluated, so it is not shown to be >= 0.92"),
    ],
)
def test_a_checkpoint_that_does_not_show_its_constraint_is_rejected(safety, says):
    """Too low, NaN or not evaluated: never best, however low its loss, and the journal holds the reason."""
    story = (
        a_run()
        .epoch(loss=1.0).evaluate(eval_loss=2.0, eval_safety=0.95)
        .epoch(loss=1.0).evaluate(eval_loss=0.1, **safety)
    )  # fmt: skip
    found = story.play(Pareto({"eval_loss": 1.0}, {"eval_safety": ">= 0.92"}))
    assert found.scores == {10: 1.0, 20: math.inf}
    assert found.best.step == 10
    assert [entry.data["because"] for entry in found.of("score")][1] == says


def test_a_run_in_which_no_checkpoint_is_allowed_says_so_at_its_end():
    """Where the constraint never comes, nothing is best, a warning says why, and the summary names the metric."""
    story = a_run().epoch(loss=1.0).evaluate(eval_loss=2.0).epoch(loss=1.0).evaluate(eval_loss=1.0)
    found = story.play(Pareto({"eval_loss": 1.0}, {"eval_safety": ">= 0.92"}))
    assert found.best is None
    (said,) = told(found, "no-checkpoint-allowed")
    assert said.severity == "warning"
    assert said.message.startswith("none of 2 checkpoints keeps every constraint: eval_safety was not evaluated")
    assert "eval_safety" in found.of("end")[0].data["never_came"]


@pytest.mark.parametrize("bad", [{}, {"eval_accuracy": math.nan}, {"eval_accuracy": math.inf}])
def test_an_objective_that_is_missing_or_not_finite_is_no_opinion(bad):
    """That evaluation has no score, and neither spoils the scale of the next."""
    story = (
        a_run()
        .epoch(loss=1.0).evaluate(eval_loss=2.0, **bad)
        .epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.6)
    )  # fmt: skip
    found = story.play(Pareto(BOTH))
    assert found.scores == {20: pytest.approx(2 / 3 * 0.5 + 1 / 3)}
    assert found.errors == ()


def test_an_objective_that_never_comes_is_asked_for():
    """The summary names it, with the nearest metric there is."""
    found = a_run().epoch(loss=1.0).evaluate(eval_loss=2.0, eval_acuracy=0.5).play(Pareto(BOTH))
    assert found.scores == {}
    assert "eval_accuracy" in found.of("end")[0].data["never_came"]


def test_the_scales_are_said_once():
    """At the first check that knows them all: where 1 and 0 are, with the units, and not again after a resume."""
    story = a_run()
    for loss, accuracy in ((2.0, 0.6), (1.0, 0.8), (0.5, 0.9)):
        story = story.epoch(loss=loss).evaluate(eval_loss=loss, eval_accuracy=accuracy).resume()
    (said,) = told(story.play(Pareto(BOTH)), "pareto-scale")
    assert (said.step, said.severity) == (10, "info")
    assert (
        said.message == "for the rest of the run eval_loss is 1 at 2 and 0 at 0, eval_accuracy is 1 at 0.6 and 0 at 1"
    )
    assert said.evidence == {"eval_loss": 2.0, "eval_accuracy": pytest.approx(0.4)}


def test_a_resumed_run_keeps_its_scale():
    """Interrupted after each evaluation the scores are those of the run in one go: the nadir is not the first after."""
    straight = broken = a_run()
    for loss in (4.0, 2.0, 1.0):
        straight = straight.epoch(loss=loss).evaluate(eval_loss=loss)
        broken = broken.epoch(loss=loss).evaluate(eval_loss=loss).resume()
    expected = {10: 1.0, 20: 0.5, 30: 0.25}
    assert straight.play(Pareto({"eval_loss": 1.0})).scores == expected
    assert broken.play(Pareto({"eval_loss": 1.0})).scores == expected


def test_the_end_names_the_pareto_front_best_first():
    """Of four checkpoints 20 and 40 are on the front: 10 is worse in both, 30 breaks the constraint."""
    story = (
        a_run()
        .epoch(loss=1.0).evaluate(eval_loss=2.0, eval_accuracy=0.6, eval_safety=1.0)
        .epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.7, eval_safety=1.0)
        .epoch(loss=1.0).evaluate(eval_loss=0.5, eval_accuracy=0.9, eval_safety=0.5)
        .epoch(loss=1.0).evaluate(eval_loss=1.5, eval_accuracy=0.8, eval_safety=1.0)
    )  # fmt: skip
    found = story.play(Pareto(BOTH, {"eval_safety": ">= 0.92"}))
    (said,) = told(found, "pareto-front")
    assert (said.step, said.severity) == (40, "info")
    assert said.message == (
        "2 of 3 checkpoints are on the Pareto front: step 20 (eval_loss 1, eval_accuracy 0.7); "
        "step 40 (eval_loss 1.5, eval_accuracy 0.8)"
    )
    assert list(said.evidence) == ["step 20", "step 40"]


def test_the_front_that_is_named_is_bounded():
    """Of a front of 30 the eight best are named, and how many there are; the baseline is none of them."""
    story = a_run().evaluate(eval_loss=9.0, eval_accuracy=0.0)
    for i in range(30):
        story = story.epoch(loss=1.0).evaluate(eval_loss=1.0 + 0.01 * i, eval_accuracy=0.5 + 0.01 * i)
    (said,) = told(story.play(Pareto(BOTH)), "pareto-front")
    assert said.message.startswith("30 of 30 checkpoints are on the Pareto front, the best 8 by score: step 300 (")
    assert len(said.evidence) == 8


def test_a_run_without_a_score_has_no_front():
    """Nothing evaluated, nothing said."""
    assert a_run().epoch(loss=1.0).play(Pareto(BOTH)).findings == ()


def test_checkpoints_before_a_restart_are_not_compared_with_those_after():
    """A change that moves the metrics themselves begins the ranking anew: the front holds what came after it."""
    story = (
        a_run(temperature=1.0)
        .epoch(loss=1.0).evaluate(eval_loss=0.1, eval_accuracy=0.9)
        .epoch(loss=1.0).evaluate(eval_loss=1.0, eval_accuracy=0.7)
    )  # fmt: skip
    (said,) = told(story.play(Pareto(BOTH), Cooler(), rails={"restart_baselines": True}), "pareto-front")
    assert list(said.evidence) == ["step 20"]


def test_a_config_names_objectives_and_constraints():
    """As in the README: weights as numbers or tables, and a table of constraints."""
    problems: list[str] = []
    made = structure(
        {
            "objectives": {"eval_loss": 1, "eval_accuracy": {"direction": "higher", "weight": 0.5}},
            "require": {"eval_safety": ">= 0.92"},
        },
        Pareto,
        "$.use[0].pareto",
        problems,
    )
    assert problems == []
    assert made.objectives["eval_accuracy"] == Objective(0.5, "higher")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "objectives names no metric; expected at least one, such as {eval_loss: 1}"),
        ({"objectives": {"eval_loss": 0.0}}, "eval_loss: the weight must be above 0, got 0.0"),
        ({"objectives": {"eval_loss": math.nan}}, "eval_loss: the weight must be above 0, got nan"),
        ({"objectives": {"eval_loss": 1.0}, "require": {"eval_f1": "0.5"}}, "eval_f1: expected one of >=, <=, >, <"),
        (
            {"objectives": {"eval_loss": 1.0}, "scalarization": "tchebycheff"},
            "eval_loss: tchebycheff needs its `ideal` and its `nadir`",
        ),
        ({"objectives": {"eval_loss": 1.0}, "augmentation": 0.0}, "augmentation"),
        ({"objectives": {"eval_loss": 1.0}, "listed": 0}, "listed"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(options, says):
    """What cannot be is refused before training starts, in a sentence that names option and metric."""
    with pytest.raises(ValueError, match=re.escape(says)):
        Pareto(**options)


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ({"ideal": math.inf}, "ideal must be a finite number, got inf"),
        ({"ideal": 2.0, "nadir": 1.0}, "the ideal 2 must be lower than the nadir 1; turn them round"),
        ({"direction": "higher", "ideal": 0.5, "nadir": 0.9}, "the ideal 0.5 must be higher than the nadir 0.9"),
    ],
)
def test_wrong_reference_points_are_refused(points, says):
    """An ideal that is worse than its nadir would turn the metric round."""
    with pytest.raises(ValueError, match=re.escape(says)):
        Objective(**points)


def test_a_wrong_table_in_a_config_is_an_error_with_its_path():
    """A direction that does not exist is found where it stands."""
    problems: list[str] = []
    assert structure({"objectives": {"eval_loss": {"direction": "up"}}}, Pareto, "$.use[0]", problems) is None
    assert problems and "eval_loss" in problems[0]


def test_the_readme_config_reads():
    """The YAML of the README is a config; what it names beside this strategy is shipped."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    raw = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    (first, second) = read(raw).use
    assert (first.target, second.target) == ("pareto", "eval-loss")
    problems: list[str] = []
    assert structure(first.options, Pareto, "$", problems) is not None, problems


def test_a_real_run_of_twenty_evaluations_is_scored_and_its_front_named():
    """Loss and F1 of a real run: the scores of its first, third and last evaluation by hand from the log, and the steps
    of the front found in the log pair by pair."""
    found = play(RUN, Pareto({"eval_loss": 1.0, "eval_macro-avg-f1score": Objective(1.0, "higher")}))
    assert found.errors == ()
    assert len(found.scores) == 20
    assert [found.scores[step] for step in (675, 2025, 13500)] == pytest.approx([1.0, 0.861789, 1.019508], abs=1e-6)
    assert found.best.step == 3375
    (said,) = told(found, "pareto-front")
    assert list(said.evidence) == [f"step {step}" for step in (3375, 2025, 2700, 5400, 6750, 10125)]
