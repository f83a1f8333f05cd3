"""Adds up replayed runs: how each choice did on the task, how often there was an alarm, what a stop would have cost."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator

from attrs import define, field

from steersman.readers.left_out import NO_NUMBERS
from steersman.results.bootstrap import interval_of_mean
from steersman.results.run import LAST, LOWEST_EVAL_LOSS, ReplayedRun, TaskMetric
from steersman.results.totals import Agreement, AlarmRate, Comparison, Failed, Proposals, Stops, Total

__all__ = ["AGAINST", "Accumulator", "Total"]

AGAINST = (LOWEST_EVAL_LOSS, LAST)
"""What every choice is held against: what is chosen without any strategy."""
_NAMES = 1000
"""Names of metrics of unknown direction that are counted; a tree of runs may hold any number."""


@define
class _Differences:
    higher_is_better: bool
    values: array[float] = field(factory=lambda: array("d"))


@define
class Accumulator:
    """Hears runs one by one and holds none of them: only counts, and a float for each difference in a task metric."""

    _counts: Counter[str] = field(factory=Counter[str], init=False)
    _differences: dict[tuple[str, str, str], _Differences] = field(
        factory=dict[tuple[str, str, str], _Differences], init=False
    )
    _agreements: dict[str, Counter[str]] = field(factory=dict[str, Counter[str]], init=False)
    _alarms: dict[tuple[str, str], Counter[str]] = field(factory=dict[tuple[str, str], Counter[str]], init=False)
    _proposals: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]], init=False)
    _stops: dict[str, Counter[str]] = field(factory=dict[str, Counter[str]], init=False)
    _failures: dict[tuple[str, str], tuple[int, str]] = field(
        factory=dict[tuple[str, str], tuple[int, str]], init=False
    )
    _first_note: str = field(default="", init=False)
    _unknown: Counter[str] = field(factory=Counter[str], init=False)

    def add(self, run: ReplayedRun) -> None:
        """Hear one run, also one that could not be read."""
        self._counts["runs"] += 1
        if run.error is not None:
            self._counts["failed"] += 1
            return
        self._counts["records"] += run.records
        self._counts["evaluations"] += run.evaluations
        self._counts["steps"] += run.last_step
        self._counts["runs_with_task_metric"] += bool(run.task_metrics)
        self._counts["runs_with_alarm"] += bool(run.alarms)
        self._counts["strategy_errors"] += len(run.errors)
        for metric in run.task_metrics:
            self._compare(metric, (*run.choices,))
        self._agree(run)
        self._hear_alarms(run)
        notes = [note for note in run.notes if not note.startswith(NO_NUMBERS)]  # a null is in many a log
        self._counts["runs_with_notes"] += bool(notes)
        self._first_note = self._first_note or (f"{run.path}: {notes[0]}" if notes else "")
        for strategy, hook in {(error["strategy"], error["hook"]): None for error in run.errors}:
            said = next(e["error"] for e in run.errors if (e["strategy"], e["hook"]) == (strategy, hook))
            runs, first = self._failures.get((strategy, hook), (0, said))
            self._failures[strategy, hook] = runs + 1, first
        self._proposals.update((proposal.strategy, proposal.verdict) for proposal in run.proposals)
        for stop in run.stops:
            asked = self._stops.setdefault(stop.strategy, Counter())
            asked.update(runs=1, steps_saved=stop.steps_saved, gave_up_better=int(stop.better_after is not None))
        for name in run.unknown_direction:
            if name in self._unknown or len(self._unknown) < _NAMES:
                self._unknown[name] += 1

    def total(self) -> Total:
        """Return what the runs heard so far tell together."""
        return Total(
            **self._counts,
            first_note=self._first_note,
            comparisons=tuple(self._compared()),
            agreements=tuple(Agreement(who, n["runs"], n["same"]) for who, n in self._agreements.items()),
            alarms=tuple(self._rates()),
            proposals=tuple(Proposals(*key, n) for key, n in self._proposals.items()),
            stops=tuple(Stops(who, n["runs"], n["steps_saved"], n["gave_up_better"]) for who, n in self._stops.items()),
            failures=tuple(Failed(*key, runs, said) for key, (runs, said) in self._failures.items()),
            unknown_direction=dict(self._unknown.most_common()),
        )

    def _compare(self, metric: TaskMetric, choosers: tuple[str, ...]) -> None:
        for chooser in choosers:
            for against in AGAINST:
                if chooser in metric.at and against in metric.at:
                    difference = metric.at[chooser] - metric.at[against]
                    held = self._differences.setdefault(
                        (chooser, against, metric.name), _Differences(metric.higher_is_better)
                    )
                    held.values.append(difference if held.higher_is_better else -difference or 0.0)

    def _agree(self, run: ReplayedRun) -> None:
        if run.lowest_eval_loss is not None:
            for chooser, choice in run.choices.items():
                kept = self._agreements.setdefault(chooser, Counter())
                kept.update(runs=1, same=int(choice.step == run.lowest_eval_loss.step))

    def _hear_alarms(self, run: ReplayedRun) -> None:
        heard: set[tuple[str, str]] = set()
        for finding in run.findings:
            if finding.severity != "info":
                key = (finding.strategy, finding.name)
                rung = self._alarms.setdefault(key, Counter())
                rung.update(alarms=1, critical=int(finding.severity == "critical"), runs=int(key not in heard))
                heard.add(key)

    def _compared(self) -> Iterator[Comparison]:
        for (chooser, against, name), held in sorted(self._differences.items(), key=self._by_metric):
            values = held.values
            wins, losses = sum(v > 0 for v in values), sum(v < 0 for v in values)
            yield Comparison(
                chooser, against, name, held.higher_is_better, len(values), wins, len(values) - wins - losses, losses,
                math.fsum(values) / len(values), interval_of_mean(values),
            )  # fmt: skip

    def _by_metric(self, item: tuple[tuple[str, str, str], _Differences]) -> tuple[int, str, int]:
        """Return what brings the metric of the most runs first, and all choosers of one metric together."""
        (_, against, name), held = item
        return -len(held.values), name, AGAINST.index(against)

    def _rates(self) -> Iterator[AlarmRate]:
        steps = self._counts["steps"]
        for (strategy, name), n in self._alarms.items():
            rate = 1000 * n["alarms"] / steps if steps else None
            yield AlarmRate(strategy, name, n["alarms"], n["critical"], n["runs"], rate)
