"""`steersman init`: what it writes is sound, with and without its comments, and nothing is written over."""

from __future__ import annotations

import os
import re

import pytest

from steersman.config import read
from steersman.config.yaml_text import loads
from steersman.loading import load

TRAINERS = ("hf", "trl", "lightning", "plain")
OFFERED = {
    "hf": {"learning_rate", "max_grad_norm"},
    "trl": {"learning_rate", "kl_penalty", "temperature", "reward_weight[NAME]", "max_grad_norm"},
    "lightning": {"learning_rate", "learning_rate[1]"},
    "plain": {"learning_rate", "learning_rate[1]"},
}
ATTACHED = {
    "hf": 'steersman.supervise(trainer, "steersman.yaml")',
    "trl": 'steersman.supervise(trainer, "steersman.yaml")',
    "lightning": 'steersman.LightningCallback("steersman.yaml")',
    "plain": 'steersman.attach(optimizer, "steersman.yaml", ',
}


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_it_writes_is_sound(command, tmp_path, monkeypatch, trainer):
    """The file is sound, is `recommended` whole, and names in it and on the terminal how it is attached."""
    monkeypatch.chdir(tmp_path)
    made = command("init", "--trainer", trainer)
    text = (tmp_path / "steersman.yaml").read_text()

    assert command("config", "check", "steersman.yaml").stdout == (
        "steersman.yaml: sound; mode act; asks eval-loss, trend-health, rl-health, recovery, step-guard, averaged, token-accounting\n"
    )
    assert read("steersman.yaml").raw == read({"extends": "recommended"}).raw
    assert ATTACHED[trainer] in text
    assert ATTACHED[trainer] in made.stdout
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("trainer", TRAINERS)
def test_what_it_offers_is_sound(command, tmp_path, trainer):
    """With every commented key switched on it is a config without a fault, whose strategies load."""
    path = tmp_path / "steersman.yaml"
    command("init", "--trainer", trainer, "--output", path)
    everything = re.sub(r"^( *)# ( *(?:- |[a-z_]+(?:\[\w+\])?:(?: |$)).*)$", r"\1\2", path.read_text(), flags=re.M)
    path.write_text(everything)
    config = read(path)

    load(config, problems := [])
    assert problems == []
    assert {*config.hyperparameters} == OFFERED[trainer]
    assert {*loads(everything)} >= {"mode", "check_every", "hyperparameters", "score", "use", "recovery", "rails"}


def test_it_takes_the_trainer_of_the_script(printed_json, tmp_path, monkeypatch):
    """Without --trainer it is for what the script beside it imports, and says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("from trl import GRPOTrainer\n")

    told = printed_json("init", "--output", "grpo.yaml")

    assert told == {
        "version": 1, "file": "grpo.yaml", "trainer": "trl", "because": "train.py imports trl",
        "python": ["import steersman", 'steersman.supervise(trainer, "grpo.yaml")', "trainer.train()"],
    }  # fmt: skip


def test_a_script_that_cannot_be_read_is_told(command, tmp_path, monkeypatch):
    """On stderr, with the way out; the config is that of a loop of one's own. With --trainer nothing is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_bytes(b"# caf\xe9\nimport trl\n")

    told = command("init")

    note = "Note: train.py is not UTF-8 text; if it is what trains, say whose run it is with --trainer.\n"
    assert (told.exit_code, told.stderr) == (0, note)
    assert told.stdout.startswith(
        "Wrote steersman.yaml, for a loop of your own: no script that could be read here trains.\n"
    )
    assert command("init", "--force", "--trainer", "trl").stderr == ""


def test_a_file_that_is_there_stays(command, write):
    """It is left as it is, with exit code 2 and the way out; --force writes over it."""
    path = write("steersman.yaml", "mode: observe\n")

    refused = command("init", "--trainer", "hf", "--output", path)
    assert (refused.exit_code, path.read_text()) == (2, "mode: observe\n")
    assert refused.stderr == f"Error: {path} is there already, and is left as it is; --force writes over it\n"
    assert command("init", "--trainer", "hf", "--output", path, "--force").exit_code == 0
    assert "extends: recommended" in path.read_text()


def test_what_cannot_be_written_is_a_sentence(command, tmp_path):
    """A folder that is missing or closed, and a name that is none of YAML: each a sentence, exit code 2."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    said = {
        tmp_path / "gone" / "steersman.yaml": f"Error: {tmp_path / 'gone'}: there is no such folder\n",
        tmp_path / "a.toml": f"Error: {tmp_path / 'a.toml'}: the config is YAML; give it a name that ends in .yaml\n",
    }
    if os.geteuid():  # root may write anywhere
        said[closed / "steersman.yaml"] = f"Error: {closed / 'steersman.yaml'} cannot be written: Permission denied\n"
    else:
        (tmp_path / "a.yaml").mkdir()
        said[tmp_path / "a.yaml"] = f"Error: {tmp_path / 'a.yaml'} cannot be written: Is a directory\n"

    for path, sentence in said.items():
        refused = command("init", "--trainer", "hf", "--output", path, *(["--force"] if path.is_dir() else []))
        assert (refused.exit_code, refused.stderr) == (2, sentence)
