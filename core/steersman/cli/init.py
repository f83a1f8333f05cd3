"""`steersman init`: a first config, with a comment on each key, for the trainer of the user's script."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from steersman.cli import Problem
from steersman.starter.detecting import Trainer

_NAMES = ("hf", "trl", "lightning", "plain")
assert {*_NAMES} == {*get_args(Trainer)}


@click.command(short_help="Write a first config, with a comment on each key, for your trainer.")
@click.option("--trainer", type=click.Choice(_NAMES), help="Whose run it is; by default what the scripts here import.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("steersman.yaml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def init(trainer: Trainer | None, output: Path, force: bool, as_object: bool) -> None:
    """Write a config that extends `recommended`, with a comment on each key: what it does, what one may change. Then
    print the lines that attach it. Without --trainer it is for what most Python files of this folder import: trl,
    lightning, a trainer of transformers, else torch; where none does, for what is installed. A file that cannot be
    read is told of, and tells nothing.

    \b
    Examples:
      steersman init
      steersman init --trainer trl --output configs/grpo.yaml
    """
    from steersman.cli.terminal import print_json, printable
    from steersman.config import read
    from steersman.starter.detecting import Found, detected
    from steersman.starter.scripts import script_for
    from steersman.starter.writing import text_for

    if output.suffix not in (".yaml", ".yml"):
        raise Problem(f"{output}: the config is YAML; give it a name that ends in .yaml")
    found = Found(trainer, "--trainer says so") if trainer is not None else detected(Path())
    for why in found.unread:
        click.echo(printable(f"Note: {why}; if it is what trains, say whose run it is with --trainer."), err=True)
    script = script_for(found.trainer, str(output))
    _write(output, text_for(found.trainer, read({"extends": "recommended"}, environment={}).raw, str(output)), force)
    if as_object:
        told = {"file": output, "trainer": found.trainer, "because": found.because, "python": script.lines}
        print_json({"version": 1, **told})
        return
    click.echo(f"Wrote {output}, for {script.title}: {found.because}.")
    if trainer is None:
        click.echo("If that is wrong: --force --trainer " + " | ".join(_NAMES))
    click.echo("\nPaste into your script:\n")
    click.echo("\n".join(f"    {line}" for line in script.lines) + "\n")
    click.echo("\n".join(script.beside))


def _write(output: Path, text: str, force: bool) -> None:
    """Write a new file; over an old one only by `force`."""
    if not output.parent.is_dir():
        raise Problem(f"{output.parent}: there is no such folder")
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Problem(f"{output} is there already, and is left as it is; --force writes over it") from None
    except OSError as error:
        raise Problem(f"{output} cannot be written: {error.strerror}") from None
