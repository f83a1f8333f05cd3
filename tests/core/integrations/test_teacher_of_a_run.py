"""The calls that a run makes to a teacher: in its ledgers, its journal, its budgets, over resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import steersman
from steersman import Teacher
from steersman.readers.journal import current

KEY = "sk-planted-0123456789"


def loop(folder: Path, teacher: Teacher | None = None, **config: Any) -> Any:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    settings = {"console": False, "use": [], **config}
    return steersman.attach(optimizer, settings, folder=folder, model=model, teacher=teacher), optimizer


def step(run: Any, optimizer: Any, number: int, *, calls: int = 2, log: bool = True) -> None:
    """One step whose reward takes `calls` calls of 100 tokens sent and 10 received each."""
    for _ in range(calls):
        with run.teacher() as call:
            call.spent(sent=100, received=10)
    optimizer.step()
    if log:
        run.log(number, loss=1.0)


def ledger(folder: Path) -> Any:
    return current(folder / "steersman" / "journal.jsonl")[-1].data["tokens"]["teacher"]


def test_a_run_accounts_for_the_calls_made_through_it(tmp_path):
    """Three steps of two calls: 600 tokens sent, 60 received, six answers, the last two never logged by the loop."""
    run, optimizer = loop(tmp_path)
    with run:
        for number in (1, 2, 3):
            step(run, optimizer, number, log=number < 3)

    told = ledger(tmp_path)
    assert (told["tokens"], told["received"], told["samples"], told["errors"]) == (600, 60, 6, 0)
    assert told["seconds"] > 0 and told["p99_latency"] is not None


def test_a_teacher_made_before_the_run_is_its_teacher(tmp_path):
    """What was asked before the run began is part of its first log."""
    teacher = Teacher()
    with teacher() as call:
        call.spent(sent=5, received=1)
    run, optimizer = loop(tmp_path, teacher)
    with run:
        step(run, optimizer, 1, calls=1)

    assert run.teacher is teacher
    assert ledger(tmp_path)["tokens"] == 105


def test_a_failed_call_is_an_error_and_its_words_stay_out_of_the_journal(tmp_path):
    """An exception that quotes a key is raised on as it is; the journal holds its class and no word of it."""
    run, optimizer = loop(tmp_path)
    with run:
        with pytest.raises(ValueError, match=KEY), run.teacher():
            raise ValueError(f"Incorrect API key provided: {KEY}")
        step(run, optimizer, 1, calls=1)

    text = (tmp_path / "steersman" / "journal.jsonl").read_text()
    assert ledger(tmp_path)["errors"] == 1
    assert KEY not in text and "ValueError" in text


def test_a_budget_of_teacher_tokens_stops_a_loop(tmp_path):
    """220 tokens a step spend a budget of 600 at step 3; the loop hears it at its next step, and should save."""
    run, optimizer = loop(tmp_path, budget={"teacher_tokens": 600})
    with run:
        for number in range(1, 11):
            step(run, optimizer, number)
            if run.should_stop:
                saves = run.should_save
                break

    entries = current(tmp_path / "steersman" / "journal.jsonl")
    [told] = [entry for entry in entries if entry.kind == "budget"]
    assert (told.step, told.data["taken"], number, saves) == (3, 660, 4, True)


def test_tokens_paid_for_at_steps_that_were_lost_stay_paid_for(tmp_path):
    """Killed at step 5, resumed from step 3: the teacher answered steps 4 and 5 twice, so 7 steps are in its ledger."""
    first, optimizer = loop(tmp_path)
    saved: Any = None
    for number in range(1, 6):
        step(first, optimizer, number)
        saved = first.state_dict() if number == 3 else saved
    first.session.give_up()
    second, optimizer = loop(tmp_path)
    second.load_state_dict(saved)
    with second:
        for number in (4, 5):
            step(second, optimizer, number)

    told = ledger(tmp_path)
    assert (told["tokens"], told["samples"]) == (7 * 200, 14)
    assert [entry.step for entry in current(tmp_path / "steersman" / "journal.jsonl") if entry.kind == "record"] == [
        *(1, 2, 3),
        *(4, 5),
    ]


def test_what_is_no_teacher_is_refused(tmp_path):
    """A client handed over in the place of a teacher is told at once."""
    with pytest.raises(TypeError, match=r"`teacher` takes a steersman.Teacher\(\), got str"):
        loop(tmp_path, "https://example.org/v1")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
