import asyncio
import math
import time
from typing import Any

import pytest
from attrs import define, field

from steersman import Adjust, Checkpoint, Finding, Record, Rollback, Save, Score, Stop, Usage, hookimpl
from steersman.decisions import Proposal
from steersman.dispatch import Dispatch
from steersman.failing import told
from steersman.loaded import Loaded, Source
from steersman.loading import register


@define(eq=False)
class Answers:
    """Gives one answer to every question, and counts the questions."""

    answer: Any = None
    asked: int = field(default=0, init=False)

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return self._give()

    @hookimpl
    def diagnose(self, run, check):
        return self._give()

    @hookimpl
    def propose_adjustments(self, run, check):
        return self._give()

    @hookimpl
    def veto_adjustment(self, run, adjustment):
        return self._give()

    @hookimpl
    def on_log(self, run, log):
        self._give()

    def _give(self):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def dispatch_of(*strategies, tolerance=3, **named):
    """A dispatch over strategies called a, b, c, and the list its failures go to."""
    pairs = {**{"abcdef"[i]: strategy for i, strategy in enumerate(strategies)}, **named}
    loaded = tuple(Loaded(name, strategy, Source(f"from {name}")) for name, strategy in pairs.items())
    failures = []
    return Dispatch(register(loaded), loaded, failures.append, tolerance=tolerance), failures


CHECKPOINT = Checkpoint(10, None, {"eval_loss": 2.0}, None)
ALLOWED: Any = Finding | Proposal


def test_strategies_are_asked_in_config_order():
    """Answers come in the order of the config, not in that of registration or of the names."""
    dispatch, _ = dispatch_of(zebra=Answers(Score(1.0)), apple=Answers(Score(2.0)), mango=Answers(Score(3.0)))
    assert list(dispatch.scores(None, CHECKPOINT)) == ["zebra", "apple", "mango"]


def test_no_opinion_is_left_out():
    """A scorer that returns None has no score."""
    dispatch, failures = dispatch_of(Answers(), Answers(Score(2.0)))
    assert dispatch.scores(None, CHECKPOINT) == {"b": Score(2.0)}
    assert failures == []


class Subsets:
    """Asks for fewer arguments than a hook has, or for none, or in its own order."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def on_log(self, log):
        self.heard.append(("log", log))

    @hookimpl
    def on_eval(self, run):
        self.heard.append(("run", run))

    @hookimpl
    def on_epoch_end(self):
        self.heard.append("nothing")

    @hookimpl
    def on_checkpoint_scored(self, checkpoint, run):
        self.heard.append((checkpoint, run))

    @hookimpl
    def on_train_begin(self, run):
        self.heard.append(run)

    @staticmethod
    @hookimpl
    def on_train_end():
        raise RuntimeError("a static hook was called")


def test_a_hook_may_ask_for_less():
    """A hook gets the arguments it names, whichever they are and in whatever order."""
    strategy = Subsets()
    dispatch, failures = dispatch_of(strategy)
    for hook in ("on_log", "on_eval", "on_epoch_end", "on_checkpoint_scored"):
        dispatch.notify(hook, "the run", "the value")
    dispatch.notify("on_train_begin", "the run")
    dispatch.notify("on_train_end", "the run")
    assert strategy.heard == [("log", "the value"), ("run", "the run"), "nothing", ("the value", "the run"), "the run"]
    assert [str(failure.error) for failure in failures] == ["a static hook was called"]


def test_has():
    """A hook that no strategy answers is known as such."""
    dispatch, _ = dispatch_of(Subsets())
    assert dispatch.has("on_log")
    assert not dispatch.has("on_journaled")


@pytest.mark.parametrize("answer", [1.0, "0.5", [Score(1.0)], Finding("a", "b"), Score, True])
def test_a_score_of_the_wrong_type(answer):
    """What is no Score is no opinion, and the failure says what came and what was expected."""
    dispatch, failures = dispatch_of(Answers(answer), Answers(Score(2.0)))
    assert dispatch.scores(None, CHECKPOINT) == {"b": Score(2.0)}
    (failure,) = failures
    assert (failure.loaded.name, failure.loaded.origin, failure.hook) == ("a", "from a", "score_checkpoint")
    assert str(failure.error).startswith(f"returned {type(answer).__name__} ")
    assert str(failure.error).endswith("; expected a Score or None")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_not_finite(value):
    """An infinite or NaN score is a failure that names the way to reject; a rejection is none."""
    dispatch, failures = dispatch_of(Answers(Score(value)), Answers(Score.reject("it loops")))
    assert list(dispatch.scores(None, CHECKPOINT)) == ["b"]
    assert str(failures[0].error) == f"returned a score of {value}; use Score.reject(reason)"


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (None, 0),
        ([], 0),
        (Finding("a", "b"), 1),
        (Adjust("learning_rate", scale=0.5), 1),
        ([Stop("x"), Save("y"), Rollback("z"), None, Finding("a", "b")], 4),
        ((Finding(str(i), "b") for i in range(3)), 3),
    ],
)
def test_one_or_several(answer, count):
    """A strategy returns nothing, one thing, a list or a generator; None among several is left out."""
    dispatch, failures = dispatch_of(Answers(answer))
    found = dispatch.collect("propose_adjustments", None, None, ALLOWED)
    assert [name for name, _ in found] == ["a"] * count
    assert failures == []


@pytest.mark.parametrize("answer", [3, "stop", b"bytes", {"learning_rate": 0.5}, [Score(1.0)], object()])
def test_proposals_of_the_wrong_type(answer):
    """What is no proposal and no finding is a failure; other strategies are heard all the same."""
    dispatch, failures = dispatch_of(Answers(answer), Answers(Stop("enough")))
    assert dispatch.collect("propose_adjustments", None, None, ALLOWED) == [("b", Stop("enough"))]
    (failure,) = failures
    assert str(failure.error).endswith("; expected Adjust, Stop, Save, Rollback or Finding")


def test_a_proposal_is_no_finding():
    """`diagnose` takes findings only; a good item beside a wrong one is kept."""
    dispatch, failures = dispatch_of(Answers([Stop("enough"), Finding("a", "b")]))
    assert dispatch.collect("diagnose", None, None, Finding) == [("a", Finding("a", "b"))]
    assert str(failures[0].error) == "returned Stop Stop(because='enough'); expected Findings"


def test_a_long_wrong_answer_is_shortened():
    """A wrong answer is quoted by its first 37 characters, not whole."""
    dispatch, failures = dispatch_of(Answers("x" * 1000))
    dispatch.collect("diagnose", None, None, Finding)
    assert str(failures[0].error) == f"returned str '{'x' * 36}...; expected Findings"


def half_way():
    yield Finding("a", "b")
    raise RuntimeError("half way")


def test_a_generator_that_raises_half_way():
    """A generator that raises is one failure, and none of what it yielded counts."""
    dispatch, failures = dispatch_of(Answers(half_way()), Answers(Finding("c", "d")))
    assert dispatch.collect("diagnose", None, None, Finding) == [("b", Finding("c", "d"))]
    assert [(f.loaded.name, f.hook, str(f.error)) for f in failures] == [("a", "diagnose", "half way")]


def test_each_strategy_may_see_a_value_of_its_own():
    """A value may be made for each strategy by its name."""
    seen = []

    class Sees:
        @hookimpl
        def diagnose(self, check):
            seen.append(check)

    dispatch, _ = dispatch_of(Sees(), Sees())
    dispatch.collect("diagnose", None, None, Finding, lambda name: f"for {name}")
    assert seen == ["for a", "for b"]


def test_a_veto_names_its_strategy():
    """The first objection counts, with the name of the strategy that objects; a wrong answer is a failure, no veto."""
    dispatch, failures = dispatch_of(Answers(True), Answers(), Answers("our policy"), Answers("mine too"))
    assert dispatch.veto(None, Adjust("learning_rate", scale=0.5)) == "c: our policy"
    assert str(failures[0].error) == "returned bool True; expected the reason as text, or None"
    silent, _ = dispatch_of(Answers())
    assert silent.veto(None, Adjust("learning_rate", scale=0.5)) is None


def test_quarantine():
    """After three failures, in whichever hooks, a strategy rests in all of them; the others are asked on."""
    bad, good = Answers(RuntimeError("no")), Answers(Score(1.0))
    dispatch, failures = dispatch_of(bad, good)
    dispatch.notify("on_log", None, None)
    dispatch.scores(None, CHECKPOINT)
    assert dispatch.veto(None, Adjust("learning_rate", scale=0.5)) is None
    dispatch.notify("on_log", None, None)
    dispatch.collect("diagnose", None, None, Finding)
    assert dispatch.scores(None, CHECKPOINT) == {"b": Score(1.0)}
    of_bad = [failure for failure in failures if failure.loaded.name == "a"]
    assert [(f.hook, f.count, f.quarantined) for f in of_bad] == [
        ("on_log", 1, False),
        ("score_checkpoint", 2, False),
        ("veto_adjustment", 3, True),
    ]
    assert bad.asked == 3
    assert good.asked == 6


def test_tolerance_is_an_option():
    """With a tolerance of one the first failure is the last."""
    bad = Answers(RuntimeError("no"))
    dispatch, failures = dispatch_of(bad, tolerance=1)
    dispatch.notify("on_log", None, None)
    dispatch.notify("on_log", None, None)
    assert (bad.asked, [f.quarantined for f in failures]) == (1, [True])


def test_time_is_sampled():
    """Questions are timed each time; notifications one in 64, and the time is extrapolated."""

    class Slow:
        @hookimpl
        def on_log(self):
            sum(range(2000))

        @hookimpl
        def diagnose(self):
            sum(range(2000))

    dispatch, _ = dispatch_of(slow=Slow(), idle=Subsets())
    assert dispatch.seconds() == {"slow": 0.0, "idle": 0.0}
    for _ in range(63):
        dispatch.notify("on_log", None, None)
    assert dispatch.seconds()["slow"] == 0.0
    dispatch.notify("on_log", None, None)
    sampled = dispatch.seconds()["slow"]
    dispatch.collect("diagnose", None, None, Finding)
    assert 0.0 < sampled < dispatch.seconds()["slow"]


def test_a_guard_fails_closed():
    """A veto that raises objects where the strategy's `on_error` is stop, and is no objection where it is not."""
    adjust = Adjust("learning_rate", scale=0.5)
    for on_error, objection in (("stop", "guard failed, and its `on_error` is stop"), ("quarantine", None)):
        hooks = frozenset({"veto_adjustment"})
        guard = Loaded("guard", Answers(RuntimeError("no")), Source("here"), on_error=on_error, hooks=hooks)
        dispatch = Dispatch(register((guard,)), (guard,), lambda failure: None)
        assert dispatch.veto(None, adjust) == objection


def test_the_body_of_a_generator_is_timed():
    """A hook that yields is timed to its end, not to the moment that it returns a generator."""

    class Yields:
        @hookimpl
        def diagnose(self):
            spent = time.perf_counter_ns() + 20_000_000
            while time.perf_counter_ns() < spent:
                pass
            yield Finding("a", "b")

    dispatch, _ = dispatch_of(slow=Yields())
    assert dispatch.collect("diagnose", None, None, Finding) == [("slow", Finding("a", "b"))]
    assert dispatch.seconds()["slow"] >= 0.02


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError("c")])
def test_what_ends_a_program_ends_no_run(error):
    """A strategy that exits, or whose task is cancelled, has failed as one that raises: the others are asked on."""

    class Exits:
        @hookimpl
        def on_log(self):
            raise error

        @hookimpl
        def score_checkpoint(self):
            raise error

    dispatch, failures = dispatch_of(Exits(), Answers(Score(2.0)))
    dispatch.notify("on_log", None, None)
    assert dispatch.scores(None, CHECKPOINT) == {"b": Score(2.0)}
    assert [(failure.hook, failure.error) for failure in failures] == [("on_log", error), ("score_checkpoint", error)]


def test_an_interrupt_is_the_users():
    """Ctrl-C in the midst of a hook is no failure of the strategy, and ends the run."""

    class Interrupted:
        @hookimpl
        def on_log(self):
            raise KeyboardInterrupt

    dispatch, failures = dispatch_of(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        dispatch.notify("on_log", None, None)
    assert failures == []


class Unspeakable(Exception):
    """Its text cannot be made."""

    def __str__(self):
        raise AttributeError("status")

    __repr__ = __str__


def test_an_error_without_a_text_is_a_failure_like_any_other():
    """A strategy whose error or answer cannot be shown is named and set aside, and Steersman itself goes on."""
    dispatch, failures = dispatch_of(Answers(Unspeakable()), Answers(Score(2.0)))
    assert dispatch.scores(None, CHECKPOINT) == {"b": Score(2.0)}
    assert told(failures[0].error) == "Unspeakable: a Unspeakable whose text cannot be made"
    shown, wrong = dispatch_of(Answers([Unspeakable]), Answers(Unspeakable))
    assert shown.scores(None, CHECKPOINT) == {}
    assert len(wrong) == 2


def test_the_time_of_one_that_rests_is_told():
    """A strategy that was set aside keeps the time it took."""

    class SlowAndWrong:
        @hookimpl
        def diagnose(self):
            sum(range(20_000))
            raise RuntimeError("no")

    dispatch, _ = dispatch_of(slow=SlowAndWrong(), tolerance=1)
    dispatch.collect("diagnose", None, None, Finding)
    dispatch.collect("diagnose", None, None, Finding)
    assert dispatch.seconds()["slow"] > 0


def test_a_strategy_that_needs_logs_with_usage_only():
    """One that says that it looks only at logs that tell of tokens is asked of no others; the rest hear every log."""

    @define(eq=False)
    class Hears:
        heard: list[int] = field(factory=list)

        @hookimpl
        def on_log(self, log):
            self.heard.append(log.step)

    every, some = Hears(), Hears()
    source = Source("here")
    loaded = (Loaded("every", every, source), Loaded("some", some, source, logs_with_usage_only=True))
    dispatch = Dispatch(register(loaded), loaded, lambda failure: None)
    for log in (Record(1, "train"), Record(2, "train", usage=(Usage("teacher", 5),)), Record(3, "train")):
        dispatch.tell_log(None, log)
    assert (every.heard, some.heard) == ([1, 2, 3], [2])
    assert dispatch.hears_every_log
    assert not Dispatch(register(loaded[1:]), loaded[1:], lambda failure: None).hears_every_log
