"""`steersman record`: a score that another job found, for the weights of a step."""

from __future__ import annotations

from pathlib import Path

import click

from steersman.cli import Problem, as_json
from steersman.cli.terminal import print_json
from steersman.hindsight import listed
from steersman.late.recording import record as recorded


@click.command(short_help="Add a score that came late to a checkpoint of a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--step", type=int, required=True, help="The step of the weights.")
@click.argument("metrics", nargs=-1, required=True, metavar="NAME=VALUE...")
@click.option("--by", default="", metavar="TEXT", help="Who or what found it, for the journal.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def record(run: Path, step: int, metrics: tuple[str, ...], by: str, as_object: bool) -> None:
    """Record metrics of the weights of a step in the journal of RUN, a run directory or a journal. A run that trains
    hears of it at its next check; `best` and `explain` know it at once. A metric recorded again replaces the older.

    \b
    Examples:
      steersman record out --step 500 safety=0.93
      steersman record out --step 500 safety=0.93 mmlu=0.61 --by "nightly evaluation"
    """
    values = dict(parsed(text) for text in metrics)
    if len(values) < len(metrics):
        raise click.UsageError("a metric is named twice")
    if taken := sorted({"run", "step", "by"} & values.keys()):
        raise click.UsageError(f"{', '.join(taken)} cannot be the name of a metric")
    try:
        late = recorded(run, step, by=by, **values)
    except ValueError as error:
        raise Problem(str(error)) from None
    if as_object:
        print_json({"version": as_json.VERSION, "run": run, "step": late.step, "metrics": late.metrics, "by": late.by})
    else:
        told = listed([f"{name} {value:g}" for name, value in late.metrics.items()])
        click.echo(f"Step {late.step} of {run}: {told}")


def parsed(text: str) -> tuple[str, float]:
    """Return the name and the value of `name=value`.

    Raises click.BadParameter where it is none.
    """
    name, _, value = text.rpartition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        shown = f"expected NAME=VALUE with a number, such as safety=0.93, got {text!r}"
        raise click.BadParameter(shown, param_hint="'NAME=VALUE'") from None
