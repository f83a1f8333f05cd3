"""`steersman --help`: what it says and how soon."""

from __future__ import annotations

import statistics
import subprocess
import sys
from importlib.metadata import version
from time import perf_counter

import click
import pytest

from steersman.cli import main

_HEAVY = ("attrs", "cattrs", "orjson", "pluggy", "rich", "structlog", "torch", "transformers", "yaml")


def test_help_names_each_command(command):
    """`--help` lists every command and begins with what one can do at once: replay a run."""
    result = command("--help")
    assert result.exit_code == 0
    for name in ("demo", "replay", "explain"):
        assert f"\n  {name} " in result.stdout
    assert "steersman replay out/checkpoint-500/trainer_state.json" in result.stdout


@pytest.mark.parametrize("name", ["demo", "replay", "compare", "check", "explain", "best", "record"])
def test_each_command_has_an_example(command, name):
    """The help of each command ends its text with a command line that can be pasted."""
    result = command(name, "--help")
    assert result.exit_code == 0
    assert "\n  Example" in result.stdout
    assert f"\n    steersman {name}" in result.stdout


@pytest.mark.parametrize("name", ["demo", "replay", "compare", "check", "explain", "best", "record", "strategies"])
def test_short_help_agrees_with_the_command(name):
    """What `steersman --help` says of a command without importing it is what the command says of itself."""
    context = click.Context(main)
    found = main.get_command(context, name)
    formatter = click.HelpFormatter(width=200)
    main.format_commands(context, formatter)
    assert found is not None
    lines = [line.split(maxsplit=1) for line in formatter.getvalue().splitlines()[1:]]
    assert [name, f"{found.get_short_help_str(200).removesuffix('.')}."] in lines


def test_help_imports_nothing_heavy():
    """`--help` imports none of the libraries that strategies, config or printing need."""
    code = (
        "import sys; from steersman.cli import main; main(['--help'], standalone_mode=False); "
        f"print('imported:', [name for name in {_HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("imported: []\n")


def test_help_is_quick(script):
    """`steersman --help` takes no longer than three times the import of rich and click."""

    def seconds(*arguments: str) -> float:
        begin = perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        return perf_counter() - begin

    pairs = [(seconds(script, "--help"), seconds(sys.executable, "-c", "import rich, click")) for _ in range(7)]
    assert statistics.median(ours / theirs for ours, theirs in pairs) <= 3


def test_version(command):
    """`--version` says the installed version."""
    assert command("--version").stdout == f"steersman {version('steersman')}\n"


def test_unknown_command_names_the_nearest(command):
    """A misspelt command is answered with the nearest one."""
    result = command("repaly")
    assert result.exit_code == 2
    assert "No such command 'repaly'; did you mean 'replay'?" in result.stderr
