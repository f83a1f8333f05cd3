"""`steersman strategies check`: whether a strategy keeps the contract that every strategy keeps."""

from __future__ import annotations

import contextlib
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import yaml
from attrs import frozen

from steersman.cli import Problem
from steersman.cli.as_json import VERSION
from steersman.cli.terminal import print_json, printable
from steersman.config.structuring import structure
from steersman.config.yaml_text import loads
from steersman.loading import find

_PATIENCE = 2.0
"""Seconds after which a bar is shown."""
Check = Callable[[Callable[[], object]], None]


@frozen
class Checked:
    """What came of one check: `sentence` says why it failed, and is empty where it passed."""

    name: str
    sentence: str = ""


@click.command(short_help="Try whether a strategy keeps to the contract.")
@click.argument("strategy", metavar="NAME|FILE:CLASS")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="An option of the strategy, its value as in YAML. May be repeated.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def check(strategy: str, settings: tuple[str, ...], as_object: bool) -> None:
    """Put one strategy, by the name it is installed under or as FILE:CLASS, through made-up runs: empty ones, metrics
    that are missing or NaN, ten thousand evaluations, a resume in the middle, and more. No run of yours is touched;
    what a strategy would do outside the run is not done. Exits 1 where a check fails.

    \b
    Examples:
      steersman strategies check trend-health
      steersman strategies check ./hooks/quota.py:Quota --set limit=3
      steersman strategies check score --set 'metrics={eval_loss: 1.0}'
    """
    with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no part of the answer
        make = made_by(strategy, options_in(settings))
        told = tuple(_with_bar(_checks(), make))
    failed = [each for each in told if each.sentence]
    if as_object:
        print_json({"version": VERSION, "name": strategy, "passed": not failed, "checks": [_plain(c) for c in told]})
    else:
        for each in told:
            click.echo(printable(f"{'failed' if each.sentence else 'passed'}  {each.name}{_why(each)}"))
        count = f"{len(failed)} of {len(told)} checks failed" if failed else f"all {len(told)} checks passed"
        click.echo(f"{printable(strategy)}: {count}")
    if failed:
        raise click.exceptions.Exit(1)


def made_by(target: str, options: Mapping[str, Any]) -> Callable[[], object]:
    """Return what makes a strategy with these options afresh. Raises Problem with every fault of it."""
    problems: list[str] = []
    found = find(target, Path.cwd(), problems)
    make = None if found is None else functools.partial(_made, found[0], options, problems)
    if make is not None:
        make()
    if make is None or problems:
        missing = any(problem.endswith(": is required") for problem in problems)
        hint = ["give an option as `--set NAME=VALUE`"] if missing else []
        raise Problem("\n".join([*(problem.removeprefix(": ") for problem in problems), *hint]))
    return make


def _made(cls: type[Any], options: Mapping[str, Any], problems: list[str]) -> object:
    if attrs.has(cls):
        return structure(options, cls, cls.__name__, problems)
    if options:
        problems.append(f"{cls.__name__} is no attrs class, so it takes no options")
        return None
    try:
        return cls()
    except Exception as error:
        problems.append(f"{cls.__name__} cannot be made: {type(error).__name__}: {error}")
        return None


def options_in(settings: Sequence[str]) -> dict[str, Any]:
    """Return the options in `name=value` texts; a value is read as YAML. Raises click.BadParameter for one of none."""
    options: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        try:
            value = loads(text)
        except yaml.YAMLError:
            equals, value = "", None
        if not name.strip() or not equals:
            raise click.BadParameter(
                f"expected option=value, the value as in YAML, such as window=3, got {setting!r}", param_hint="'--set'"
            )
        options[name.strip()] = value
    return options


def run(each: Check, make: Callable[[], object]) -> Checked:
    """Return what came of one check."""
    name = each.__name__.replace("_", " ")
    try:
        each(make)
    except AssertionError as error:
        return Checked(name, str(error))
    except Exception as error:
        return Checked(name, f"{type(error).__name__}: {error}")
    return Checked(name)


def _checks() -> tuple[Check, ...]:
    try:
        from hypothesis.configuration import set_hypothesis_home_dir

        from steersman.testing import CHECKS
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("hypothesis", "pytest"):
            raise
        raise Problem(f"this needs {missing}, which is not installed: pip install 'steersman[testing]'") from None
    set_hypothesis_home_dir(Path(tempfile.gettempdir(), "steersman-hypothesis"))  # it leaves notes where it is run
    return CHECKS


def _with_bar(checks: Sequence[Check], make: Callable[[], object]) -> Iterator[Checked]:
    """Yield what comes of each check; from two seconds on, show on standard error how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    from steersman.testing.trials import without_effects

    begin = time.monotonic()
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False, disable=False) as bar:
        task = bar.add_task("Checking", total=len(checks), visible=False)
        for each in checks:
            with without_effects():
                yield run(each, make)
            bar.update(task, advance=1, visible=time.monotonic() - begin > _PATIENCE)


def _why(checked: Checked) -> str:
    return f": {checked.sentence}" if checked.sentence else ""


def _plain(checked: Checked) -> dict[str, Any]:
    return {"name": checked.name, "passed": not checked.sentence, "sentence": checked.sentence or None}
