"""The rows of the benchmark: what all runs of one policy come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from attrs import field, frozen

from steersman.results.bootstrap import interval_of_mean
from steersman_bench.rows import verdict
from steersman_bench.steer.case import SICK, Group, Subject
from steersman_bench.steer.ending import Ran
from steersman_bench.steer.measuring import Sick, Well, sick_run, well_run
from steersman_bench.steer.policies import BASELINE, NOTHING, Policy
from steersman_bench.steer.public_logs import Alarms
from steersman_bench.steer.workers import Done

Interval = tuple[float, float] | None


@frozen
class OfGroup:
    """The sick runs of one group under a policy. `difference` is the mean excess less that of the baseline, paired."""

    runs: int
    excess: float
    difference: float | None
    interval: Interval
    recall: float
    delay: float | None


@frozen
class OfWell:
    """The runs that were well under a policy: costs in percent of the gain, shares of runs."""

    runs: int
    cost: float
    worst_cost: float
    worst_case: str
    own_cost: float
    worst_own_cost: float
    acted_on: float
    destroyed: float
    alarmed: float


@frozen
class Row:
    """What all runs of one policy come to. `problem` is a sentence where some could not be made or judged.

    `precision` is that of alarms where half of all runs are sick. `named` and `unchanged` are the shares of the runs
    that nothing can mend which were called by their name within six evaluations, and in which no value was changed.
    `alarms` are those over public logs.
    """

    name: str
    problem: str = ""
    groups: Mapping[Group, OfGroup] = field(factory=dict[Group, OfGroup])
    well: OfWell | None = None
    precision: float | None = None
    named: float | None = None
    unchanged: float | None = None
    alarms: Alarms | None = None
    sick: tuple[Sick, ...] = ()
    healthy: tuple[Well, ...] = ()

    def mean_excess(self, case: str) -> float | None:
        """Return the mean excess of one case."""
        found = [run.excess for run in self.sick if run.case == case]
        return fmean(found) if found else None


def rows(
    cases: Sequence[Subject], policies: Sequence[Policy], seeds: Sequence[int],
    done: Mapping[tuple[str, int, bool, str], Done], heard: Mapping[str, Done], against: str = BASELINE,
) -> tuple[Row, ...]:  # fmt: skip
    """Return a row for each policy, of the runs that are done; differences are to the policy `against`."""
    ran: dict[tuple[str, int, bool, str], Ran] = {
        key: each.value for key, each in done.items() if each.value is not None
    }
    baseline: dict[tuple[str, int], float] = {}
    made = {policy.name: _judged(cases, policy, seeds, ran) for policy in policies}
    if against in made:
        baseline = {(run.case, run.seed): run.excess for run in made[against][0]}
    return tuple(_row(policy, cases, *made[policy.name], baseline, done, heard.get(policy.name)) for policy in policies)


def _judged(
    cases: Sequence[Subject], policy: Policy, seeds: Sequence[int], ran: Mapping[tuple[str, int, bool, str], Ran]
) -> tuple[list[Sick], list[Well]]:
    sick, healthy = list[Sick](), list[Well]()
    for case in cases:
        for seed in seeds:
            is_sick = case.group in SICK
            mine = ran.get((case.name, seed, is_sick, policy.name))
            alone = ran.get((case.name, seed, False, NOTHING))
            if mine is None or alone is None:
                continue
            if is_sick:
                sick.append(sick_run(case, seed, mine, alone, case.eval_every))
            elif (chosen := ran.get((case.name, seed, False, policy.alike))) is not None:
                healthy.append(well_run(case, seed, mine, alone, chosen))
    return sick, healthy


def _row(
    policy: Policy, cases: Sequence[Subject], sick: list[Sick], healthy: list[Well],
    baseline: Mapping[tuple[str, int], float], done: Mapping[tuple[str, int, bool, str], Done],
    heard: Done | None,
) -> Row:  # fmt: skip
    mine = {key: each for key, each in done.items() if key[3] == policy.name}
    problems = [each.problem for each in mine.values() if each.problem]
    judged: tuple[Sick | Well, ...] = (*sick, *healthy)
    problems += [run.ran.failures[0] for run in judged if run.ran.failures]
    problems += [heard.problem] if heard is not None and heard.problem else []
    group_of = {case.name: case.group for case in cases}
    groups: dict[Group, OfGroup] = {}
    for group in SICK:
        if runs := [run for run in sick if group_of[run.case] == group]:
            groups[group] = _of_group(runs, baseline)
    well = _of_well(healthy) if healthy else None
    tuned = [run for run in sick if group_of[run.case] != "held-out"]
    recall = fmean(run.delay is not None for run in tuned) if tuned else 0.0
    alarmed = well.alarmed if well else 0.0
    hopeless = {case.name for case in cases if case.diagnoses}
    unmended = [run for run in sick if run.case in hopeless]
    return Row(
        policy.name, verdict(problems, of=len(mine) + (heard is not None)), groups, well,
        recall / (recall + alarmed) if recall + alarmed and well and tuned else None,
        fmean(run.is_named for run in unmended) if unmended else None,
        fmean(run.changes == 0 for run in unmended) if unmended else None,
        heard.value if heard is not None else None, tuple(sick), tuple(healthy),
    )  # fmt: skip


def _of_group(runs: list[Sick], baseline: Mapping[tuple[str, int], float]) -> OfGroup:
    pairs = [run.excess - baseline[run.case, run.seed] for run in runs if (run.case, run.seed) in baseline]
    delays = [run.delay for run in runs if run.delay is not None]
    return OfGroup(
        len(runs), fmean(run.excess for run in runs), fmean(pairs) if pairs else None,
        interval_of_mean(pairs) if pairs else None, len(delays) / len(runs), median(delays) if delays else None,
    )  # fmt: skip


def _of_well(runs: list[Well]) -> OfWell:
    worst = max(runs, key=lambda run: run.cost)
    return OfWell(
        len(runs), fmean(run.cost for run in runs), worst.cost, worst.case,
        fmean(run.own_cost for run in runs), max(run.own_cost for run in runs),
        fmean(bool(run.ran.actions) for run in runs), fmean(run.ran.is_destructive for run in runs),
        fmean(bool(run.ran.findings or run.ran.actions) for run in runs),
    )  # fmt: skip
