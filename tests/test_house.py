"""The house: README and CI agree, core keeps to its imports, modules stay small."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def readme_command(name: str) -> str:
    """Return what CI reads out of the README for `name`, by the very script CI calls."""
    script = [sys.executable, str(ROOT / "tests" / "readme_commands.py"), name]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout.strip()


def test_ci_runs_the_test_command_of_the_readme():
    """CI reads the README's test command by its marker and holds no copy of it."""
    ci = (ROOT / ".ci" / "run").read_text()
    assert "command=$(python3 tests/readme_commands.py test)" in ci
    assert 'bash -euo pipefail -c "$command"' in ci
    assert readme_command("test") not in ci


@pytest.mark.parametrize(
    ("name", "last"), [("test", ".venv/bin/python -m pytest"), ("demo", ".venv/bin/steersman demo")]
)
def test_each_command_of_the_readme_installs_and_runs(name, last):
    """Each of the two is one line: it makes a virtual environment, installs with the constraints, and runs."""
    command = readme_command(name)
    assert "\n" not in command
    assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt ")
    assert command.endswith(f" && {last}")


def test_ci_runs_every_stage():
    """CI runs the slow tests, lint, both type checkers, the builds, and the demo from the wheel."""
    ci = (ROOT / ".ci" / "run").read_text()
    for stage in ("-m slow", "ruff check", "ruff format --check", "bin/mypy", "bin/pyright", "-m build", "demo --json"):
        assert stage in ci


def test_constraints_pin_the_set_we_test_with():
    """The versions the reference facts were verified with are pinned."""
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    for pin in ("torch==2.13.0", "transformers==5.23.0", "trl==1.16.0", "accelerate==1.15.0"):
        assert pin in pinned


def test_core_does_not_import_heavy_things():
    """`import steersman` and every room but the integrations load without torch, transformers, rich or the plugins."""
    rooms = sorted(
        ".".join(path.relative_to(ROOT / "core").with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "core" / "steersman").rglob("*.py")
        if not {"integrations", "cli", "demo", "__main__.py"} & set(path.parts)
    )
    code = (
        f"import importlib, sys\nfor room in {rooms!r}: importlib.import_module(room)\n"
        "heavy = {'torch', 'transformers', 'trl', 'lightning', 'numpy', 'rich', 'structlog', 'steersman_plugins'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_modules_stay_small():
    """The median module of what we ship has at most 90 lines, and none has over 400."""
    sizes = sorted(
        len(path.read_text().splitlines()) for top in ("core", "plugins") for path in (ROOT / top).rglob("*.py")
    )
    assert sizes[len(sizes) // 2] <= 90
    assert sizes[-1] <= 400


def test_no_path_of_a_machine():
    """No file names a path that exists only where it was written."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    here = f"{ROOT.parent}{os.sep}"
    if not tracked or len(ROOT.parts) < 3:
        pytest.skip("no checkout, or one at the top of a disk")
    texts = {name: (ROOT / name).read_text(errors="replace") for name in tracked if (ROOT / name).is_file()}
    assert [name for name, text in texts.items() if here in text] == []


def test_the_changelog_has_the_version_in_progress():
    """The changelog has a section for what is not released, or for the version of pyproject.toml."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in changelog or f"## {version[1]}" in changelog
