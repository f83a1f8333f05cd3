"""`steersman strategies show`: what one strategy does and takes, and a config to paste."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from steersman.catalogue.describing import Described, Option, describe
from steersman.cli import Problem
from steersman.cli.as_json import VERSION
from steersman.cli.terminal import console, print_json, printable, show_section, show_title
from steersman.config.example import Example, example_for
from steersman.config.yaml_text import dumps
from steersman.loading import find

if TYPE_CHECKING:
    from rich.table import Table

    from steersman.loaded import Source


@click.command(short_help="Tell what a strategy does, what it takes and where it is.")
@click.argument("strategy", metavar="NAME|FILE:CLASS")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def show(strategy: str, as_object: bool) -> None:
    """Import one strategy, by the name it is installed under or as FILE:CLASS, and tell its options, hooks and source.
    No other is imported, and nothing is run.

    \b
    Examples:
      steersman strategies show trend-health
      steersman strategies show ./hooks/quota.py:Quota
      steersman strategies show recovery --json | jq '.options[].name'
    """
    problems: list[str] = []
    with contextlib.redirect_stdout(sys.stderr):  # what it prints while it is imported is no part of the answer
        found = find(strategy, Path.cwd(), problems)
    if found is None:
        raise Problem("\n".join(problem.removeprefix(": ") for problem in problems))
    described, example = describe(found[0]), example_for(strategy, found[0])
    if as_object:
        print_json(object_of(strategy, described, found[1], example))
    else:
        page(strategy, described, found[1], example)


def page(name: str, described: Described, source: Source, example: Example) -> None:
    """Print what is told of a strategy; the config is printed as it is, to be pasted."""
    out = console()
    show_title(out, name)
    for line in described.docstring.splitlines():
        click.echo(f"  {printable(line)}".rstrip())
    facts = [
        f"From: {source.text}",
        f"File: {described.file or 'not known'}",
        f"Hooks: {', '.join(described.hooks)}",
    ]
    if described.effects:
        facts.append("It acts outside the run, so replay leaves it out unless asked with --effects.")
    if described.needs_snapshots:
        facts.append("It may roll the run back, so a run that uses it keeps snapshots.")
    if described.scores_late:
        facts.append("It scores by the metrics of a checkpoint alone, and again when one of them comes late.")
    if described.logs_with_usage_only:
        facts.append("Of the logs it hears only those that tell of tokens.")
    show_section(out, "Where it is", facts)
    if described.options:
        click.echo()
        out.print(_table(described.options))
    else:
        show_section(out, "Options", ["It has none."])
    missing = ["Before it loads:", *example.problems] if example.problems else [""]
    show_section(out, "A config to paste", missing)
    click.echo(printable(example.text), nl=False)


def _table(options: tuple[Option, ...]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for column in ("option", "type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for option in options:
        default = "required" if option.required else dumps(option.default)
        table.add_row(*(Text(printable(cell)) for cell in (option.name, option.type, default, option.meaning)))
    return table


def object_of(name: str, described: Described, source: Source, example: Example) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "version": VERSION,
        "name": name,
        "docstring": described.docstring,
        "options": [attrs.asdict(option) for option in described.options],
        "hooks": described.hooks,
        "effects": described.effects,
        "needs_snapshots": described.needs_snapshots,
        "scores_late": described.scores_late,
        "logs_with_usage_only": described.logs_with_usage_only,
        "distribution": source.distribution,
        "distribution_version": source.version,
        "file": described.file,
        "config": example.text,
        "config_problems": example.problems,
    }
