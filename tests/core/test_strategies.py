from __future__ import annotations

import json
import math
from typing import Any

import pytest
from attrs import define

from steersman import state
from steersman.config.structuring import options_of
from steersman.journal import to_json
from steersman.strategies import restore_state, state_of


@define(eq=False)
class Counter:
    """A strategy with an option and every kind of state."""

    step: int = 2
    seen: int = state(0)
    losses: list[float] = state([])
    by_name: dict[str, float] = state({})
    by_step: dict[int, float] = state({})
    pair: tuple[int, str] = state((0, ""))
    best: float | None = state(None)
    anything: Any = state({})


class Plain:
    """A strategy that is no attrs class."""


def test_state_is_no_option():
    """Mutable state cannot be given in a config."""
    assert list(options_of(Counter)) == ["step"]
    with pytest.raises(TypeError):
        Counter(seen=3)


def test_each_instance_has_its_own_state():
    """The default is copied for each instance."""
    one, other = Counter(), Counter()
    one.losses.append(1.0)
    one.by_name["a"] = 1.0
    assert (other.losses, other.by_name) == ([], {})
    assert Counter().losses == []


def test_state_is_read_as_a_copy():
    """What was read of a strategy's state does not change with it, and holds no option."""
    strategy = Counter()
    read = state_of(strategy)
    strategy.losses.append(1.0)
    assert read == {
        "seen": 0,
        "losses": [],
        "by_name": {},
        "by_step": {},
        "pair": (0, ""),
        "best": None,
        "anything": {},
    }


def test_state_survives_a_checkpoint():
    """State that went through JSON comes back in the types it was declared with, NaN included."""
    strategy = Counter()
    strategy.seen, strategy.losses, strategy.by_name = 3, [1.5, math.nan, -math.inf], {"a": math.inf}
    strategy.by_step = {100: 0.5}
    strategy.pair, strategy.best, strategy.anything = (4, "x"), 0.25, {"deep": [1, {"er": None}]}
    restored = Counter()
    restore_state(restored, json.loads(json.dumps(to_json(state_of(strategy)), allow_nan=False)))
    assert restored.seen == 3
    assert restored.losses[0] == 1.5
    assert math.isnan(restored.losses[1])
    assert restored.losses[2] == -math.inf
    assert (restored.by_name, restored.pair, restored.best) == ({"a": math.inf}, (4, "x"), 0.25)
    assert restored.by_step == {100: 0.5}
    assert restored.anything == {"deep": [1, {"er": None}]}


def test_fields_come_and_go():
    """State saved by another version: a field that is gone is left out, a new one keeps its default."""
    strategy = Counter()
    restore_state(strategy, {"seen": 7, "gone": 1, "step": 99})
    assert (strategy.seen, strategy.best, strategy.step) == (7, None, 2)


def test_state_of_another_type_is_refused():
    """A saved value that is none of the declared type is an error that says so."""
    with pytest.raises(ValueError, match="expected a whole number, got 'many'"):
        restore_state(Counter(), {"seen": "many"})


def test_a_strategy_without_state():
    """A class that is no attrs class has no state to save or to restore."""
    plain = Plain()
    restore_state(plain, {"seen": 3})
    assert state_of(plain) == {}
    assert not hasattr(plain, "seen")
