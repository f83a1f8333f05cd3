"""Call each strategy in config order: isolated, attributed, timed by sampling."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from typing import Any, cast

import pluggy
from attrs import define, field, frozen

from steersman.decisions import Adjust, Finding, Proposal, Score
from steersman.run import Run

_SAMPLE_EVERY = 64
OnError = Callable[["Failure"], None]


class StrategyError(Exception):
    """A strategy failed and `on_error` is `raise`; the cause is its own exception."""


@frozen
class Loaded:
    """A strategy ready to run: its name in this run, the object, and where it came from."""

    name: str
    strategy: object
    origin: str
    target: str = ""
    options: dict[str, Any] = field(factory=dict[str, Any])


@frozen
class Failure:
    """A strategy raised, or returned what it may not."""

    loaded: Loaded
    hook: str
    error: Exception
    count: int
    quarantined: bool


@define
class _Call:
    loaded: Loaded
    function: Callable[[Run, Any], Any]
    calls: int = 0
    sampled: int = 0
    nanoseconds: int = 0


class Dispatch:
    """The frozen calls of every hook. `on_failure` hears of each failure; after `tolerance` of them it rests."""

    def __init__(
        self, plugins: pluggy.PluginManager, strategies: tuple[Loaded, ...], on_failure: OnError, *, tolerance: int = 3
    ) -> None:
        self.strategies = strategies
        self._on_failure = on_failure
        self._tolerance = tolerance
        self._failures: dict[str, int] = {}
        self._ticks = 0
        self._is_telling = False
        order = {loaded.name: i for i, loaded in enumerate(strategies)}
        self._calls: dict[str, tuple[_Call, ...]] = {}
        for hook, caller in plugins.hook.__dict__.items():
            if isinstance(caller, pluggy.HookCaller):
                impls = sorted(caller.get_hookimpls(), key=lambda impl: order[impl.plugin_name])
                names = caller.spec.argnames if caller.spec else ()
                self._calls[hook] = tuple(
                    _Call(strategies[order[impl.plugin_name]], _positional(impl.function, names)) for impl in impls
                )
        self._freeze()

    def _freeze(self) -> None:
        self._fast = {hook: tuple((call.function, call) for call in calls) for hook, calls in self._calls.items()}

    def has(self, hook: str) -> bool:
        """Whether any strategy answers this hook."""
        return bool(self._calls[hook])

    def notify(self, hook: str, run: Run, value: object = None) -> None:
        """Call every implementation of a hook that returns nothing."""
        self._ticks += 1
        if self._ticks % _SAMPLE_EVERY == 0:
            for call in self._calls[hook]:
                self._timed(hook, call, run, value)
            return
        for function, call in self._fast[hook]:
            try:
                function(run, value)
            except Exception as error:
                self._failed(hook, call, error)

    def tell_journaled(self, run: Run, entry: object) -> None:
        """Call every `on_journaled`; what is journaled meanwhile is told to none."""
        if self._is_telling:
            return
        self._is_telling = True
        try:
            self.notify("on_journaled", run, entry)
        finally:
            self._is_telling = False

    def ask(self, hook: str, run: Run, value: object) -> Iterator[tuple[Loaded, Any]]:
        """Yield each strategy's answer that is not None; every call is timed."""
        for call in self._calls[hook]:
            answer = self._timed(hook, call, run, value)
            if answer is not None:
                yield call.loaded, answer

    def scores(self, run: Run, checkpoint: object) -> dict[str, Score]:
        """Return the score of each scorer with an opinion, in config order."""
        given: dict[str, Score] = {}
        for loaded, answer in self.ask("score_checkpoint", run, checkpoint):
            if not isinstance(answer, Score):
                self._wrong(loaded, "score_checkpoint", f"returned {_named(answer)}; expected a Score or None")
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
            for item in self._items(call.loaded, hook, answer):
                if isinstance(item, allowed):
                    collected.append((call.loaded.name, item))
                elif item is not None:
                    self._wrong(call.loaded, hook, f"returned {_named(item)}; expected {_expected(hook)}")
        return collected

    def veto(self, run: Run, adjust: Adjust) -> str | None:
        """Return the first objection to a change, with the strategy that objects."""
        for loaded, answer in self.ask("veto_adjustment", run, adjust):
            if isinstance(answer, str):
                return f"{loaded.name}: {answer}"
            self._wrong(loaded, "veto_adjustment", f"returned {_named(answer)}; expected the reason as text, or None")
        return None

    def seconds(self) -> dict[str, float]:
        """Return the time each strategy took, extrapolated from the calls that were timed."""
        total: dict[str, float] = {loaded.name: 0.0 for loaded in self.strategies}
        for hook, calls in self._calls.items():
            for call in calls:
                share = _SAMPLE_EVERY if hook.startswith("on_") else 1
                total[call.loaded.name] += call.nanoseconds * share / 1e9
        return total

    def _timed(self, hook: str, call: _Call, run: Run, value: object) -> Any:
        begin = perf_counter_ns()
        try:
            return call.function(run, value)
        except Exception as error:
            self._failed(hook, call, error)
            return None
        finally:
            call.sampled += 1
            call.nanoseconds += perf_counter_ns() - begin

    def _items(self, loaded: Loaded, hook: str, answer: Any) -> list[Any]:
        if answer is None or isinstance(answer, Finding | Proposal):
            return [answer]
        if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
            self._wrong(loaded, hook, f"returned {_named(answer)}; expected {_expected(hook)}")
            return []
        try:
            return list(cast("Iterable[object]", answer))
        except Exception as error:
            self._fail(loaded, hook, error)
            return []

    def _wrong(self, loaded: Loaded, hook: str, message: str) -> None:
        self._fail(loaded, hook, TypeError(message))

    def _failed(self, hook: str, call: _Call, error: Exception) -> None:
        self._fail(call.loaded, hook, error)

    def _fail(self, loaded: Loaded, hook: str, error: Exception) -> None:
        count = self._failures[loaded.name] = self._failures.get(loaded.name, 0) + 1
        quarantined = count == self._tolerance
        if quarantined:
            self._calls = {
                name: tuple(c for c in calls if c.loaded.name != loaded.name) for name, calls in self._calls.items()
            }
            self._freeze()
        self._on_failure(Failure(loaded, hook, error, count, quarantined))


def _positional(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[[Run, Any], Any]:
    """Return `function` as one that takes (run, value), whatever arguments it asks for, in whatever order."""
    wanted = tuple(p for p in inspect.signature(function).parameters if p in names)
    first, second = names[0], names[1] if len(names) > 1 else ""
    if wanted == (first, second):
        return function
    if wanted == (first,):
        return lambda run, value: function(run)
    if wanted == (second,):
        return lambda run, value: function(value)
    if wanted == (second, first):
        return lambda run, value: function(value, run)
    return lambda run, value: function()


def _expected(hook: str) -> str:
    return "Findings" if hook == "diagnose" else "Adjust, Stop, Save, Rollback or Finding"


def _named(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
