"""Whether a checkpoint holds weights that can be used, on files as trainers write them."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from steersman.weights import flaw

ENOUGH = b"w" * 64


def files(folder, **contents):
    """Write files into a folder; a double underscore in a name stands for its dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


@pytest.fixture
def whole(tmp_path):
    """A checkpoint as the Hugging Face Trainer writes it, with real weights and states."""
    folder = files(tmp_path / "checkpoint-10", config__json=b"{}", trainer_state__json=b"{}")
    save_file({"a": torch.ones(3, 4), "b": torch.zeros(0)}, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
        torch.save({"state": torch.ones(2)}, folder / name)
    return folder


def test_a_whole_checkpoint(whole):
    """Nothing speaks against it, nor against its weights alone."""
    assert flaw(whole) is None
    assert flaw(whole / "model.safetensors") is None


@pytest.mark.parametrize("cut", [1, 48])
def test_weights_that_are_cut_short(whole, cut):
    """The header of safetensors tells how long the file must be: one byte less is too few, and so is half."""
    path = whole / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-cut])

    assert flaw(whole) == "model.safetensors: it is cut short"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"x", "it is cut short"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "it is a Git LFS pointer, not the weights",
        ),
        (b"\x05\0\0\0\0\0\0\0[1,2]" + ENOUGH, "it is cut short"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_what_is_no_weights(tmp_path, name, content, why):
    """An empty file, a byte, a pointer; a header that is none, where the format has one."""
    folder = files(tmp_path / "checkpoint-10", **{name: content})
    expected = None if name.endswith(".bin") and content.endswith(ENOUGH) else f"{name}: {why}"

    assert flaw(folder) == expected


def test_a_torch_file_that_is_cut_short(tmp_path):
    """torch.save ends its file with a directory of what is in it."""
    path = tmp_path / "best.pt"
    torch.save({"a": torch.ones(1000)}, path)
    whole = flaw(path)
    path.write_bytes(path.read_bytes()[:-200])

    assert (whole, flaw(path)) == (None, "it is cut short")


def test_only_what_lies_beside_weights(whole, tmp_path):
    """Without the model the states, configs and folders that are left are no checkpoint."""
    (whole / "model.safetensors").unlink()
    rng = files(tmp_path / "rng", rng_state__pth=ENOUGH)
    (tmp_path / "hollow" / "below").mkdir(parents=True)

    assert (flaw(whole), flaw(rng), flaw(tmp_path / "hollow")) == (
        "it holds no weights",
        "it holds no weights",
        "it is empty",
    )


@pytest.mark.parametrize("name", ["weights", "model.npy", "params.json", "theta.pickle"])
def test_a_name_of_ones_own_counts(tmp_path, name):
    """A loop of one's own may call its weights anything; beside an empty file there must be one that is not."""
    assert flaw(files(tmp_path / "a", **{name: b"w"}, trainer_state__json=b"{}")) is None
    assert flaw(files(tmp_path / "b", **{name: b""}, trainer_state__json=b"{}")) == "it holds no weights"


def test_every_shard_of_an_index_must_be_there(tmp_path):
    """Two of three are there: the third is named; an index alone names the first."""
    names = [f"model-0000{at}-of-00003.safetensors" for at in (1, 2, 3)]
    index = json.dumps({"weight_map": {"a": names[0], "b": names[1], "c": names[2]}}).encode()
    folder = files(tmp_path / "checkpoint-10", **{"model.safetensors.index.json": index})
    alone = flaw(folder)
    for name in names:
        save_file({"a": torch.ones(2)}, folder / name)
    all_there = flaw(folder)
    (folder / names[2]).unlink()

    assert (alone, all_there) == ("it holds no weights", None)
    assert flaw(folder) == f"{names[2]} is missing"
    (folder / "model.safetensors.index.json").unlink()
    assert flaw(folder) == f"{names[2]} is missing"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("pytorch_model_fsdp_0/__0_0.distcp", None),
        ("optimizer_0/__0_0.distcp", "it holds no weights"),
        ("global_step10/mp_rank_00_model_states.pt", None),
        ("global_step10/zero_pp_rank_0_mp_rank_00_optim_states.pt", "it holds no weights"),
        ("default/adapter_model.bin", None),
    ],
)
def test_weights_in_folders(tmp_path, place, why):
    """FSDP, DeepSpeed and several adapters have folders of their own; the optimizer's are no weights."""
    path = tmp_path / "checkpoint-10" / place
    path.parent.mkdir(parents=True)
    path.write_bytes(ENOUGH)

    assert flaw(tmp_path / "checkpoint-10") == why
