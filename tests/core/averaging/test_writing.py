"""An average on disk: means by hand, what is copied, what is refused, and what is left when it goes wrong."""

from __future__ import annotations

import errno
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from steersman.averaging import means, writing
from steersman.averaging.layouts import NotAveraged
from steersman.averaging.writing import write_average


def checkpoint(folder, step, **tensors):
    """A checkpoint folder as the Trainer writes it, with optimizer state and a config."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    save_file({name: torch.as_tensor(t) for name, t in tensors.items()}, place / "model.safetensors", {"format": "pt"})
    (place / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    (place / "optimizer.pt").write_bytes(b"x" * 100)
    (place / "trainer_state.json").write_text("{}")
    return place


def test_the_mean_of_three(tmp_path, monkeypatch):
    """Floats are averaged in float32 and kept in their dtype; whole numbers are those of the one in the middle.

    In bfloat16, 256 + 1 + 1 is 258 by float32 sums, of which a third is 86; summed in bfloat16 it would be 85.33.
    Pieces of two numbers give the same.
    """
    monkeypatch.setattr(means, "_PIECE", 2)
    places = [
        checkpoint(
            tmp_path,
            step,
            weight=torch.tensor([[a, 0.0], [1.0, a]]),
            half=torch.tensor([b, 3.0], dtype=torch.bfloat16),
            scalar=torch.tensor(a),
            count=torch.tensor([step]),
        )
        for step, a, b in ((10, 1.0, 256.0), (20, 2.0, 1.0), (30, 6.0, 1.0))
    ]

    goal = write_average(places, tmp_path / "average", (10, 20, 30))

    mean = load_file(goal / "model.safetensors")
    assert mean["weight"].tolist() == [[3.0, 0.0], [1.0, 3.0]]
    assert (mean["half"].tolist(), mean["half"].dtype) == ([86.0, 3.0], torch.bfloat16)
    assert (mean["scalar"].item(), mean["count"].tolist()) == (3.0, [20])
    with safe_open(goal / "model.safetensors", "pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    assert sorted(file.name for file in goal.iterdir()) == [
        "config.json",
        "model.safetensors",
        "steersman-average.json",
    ]
    assert json.loads((goal / "steersman-average.json").read_text())["steps"] == [10, 20, 30]


def test_shards_with_an_index(tmp_path):
    """Each shard is averaged into one of its name, whatever shard the tensor lay in at another step; the index stays."""
    parts = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    for step in (1, 3):
        place = tmp_path / f"checkpoint-{step}"
        place.mkdir()
        names = parts if step == 3 else parts[::-1]
        for name, key in zip(names, ("a", "b"), strict=True):
            save_file({key: torch.full((2,), float(step))}, place / name)
        index = {"metadata": {}, "weight_map": dict(zip(("a", "b"), names, strict=True))}
        (place / "model.safetensors.index.json").write_text(json.dumps(index))

    goal = write_average([tmp_path / "checkpoint-1", tmp_path / "checkpoint-3"], tmp_path / "average")

    assert load_file(goal / parts[0])["a"].tolist() == load_file(goal / parts[1])["b"].tolist() == [2.0, 2.0]
    assert json.loads((goal / "model.safetensors.index.json").read_text())["weight_map"]["a"] == parts[0]


def test_files_of_a_loop(tmp_path):
    """Of {"model": ..., "optimizer": ...} the model is averaged, without the optimizer; tied weights stay tied."""
    for step in (1, 2):
        weight = torch.full((3,), float(step))
        state = {"embed": weight, "head": weight, "seen": torch.tensor(step)}
        torch.save({"model": state, "optimizer": {"state": {0: weight}}}, tmp_path / f"step-{step}.pt")

    goal = write_average([tmp_path / "step-1.pt", tmp_path / "step-2.pt"], tmp_path / "average")

    held = torch.load(goal)
    assert (goal.name, list(held)) == ("average.pt", ["model"])
    assert (held["model"]["embed"].tolist(), held["model"]["seen"].item()) == ([1.5] * 3, 2)
    assert held["model"]["embed"].data_ptr() == held["model"]["head"].data_ptr()


def test_running_statistics_are_averaged(tmp_path):
    """Those of a BatchNorm are floats like any other: the mean of 0.1 and 0.3; its count is the middle one's."""
    for step in (1, 2):
        norm = torch.nn.BatchNorm1d(1)
        norm.running_mean += 0.2 * step - 0.1
        norm.num_batches_tracked += step
        torch.save(norm.state_dict(), tmp_path / f"{step}.pt")

    mean = torch.load(write_average([tmp_path / "1.pt", tmp_path / "2.pt"], tmp_path / "average"))

    assert mean["running_mean"].item() == pytest.approx(0.2)
    assert mean["num_batches_tracked"].item() == 2


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"a": torch.zeros(2)}, "checkpoint-2 has no tensor 'b', which .*checkpoint-1 has"),
        ({"a": torch.zeros(2), "b": torch.zeros(3), "c": torch.zeros(1)}, "checkpoint-1 has no tensor 'c', which"),
        ({"a": torch.zeros(2), "b": torch.zeros(4)}, r"the tensor 'b' is F32 \[4\] in .*checkpoint-2 and F32 \[3\] in"),
        ({"a": torch.zeros(2), "b": torch.zeros(3).half()}, r"the tensor 'b' is F16 \[3\] in .*checkpoint-2 and F32"),
    ],
)
def test_weights_that_differ(tmp_path, other, sentence):
    """Another name, shape or dtype is said with the folder and the tensor; nothing is left."""
    one = checkpoint(tmp_path, 1, a=torch.zeros(2), b=torch.zeros(3))
    two = checkpoint(tmp_path, 2, **other)
    with pytest.raises(NotAveraged, match=sentence):
        write_average([one, two], tmp_path / "average")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "checkpoint-2"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_nothing_half_made_is_left(tmp_path, monkeypatch, error):
    """Ctrl-C in the midst of writing, or a full disk, leaves no folder; the disk is told in a sentence."""
    places = [checkpoint(tmp_path, step, a=torch.zeros(2), b=torch.zeros(2)) for step in (1, 2)]

    def heard(done: int, total: int) -> None:
        assert (done, total) == (8, 16)
        raise error

    with pytest.raises((KeyboardInterrupt, NotAveraged)) as caught:
        write_average(places, tmp_path / "average", heard=heard)
    assert isinstance(caught.value, KeyboardInterrupt) or str(caught.value).endswith("average: the disk is full")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-1", "checkpoint-2"]


def test_what_is_refused(tmp_path):
    """One that is gone, one that is quantized, shards of FSDP, and a goal that is something else."""
    place = checkpoint(tmp_path, 1, a=torch.zeros(2))
    with pytest.raises(NotAveraged, match=r"checkpoint-9 is not there; only checkpoints that still exist"):
        write_average([place, tmp_path / "checkpoint-9"], tmp_path / "average")
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="is no average, so it is left alone"):
        write_average([place, place], tmp_path / "mine")
    (place / "config.json").write_text(json.dumps({"quantization_config": {"load_in_4bit": True}}))
    with pytest.raises(NotAveraged, match="checkpoint-1 is quantized"):
        write_average([place, place], tmp_path / "average")
    (place / "pytorch_model_fsdp_0").mkdir()
    with pytest.raises(NotAveraged, match="sharded state"):
        write_average([place, place], tmp_path / "average")
    assert not (tmp_path / "average").exists() and writing.name_of((10, 20, 30)) == "averaged-10-30-of-3"
