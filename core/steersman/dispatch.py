"""Call each strategy in config order: isolated, attributed, timed by sampling."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from types import GeneratorType
from typing import Any, cast, get_args

import pluggy

from steersman.calls import Call, Hooks
from steersman.checkpoints import Checkpoint
from steersman.decisions import Adjust, Average, Finding, Proposal, Score
from steersman.failing import Failure, shown
from steersman.loaded import Loaded
from steersman.records import Record
from steersman.run import Run
from steersman.step_guard import StepGuard
from steersman.watchdog import Running, Watchdog

_SAMPLE_EVERY = 64
ANSWERS = (Finding, *get_args(Proposal))
"""The kinds of values that a check asks for."""
_SINGLE = (*ANSWERS, Average)
_NO_USAGE = "on_log without usage"


class Dispatch:
    """The frozen calls of every hook. `on_failure` hears of each failure; after `tolerance` of them a strategy rests.

    Where it is watched, `on_overrun` hears, from another thread, of a strategy and a hook that outlast their time
    budget while they still run; the strategy rests once it has returned, and what it returned is left out.
    """

    def __init__(
        self,
        plugins: pluggy.PluginManager | Hooks,
        strategies: tuple[Loaded, ...],
        on_failure: Callable[[Failure], None],
        *,
        on_overrun: Callable[[Loaded, str], None] = lambda loaded, hook: None,
        tolerance: int = 3,
    ) -> None:
        self.strategies = strategies
        self._on_failure, self._on_overrun = on_failure, on_overrun
        self._tolerance = tolerance
        self._current: list[Call | None] = [None]
        self._late: list[Call] = []
        self._failures: dict[str, int] = {}
        self._ticks = 0
        self._is_telling = False
        hooks = plugins if isinstance(plugins, Hooks) else Hooks.registered(plugins, [s.name for s in strategies])
        self._calls = hooks.calls(strategies)
        self._every = dict(self._calls)  # those of strategies that rest too
        self._calls[_NO_USAGE] = tuple(c for c in self._calls["on_log"] if not c.loaded.logs_with_usage_only)
        self._freeze()

    def _freeze(self) -> None:
        self._fast = {hook: tuple((call.function, call) for call in calls) for hook, calls in self._calls.items()}

    def has(self, hook: str) -> bool:
        """Whether any strategy answers this hook."""
        return bool(self._calls[hook])

    @property
    def hears_every_log(self) -> bool:
        """Whether any strategy looks at logs that tell of no usage."""
        return bool(self._calls[_NO_USAGE])

    def tell_log(self, run: Run, log: Record) -> None:
        """Call `on_log` of every strategy that looks at such a log."""
        self.notify("on_log" if log.usage else _NO_USAGE, run, log)

    def notify(self, hook: str, run: Run, value: object = None) -> None:
        """Call every implementation of a hook that returns nothing."""
        self._ticks += 1
        if self._ticks % _SAMPLE_EVERY == 0:
            for call in self._calls[hook]:
                self._timed(call.hook, call, run, value)
            return
        current = self._current
        for function, call in self._fast[hook]:
            current[0] = call
            try:
                function(run, value)
            except KeyboardInterrupt:
                current[0] = None
                raise
            except BaseException as error:  # sys.exit() and a cancelled task too: a run never dies of a strategy
                self._fail(call.loaded, call.hook, error)
        current[0] = None
        if self._late:
            self._rest_the_late()

    def watch(self) -> Watchdog | None:
        """Return a watchdog over the calls, not yet started; None where no strategy has a time budget."""
        budgets = [loaded.time_budget for loaded in self.strategies if loaded.time_budget is not None]
        return Watchdog(weakref.ref(self), min(budgets)) if budgets else None

    def tell_journaled(self, run: Run, entry: object) -> None:
        """Call every `on_journaled`; what is journaled while a hook runs is told to none."""
        if self._is_telling or self._current[0] is not None:
            return
        self._is_telling = True
        try:
            self.notify("on_journaled", run, entry)
        finally:
            self._is_telling = False

    def scores(self, run: Run, checkpoint: Checkpoint, *, late: bool = False) -> dict[str, Score]:
        """Return the score of each scorer with an opinion, in config order; each is asked of metrics of its own.

        After a `late` metric only those are asked whose score is a function of the metrics alone.
        """
        given: dict[str, Score] = {}
        for call in self._calls["score_checkpoint"]:
            if late and not call.loaded.scores_late:
                continue
            loaded, answer = call.loaded, self._timed("score_checkpoint", call, run, checkpoint.copied())
            if answer is None:
                continue
            if not isinstance(answer, Score):
                self._wrong(loaded, "score_checkpoint", f"returned {shown(answer)}; expected a Score or None")
            elif answer.rejected is None and not math.isfinite(answer.value):
                self._wrong(loaded, "score_checkpoint", f"returned a score of {answer.value}; use Score.reject(reason)")
            else:
                given[loaded.name] = answer
        return given

    def collect(
        self, hook: str, run: Run, value: Any, allowed: Any, for_strategy: Callable[[str], Any] | None = None
    ) -> list[tuple[str, Any]]:
        """Return every `allowed` item that the strategies return, one or several each, with the strategy's name."""
        collected: list[tuple[str, Any]] = []
        for call in self._calls[hook]:
            answer = self._timed(hook, call, run, for_strategy(call.loaded.name) if for_strategy else value)
            if answer is None:
                continue
            for item in self._items(call.loaded, hook, answer):
                if isinstance(item, allowed):
                    collected.append((call.loaded.name, item))
                elif item is not None:
                    self._wrong(call.loaded, hook, f"returned {shown(item)}; expected {_expected(hook)}")
        return collected

    def guards(self, run: Run) -> tuple[tuple[str, StepGuard], ...]:
        """Return the step guards that strategies ask for, in config order, each with the strategy's name."""
        given: list[tuple[str, StepGuard]] = []
        for call in self._calls["guard_steps"]:
            answer = self._timed("guard_steps", call, run, None)
            if isinstance(answer, StepGuard):
                given.append((call.loaded.name, answer))
            elif answer is not None:
                self._wrong(call.loaded, "guard_steps", f"returned {shown(answer)}; expected a StepGuard or None")
        return tuple(given)

    def averages(self, run: Run) -> tuple[tuple[str, Average], ...]:
        """Return the averages that strategies propose, each once, with the name of the first that does."""
        found: dict[tuple[int, ...], tuple[str, Average]] = {}
        for name, average in self.collect("propose_averages", run, None, Average):
            found.setdefault(average.steps, (name, average))
        return tuple(found.values())

    def veto(self, run: Run, adjust: Adjust) -> str | None:
        """Return the first objection to a change, with the strategy that objects.

        One that fails objects where its `on_error` is `stop`: a guard must not fail open.
        """
        for call in self._calls["veto_adjustment"]:
            name, failures = call.loaded.name, self._failures.get(call.loaded.name, 0)
            answer = self._timed("veto_adjustment", call, run, adjust)
            if isinstance(answer, str):
                return f"{name}: {answer}"
            if answer is not None:
                expected = "expected the reason as text, or None"
                self._wrong(call.loaded, "veto_adjustment", f"returned {shown(answer)}; {expected}")
            if call.loaded.on_error == "stop" and self._failures.get(name, 0) > failures:
                return f"{name} failed, and its `on_error` is stop"
        return None

    def seconds(self) -> dict[str, float]:
        """Return the time each strategy took, extrapolated from the calls that were timed."""
        total: dict[str, float] = {loaded.name: 0.0 for loaded in self.strategies}
        for hook, calls in self._every.items():
            for call in calls:
                share = _SAMPLE_EVERY if hook.startswith("on_") else 1
                total[call.loaded.name] += call.nanoseconds * share / 1e9
        return total

    def _timed(self, hook: str, call: Call, run: Run, value: object) -> Any:
        answer: Any = None
        self._ticks += 1
        self._current[0] = call
        begin = perf_counter_ns()
        try:
            answer = call.function(run, value)
            if isinstance(answer, GeneratorType):
                answer = list(cast("Iterable[object]", answer))  # its body runs now, and is timed and watched
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            answer = None
            self._fail(call.loaded, hook, error)
        finally:
            self._current[0] = None
            call.sampled += 1
            call.nanoseconds += perf_counter_ns() - begin
        if self._late:
            answer = None if call in self._late else answer
            self._rest_the_late()
        return answer

    def running(self) -> tuple[Running, object] | None:
        """Return the call that runs, with a key that no other call has."""
        call = self._current[0]
        return None if call is None else (call, (self._ticks, id(call)))

    def overran(self, running: Running) -> None:
        """Hear, in the watchdog's thread, of a call that goes on beyond its budget."""
        call = cast("Call", running)
        self._late.append(call)
        self._on_overrun(call.loaded, call.hook)

    def _rest_the_late(self) -> None:
        late, self._late = self._late, []
        for call in late:
            error = TimeoutError(f"took longer than its time budget of {call.time_budget:g} s")
            self._fail(call.loaded, call.hook, error, at_once=True)

    def _items(self, loaded: Loaded, hook: str, answer: Any) -> list[Any]:
        if type(answer) is list:  # pyright: ignore[reportUnknownArgumentType]
            return cast("list[object]", answer)
        if answer is None or isinstance(answer, _SINGLE):
            return [answer]
        if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
            self._wrong(loaded, hook, f"returned {shown(answer)}; expected {_expected(hook)}")
            return []
        try:
            return list(cast("Iterable[object]", answer))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(loaded, hook, error)
            return []

    def _wrong(self, loaded: Loaded, hook: str, message: str) -> None:
        self._fail(loaded, hook, TypeError(message))

    def _fail(self, loaded: Loaded, hook: str, error: BaseException, *, at_once: bool = False) -> None:
        self._current[0] = None
        count = self._failures[loaded.name] = self._failures.get(loaded.name, 0) + 1
        quarantined = count == self._tolerance or (at_once and count < self._tolerance)
        if at_once:
            self._failures[loaded.name] = max(count, self._tolerance)
        if quarantined:
            self._calls = {
                name: tuple(c for c in calls if c.loaded.name != loaded.name) for name, calls in self._calls.items()
            }
            self._freeze()
        self._on_failure(Failure(loaded, hook, error, count, quarantined))


def _expected(hook: str) -> str:
    named = {"diagnose": "Findings", "propose_averages": "Averages"}
    return named.get(hook, "Adjust, Stop, Save, Rollback or Finding")
