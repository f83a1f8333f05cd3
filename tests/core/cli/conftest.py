"""The command line run in this process, and as a user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result

from steersman.cli import main


@pytest.fixture
def command() -> Callable[..., Result]:
    """Return a caller of `steersman` in this process; an exception that is no exit is raised here."""

    def call(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="steersman", catch_exceptions=False)

    return call


@pytest.fixture
def printed_json(command: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    """Return a caller that reads standard output as one strict JSON object."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    def call(*arguments: str | Path) -> dict[str, Any]:
        result = command(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout, parse_constant=refuse)

    return call


@pytest.fixture(scope="session")
def script() -> str:
    """The installed console script."""
    found = shutil.which("steersman", path=str(Path(sys.executable).parent))
    assert found is not None
    return found


@pytest.fixture
def shell(script: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a caller of the installed script in a process of its own, in an empty folder."""

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [script, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return call
