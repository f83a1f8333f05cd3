"""Whatever is in a file, reading it gives a recording or a sentence."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steersman.readers import Recording, UnreadableRun, find, read

RUNS = Path(__file__).parents[2] / "runs"
LOGS = [
    RUNS / "trainer_state" / "merilion-01.json", RUNS / "trainer_log" / "llama-factory-01.jsonl",
    RUNS / "lightning" / "pytorch-lightning-01.csv", *(RUNS / "tfevents" / "torchtitan-01").iterdir(),
]  # fmt: skip
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = st.sampled_from(
    ["step", "_step", "epoch", "loss", "train/loss", "val_loss", "test/loss", "eval_a_loss", "_runtime", "elapsed_time",
     "train/global_step", "train_runtime", "train/train_runtime", "steersman_x", "v", "kind", "current_steps", "total_steps", ""]
)  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.integers(), max_size=2),
    st.sampled_from(["NaN", "0:01:24", "1 day, 0:00:01", "::", ","]),
)  # fmt: skip


@pytest.fixture
def reads(tmp_path):
    """Return a function that writes bytes, finds and reads them under a name, and returns what is wrong with that."""

    def check(content, name):
        path = tmp_path / name
        path.write_bytes(content)
        faults = [fault for found in (path, *find(tmp_path)) for fault in _faults(found, tmp_path)]
        path.unlink()
        return faults

    return check


def _faults(path, folder):
    """Yield what is wrong: a sentence without its path, a step that is no whole number, a metric that is no number."""
    try:
        recording = read(path)
    except UnreadableRun as error:
        if not str(error).startswith(str(folder)):
            yield f"{error} names no path"
        return
    if not isinstance(recording, Recording):
        yield f"{recording!r} is no recording"
    for record in recording.records:
        is_sound = type(record.step) is int and all(type(value) is float for value in record.metrics.values())
        if not is_sound or not (record.epoch is None or isinstance(record.epoch, float)):
            yield f"{record!r} is no sound record"


@QUICK
@given(
    content=st.binary(max_size=400),
    name=st.sampled_from(["a.json", "a.jsonl", "a.csv", "trainer_state.json", "tfevents"]),
)
def test_any_bytes(reads, content, name):
    """Bytes of any kind, under any name."""
    assert reads(content, name) == []


@QUICK
@given(rows=st.lists(st.dictionaries(KEYS, VALUES, max_size=6), max_size=8), as_array=st.booleans())
def test_any_rows(reads, rows, as_array):
    """Rows with every odd value, as lines and as an array."""
    text = json.dumps(rows) if as_array else "".join(json.dumps(row) + "\n" for row in rows)
    assert reads(text.encode(), "log.json" if as_array else "log.jsonl") == []


@QUICK
@given(header=st.lists(KEYS, min_size=2, max_size=6), rows=st.lists(st.lists(VALUES, max_size=7), max_size=8))
def test_any_table(reads, header, rows):
    """Tables with repeated columns, ragged rows and every odd cell."""
    lines = [",".join(map(str, row)) for row in ([*header], *rows)]
    assert reads("\n".join([*lines, ""]).encode(errors="replace"), "metrics.csv") == []


@QUICK
@given(data=st.data())
def test_a_log_that_is_damaged(reads, data):
    """Real logs that are cut or have a byte changed."""
    path = data.draw(st.sampled_from(LOGS))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert reads(bytes(content[: data.draw(st.integers(0, len(content)))]), path.name) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize(
    "text",
    [
        '{"step": 1, "loss": 2.0}\r\n{"step": 2, "loss": 1.0}\r\n',
        '[{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]',
        '{"log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]}',
        "step,loss\r\n1,2.0\r\n2,1.0\r\n",
    ],
)
def test_a_text_as_powershell_writes_it(tmp_path, told, encoding, text):
    """UTF-16 and UTF-8 with a byte order mark are read like UTF-8."""
    path = tmp_path / "log.json"
    path.write_bytes((b"\xfe\xff" if encoding == "utf-16-be" else b"") + text.encode(encoding))
    assert told(read(path)) == [(1, "train", {"loss": 2.0}), (2, "train", {"loss": 1.0})]
