"""`steersman compare`: strategies side by side over finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from steersman.cli import as_json
from steersman.cli.asked import metrics_of, on_the_task, runs_in, source_of, told_of, values_of, who_is_asked
from steersman.cli.compare_page import page
from steersman.cli.compare_view import object_of
from steersman.cli.terminal import console, print_json
from steersman.comparing import Accumulator
from steersman.config import read
from steersman.picking import Picked
from steersman.spelling import did_you_mean


@click.command(short_help="Show side by side which checkpoints strategies keep in finished runs, and how those did.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@who_is_asked
@on_the_task
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def compare(
    paths: tuple[Path, ...],
    uses: tuple[str, ...],
    config: Path | None,
    settings: tuple[str, ...],
    metrics: tuple[str, ...],
    *,
    effects: bool,
    as_object: bool,
) -> None:
    """Feed the logs of finished runs through the strategies named with --use and show, run by run, which checkpoint
    each keeps, beside the lowest eval loss and the last; then, over all runs, wins, ties, losses and the mean gain on
    each metric of the task, with a bootstrap interval, and how often each strategy raised an alarm. Each PATH is a
    log, a run directory or a tree. Exits with 2 where a run could not be read; the others are compared all the same.

    \b
    Examples:
      steersman compare out --use eval-loss --use multi-metric
      steersman compare runs --use eval-loss --use ./hooks/median.py:Median:window=5
      steersman compare runs --use multi-metric --task-metric eval_quality:higher --json
    """
    source = source_of(config, uses)
    named = [use.name for use in read(source).use]
    known, given = values_of(settings), metrics_of(metrics)
    total, picked, objects = Accumulator(), Picked(), list[Mapping[str, Any]]()
    came = set[str]()
    for path in paths:
        for found in runs_in(path):
            run = told_of(found, source, known, given, effects=effects)
            total.add(run)
            picked.add(run)
            came |= {metric.name for metric in run.task_metrics} | {*run.unknown_direction}
            if as_object:
                objects.append(object_of(run))
            if run.error is not None:
                click.echo(f"Error: {run.error}", err=True)
    for name in given or {}:
        if not {name, f"eval_{name}"} & came:
            click.echo(f"Note: no evaluation has a metric {name!r}{did_you_mean(name, came)}", err=True)
    together = total.total()
    if as_object:
        print_json({"version": as_json.VERSION, "use": named, "runs": objects, "total": together.as_object()})
    elif together.read:
        page(picked, together, named, console(), config=_told(config, uses))
    if together.failed:
        raise click.exceptions.Exit(2)


def _told(config: Path | None, uses: tuple[str, ...]) -> str:
    base = "none given, so the defaults" if config is None else str(config)
    return f"{base}, its strategies replaced by those of --use" if uses and config else base
