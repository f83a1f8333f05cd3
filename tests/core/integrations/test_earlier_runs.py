"""What earlier runs left behind: a stop, rollbacks used, factors, steps without Steersman."""

from __future__ import annotations

import json

import pytest

from steersman import control
from steersman.hyperparameters import Entry, OnPaper
from steersman.integrations.earlier_runs import Earlier, heard_of, leave_factors
from steersman.journal import Journal
from steersman.registry import Registry


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "steersman"


@pytest.fixture
def journal(folder):
    """A journal of two runs: the second rolled back at steps 20 and 40, and wrote a line more after each."""
    path = folder / "journal.jsonl"
    written = Journal(path)
    written.open()
    for rollbacks in ((10, 30, 50), (20, 40)):
        written.write("run", 0, resumed=False)
        for step in rollbacks:
            written.write("rollback", step, left=1)
            written.write("check", step)
    written.close()
    return path


def test_a_run_from_its_beginning_knows_nothing(folder, journal):
    """It is another run: the mark of a stop is taken away, and rollbacks are those of others."""
    control.mark_stopped(folder, 40, "stopper: enough")

    assert heard_of(folder, journal, 0, {}) == Earlier()
    assert control.stopped(folder) is None


def test_a_stop_is_sticky(folder):
    """A run that goes on is told that it was stopped, by whom, and how to clear that."""
    control.mark_stopped(folder, 40, "stopper: enough")
    told = heard_of(folder, None, 40, {})

    assert told.stopped_because == "it was stopped at step 40: stopper: enough"
    assert told.notes == (
        f"{told.stopped_because}; it stops again, and `steersman resume --clear {folder.parent}` lets it go on",
    )
    control.clear_stop(folder)
    assert heard_of(folder, None, 40, {}) == Earlier()


def test_a_mode_that_obeys_no_stop_says_so(folder):
    """In observe and advise a run that was stopped goes on, and that is what is said."""
    folder.mkdir(parents=True, exist_ok=True)
    control.mark_stopped(folder, 30, "a guard failed")
    (said,) = heard_of(folder, None, 30, {"step": 30}, "advise").notes
    assert said == "it was stopped at step 30: a guard failed; mode advise lets it go on"


@pytest.mark.parametrize(("step", "superseded"), [(10, 4), (30, 2), (50, 0)])
def test_rollbacks_of_the_run_count_also_after_its_checkpoint(folder, journal, step, superseded):
    """Both of the second run were used, wherever it goes on from; those of the first were another's."""
    told = heard_of(folder, journal, step, {"step": step})

    assert (told.rollbacks, told.superseded) == (2, superseded)


@pytest.mark.parametrize("content", [None, b"", b"no journal\n", b'{"v": 99, "kind": "run", "step": 0}\n'])
def test_a_journal_that_cannot_be_read_counts_nothing(tmp_path, content):
    """Gone, empty, or of a newer format: the run goes on with what its checkpoint holds."""
    path = tmp_path / "journal.jsonl"
    if content is not None:
        path.write_bytes(content)

    assert heard_of(tmp_path, path, 10, {"step": 10}) == Earlier()


def test_steps_without_steersman_are_noticed(folder):
    """A checkpoint whose state is of an earlier step was trained further without Steersman, and that is said."""
    assert heard_of(folder, None, 40, {"step": 40}).notes == ()
    assert heard_of(folder, None, 40, {"step": 25}).notes == (
        "steps 26 to 40 were trained without Steersman, with the values of your own config",
    )


def test_the_factors_of_a_checkpoint(tmp_path):
    """Only what was changed is told, by what factor and to what value; nothing changed is told as nothing."""
    registry = Registry([Entry(name, OnPaper(1.0), "live") for name in ("learning_rate", "max_grad_norm")])
    leave_factors(tmp_path, 10, registry)
    assert json.loads((tmp_path / "steersman.json").read_text())["hyperparameters"] == {}
    registry.write("learning_rate", 0.8, 0.8)
    leave_factors(tmp_path, 20, registry)

    told = json.loads((tmp_path / "steersman.json").read_text())
    assert (told["version"], told["step"]) == (1, 20)
    assert told["hyperparameters"] == {"learning_rate": {"factor": 0.8, "value": 0.8}}
    assert "resumed without Steersman" in told["what"]
