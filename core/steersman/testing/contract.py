"""The contract as a test class: a strategy is named in it, and pytest runs every check over every set of options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from steersman.config.structuring import structure
from steersman.testing.checks import conduct, cost, declared, sameness, survival
from steersman.testing.trials import Make

if TYPE_CHECKING:
    import pytest


class StrategyContract:
    """Mix into a test class that names a `strategy`; each of its `options`, as a config has them, is tried.

    `strategy` is a class, or a static method that makes one. `budget_ms` is the CPU time a call of a hook may take.
    """

    strategy: ClassVar[Callable[..., Any]]
    options: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    budget_ms: ClassVar[float] = cost.BUDGET_MS

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each test that asks for `make` one that makes the strategy, for each set of options."""
        if "make" not in metafunc.fixturenames:
            return
        cls = type(self)
        strategy: Callable[..., Any] | None = getattr(cls, "strategy", None)
        if strategy is None:
            raise TypeError(f"{cls.__name__} names no strategy; add `strategy = MyThing` to it")
        if not callable(strategy):
            told = f"is {strategy!r}; give the class, or a static method that makes one"
            raise TypeError(f"`strategy` of {cls.__name__} {told}")
        if not cls.options:
            raise TypeError(f"`options` of {cls.__name__} is empty, so nothing would be tried; leave it out")
        makes = [functools.partial(made_with, strategy, options) for options in cls.options]
        metafunc.parametrize("make", makes, ids=_ids(cls.options))

    def test_it_is_declared_as_a_strategy(self, make: Make) -> None:
        declared.sound_class(make)

    def test_its_options_survive_json_and_yaml(self, make: Make) -> None:
        declared.options_round_trip(make)

    def test_it_can_be_pickled(self, make: Make) -> None:
        declared.picklable(make)

    def test_it_is_silent_in_an_empty_run(self, make: Make) -> None:
        survival.empty_run(make)

    def test_it_survives_missing_metrics(self, make: Make) -> None:
        survival.missing_metrics(make)

    def test_it_survives_nan_and_infinity(self, make: Make) -> None:
        survival.nonfinite_metrics(make)

    def test_it_survives_a_single_evaluation(self, make: Make) -> None:
        survival.one_evaluation(make)

    def test_it_stays_small_over_ten_thousand_evaluations(self, make: Make) -> None:
        cost.ten_thousand_evaluations(make)

    def test_its_hooks_return_only_what_they_may(self, make: Make) -> None:
        conduct.allowed_types(make)

    def test_it_changes_nothing_it_is_given(self, make: Make) -> None:
        conduct.mutates_nothing(make)

    def test_it_decides_the_same_each_time(self, make: Make) -> None:
        sameness.deterministic(make)

    def test_it_decides_the_same_after_a_resume(self, make: Make) -> None:
        sameness.state_restored(make)

    def test_it_takes_little_time(self, make: Make) -> None:
        cost.time_per_call(make, self.budget_ms)


def made_with(strategy: Callable[..., Any], options: Mapping[str, Any]) -> object:
    """Return a strategy made with the options of a config. Raises AssertionError with every fault of theirs."""
    if not inspect.isclass(strategy) or not attrs.has(strategy):
        return strategy(**options)
    problems: list[str] = []
    made: object = structure(options, strategy, f"{strategy.__name__}.options", problems)
    if made is None:
        raise AssertionError("; ".join(problems))
    return made


def _ids(options: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an id for each set of options: what it says where that is short and not said twice, else its place."""
    told = [",".join(f"{name}={value}" for name, value in each.items()) or "defaults" for each in options]
    return [each if len(each) <= 60 and told.count(each) == 1 else f"options{i}" for i, each in enumerate(told)]
