"""The entry point that Lightning calls for every Trainer: nothing unless the environment asks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl

from steersman import ConfigError
from steersman.integrations.lightning import SteersmanCallback

GROUPS = ("pytorch_lightning.callbacks_factory", "lightning.pytorch.callbacks_factory")


def _entry_points(group: str) -> list[EntryPoint]:
    """What pyproject.toml declares, whatever was installed when."""
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    return [EntryPoint(name, value, group) for name, value in project["entry-points"][group].items()]


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a Trainer which finds our entry points, and returns its callbacks of ours."""
    monkeypatch.setattr(
        "lightning_fabric.utilities.registry.entry_points",
        lambda group: _entry_points(group) if group in GROUPS else [],
    )

    def make() -> list[Any]:
        trainer = pl.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu")
        return [callback for callback in trainer.callbacks if isinstance(callback, SteersmanCallback)]

    return make


@pytest.mark.parametrize("value", [None, "", "0"])
def test_unasked_a_trainer_has_no_callback_of_ours(ours, monkeypatch, value):
    """Installed is not active: without the variable a Trainer is as without Steersman."""
    monkeypatch.delenv("STEERSMAN_AUTO", raising=False)
    if value is not None:
        monkeypatch.setenv("STEERSMAN_AUTO", value)

    assert ours() == []


def test_asked_every_trainer_has_one(ours, monkeypatch):
    """With `1` it is the default config."""
    monkeypatch.setenv("STEERSMAN_AUTO", "1")

    [callback] = ours()

    assert (callback.policy.config.mode, callback.policy.config.source) == ("advise", "no config")


def test_a_path_is_the_config(ours, monkeypatch, tmp_path):
    """With a path it is that config; a fault in it is told when the Trainer is made."""
    path = tmp_path / "steersman.yaml"
    path.write_text("mode: observe\n")
    monkeypatch.setenv("STEERSMAN_AUTO", str(path))
    [callback] = ours()
    assert callback.policy.config.mode == "observe"

    path.write_text("moode: observe\n")
    with pytest.raises(ConfigError, match="unknown key 'moode'"):
        ours()


@pytest.mark.parametrize("group", GROUPS)
def test_unasked_it_imports_nothing(group):
    """Loading and calling the entry point without the variable imports no library."""
    [point] = _entry_points(group)
    code = (
        f"from importlib.metadata import EntryPoint; import sys; point = EntryPoint('x', {point.value!r}, 'y')\n"
        "assert point.load()() == []\n"
        "print(sorted({'torch', 'pytorch_lightning', 'lightning', 'attrs', 'yaml', 'structlog'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == "[]"
