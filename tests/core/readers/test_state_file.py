import json
import math
import os
import threading

import pytest

from steersman.readers import state_file
from steersman.readers.recording import UnreadableRun
from steersman.readers.trainer_state import read

LOG = [
    *({"loss": 1.0 / i, "grad_norm": 2.0, "step": i, "epoch": i / 100} for i in range(1, 400)),
    {"eval_loss": 0.5, "step": 399},
    {"train_runtime": 9.0, "step": 400},
]


@pytest.fixture(autouse=True)
def _small_portions(monkeypatch):
    monkeypatch.setattr(state_file, "PORTION", 1000)
    monkeypatch.setattr(state_file, "_SMALL", 500)
    monkeypatch.setattr(state_file, "_LONGEST", 5000)


def portions_of(path):
    """Return the state, how many portions of the log were taken, and how often it was begun anew."""
    portions, begun = [], []
    state = state_file.read(path, portions.append, lambda: (portions.clear(), begun.append(1)))
    return state, len(portions), len(begun)


def written(path, text):
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
    return path


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("first", [True, False])
def test_a_log_in_portions(tmp_path, indent, first):
    """A log is taken in many portions, wherever it stands in the file; what stands beside it is there, the log is not."""
    beside = {"max_steps": 400, "trial_params": {"a": [{"b": 1}, {"c": "}, {"}]}}
    state = {"log_history": LOG, **beside} if first else {**beside, "log_history": LOG}
    path = written(tmp_path / "trainer_state.json", json.dumps(state, indent=indent))
    told, portions, begun = portions_of(path)
    assert (told, begun) == (beside, 0)
    assert portions > 5
    records = read(path).records
    assert [r.step for r in records] == [entry["step"] for entry in LOG]
    assert [r.metrics.get("loss") for r in records] == [entry.get("loss") for entry in LOG]
    assert [r.kind for r in records[-2:]] == ["eval", "summary"]


def test_nan_in_a_portion(tmp_path):
    """Bare NaN in one portion and in what stands beside the log are read as they are."""
    log = [*LOG[:50], {"loss": math.nan, "grad_norm": -math.inf, "step": 50}, *LOG[50:]]
    path = written(tmp_path / "trainer_state.json", {"best_metric": math.nan, "log_history": log, "best": [math.inf]})
    told, portions, begun = portions_of(path)
    assert math.isnan(told["best_metric"])
    assert (told["best"], begun) == ([math.inf], 0)
    assert portions > 5
    assert math.isnan(read(path).records[50].metrics["loss"])
    assert read(path).records[50].metrics["grad_norm"] == -math.inf


@pytest.mark.parametrize(
    "entry",
    [
        {"texts": ["}, {"] * 30, "step": 2},
        {"rows": [{"a": 1}] * 200, "step": 2},
        {"log_history": "a name", "step": 2},
        {"note": "x" * 9000, "step": 2},
        {"inner": {"log_history": [{"loss": 5.0}]}, "step": 2},
    ],
    ids=["borders in text", "objects in a list", "the name of the log", "one long entry", "a log in an entry"],
)
def test_what_may_mislead(tmp_path, entry):
    """Where portions cannot be told apart for certain the file is read whole; nothing is lost, nothing comes twice."""
    path = written(tmp_path / "trainer_state.json", {"log_history": [*LOG[:200], entry, *LOG[200:]], "max_steps": 7})
    records = read(path).records
    assert [r.step for r in records] == [*range(1, 201), 2, *range(201, 400), 399, 400]
    assert records[200].dropped == tuple(name for name in entry if name != "step")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"log_history": [' + '{"loss": 1.0, "step": 1},' * 200 + '{"loss": 1', "it is no JSON"),
        ('{"log_history": [' + '{"loss": 1.0, "step": 1},' * 200 + '{"loss": 1}]', "it is no JSON"),
        ('["log_history", [' + '{"loss": 1.0, "step": 1},' * 200 + '{"loss": 1}]]', "expected a JSON object, got list"),
        ('{"log_history": {"a": [' + '{"loss": 1.0, "step": 1},' * 200 + '{"loss": 1}]}}', "it has no `log_history`"),
        ("[" * 3000, "nested in it too deep"),
        ("version https://git-lfs.github.com/spec/v1\n" + "x" * 3000, "Git LFS pointer"),
    ],
)
def test_what_is_no_state(tmp_path, text, reason):
    """A large file that is cut short, or is something else, is refused with the reason, as a small one is."""
    with pytest.raises(UnreadableRun, match=reason):
        read(written(tmp_path / "trainer_state.json", text))


def test_a_log_told_twice(tmp_path):
    """Of two logs in one object the last counts, as JSON has it."""
    first = '{"log_history": [' + '{"loss": 1.0, "step": 1},' * 200 + '{"loss": 1.0, "step": 1}], '
    path = written(tmp_path / "trainer_state.json", first + '"log_history": [{"loss": 3.0, "step": 9}]}')
    assert [(r.step, r.metrics) for r in read(path).records] == [(9, {"loss": 3.0})]


def test_values_of_many_kinds(tmp_path):
    """Text, None, lists and numbers too large in one column: numbers are kept, the rest is dropped, row by row."""
    log = [
        {"a": 1, "b": None, "step": 1},
        {"a": True, "b": 2.5, "step": 2},
        {"a": "text", "b": [1], "step": 3.0},
        {"a": 10**400, "b": None, "step": "4"},
        {"a": -(2**70), "b": None, "step": 1e300},
    ]
    records = read(written(tmp_path / "trainer_state.json", {"log_history": log})).records
    assert [r.step for r in records] == [1, 2, 3, 4, 4]
    assert [r.metrics for r in records] == [
        {"a": 1.0}, {"b": 2.5}, {}, {"a": math.inf}, {"a": -float(2**70)},
    ]  # fmt: skip
    assert [r.dropped for r in records] == [("b",), ("a",), ("a", "b"), ("b",), ("b",)]


def test_a_pipe_is_not_opened_twice(tmp_path):
    """What cannot be read in order would have to be read again, which a pipe cannot: a sentence, and no waiting."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = b'{"other": [' + b"1," * 2000 + b'1], "log_history": []}'
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    with pytest.raises(UnreadableRun, match="from a pipe, once and in order"):
        read(pipe)
    writer.join()
