"""What runs come to, by hand: excess, costs, delays, shares."""

from __future__ import annotations

import math

import pytest
from click.testing import CliRunner
from steersman_bench.rows import verdict
from steersman_bench.steer.case import Case
from steersman_bench.steer.cases import case_named, held_out_faults, tuned_on, well
from steersman_bench.steer.command import steer
from steersman_bench.steer.ending import Ran, Said
from steersman_bench.steer.loop import Asked
from steersman_bench.steer.measuring import excess, sick_run, well_run
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy
from steersman_bench.steer.table import rows
from steersman_bench.steer.workers import Done


def a_case(name: str, group: str, **others) -> Case:
    """Return a case whose training nobody makes."""
    return Case(name, group, lambda seed, sick: pytest.fail("no training is made"), **others)


@pytest.mark.parametrize(("metric", "told"), [(1.0, 0.0), (3.0, 100.0), (1.5, 25.0), (0.5, -25.0), (9.0, 150.0),
                                              (-4.0, -50.0), (math.nan, 150.0), (math.inf, 150.0)])  # fmt: skip
def test_excess_is_what_is_missing_of_what_the_twin_learned(metric, told):
    """The twin went from 3 to 1: 1 is as good as it, 3 learned nothing; beyond -50 and 150 nothing is told apart."""
    assert excess(metric, 1.0, 3.0) == told


def test_a_fault_is_seen_from_its_onset_on_and_within_six_evaluations():
    """Evaluations at 10, 20, ...; the fault acts from step 31. What was said before counts for nothing, what comes at
    the evaluation of step 50 came after two, and step 91 is too late.
    """
    case = a_case("a", "unfixable", onset=31, diagnoses=("dead",))
    twin = Ran(3.0, 1.0, 1.0, 240)

    def seen(*findings: Said, actions: tuple[Said, ...] = ()):
        return sick_run(case, 0, Ran(3.0, 2.0, 2.0, 240, findings=findings, actions=actions), twin, 10)

    early, late = Said(20, "dead-units"), Said(91, "dead-units")
    assert seen(early, late).delay is None
    assert not seen(early, late).is_named
    named = seen(Said(50, "dead-units"))
    assert (named.delay, named.is_named, named.excess, named.changes) == (2, True, 50.0, 0)
    acted = seen(Said(60, "noise"), actions=(Said(40, "learning_rate"), Said(40, "rollback")))
    assert (acted.delay, acted.is_named, acted.changes) == (1, False, 1)


def test_what_acting_cost_is_told_apart_from_which_checkpoint_was_loaded():
    """Left alone the run ends at 1.0 and its best by evaluation is 1.1; with the policy the best is 1.2: 10 % of the
    gain from 3.0 to 1.0 are lost, of which the policy's own acts cost 0.1 of 1.9.
    """
    run = well_run(a_case("w", "healthy"), 0, Ran(3.0, 1.3, 1.2, 240), Ran(3.0, 1.0, 1.0, 240), Ran(3.0, 1.0, 1.1, 240))
    assert run.cost == pytest.approx(10.0)
    assert run.own_cost == pytest.approx(100 * 0.1 / 1.9)


def test_a_table_of_two_cases_by_hand():
    """One sick and one healthy case, two seeds: the means, the paired difference, the precision at a balanced mix."""
    cases = (a_case("s", "fixable", onset=1), a_case("w", "healthy"))
    plain = Asked({})
    policies = (Policy(NOTHING, plain), Policy(BEST, Asked({}, load_best=True)), Policy(BASELINE, plain),
                Policy("mine", plain))  # fmt: skip
    done = {}
    for seed in (0, 1):
        done["s", seed, False, NOTHING] = Done(Ran(3.0, 1.0, 1.0, 240))
        for name, end in ((NOTHING, 3.0), (BEST, 3.0), (BASELINE, 2.0)):
            done["s", seed, True, name] = Done(Ran(3.0, end, end, 240))
            done["w", seed, False, name] = Done(Ran(3.0, 1.0, 1.0, 240))
    seen = (Said(20, "diverged"),)
    done["s", 0, True, "mine"] = Done(Ran(3.0, 1.0, 1.0, 240, findings=seen))
    done["s", 1, True, "mine"] = Done(Ran(3.0, 1.5, 1.5, 240))
    done["w", 0, False, "mine"] = Done(Ran(3.0, 1.2, 1.2, 240, actions=(Said(30, "rollback"),)))
    done["w", 1, False, "mine"] = Done(problem="it gave no answer within 30 seconds")
    mine = rows(cases, policies, (0, 1), done, {})[-1]
    group, healthy = mine.groups["fixable"], mine.well
    assert (group.excess, group.difference, group.recall, group.delay) == (12.5, -37.5, 0.5, 2)
    assert group.interval == (-50.0, -25.0)
    assert healthy is not None
    assert healthy.cost == healthy.worst_cost == pytest.approx(10.0)
    assert (healthy.runs, healthy.acted_on, healthy.destroyed, healthy.alarmed) == (1, 1.0, 1.0, 1.0)
    assert mine.precision == pytest.approx(0.5 / 1.5)
    assert mine.problem == "1 of 4 runs: it gave no answer within 30 seconds"


def test_a_row_names_its_first_problem():
    """A row with several problems says how many runs they were in and the first; one without says nothing."""
    assert verdict([], of=3) == ""
    assert verdict(["it died", "it died", "it hung"], of=9) == "3 of 9 runs: it died, and 1 other problem"


def test_there_are_as_many_cases_as_are_promised():
    """At least 16 sick cases with twins, 6 of kinds that were held out, 18 that are well; no name is there twice."""
    every = (*tuned_on(), *held_out_faults(), *well())
    assert len(tuned_on()) >= 16 and len(held_out_faults()) >= 6 and len(well()) >= 18
    assert len({case.name for case in every}) == len(every)
    assert {case.group for case in held_out_faults()} == {"held-out"}
    assert case_named("overflowing batch").onset == 83


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--use", "nosuch"), "no strategy named 'nosuch'"),
        (("--policies", "foo"), "no policy has a name with foo"),
        (("--cases", "foo"), "no case has a name with foo"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_trained(asked, told):
    """A sentence that names it, and exit code 2."""
    said = CliRunner().invoke(steer, [*asked, "--quick"])
    assert (said.exit_code, told in " ".join(said.output.split())) == (2, True)
