"""`steersman approve`, `revert`, `off`, `on` and `resume`, over journals as a run writes them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from steersman import control
from steersman.cli import main
from steersman.journal import Journal


@pytest.fixture
def run(tmp_path):
    """A run directory whose journal has a check at step 10 with two proposals that wait, and one that expired."""
    path = tmp_path / "out" / "steersman" / "journal.jsonl"
    journal = Journal(path)
    journal.open()
    journal.write("run", 0, resumed=False, mode="ask", strategies=[], hyperparameters=[])
    cut = {"strategy": "trend-health", "action": "adjust", "hyperparameter": "learning_rate", "change": "x0.8"}
    for step, number in ((5, 1), (10, 2)):
        journal.write("check", step, reason="scheduled")
        journal.write(
            "proposal", step, **cut, because="loss-spike", verdict="waiting", old=1e-5, new=8e-6, number=number
        )
    journal.write("proposal", 10, strategy="stopper", action="stop", because="enough", verdict="waiting", number=3)
    journal.write("proposal", 10, **cut, because="loss-spike", verdict="expired", old=None, new=None, number=1)
    yield path.parents[1], journal
    journal.close()


def heard(folder, step=20):
    return control.Files(folder / "steersman").hear(step)


def test_without_a_number_what_waits_is_listed(command, run):
    """Those of the newest check, each with its number, its change and its reason."""
    folder, _ = run

    assert command("approve", folder).stdout.splitlines() == [
        "2: learning_rate 1e-05 -> 8e-06 (-20.0 %) (trend-health: loss-spike)",
        "3: stop (stopper: enough)",
    ]


def test_the_list_as_json(printed_json, run):
    """The same with all fields of the journal."""
    told = printed_json("approve", run[0])

    assert [(w["number"], w["step"], w["action"]) for w in told["waiting"]] == [(2, 10, "adjust"), (3, 10, "stop")]


def test_approve(command, printed_json, run):
    """The run hears the number at its next check; what was approved is repeated."""
    folder, _ = run
    result = command("approve", folder, "2")

    assert result.stdout == (
        "learning_rate 1e-05 -> 8e-06 (-20.0 %) (trend-health: loss-spike): approved, to be done at the next check\n"
    )
    assert printed_json("approve", folder, "3")["approved"] == 3
    assert heard(folder).approved == (2, 3)


@pytest.mark.parametrize(
    ("number", "reason"),
    [("1", "proposal 1 of {} waits no more: it was approved, or has expired"), ("9", "{} has no proposal 9; waiting: 2, 3")],
)  # fmt: skip
def test_a_number_that_does_not_wait(command, run, number, reason):
    """It is refused with the reason, and the run hears nothing."""
    folder, _ = run
    result = command("approve", folder, number)

    assert result.exit_code == 2
    assert reason.format(folder) in result.stderr
    assert heard(folder) == control.Said()


def test_after_the_end_nothing_waits(command, run):
    """The run has ended: there is nothing to approve, and nothing to revert."""
    folder, journal = run
    journal.write("end", 12)

    assert command("approve", folder).stdout == "No proposal waits.\n"
    result = command("revert", folder)
    assert (result.exit_code, "the run in" in result.stderr, "has ended" in result.stderr) == (2, True, True)


def test_a_later_check_leaves_nothing_waiting(command, run):
    """What waited at the check before the newest can no longer be approved."""
    folder, journal = run
    journal.write("check", 15, reason="scheduled")

    assert command("approve", folder).stdout == "No proposal waits.\n"


@pytest.mark.parametrize(("options", "off"), [((), False), (("--off",), True)])
def test_revert(command, run, options, off):
    """The run hears it at its next check; with --off it is switched off as well."""
    folder, _ = run
    result = command("revert", folder, *options)

    assert result.stdout.startswith(f"every change is undone at the next check of the run in {folder}")
    said = heard(folder)
    assert (said.reverts, bool(said.off)) == (True, off)


def test_off_and_on(command, printed_json, run):
    """Each says what it changed, also where that is nothing."""
    folder, _ = run
    assert "nothing is changed from the next check on" in command("off", folder).stdout
    assert heard(folder).off
    assert "was off already" in command("off", folder).stdout
    assert "may be changed from the next check on" in command("on", folder).stdout
    assert not heard(folder).off
    assert "was not off" in command("on", folder).stdout
    assert (printed_json("off", folder)["off"], printed_json("on", folder)["off"]) == (True, False)


def test_resume_tells_of_a_stop_and_clears_it(command, printed_json, run):
    """Without --clear the stop stands; with it the run may go on, once."""
    folder, _ = run
    assert command("resume", folder).stdout == f"{folder}: no strategy stopped this run\n"
    control.mark_stopped(folder / "steersman", 40, "stopper: enough")

    assert command("resume", folder).stdout == (
        f"{folder} was stopped at step 40: stopper: enough; `steersman resume --clear {folder}` lets it go on\n"
    )
    assert control.stopped(folder / "steersman") is not None
    assert printed_json("resume", folder, "--clear") == {
        "version": 1, "stopped": {"step": 40, "because": "stopper: enough"}, "cleared": True,
    }  # fmt: skip
    assert control.stopped(folder / "steersman") is None


@pytest.mark.parametrize("name", ["approve", "revert", "off", "on", "resume"])
@pytest.mark.parametrize("there", [True, False])
def test_no_supervised_run(command, tmp_path, name, there):
    """A folder without a journal, and one that is not there, are told, and nothing is written."""
    folder = tmp_path / "empty"
    if there:
        folder.mkdir()
    result = command(name, folder)

    assert result.exit_code == 2
    assert f"{folder}: there is no supervised run here (no steersman/journal.jsonl)" in result.stderr
    assert list(folder.iterdir() if there else ()) == []


def test_a_run_whose_journal_lies_elsewhere(command, run, tmp_path):
    """The link in the run directory is followed; requests stay in the run directory, where the run hears them."""
    folder, journal = run
    elsewhere = tmp_path / "elsewhere.jsonl"
    journal.path.rename(elsewhere)
    journal.path.symlink_to(elsewhere)

    assert command("approve", folder, "2").exit_code == 0
    assert heard(folder).approved == (2,)


def test_requests_are_lines_of_json(run):
    """Another tool may write them: what is asked, and the time."""
    folder, _ = run
    CliRunner().invoke(main, ["approve", str(folder), "2"])
    (line,) = (folder / "steersman" / "requests.jsonl").read_text().splitlines()

    request = json.loads(line)
    assert (request["ask"], request["number"], request["time"] > 0) == ("approve", 2, True)
