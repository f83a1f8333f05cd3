"""Each check fails for a strategy that breaks what it demands, with a sentence; strategies that keep it pass all."""

from __future__ import annotations

import datetime
import functools
import random
import statistics
import threading
import time
from time import monotonic
from typing import Any

import numpy
import pytest
from attrs import define, field

from steersman import Adjust, Finding, Save, Score, Stop, hookimpl, state
from steersman.testing import CHECKS
from steersman.testing.checks import conduct, cost, declared, sameness, survival

BEGUN = time.time()
BEGUN_MONOTONIC = monotonic()
BEGUN_DAY = datetime.date.today()


@define(eq=False)
class Sound:
    """Looks at everything with care: scores, finds, proposes, vetoes, remembers."""

    window: int = 3
    seen: int = state(0)
    newest: list[float] = state([])
    by_name: dict[int, float] = state({})

    @hookimpl
    def on_log(self, run, log):
        self.by_name = dict(sorted({**self.by_name, log.step: log.metrics.get("loss", 0.0)}.items())[-3:])

    @hookimpl
    def on_eval(self, run, evaluation):
        self.seen += 1
        self.newest = [*self.newest, evaluation.metrics.get("eval_loss", 0.0)][-self.window :]

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        losses = run.history["eval_loss"].finite().last(self.window)
        return Score(statistics.median(losses)) if losses else None

    @hookimpl
    def diagnose(self, run, check):
        if self.seen % 4 == 3:
            yield Finding("fourth", f"{self.seen} evaluations, newest {self.newest}")

    @hookimpl
    def propose_adjustments(self, run, check):
        return [Adjust("learning_rate", scale=0.9, because="fourth"), Save("fourth")] if self.seen % 4 == 3 else None

    @hookimpl
    def veto_adjustment(self, run, adjustment):
        return "not at every third" if self.seen % 3 == 0 else None


@define(eq=False)
class Silent:
    """Hears every log and says nothing."""

    @hookimpl
    def on_log(self):
        pass


class Scores:
    """Scores with the eval loss, where there is a finite one."""

    def of(self, checkpoint: Any) -> Any:
        loss = checkpoint.metrics.get("eval_loss", float("nan"))
        return Score(loss) if loss * 0 == 0 else None


class Plain:
    """No attrs class."""

    @hookimpl
    def on_log(self):
        pass


@define
class ComparesByValue:
    """Compares by value."""

    @hookimpl
    def on_log(self):
        pass


@define(eq=False)
class Undocumented:
    @hookimpl
    def on_log(self):
        pass


@define(eq=False)
class Misspelt:
    """Has a hook that does not exist."""

    @hookimpl
    def on_logs(self):
        pass


@define(eq=False)
class CountsUp:
    """Makes another of the option it is given."""

    window: int = field(default=3, converter=lambda value: value + 1)

    @hookimpl
    def on_log(self):
        pass


@define(eq=False)
class TakesAnObject:
    """Has an option that no config can hold."""

    thing: Any = field(factory=object)

    @hookimpl
    def on_log(self):
        pass


@define(eq=False)
class HoldsALock:
    """Holds what cannot be copied."""

    lock: Any = field(factory=threading.Lock, init=False)

    @hookimpl
    def on_log(self):
        pass


@define(eq=False)
class Complains:
    """Complains of a run in which nothing happened."""

    @hookimpl
    def diagnose(self, run, check):
        return Finding("no-records", "nothing was logged") if not run.history.names() else None


@define(eq=False)
class FailsWithoutRecords:
    """Fails at the end of a run in which nothing happened."""

    @hookimpl
    def on_train_end(self, run):
        run.history.names()[0]


@define(eq=False)
class NeedsALoss:
    """Takes for granted that every evaluation has an eval loss."""

    @hookimpl
    def on_eval(self, run, evaluation):
        _ = evaluation.metrics["eval_loss"]


@define(eq=False)
class Rounds:
    """Takes for granted that a loss is a number that can be rounded."""

    @hookimpl
    def on_log(self, run, log):
        round(log.metrics.get("loss", 0.0))


@define(eq=False)
class PassesOn:
    """Scores with whatever the eval loss is."""

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        loss = checkpoint.metrics.get("eval_loss")
        return None if loss is None else Score(loss)


@define(eq=False)
class NeedsTwo:
    """Takes for granted that a run that was evaluated was evaluated twice."""

    @hookimpl
    def on_train_end(self, run):
        if run.checkpoints:
            statistics.stdev(c.step for c in run.checkpoints)


@define(eq=False)
class Hoards:
    """Remembers every evaluation."""

    losses: list[float] = state([])

    @hookimpl
    def on_eval(self, run, evaluation):
        self.losses.append(evaluation.metrics.get("eval_loss", 0.0))


@define(eq=False)
class Tires:
    """Fails after a thousand evaluations."""

    seen: int = state(0)

    @hookimpl
    def on_eval(self):
        self.seen += 1
        if self.seen > 1000:
            raise RuntimeError("enough")


@define(eq=False)
class SaysText:
    """Answers with text where a finding is expected."""

    @hookimpl
    def diagnose(self, run, check):
        return "all is well" if run.step else None


@define(eq=False)
class SaysItInTheWrongPlace:
    """Returns a finding from a hook that nobody listens to."""

    @hookimpl
    def on_log(self, run, log):
        return Finding("heard", "a log came")


@define(eq=False)
class ChangesMetrics:
    """Mends the metrics it is given."""

    @hookimpl
    def on_eval(self, run, evaluation):
        evaluation.metrics["eval_loss"] = 0.0


@define(eq=False)
class ChangesTheRun:
    """Sets the mode of the run."""

    @hookimpl
    def on_train_begin(self, run):
        run.mode = "observe"


@define(eq=False)
class ChangesHistory:
    """Adds to the history."""

    @hookimpl
    def on_log(self, run, log):
        if "loss" in run.history:
            run.history["loss"].append(log.step, 0.0)


@define(eq=False)
class ChangesAnOption:
    """Uses an option as its memory."""

    limit: float = 1.0

    @hookimpl
    def diagnose(self, check):
        self.limit *= 0.5
        yield Finding("limit", "the limit falls", "info")


@define(eq=False)
class DrawsUnseen:
    """Draws from the global generator, and does nothing with it."""

    @hookimpl
    def on_log(self):
        random.random()


@define(eq=False)
class DrawsNumpy:
    """Draws from NumPy's global generator, and does nothing with it."""

    @hookimpl
    def on_eval(self):
        numpy.random.rand()


@define(eq=False)
class Guesses:
    """Scores by chance, with a generator of its own."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(random.Random().random())


@define(eq=False)
class GuessesWithSeeds:
    """Scores by chance, with the global generator."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(random.random())


@define(eq=False)
class Tells:
    """Finds it late, by one of the clocks."""

    clock: str = "time"

    @hookimpl
    def diagnose(self, check):
        is_late = {
            "time": lambda: time.time() - BEGUN > 1e6,
            "monotonic, imported by name": lambda: monotonic() - BEGUN_MONOTONIC > 1e6,
            "datetime": lambda: datetime.datetime.now().timestamp() - BEGUN > 1e6,
            "date": lambda: (datetime.date.today() - BEGUN_DAY).days > 30,
            "localtime": lambda: time.mktime(time.localtime()) - BEGUN > 1e6,
        }[self.clock]
        return Finding("late", "it is late") if is_late() else None


@define(eq=False)
class Forgets:
    """Stops after five evaluations, which it counts in a field that no checkpoint carries."""

    seen: int = field(default=0, init=False)

    @hookimpl
    def on_eval(self):
        self.seen += 1

    @hookimpl
    def propose_adjustments(self):
        return Stop("five evaluations") if self.seen == 5 else None


SEEN: dict[int, float] = {}


@define(eq=False)
class RemembersInAGlobal:
    """Counts the steps that it has seen in a global of its module."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        SEEN[checkpoint.step] = 1.0
        return Score(float(len(SEEN)))


@define(eq=False)
class RemembersTheFirst:
    """Remembers the first loss that it was ever asked of, in a global."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(FIRST.setdefault("loss", checkpoint.metrics.get("eval_loss", 0.0)))


FIRST: dict[str, float] = {}


@define(eq=False)
class StopsByTheClock:
    """Stops when an hour has passed since it was made, by a clock of its own."""

    begun: float = field(init=False, factory=monotonic)

    @hookimpl
    def propose_adjustments(self):
        return Stop("an hour") if monotonic() - self.begun > 3600 else None


@define(eq=False)
class HoardsLogs:
    """Keeps every loss that was logged."""

    losses: list[float] = state([])

    @hookimpl
    def on_log(self, log):
        self.losses.append(log.metrics.get("loss", 0.0))


@define(eq=False)
class TrustsTheBest:
    """Reads metrics of the best checkpoint that no run needs to have."""

    @hookimpl
    def diagnose(self, run):
        if run.best is not None and run.best.metrics["eval_safety"] < 0.5:
            yield Finding("unsafe", "the best is unsafe")


@define(eq=False)
class KnowsTheEnd:
    """Divides by the steps that are left."""

    @hookimpl
    def diagnose(self, run, check):
        if run.plan.total_steps:
            1 / (run.plan.total_steps - check.step)


@define(eq=False)
class KeepsNumbersAsKeys:
    """Remembers by step what JSON can only remember by text."""

    losses: dict[str, float] = state({})

    @hookimpl
    def on_log(self, log):
        self.losses = {log.step: 1.0}


@define(eq=False)
class KeepsText:
    """Remembers a text in a field for a number."""

    seen: int = state(0)

    @hookimpl
    def on_log(self):
        self.seen = "many"


@define(eq=False)
class Dawdles:
    """Takes 20 ms of CPU at the end of the run."""

    @hookimpl
    def on_train_end(self):
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass


FAULTS = [
    (Plain, declared.sound_class, r"^Plain is no attrs class.*@define\(eq=False\)$"),
    (ComparesByValue, declared.sound_class, r"^ComparesByValue: ComparesByValue compares by value"),
    (Undocumented, declared.sound_class, r"^Undocumented has no docstring"),
    (Misspelt, declared.sound_class, r"there is no hook 'on_logs', did you mean 'on_log'\?"),
    (CountsUp, declared.options_round_trip, r"^the option 'window' of CountsUp is 4, and 5 when read again from JSON$"),
    (
        TakesAnObject,
        declared.options_round_trip,
        r"^the option 'thing' of TakesAnObject is <object object at \w+>, and '<object object at \w+>' when read again",
    ),
    (HoldsALock, declared.picklable, r"^HoldsALock, as it is made, cannot be pickled: TypeError: cannot pickle"),
    (
        Complains,
        survival.empty_run,
        r"^complains found no-records \(warning: nothing was logged; \{\}\) in diagnose, at the end of a run without a",
    ),
    (
        FailsWithoutRecords,
        survival.empty_run,
        r"^fails-without-records failed in on_train_end at step 0: IndexError: .*; the run had no record$",
    ),
    (
        NeedsALoss,
        survival.missing_metrics,
        r"^needs-a-loss failed in on_eval at step 10: KeyError: 'eval_loss'; eval_loss may never be logged$",
    ),
    (
        Rounds,
        survival.nonfinite_metrics,
        r"^rounds failed in on_log at step 5: ValueError: .* NaN .*; any metric may be NaN or infinite$",
    ),
    (
        PassesOn,
        survival.nonfinite_metrics,
        r"^passes-on failed in score_checkpoint at step 10: TypeError: returned a score of nan; use Score.reject",
    ),
    (
        NeedsTwo,
        survival.one_evaluation,
        r"^needs-two failed in on_train_end at step 10: StatisticsError: .*; the run was evaluated once$",
    ),
    (
        Hoards,
        cost.ten_thousand_evaluations,
        r"^hoards remembers [\d,]+ bytes of JSON after ten thousand evaluations, most of it in 'losses'; .* 65,536",
    ),
    (
        Tires,
        cost.ten_thousand_evaluations,
        r"^tires failed in on_eval at step 10010: RuntimeError: enough; the run had ten thousand evaluations$",
    ),
    (
        SaysText,
        conduct.allowed_types,
        r"^says-text failed in diagnose at step 10: TypeError: returned str 'all is well'; expected Findings$",
    ),
    (
        SaysItInTheWrongPlace,
        conduct.allowed_types,
        r"^says-it-in-the-wrong-place returned Finding from on_log at step 5, and nobody hears what on_log returns$",
    ),
    (ChangesMetrics, conduct.mutates_nothing, r"^changes-metrics changed evaluation.metrics in on_eval at step 10\. "),
    (ChangesTheRun, conduct.mutates_nothing, r"^changes-the-run changed run.mode in on_train_begin at step 0\. "),
    (ChangesHistory, conduct.mutates_nothing, r"^changes-history changed run.history in on_log at step 5\. "),
    (ChangesAnOption, conduct.mutates_nothing, r"^changes-an-option changed self.limit in diagnose at step 10\. "),
    (
        DrawsUnseen,
        conduct.mutates_nothing,
        r"^draws-unseen drew from the global random generator of random in on_log at step 0\. ",
    ),
    (
        DrawsNumpy,
        conduct.mutates_nothing,
        r"^draws-numpy drew from the global random generator of numpy.random in on_eval at step 0\. ",
    ),
    (
        Guesses,
        sameness.deterministic,
        r"^guesses scored 0\.\d+ .* in score_checkpoint at step 10, and another instance, of the same run, scored 0\.\d+",
    ),
    (
        GuessesWithSeeds,
        sameness.deterministic,
        r"^guesses-with-seeds scored .* at step 10, and with other seeds of the random generators it scored 0",
    ),
    *(
        (
            functools.partial(Tells, clock),
            sameness.deterministic,
            r"^tells said nothing in diagnose at step 10, and at another time of another day it found late \(warning: ",
        )
        for clock in ("time", "monotonic, imported by name", "datetime", "date", "localtime")
    ),
    (
        RemembersInAGlobal,
        sameness.deterministic,
        r"^remembers-in-a-global scored 1.0 .* in score_checkpoint at step 10, and another instance, of the same run, ",
    ),
    (
        RemembersTheFirst,
        sameness.deterministic,
        r"^remembers-the-first scored (3.1|4.247) .* in score_checkpoint at step 10, and another instance, of the same run, ",
    ),
    (
        StopsByTheClock,
        sameness.deterministic,
        r"^stops-by-the-clock said nothing in propose_adjustments at step 10, and at another time of another day it ",
    ),
    (
        HoardsLogs,
        cost.ten_thousand_evaluations,
        r"^hoards-logs remembers \d\d\d,\d\d\d bytes of JSON after ten thousand evaluations, most of it in 'losses'",
    ),
    (
        TrustsTheBest,
        survival.missing_metrics,
        r"^trusts-the-best failed in diagnose at step 10: KeyError: 'eval_safety'",
    ),
    (KnowsTheEnd, survival.missing_metrics, r"^knows-the-end failed in diagnose at step 240: ZeroDivisionError"),
    (
        Forgets,
        sameness.state_restored,
        r"^forgets proposed stop \(five evaluations\) in propose_adjustments at step 50, and in the same run, resumed at "
        r"step 20, it said nothing\. What it remembers is in fields made with `state",
    ),
    (
        KeepsNumbersAsKeys,
        sameness.state_restored,
        r"^keeps-numbers-as-keys remembers losses = \{240: 1.0\} after a run, and gets \{'240': 1.0\} back from a checkpoint;",
    ),
    (
        KeepsText,
        sameness.state_restored,
        r"^keeps-text cannot take back what it remembers: ValueError: expected a whole",
    ),
    (
        Dawdles,
        cost.time_per_call,
        r"^Dawdles takes 2\d\.\d ms of CPU a call in on_train_end, on average over a run of 240 steps; its budget is 5 ms",
    ),
]


IDS = [f"{check.__name__}-{getattr(make, 'func', make).__name__}-{i}" for i, (make, check, _) in enumerate(FAULTS)]


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("make", [functools.partial(Sound, 1), Silent], ids=["sound", "silent"])
def test_a_sound_strategy_passes(check, make):
    """A strategy that uses every kind of hook with care, and one that does nothing, keep the whole contract.

    No check asks which distributions are installed.
    """
    assert check(make) is None


@pytest.mark.parametrize(("make", "check", "sentence"), FAULTS, ids=IDS)
def test_a_fault_is_found_by_its_check(make, check, sentence):
    """Each planted fault is found by the check that is for it, which says who, in which hook, and at which step."""
    with pytest.raises(AssertionError, match=sentence):
        check(make)


def test_every_check_has_a_planted_fault():
    """There is a planted fault for each check, so that none is a check that cannot fail."""
    assert {check for _, check, _ in FAULTS} == set(CHECKS)


ONE_EACH = {check: make for make, check, _ in reversed(FAULTS)}
"""Of each check the first of its planted faults."""


@pytest.mark.slow
@pytest.mark.parametrize(("check", "make"), ONE_EACH.items(), ids=lambda each: each.__name__)
def test_a_fault_is_found_by_no_other_check(check, make):
    """What one check finds the others pass over; only what is said by chance differs after a resume as well."""
    found = set()
    for other in CHECKS:
        try:
            other(make)
        except AssertionError:
            found.add(other)
    assert found == {check, *([sameness.state_restored] if make is Guesses else [])}


def test_a_budget_may_be_given():
    """A strategy that takes 20 ms passes with a budget of 500 ms, as it does not with the default."""
    assert cost.time_per_call(Dawdles, budget_ms=500.0) is None
