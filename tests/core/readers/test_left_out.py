"""Values and lines that are left out are named."""

import json

import steersman
from steersman.cli.replay_view import View, what_was_read
from steersman.readers import read


def test_values_that_are_no_numbers_are_named(tmp_path):
    """Each by its name, how often and where first; in the recording, in the plain values and on the page."""
    path = tmp_path / "trainer_state.json"
    log = [
        {"step": 10, "loss": "1.5"}, {"step": 10, "eval_loss": [1]},
        {"step": 20, "loss": "1.25"}, {"step": 20, "eval_loss": True}, {"step": 30, "loss": 1.0},
    ]  # fmt: skip
    path.write_text(json.dumps({"log_history": log}))
    note = (
        "Left out, because they are no numbers: loss (2 values, first at step 10) and "
        "eval_loss (2 values, first at step 10)."
    )
    assert read(path).notes == (note,)
    replay = steersman.replay(path)
    assert replay.told.notes == (note,)
    assert note in what_was_read(View(replay, replay.told, {}))


def test_many_names_are_counted(tmp_path):
    """Five are named."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 1, "loss": 1.0, **{f"text-{i}": "x" for i in range(7)}}) + "\n")
    (note,) = read(path).notes
    assert note.endswith("text-3 (1 value, first at step 1), text-4 (1 value, first at step 1) and 2 more.")


def test_torn_lines_are_named(write_lines):
    """A line that holds no JSON, within the log and at its end."""
    path = write_lines({"step": 1, "loss": 2.0}, '{"step": 2, "lo', {"step": 3, "loss": 1.0}, '{"st')
    assert read(path).notes == ("2 lines, the first of them line 2, are no JSON, and left out.",)


def test_a_clean_log_has_no_notes(write_lines, write_table):
    """Nothing was left out, so nothing is said."""
    assert read(write_lines({"step": 1, "loss": 2.0, "eval_loss": None})).notes == ()
    assert read(write_table("step,loss,eval_loss", "1,2.0,")).notes == ()
