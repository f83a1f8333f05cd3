"""The smallest complete distribution, installed from its wheel beside ours in a fresh environment, does its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMOOTHED = ROOT / "contrib" / "steersman-smoothed-loss"


def run(*command: object, cwd: Path) -> str:
    """Run a command as a user would, outside the checkout, and return what it printed."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV") and "STEERSMAN" not in k}
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, env=clean)
    assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    return ran.stdout


@pytest.mark.slow
def test_smoothed_loss_from_its_wheel(tmp_path: Path) -> None:
    """Both wheels are built and installed in a new environment: it is listed, shown, and scores a recorded run.

    smoothing 0 is the loss itself, so it keeps the step of the lowest eval loss.
    """
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, SMOOTHED, cwd=tmp_path)
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    wheels = sorted(tmp_path.glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["steersman", "steersman_smoothed_loss"]
    constraints = ROOT / "constraints.txt"
    run(tmp_path / "venv/bin/pip", "install", "-q", "-c", constraints, *wheels, cwd=tmp_path)
    steersman = tmp_path / "venv" / "bin" / "steersman"

    listed = json.loads(run(steersman, "strategies", "--json", cwd=tmp_path))["strategies"]
    shown = run(steersman, "strategies", "show", "smoothed-loss", cwd=tmp_path)
    (tmp_path / "steersman.yaml").write_text("use:\n  - smoothed-loss: {smoothing: 0}\n  - eval-loss\n")
    log = ROOT / "tests" / "runs" / "trainer_state" / "llama-factory-01.json"
    replayed = json.loads(run(steersman, "replay", log, "--config", "steersman.yaml", "--json", cwd=tmp_path))

    assert {s["name"]: s["distribution"] for s in listed}["smoothed-loss"] == "steersman-smoothed-loss"
    assert "smoothing" in shown
    assert replayed["choices"]["smoothed-loss"]["step"] == replayed["choices"]["eval-loss"]["step"] == 1100
    assert len([s for s in replayed["scores"] if s["strategy"] == "smoothed-loss"]) == 12
