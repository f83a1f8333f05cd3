"""`steersman compare`: strategies side by side over finished runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from steersman.asking import Asking
from steersman.cli import as_json
from steersman.cli.compare_page import page
from steersman.cli.compare_view import object_of
from steersman.cli.replay_options import metrics_of, on_the_task, where_it_is_done, who_is_asked
from steersman.cli.runs import found, told_of
from steersman.cli.terminal import console, print_json
from steersman.replaying_many import Where
from steersman.results.comparing import Accumulator
from steersman.results.picking import Picked


@click.command(short_help="Show side by side which checkpoints strategies keep in finished runs, and how those did.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@who_is_asked
@on_the_task
@where_it_is_done
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def compare(
    paths: tuple[str, ...],
    metrics: tuple[str, ...],
    *,
    asking: Asking,
    where: Where,
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
    given = metrics_of(metrics)
    named = asking.names()
    total, picked, objects = Accumulator(), Picked(), list[Mapping[str, Any]]()
    for run in told_of(found(paths), asking, given, where):
        total.add(run)
        picked.add(run)
        if as_object:
            objects.append(object_of(run))
        if run.error is not None:
            click.echo(f"Error: {run.error}", err=True)
    together = total.total()
    if as_object:
        objects.sort(key=lambda made: str(made["path"]))
        print_json({"version": as_json.VERSION, "use": named, "runs": objects, "total": together.as_object()})
    elif together.read:
        page(picked, together, named, console(), config=asking.source)
    if together.failed:
        raise click.exceptions.Exit(2)
