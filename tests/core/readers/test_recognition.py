import json

import pytest

from steersman.readers.recognition import Recognised, recognise, recognised

STATE = b'{\n  "best_metric": null,\n  "log_history": [\n    {"step": 1, "loss": 1.0}\n  ]\n}\n'


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("trainer_state/16831-project-01.json", Recognised("trainer_state", "object")),
        ("trainer_log/llama-factory-01.jsonl", Recognised("trainer_log", "lines")),
        ("lightning/pytorch-lightning-01.csv", Recognised("lightning", "table")),
        ("tfevents/verl-04/events.out.tfevents.1700000000.host.1.0", Recognised("tensorboard", "events")),
    ],
)
def test_a_format_is_told_by_content_and_not_by_name(runs, tmp_path, file, expected):
    """Each real log is recognised under a name that tells nothing."""
    path = tmp_path / "something"
    path.write_bytes((runs / file).read_bytes())
    assert recognise(path) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (STATE, Recognised("trainer_state", "object")),
        (b'{"log_history": [], "global_step": 0}', Recognised("trainer_state", "object")),
        (b'{"v": 1, "kind": "run", "step": 0}\n', Recognised("journal", "lines")),
        (b'{"step": 1, "loss": 0.5}\n', Recognised("jsonl", "lines")),
        (b'{"step": 1, "loss": NaN}\n{"step"', Recognised("jsonl", "lines")),
        (b'{"args": {"lr": 1}}\n{"epoch": 0, "train_loss": 0.5}\n', Recognised("jsonl", "lines")),
        (b'{"step": 1, "widgets": 7}\n', Recognised("jsonl", "lines", is_sure=False)),
        (b'{"_step": 0, "_runtime": 1.5, "train/loss": 2.0}\n', Recognised("wandb", "lines")),
        (b'[{"_step": 0, "_timestamp": 17.5, "train/loss": 2.0}, {"_st', Recognised("wandb", "array")),
        (b'[{"step": 1, "loss": 1.0}]', Recognised("jsonl", "array")),
        (b"_step,_runtime,train/loss\n0,1.5,2.0\n", Recognised("wandb", "table")),
        (b"epoch,step,train_loss,val_loss\n0,9,1.5,\n0,9,,1.25\n", Recognised("lightning", "table")),
        (b"step,loss\n1,0.5\n", Recognised("csv", "table")),
        (b"epoch,  train/box_loss, metrics/mAP50(B)\n 0, 1.0, 0.2\n", Recognised("ultralytics", "table")),
    ],
)
def test_what_is_a_log(start, expected):
    """Each format by the smallest log of it; a log whose names nobody knows is one, and not surely of a training."""
    assert recognised(start) == expected


@pytest.mark.parametrize(
    "start",
    [
        b"", b"\n\n", b"\x00\x01\x02", b"PK\x03\x04\x00\x00", b"hello world\n", b"version https://git-lfs.github.com/spec/v1\n",
        b'{"architectures": ["GPT2"], "n_layer": 2}', b'{\n "epoch": 3.0,\n "eval_loss": 1.0\n}\n',
        b'{"messages": [{"role": "user", "content": "loss"}]}\n{"messages": []}\n',
        b'{"step": 1, "reward": 0.5, "thought": "a", "action": "b"}\n', b"text,label\nsome loss,1\n", b"[1, 2, 3]", b"[]",
        b'{"a":' + b"[1]," * 20000, b'{"_step": 9, "_runtime": 3, "train/loss": 1.0}', b'{"a":' * 500,
        b"step,loss\n", b"step,loss\nfirst,low\n",
    ],
)  # fmt: skip
def test_what_is_no_log(start):
    """Configs, results, data sets, trajectories, pointers, binaries and the summary of a W&B run are none."""
    found = recognised(start)
    assert found is None or not found.is_sure


def test_a_state_on_one_line_longer_than_what_is_read(tmp_path):
    """A trainer state is recognised by its first bytes, though its only line never ends in them."""
    path = tmp_path / "one-line.json"
    path.write_text(json.dumps({"best_metric": None, "log_history": [{"step": s, "loss": 1.0} for s in range(9000)]}))
    assert path.stat().st_size > 2 * 65536
    assert recognise(path) == Recognised("trainer_state", "object")
