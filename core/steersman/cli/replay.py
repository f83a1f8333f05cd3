"""`steersman replay`: what the strategies would have decided in runs that are over."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steersman.cli import Problem
from steersman.cli.replay_options import metrics_of, on_the_task, where_it_is_done, who_is_asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steersman.asking import Asking
    from steersman.replaying_many import Where


@click.command(short_help="Say what the strategies would have decided in finished runs.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@who_is_asked
@on_the_task
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Stream the results to this file, one JSON object a line; a second call takes it up where it was cut.",
)
@where_it_is_done
@click.option("--verify", is_flag=True, help="Recompute the decisions of a supervised run; exit 1 on any difference.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def replay(
    paths: tuple[str, ...],
    metrics: tuple[str, ...],
    output: Path | None,
    *,
    asking: Asking,
    where: Where,
    verify: bool,
    as_object: bool,
) -> None:
    """Feed the logs of finished runs through the strategies and say which checkpoint each scorer would keep, what the
    health checks find, and what would be proposed. PATH is a file, a run directory or a whole tree: logs of the
    Hugging Face Trainer (TRL, LLaMA-Factory, Axolotl ...), TensorBoard, Lightning, Weights & Biases or Ultralytics,
    JSON lines, and Steersman's own journals; or a URL that fsspec knows. The runs are only read.
    Exit code 2 where one of them cannot be read; the others go on.

    \b
    Examples:
      steersman replay out/checkpoint-500/trainer_state.json
      steersman replay out --use multi-metric --use eval-loss
      steersman replay out --config steersman.yaml --set max_grad_norm=1.0
      steersman replay runs/ old-runs/ --output results.jsonl
      steersman replay out --json | jq .choices
      steersman replay out --verify
    """
    from steersman.cli.runs import found

    if verify and (asking.is_given or asking.values or output):
        raise click.UsageError("--verify uses the run's own config and values; leave out --config, --use and --set")
    runs = found(paths)
    if verify:
        _verify(runs, effects=asking.effects, as_object=as_object)
        return
    named = metrics_of(metrics)
    if len(runs) == 1 and output is None and where.engine == "local":
        _one(runs[0], asking, named, as_object=as_object)
    else:
        _several(runs, asking, named, where, output, as_object=as_object)


def _one(path: str, asking: Asking, metrics: Mapping[str, bool] | None, *, as_object: bool) -> None:
    from steersman.cli import as_json
    from steersman.cli.replay_page import page
    from steersman.cli.replay_view import View
    from steersman.cli.runs import saying_what_never_came
    from steersman.cli.terminal import console, patiently, print_json
    from steersman.readers import UnreadableRun
    from steersman.replaying import replay_with
    from steersman.results.telling import told, unreadable

    try:
        with patiently(f"Replaying {path}"), contextlib.redirect_stdout(sys.stderr):
            made = replay_with(asking, path)
    except UnreadableRun as error:
        if as_object:
            print_json(as_json.replays((unreadable(path, error),), None))
        raise
    [run] = saying_what_never_came((told(made, metrics, path),), metrics)
    if as_object:
        print_json(as_json.replays((run,), None))
    else:
        page(View(made, run, asking.values), console())


def _several(
    runs: tuple[str, ...],
    asking: Asking,
    metrics: Mapping[str, bool] | None,
    where: Where,
    output: Path | None,
    *,
    as_object: bool,
) -> None:
    from steersman.cli import as_json
    from steersman.cli.replays_page import page
    from steersman.cli.runs import told_of
    from steersman.cli.terminal import console, print_json
    from steersman.results.comparing import Accumulator

    total, kept, failed = Accumulator(), dict[str, Any](), dict[str, str]()
    for run in told_of(runs, asking, metrics, where, output):
        total.add(run)
        if as_object:
            kept[run.path] = run
        if run.error is not None:
            failed[run.path] = run.error
    if as_object:
        print_json(as_json.replays(tuple(kept[path] for path in runs), total.total()))
    else:
        page(total.total(), failed, asking, output, console())
    if failed:
        raise Problem(f"{len(failed)} of {len(runs)} runs could not be read: {next(iter(failed.values()))}")


def _verify(runs: tuple[str, ...], *, effects: bool, as_object: bool) -> None:
    """Print what came of recomputing the decisions of each run, and exit 1 where any came out differently."""
    from steersman.cli import as_json
    from steersman.cli.terminal import print_json
    from steersman.readers.locating import located
    from steersman.verifying import verify

    differ = False
    for path in runs:
        made = verify(located(path), effects=effects)
        differ = differ or bool(made.differences)
        if as_object:
            print_json(
                {
                    "version": as_json.VERSION,
                    "path": made.path,
                    "decisions": made.decisions,
                    "differences": list(made.differences),
                    "until": made.until,
                }
            )
            continue
        for difference in made.differences:
            click.echo(difference)
        count = len(made.differences)
        result = "all the same" if not count else f"{count} differ"
        click.echo(f"{made.decisions} decisions of {made.path} recomputed: {result}")
        if made.until is not None:
            click.echo(
                f"From step {made.until} on the run was resumed with another config, or with scores that depend on "
                "something else: that part was not recomputed."
            )
    if differ:
        raise click.exceptions.Exit(1)
