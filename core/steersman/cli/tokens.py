"""`steersman tokens`: the three ledgers of a run, from its journal, while it goes on too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from steersman.accounting.ledgers import LEDGERS
from steersman.cli import as_json
from steersman.cli.terminal import print_json, printable
from steersman.config import read
from steersman.readers import UnreadableRun
from steersman.replaying import Replay, replay
from steersman.reporters.accounts import lines

_NO_TOKENS = "there are no tokens in it; the journal of a supervised run has them, from its first log on"


@click.command(short_help="Tell what a run took: tokens, seconds, costs, of each ledger.")
@click.argument("run")
@click.option("--config", type=click.Path(path_type=Path), help="Take the prices of this config instead of the run's.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def tokens(run: str, config: Path | None, as_object: bool) -> None:
    """Tell what RUN, a run directory or a journal.jsonl, has taken so far: tokens generated, trained on, sent to a
    teacher and received from it, their rates, the time they took, by epochs; the time of evaluations, checkpoints and
    restarts; and costs, where the config has `prices:`.

    \b
    Examples:
      steersman tokens out
      steersman tokens out --json | jq .teacher.received
    """
    found = _heard(run, config)
    accounts = {**found.summary["tokens"], **_as_it_ended(found)}
    if not any(name in accounts for name in LEDGERS):
        raise UnreadableRun(
            found.recording.path,
            "there are no tokens in it; the journal of a supervised run has them, from its first log on",
        )
    if as_object:
        print_json({"version": as_json.VERSION, "run": run, "step": _last_step(found), **accounts})
        return
    for line in lines(accounts):
        click.echo(printable(line))


def _heard(run: str, config: Path | None) -> Replay:
    """Return the run heard again by no strategy."""
    nobody: dict[str, Any] = {"extends": [], "use": []}
    if config is not None:
        return replay(run, {**nobody, **_prices(read(config, environment={}).raw)})
    found = replay(run, nobody)
    own = _prices(found.recording.config or {})
    return replay(run, {**nobody, **own}) if own else found


def _as_it_ended(found: Replay) -> dict[str, Any]:
    """Return the seconds of training as the run told them at its end, which are more than those of its last log."""
    ends = [entry.data["elapsed"] for entry in found.recording.decisions if entry.kind == "end"]
    return {"elapsed": ends[-1]} if ends else {}


def _prices(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"prices": config["prices"]} if "prices" in config else {}


def _last_step(found: Replay) -> int:
    return max((record.step for record in found.recording.records), default=0)
