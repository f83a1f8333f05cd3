"""`steersman replay`: what the strategies would have decided in a run that is over."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from steersman.cli import as_json
from steersman.cli.replay_page import page
from steersman.cli.replay_view import View, view_of
from steersman.cli.terminal import console, print_json, with_bar
from steersman.hyperparameters import SAFER
from steersman.readers import UnreadableRun
from steersman.replaying import replay as replayed
from steersman.spelling import did_you_mean
from steersman.verifying import Verified
from steersman.verifying import verify as verified


@click.command(short_help="Say what the strategies would have decided in a finished run.")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="A steersman.yaml or .toml; without it, the defaults.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A hyperparameter that the log does not hold. May be repeated.",
)
@click.option("--verify", is_flag=True, help="Recompute the decisions of a supervised run; exit 1 on any difference.")
@click.option("--effects", is_flag=True, help="Ask strategies that act outside the run (webhooks ...) too.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def replay(
    path: Path, config: Path | None, settings: tuple[str, ...], verify: bool, effects: bool, as_object: bool
) -> None:
    """Feed the logs of a finished run through the strategies and say which checkpoint each scorer would keep, what the
    health checks find, and what would be proposed. PATH is a trainer_state.json of the Hugging Face Trainer (or TRL,
    LLaMA-Factory, Axolotl ...), a run directory with checkpoints, or a journal. Nothing is written.

    \b
    Examples:
      steersman replay out/checkpoint-500/trainer_state.json
      steersman replay out --config steersman.yaml --set max_grad_norm=1.0
      steersman replay out --json | jq .choices
      steersman replay out --verify
    """
    if verify:
        if config is not None or settings:
            raise click.UsageError("--verify uses the run's own config and values; leave out --config and --set")
        show_verified(verified(path, effects=effects), as_object=as_object)
        return
    values = dict(parsed(setting) for setting in settings)
    for name in values:
        near = "" if name in SAFER else did_you_mean(name, SAFER)
        if near:
            click.echo(f"Note: {name!r} is not a name that Steersman knows{near}", err=True)
    try:
        view = view_of(replayed(path, config, values=values, watch=with_bar, effects=effects), values)
    except UnreadableRun as error:
        if as_object:
            print_json(unreadable(path, error))
        raise
    if as_object:
        print_json(object_of(view, path))
    else:
        page(view, console())


def show_verified(told: Verified, *, as_object: bool) -> None:
    """Print what came of recomputing a run's decisions, and exit 1 where any came out differently."""
    if as_object:
        differences = list(told.differences)
        print_json(
            {
                "version": as_json.VERSION,
                "path": told.path,
                "decisions": told.decisions,
                "differences": differences,
                "until": told.until,
            }
        )
    else:
        for difference in told.differences:
            click.echo(difference)
        count = len(told.differences)
        result = "all the same" if not count else f"{count} differ"
        click.echo(f"{told.decisions} decisions of {told.path} recomputed: {result}")
        if told.until is not None:
            click.echo(
                f"From step {told.until} on the run was resumed with another config, or with scores that depend on "
                "something else: that part was not recomputed."
            )
    if told.differences:
        raise click.exceptions.Exit(1)


def parsed(setting: str) -> tuple[str, float]:
    """Return the name and the value of `name=value`.

    Raises click.BadParameter where it is none.
    """
    name, equals, text = setting.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not name.strip() or not equals or not math.isfinite(value):
        raise click.BadParameter(
            f"expected name=value with a finite number, such as max_grad_norm=1.0, got {setting!r}",
            param_hint="'--set'",
        )
    return name.strip(), value


def object_of(view: View, path: Path) -> dict[str, Any]:
    """Return what `--json` prints."""
    recording, entries = view.replay.recording, view.replay.entries
    return {
        "version": as_json.VERSION,
        "runs": [
            {
                "path": path,
                "format": recording.format,
                "records": len(recording.records),
                "evaluations": view.replay.summary["evaluations"],
                "error": None,
            }
        ],
        "choices": as_json.choices(view.ranking),
        "scores": as_json.scores(entries),
        "findings": as_json.findings(entries),
        "proposals": as_json.proposals(entries),
        "errors": as_json.errors(entries),
        "never_came": view.replay.summary["never_came"],
        "left_out": view.replay.left_out,
    }


def unreadable(path: Path, error: UnreadableRun) -> dict[str, Any]:
    """Return what `--json` prints of a run that cannot be read."""
    run = {"path": path, "format": None, "records": 0, "evaluations": 0, "error": str(error)}
    nothing: dict[str, Any] = {"scores": [], "findings": [], "proposals": [], "errors": []}
    return {"version": as_json.VERSION, "runs": [run], "choices": {}, **nothing, "never_came": {}, "left_out": []}
