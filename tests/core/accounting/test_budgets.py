"""What a run may take at most, as the loop sees it: which budget is spent, what is told, what stops."""

from __future__ import annotations

from typing import Any

import pytest

from steersman import ConfigError, Record, Supervisor, Usage
from steersman.accounting.budgets import Budget, spent
from steersman.accounting.ledgers import Ledgers, Prices
from steersman.config import read
from steersman.journal import Journal

TAKEN = (
    Usage("generation", 60),
    Usage("backpropagation", 100, samples=4),
    Usage("teacher", 1000, received=500),
)


def ledgers() -> Ledgers:
    made = Ledgers()
    made.hear(Record(1, "train", usage=TAKEN))
    return made


@pytest.mark.parametrize(
    ("budget", "because"),
    [
        (Budget(tokens=100), "the budget of 100 tokens trained on is spent: 100 tokens trained on"),
        (Budget(tokens=101), None),
        (Budget(generated_tokens=60), "the budget of 60 tokens generated is spent: 60 tokens generated"),
        (Budget(generated_tokens=61), None),
        (
            Budget(teacher_tokens=1500),
            "the budget of 1,500 tokens of the teacher is spent: 1,500 tokens of the teacher",
        ),
        (Budget(teacher_tokens=1501), None),
        (Budget(cost=0.003), "the budget of 0.003 USD is spent: 0.003 USD"),
        (Budget(cost=0.0031), None),
        (Budget(hours=0.5), "the budget of 0.5 h of training is spent: 0.5 h of training"),
        (Budget(hours=0.51), None),
    ],
)
def test_each_budget_is_spent_at_its_limit(budget: Budget, because: str | None) -> None:
    """100 trained on, 60 generated, 1,000 sent and 500 received at 1 and 4 per million, half an hour."""
    found = spent(budget, ledgers(), Prices(teacher_sent=1.0, teacher_received=4.0), 1800.0)

    assert (found.because if found else None) == because


def supervised(mode: str, **config: Any) -> tuple[Supervisor, list[Any]]:
    journal, entries = Journal(None), list[Any]()
    journal.subscribers.append(entries.append)
    supervisor = Supervisor(read({"mode": mode, "use": [], **config}, environment={}), (), journal=journal)
    supervisor.begin()
    return supervisor, entries


@pytest.mark.parametrize(("mode", "stops"), [("observe", False), ("advise", True), ("ask", True), ("act", True)])
def test_a_spent_budget_stops_the_run_but_in_observe(mode: str, stops: bool) -> None:
    """After 3 logs of 40 tokens a budget of 100 is spent: told once, at step 3, and a stop is asked for."""
    supervisor, entries = supervised(mode, budget={"tokens": 100})

    for step in range(1, 6):
        supervisor.feed(Record(step, "train", {"loss": 1.0}, usage=(Usage("backpropagation", 40),)))
    supervisor.settle()

    [told] = [entry for entry in entries if entry.kind == "budget"]
    assert (told.step, told.data["taken"], told.data["stops"]) == (3, 120, stops)
    assert (supervisor.actions.stop_because is not None) == stops


def test_a_budget_holds_over_a_resume() -> None:
    """60 tokens before a resume and 60 after it spend a budget of 100, at the log that reaches it."""
    first, _ = supervised("act", budget={"tokens": 100})
    first.feed(Record(1, "train", {"loss": 1.0}, usage=(Usage("backpropagation", 60),)))
    first.settle()
    saved = first.save()
    second, entries = supervised("act", budget={"tokens": 100})
    second.restore((Record(1, "train", {"loss": 1.0}),), saved, step=1)

    second.feed(Record(2, "train", {"loss": 1.0}, usage=(Usage("backpropagation", 60),)))
    second.settle()

    assert [(entry.step, entry.data["taken"]) for entry in entries if entry.kind == "budget"] == [(2, 120)]


def test_the_time_of_the_moment_counts_too() -> None:
    """Where the clock says 3,601 s and the newest log 10 s, an hour is spent."""
    supervisor, entries = supervised("act", budget={"hours": 1})
    supervisor.feed(Record(1, "train", {"loss": 1.0}, elapsed=10.0))

    supervisor.see_to_budgets(3601.0)

    assert [entry.data["budget"] for entry in entries if entry.kind == "budget"] == ["hours"]
    assert supervisor.actions.stop_because == "the budget of 1 h of training is spent: 1 h of training"


def test_hours_include_the_steps_that_restarts_lost() -> None:
    """1,800 s since the begin and 1,800 s of steps that were made again are an hour; time between processes is not."""
    made = Ledgers()
    made.hear(Record(1, "train", usage=TAKEN, spent={"redone": 1800.0, "down": 9000.0}))

    assert spent(Budget(hours=1), made, Prices(), 1800.0) is not None
    assert spent(Budget(hours=1), made, Prices(), 1799.0) is None


def test_a_budget_in_money_needs_a_price() -> None:
    """A cost that can never be reached is a fault of the config, told with its path."""
    with pytest.raises(ConfigError, match=r"\$\.budget\.cost: nothing has a price"):
        read({"budget": {"cost": 3.0}}, environment={})
    assert read({"budget": {"cost": 3.0}, "prices": {"teacher_sent": 1.0}}, environment={}).budget.cost == 3.0


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"hours": -1}, {"cost": float("nan")}, {"token": 5}])
def test_an_impossible_budget_is_a_fault_of_the_config(wrong: dict[str, Any]) -> None:
    """Nothing, less than nothing, NaN, and a name that is none are told before training starts."""
    with pytest.raises(ConfigError, match=r"\$\.budget"):
        read({"budget": wrong, "prices": {"generation": 1.0}}, environment={})
    assert read({"budget": {"tokens": 1}}, environment={}).budget.tokens == 1
