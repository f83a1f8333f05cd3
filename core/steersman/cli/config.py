"""`steersman config`: whether a config is sound, what is in force and why, and what a config may hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steersman.cli import LazyGroup

if TYPE_CHECKING:
    from steersman.config import Config

_VERSION = 1
_HERE = Path("steersman.yaml")
_json = click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")


class _Config(LazyGroup):
    lazy: Mapping[str, tuple[str, str]] = {
        "check": ("steersman.cli.config:check", "Say whether a config is sound, or everything that is wrong with it."),
        "show": ("steersman.cli.config:show", "Print the config in force, and where each value came from."),
        "schema": ("steersman.cli.config:schema", "Print the JSON Schema of a config, for an editor."),
    }


@click.group(
    cls=_Config,
    short_help="Check a config, show what is in force, print its schema.",
    epilog="""\b
Examples:
  steersman config check steersman.yaml
  steersman config show
  steersman config schema --output steersman.schema.json""",
)
def config() -> None:
    """Check a config, show what is in force, print the schema of a config."""


@click.command(short_help="Say whether a config is sound, or everything that is wrong with it.")
@click.argument("file", type=click.Path(path_type=Path))
@_json
def check(file: Path, as_object: bool) -> None:
    """Read FILE as a run would, with all it extends and the environment, and load its strategies. Nothing is run.
    Exit code 0 where it is sound, 2 where it is not: with --json, too.

    \b
    Examples:
      steersman config check steersman.yaml
      STEERSMAN__MODE=act steersman config check pyproject.toml --json | jq .problems
    """
    from steersman.cli.terminal import print_json, printable
    from steersman.config import ConfigError

    try:
        read, _ = _loaded(file)
    except ConfigError as error:
        if as_object:
            print_json({"version": _VERSION, "source": error.source, "problems": error.problems})
        raise
    asks, notes = [use.name for use in read.use], _unknown_hyperparameters(read)
    if as_object:
        told = {"mode": read.mode, "asks": asks, "notes": notes}
        print_json({"version": _VERSION, "source": read.source, "problems": [], **told})
        return
    click.echo(printable(f"{read.source}: sound; mode {read.mode}; asks {', '.join(asks) or 'nobody'}"))
    for note in notes:
        click.echo(printable(f"Note: {note}"), err=True)


@click.command(short_help="Print the config in force, and where each value came from.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--all", "whole", is_flag=True, help="Also the long tables of options that nobody changed.")
@_json
def show(file: Path | None, whole: bool, as_object: bool) -> None:
    """Print the whole config of FILE with every default, as YAML that can be pasted: each value has a comment with the
    layer it came from. Without FILE it is ./steersman.yaml where there is one, else what a run without a config has.

    \b
    Examples:
      steersman config show
      steersman config show steersman.yaml --all
      STEERSMAN__RAILS__BUDGET=3 steersman config show --json | jq '.origins["$.rails.budget"]'
    """
    from steersman.cli.terminal import print_json
    from steersman.config.effective import effective
    from steersman.config.listing import to_object, to_yaml

    read, strategies = _loaded(file or (_HERE if _HERE.is_file() else None))
    shown = effective(read, strategies, whole=whole or as_object)
    if as_object:
        print_json({"version": _VERSION, **to_object(read, shown)})
    else:
        click.echo(to_yaml(read, shown), nl=False)


@click.command(short_help="Print the JSON Schema of a config, for an editor.")
@click.option("--output", type=click.Path(path_type=Path), help="Write it into this file instead.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema (draft-07) of a config, with the options of every installed strategy. An editor that knows
    it completes and checks a config while it is written.

    \b
    Examples:
      steersman config schema --output steersman.schema.json
      # then, as the first line of steersman.yaml:
      # yaml-language-server: $schema=steersman.schema.json
    """
    from steersman.cli.terminal import printable
    from steersman.config.json_schema import schema as json_schema

    problems: list[str] = []
    text = json.dumps(json_schema(problems), ensure_ascii=False, indent=2)
    for problem in problems:
        click.echo(printable(f"Note: {problem}; the schema lets any options of it pass"), err=True)
    if output is None:
        click.echo(text)
    else:
        output.write_text(f"{text}\n", encoding="utf-8")
        click.echo(f"written to {output}")


def _loaded(file: Path | None) -> tuple[Config, Mapping[str, object]]:
    """Return a config and its strategies by their names in the run.

    Raises ConfigError with every fault of both.
    """
    from steersman.config import ConfigError, read
    from steersman.config.origins import blamed
    from steersman.loading import load

    problems: list[str] = []
    found = read(file, problems)
    strategies = load(found, problems)
    if problems:
        raise ConfigError(found.source, blamed(problems, found.layers))
    return found, {loaded.name: loaded.strategy for loaded in strategies}


def _unknown_hyperparameters(read: Config) -> list[str]:
    """Return a sentence for each hyperparameter that only a training script can make known."""
    from steersman.hyperparameters import SAFER, base_of
    from steersman.spelling import did_you_mean

    return [
        f"$.hyperparameters.{name}: no trainer has it by itself{did_you_mean(name, SAFER)}; a script must hand it over"
        for name in read.hyperparameters
        if base_of(name) not in SAFER
    ]
