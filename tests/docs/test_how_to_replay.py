"""docs/how-to/replay.md: every command in it is run, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "how-to" / "replay.md").read_text(encoding="utf-8")
_COMMANDS = re.findall(r"```console\n\$ (.+)\n((?:.*\n)*?)```", _PAGE)
_CONFIGS = re.findall(r"```yaml\n((?:.*\n)*?)```", _PAGE)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the logs of the tests and the page's config, where the commands are run."""
    (tmp_path / "tests").symlink_to(_ROOT / "tests", target_is_directory=True)
    (config,) = _CONFIGS
    (tmp_path / "steersman.yaml").write_text(config, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("command", "output"), _COMMANDS, ids=[command for command, _ in _COMMANDS])
def test_command(checkout, command, output):
    """The command prints exactly what the page shows."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        command, shell=True, cwd=checkout, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert _lines(result.stdout) == _lines(output)


def test_the_page_has_commands():
    """The page shows five commands, so that a change of its form does not switch the tests off."""
    assert len(_COMMANDS) == 7
