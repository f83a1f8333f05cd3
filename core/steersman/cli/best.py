"""`steersman best`: the path of the checkpoint to use, and nothing else."""

from __future__ import annotations

from pathlib import Path

import click

from steersman.choosing import Chosen, NoCheckpoint, Which, best_of, link_to
from steersman.cli import Problem, as_json
from steersman.cli.terminal import print_json, printable
from steersman.hindsight import begun
from steersman.readers.locating import is_url
from steersman.tied_set import TiedSet


def _on_this_machine(_: click.Context, __: click.Parameter, path: str) -> Path:
    if is_url(path):
        raise click.BadParameter(f"a checkpoint to use lies on this machine, and {path} does not; copy the run here")
    return Path(path)


@click.command(short_help="Print only the path of the checkpoint to use.")
@click.argument("path", callback=_on_this_machine)
@click.option("--link", type=click.Path(path_type=Path), metavar="DIR", help="Make DIR a symbolic link to it.")
@click.option("--scorer", metavar="NAME", help="Whose best; without it, the first scorer in config order.")
@click.option(
    "--tied",
    type=click.Choice(["best", "latest", "earliest"]),
    default="best",
    show_default=True,
    help="Which of those that cannot be told from the best.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Replay the run with this config instead.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def best(path: Path, link: Path | None, scorer: str | None, tied: Which, config: Path | None, as_object: bool) -> None:
    """Print the path of the best checkpoint of PATH, a run directory or a journal, that meets every requirement of its
    config and is there. A run that Steersman did not supervise is replayed with the defaults. What else there is to
    say goes to standard error. Where no checkpoint may be used no path is printed, and the exit status is 1.

    \b
    Examples:
      steersman best out
      cp -r "$(steersman best out)" release
      steersman best out --link out/best --scorer eval-loss
    """
    try:
        chosen = best_of(path, config, scorer=scorer, tied=tied)
    except NoCheckpoint as none:
        if as_object:
            print_json(object_of(none, path, None))
        click.echo(printable(none), err=True)
        raise click.exceptions.Exit(1) from None
    except ValueError as error:
        raise Problem(str(error)) from None
    if link is not None:
        link_to(chosen.path, link)
    if as_object:
        print_json(object_of(chosen, path, link))
    else:
        click.echo(str(chosen.path))
    if chosen.tied is not None and tied != "best" and (sentence := chosen.tied.sentence()):
        click.echo(printable(f"{begun(chosen.tied.best.name)} is best; {sentence}."), err=True)
    for sentence in chosen.passed_over:
        click.echo(printable(sentence), err=True)


def object_of(found: Chosen | NoCheckpoint, path: Path, link: Path | None) -> dict[str, object]:
    """Return what `--json` prints."""
    chosen = found if isinstance(found, Chosen) else None
    return {
        "version": as_json.VERSION,
        "run": path,
        "path": chosen.path if chosen else None,
        "step": chosen.checkpoint.step if chosen else None,
        "averaged": chosen.checkpoint.averaged if chosen else (),
        "scorer": chosen.scorer if chosen else None,
        "value": chosen.score if chosen else None,
        "metrics": chosen.checkpoint.metrics if chosen else {},
        "reason": found.reason if isinstance(found, NoCheckpoint) else None,
        "passed_over": found.passed_over,
        "tied": _tied(chosen.tied) if chosen else None,
        "link": link,
    }


def _tied(found: TiedSet | None) -> dict[str, object] | None:
    if found is None:
        return None
    each = [{"step": c.step, "averaged": c.averaged} for c in found.checkpoints]
    return {"best": found.best.step, "checkpoints": each, "how": found.how, "examples": found.examples}
