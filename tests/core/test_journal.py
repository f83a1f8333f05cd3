import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.journal import Journal, JournalEntry, attempts, from_json, read, to_json


def journal_at(path, complaints=None):
    journal = Journal(path, complaints.append if complaints is not None else lambda _: None, clock=lambda: 1.5)
    journal.open()
    return journal


def test_a_line_an_entry(tmp_path):
    """Each entry is one line of JSON with version, kind, step, time and its own fields; folders are made."""
    path = tmp_path / "deep" / "steersman" / "journal.jsonl"
    journal = journal_at(path)
    journal.write("score", 10, strategy="eval-loss", value=0.5)
    journal.write("note", 11, message="zwölf\nLinien")
    journal.close()
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {
        "v": 1, "kind": "score", "step": 10, "time": 1.5, "strategy": "eval-loss", "value": 0.5,
    }  # fmt: skip
    assert json.loads(second)["message"] == "zwölf\nLinien"
    assert "zwölf" in second


def test_what_is_written_is_read(tmp_path):
    """An entry is read as it was written, NaN and infinity included, and every line is strict JSON."""
    path = tmp_path / "journal.jsonl"
    journal = journal_at(path)
    metrics = {"loss": math.nan, "kl": math.inf, "grad_norm": -math.inf, "reward": 0.1}
    journal.write("record", 3, metrics=metrics, dropped=("note",), folder=Path("out"), epoch=None)
    journal.close()

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    json.loads(path.read_text(), parse_constant=refuse)
    (entry,) = read(path)
    assert (entry.kind, entry.step, entry.time) == ("record", 3, 1.5)
    assert math.isnan(entry.data["metrics"]["loss"])
    assert entry.data["metrics"]["kl"] == math.inf
    assert entry.data["metrics"]["grad_norm"] == -math.inf
    assert (entry.data["dropped"], entry.data["folder"], entry.data["epoch"]) == (["note"], "out", None)


texts = st.text().filter(lambda text: text not in ("NaN", "Infinity", "-Infinity"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_any_value_survives(value):
    """Any plain value comes back from JSON as it was, infinities included."""
    assert from_json(json.loads(json.dumps(to_json(value), allow_nan=False))) == value


def test_what_json_does_not_know_becomes_text():
    """An object that JSON does not know becomes text, a set and a tuple lists, and a key text."""
    assert to_json({1: (1, 2), "p": Path("a/b"), "s": {3}}) == {"1": [1, 2], "p": "a/b", "s": [3]}


def test_a_torn_last_line_is_not_read(tmp_path):
    """A line that a kill tore is left out; the whole lines before it are read."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"v":1,"kind":"note","step":1}\n{"v":1,"kind":"note","st')
    assert list(read(path)) == [JournalEntry("note", 1, {})]
    path.write_bytes(b'{"v":1,"kind":"note","step":1}')
    assert list(read(path)) == []


def test_a_resume_cuts_a_torn_last_line(tmp_path):
    """A resumed run cuts the torn line off, so that its own first line is whole."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"v":1,"kind":"note","step":1}\n{"v":1,"kind":"no')
    journal = journal_at(path)
    journal.write("note", 2)
    journal.close()
    assert [entry.step for entry in read(path)] == [1, 2]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 200_000])
def test_a_long_torn_line_is_cut(tmp_path, size):
    """A torn line of any length is cut whole, and one that is all there is leaves an empty file."""
    whole = b'{"v":1,"kind":"note","step":1}\n'
    path = tmp_path / "journal.jsonl"
    path.write_bytes(whole + b"x" * size)
    journal_at(path).close()
    assert path.read_bytes() == whole
    path.write_bytes(b"x" * size)
    journal_at(path).close()
    assert path.read_bytes() == b""


def test_whole_lines_are_never_cut(tmp_path):
    """Opening a whole journal leaves it as it is; writing appends."""
    path = tmp_path / "journal.jsonl"
    for step in (1, 2):
        journal = journal_at(path)
        journal.write("note", step)
        journal.close()
    assert [entry.step for entry in read(path)] == [1, 2]


def test_lines_that_are_no_entries_are_left_out(tmp_path):
    """A damaged line in the middle costs that line only."""
    path = tmp_path / "journal.jsonl"
    whole = '{"v":1,"kind":"note","step":1}\n'
    path.write_text(whole + 'garbage\n[1]\n3\n{}\n{"v":"x","kind":"note","step":1}\n\n' + whole)
    assert len(list(read(path))) == 2


def test_a_newer_format_is_refused(tmp_path):
    """A line of a newer format is an error with file, line and both versions."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"v":1,"kind":"note","step":1}\n{"v":2,"kind":"note","step":2}\n')
    with pytest.raises(ValueError, match="line 2: format 2 is newer than this Steersman reads \\(1\\)"):
        list(read(path))


def test_attempts(tmp_path):
    """A `run` entry starts a new attempt, unless it is a resume."""
    path = tmp_path / "journal.jsonl"
    journal = journal_at(path)
    for kind, step, resumed in [("run", 0, False), ("note", 5, None), ("run", 5, True), ("run", 0, False)]:
        journal.write(kind, step, **({} if resumed is None else {"resumed": resumed}))
    journal.close()
    assert [[entry.kind for entry in run] for run in attempts(path)] == [["run", "note", "run"], ["run"]]
    path.write_text("")
    assert attempts(path) == []


def test_without_a_path_nothing_is_kept(tmp_path, monkeypatch):
    """A journal without a path tells its subscribers and leaves no file."""
    monkeypatch.chdir(tmp_path)
    journal = journal_at(None)
    heard = []
    journal.subscribers.append(heard.append)
    journal.write("note", 1, message="hello")
    journal.close()
    assert heard == [JournalEntry("note", 1, {"message": "hello"}, 1.5)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path):
    """A full disk is said once, in a sentence; subscribers still hear every entry."""
    path = tmp_path / "journal.jsonl"
    path.symlink_to("/dev/full")
    complaints, heard = [], []
    journal = journal_at(path, complaints)
    journal.subscribers.append(heard.append)
    for step in range(3):
        journal.write("note", step)
    journal.close()
    assert complaints == [f"the journal {path} cannot be written: No space left on device; training goes on"]
    assert [entry.step for entry in heard] == [0, 1, 2]


def test_a_disk_that_fills_up_in_the_middle_of_a_line(tmp_path, monkeypatch):
    """A line that went in only half is taken back, so that later lines are whole again when there is room."""
    path = tmp_path / "journal.jsonl"
    complaints = []
    journal = journal_at(path, complaints)
    journal.write("note", 1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:7]))
    journal.write("note", 2)
    monkeypatch.undo()
    journal.write("note", 3)
    journal.close()
    assert [entry.step for entry in read(path)] == [1, 3]
    assert path.read_bytes().count(b"\n") == 2
    assert len(complaints) == 1
    assert "No space left on device" in complaints[0]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("occupied/journal.jsonl", "Not a directory"), ("folder", "Is a directory")],
)
def test_a_place_that_cannot_be_written(tmp_path, place, reason):
    """Where no journal can be made it is said once, and every entry still reaches the subscribers."""
    (tmp_path / "occupied").write_text("a file where a folder should be")
    (tmp_path / "folder").mkdir()
    complaints, heard = [], []
    journal = journal_at(tmp_path / place, complaints)
    journal.subscribers.append(heard.append)
    journal.write("note", 1)
    journal.write("note", 2)
    journal.close()
    assert len(complaints) == 1
    assert complaints[0].endswith("; training goes on")
    assert reason in complaints[0] or "File exists" in complaints[0]
    assert len(heard) == 2


def test_a_read_only_directory(tmp_path, monkeypatch):
    """In a read-only directory it is said once and training goes on."""
    folder = tmp_path / "output"
    folder.mkdir()
    folder.chmod(0o555)
    if os.geteuid() == 0:  # root writes anywhere, so the edge of the machine is played

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    complaints = []
    journal = journal_at(folder / "journal.jsonl", complaints)
    monkeypatch.undo()
    journal.write("note", 1)
    folder.chmod(0o755)
    assert complaints == [
        f"the journal {folder / 'journal.jsonl'} cannot be written: Permission denied; training goes on"
    ]
    assert list(folder.iterdir()) == []


def test_half_a_line_is_left_where_somebody_has_appended_behind_it(tmp_path, monkeypatch):
    """On a full disk a late score came in between: it stays whole, and so does what follows."""
    path = tmp_path / "journal.jsonl"
    journal = journal_at(path)
    write = os.write

    def half(file, line):
        written = write(file, line[:7])
        other = Journal(path, clock=lambda: 1.5)
        monkeypatch.setattr(os, "write", write)
        other.open(cuts=False)
        other.write("late_score", 5, metrics={"safety": 0.9}, by="")
        other.close()
        return written

    monkeypatch.setattr(os, "write", half)
    journal.write("note", 2)
    journal.write("note", 3)
    journal.close()
    assert [(entry.kind, entry.step) for entry in read(path)] == [("late_score", 5), ("note", 3)]


def test_a_torn_line_is_cut_once_the_lock_is_free(tmp_path):
    """Opening waits for a process that records, and cuts nothing of what that wrote."""
    path = tmp_path / "journal.jsonl"
    journal = journal_at(path)
    journal.write("note", 1)
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"v":1,"kind":"late_sc')
    rest = b'ore","step":5,"time":1.5,"metrics":{},"by":""}\\n'
    hold = (
        "import time; from pathlib import Path; from steersman.journal import locked\n"
        f"path = Path({str(path)!r})\n"
        "with locked(path), path.open('ab') as file:\n"
        "    print('held', flush=True); time.sleep(0.3)\n"
        f"    file.write(b'{rest.decode()}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        journal = journal_at(path)
        journal.write("note", 6)
        journal.close()
    assert other.returncode == 0
    assert [(entry.kind, entry.step) for entry in read(path)] == [("note", 1), ("late_score", 5), ("note", 6)]


def test_only_lines_with_a_word_are_parsed(tmp_path):
    """What holds none of the words is skipped unread; a line of a newer format is named by its own number."""
    path = tmp_path / "journal.jsonl"
    journal = journal_at(path)
    journal.write("score", 1)
    journal.close()
    with path.open("a") as file:
        file.write('no JSON at all\n{"v": 99, "kind": "other", "step": 2}\n{"v": 1, "kind": "score", "step": 3}\n')
    assert [entry.step for entry in read(path, words=(b'"score"',))] == [1, 3]
    with pytest.raises(ValueError, match="line 3: format 99 is newer"):
        list(read(path, words=(b'"other"',)))
