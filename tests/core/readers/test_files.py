import json
import os
import time
from pathlib import Path

import pytest

from steersman.readers import UnreadableRun, read

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"


@pytest.mark.parametrize(
    "name",
    [
        "trainer_state.json",
        "trainer_log.jsonl",
        "metrics.csv",
        "results.csv",
        "events.out.tfevents.1",
        "log",
        "journal.jsonl",
    ],
)
def test_a_pointer_of_git_lfs(tmp_path, name):
    """A pointer is told as one, whatever the format it points to."""
    path = tmp_path / name
    path.write_bytes(LFS)
    with pytest.raises(
        UnreadableRun, match=f"{name}: it is a Git LFS pointer, not the file itself; run `git lfs pull`"
    ):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("run.json", b"\x00\x01\x02\xff" * 100, "it is no log that is known: expected a trainer_state.json"),
        ("run.json", b"PK\x03\x04" + bytes(range(256)), "it is no log that is known"),
        ("run.json", b'{"a": 1}', "it has no `log_history`"),
        ("run.json", b'{"log_history": [{"step": 1, "lo', "it is no JSON: "),
        ("trainer_state.json", b"\x00\x01\x02\xff", "it is no JSON: "),
        ("run.jsonl", b'{"messages": []}\n{"messages": []}\n', "it is no log that is known"),
        ("run.csv", b"text,label\nhello,world\n", "it is no log that is known"),
        ("run.csv", b"", "it is empty"),
        ("run.txt", b"hello\n", "it is no log that is known"),
    ],
)
def test_a_file_that_is_no_log(tmp_path, name, content, reason):
    """A file that is no log, or one cut short, is a sentence with its path."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableRun) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {reason}")


@pytest.mark.parametrize("begin", [b'{"text": "', b"[1, ", b"a, b, ", b"x"])
def test_a_gigabyte_on_one_line(tmp_path, begin):
    """A file of one line of a gigabyte is refused by its first megabyte, at once."""
    path = tmp_path / "long.json"
    with path.open("wb") as file:
        file.write(begin + b"1, " * 500_000)
        file.truncate(2**30)
    start = time.perf_counter()
    with pytest.raises(UnreadableRun, match="it is no log that is known"):
        read(path)
    assert time.perf_counter() - start < 1.0


def test_a_state_under_another_name(tmp_path):
    """A trainer state is one whatever its name, on one line or on many."""
    state = {"best_metric": None, "log_history": [{"step": 5, "loss": 1.0}, {"step": 5, "eval_loss": 2.0}]}
    for name, indent in [("a.json", None), ("b", 2), ("c.txt", 0)]:
        (tmp_path / name).write_text(json.dumps(state, indent=indent))
        assert [r.kind for r in read(tmp_path / name).records] == ["train", "eval"]


def test_an_empty_history(tmp_path):
    """A run that logged nothing yet is a recording without records, and no error."""
    (tmp_path / "trainer_state.json").write_text('{"best_metric": null, "log_history": []}')
    recording = read(tmp_path)
    assert (recording.records, recording.plan.total_steps, recording.plan.evaluates) == ((), None, False)


def test_a_log_whose_names_nobody_knows(tmp_path):
    """A file that is asked for by name is read where it has steps and numbers, whatever they are called."""
    path = tmp_path / "mine.jsonl"
    path.write_text('{"step": 1, "widgets": 7}\n')
    [record] = read(path).records
    assert (record.step, record.kind, record.metrics) == (1, "train", {"widgets": 7.0})


def test_a_journal_under_another_name(tmp_path):
    """A journal is told from other lines by what is in them."""
    path = tmp_path / "log.txt"
    lines = [
        {"v": 1, "kind": "run", "step": 0, "plan": None},
        {"v": 1, "kind": "record", "step": 5, "of": "train", "metrics": {"loss": 1.0}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recording = read(path)
    assert (recording.format, recording.supervised, len(recording.records)) == ("journal", True, 1)


def test_what_is_neither_file_nor_folder():
    """A device is no log."""
    with pytest.raises(UnreadableRun, match="it is neither a file nor a folder"):
        read(Path(os.devnull))
