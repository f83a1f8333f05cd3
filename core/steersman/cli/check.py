"""`steersman check`: an exit status that says whether runs are healthy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from steersman.asking import Asking
from steersman.checking import Checked, FailOn, checked, checked_live
from steersman.cli import as_json
from steersman.cli.replay_options import where_it_is_done, who_is_asked
from steersman.cli.runs import found, told_of
from steersman.cli.terminal import print_json, printable
from steersman.hindsight import count
from steersman.readers.locating import is_url
from steersman.replaying_many import Where


@click.command(short_help="Exit with 1 where a run shows ill health: for CI pipelines.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical"]),
    default="critical",
    show_default=True,
    help="The least severity of a finding that counts.",
)
@who_is_asked
@where_it_is_done
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def check(
    paths: tuple[str, ...],
    fail_on: FailOn,
    *,
    asking: Asking,
    where: Where,
    as_object: bool,
) -> None:
    """Look for findings in finished runs. Each PATH is a log, a run directory or a tree. A run that Steersman
    supervised is judged by what its journal says was found while it trained; any other, and every run where --use
    or --config names who is asked, by a replay. Findings go to standard output, one line each.

    \b
    Exits with
      0  where nothing that bad was found,
      1  where something was,
      2  where a run could not be read, a strategy failed, or an option is wrong; what was found is printed too.

    \b
    Examples:
      steersman check out
      steersman check runs --fail-on warning --json
      steersman check out --use trend-health:preset=seed
    """
    runs = list[Checked]()
    for run in _checked(found(paths), asking, fail_on, where):
        runs.append(run)
        for problem in (run.error,) if run.error else (f"{run.path}: {failure}" for failure in run.failures):
            click.echo(f"Error: {printable(problem)}", err=True)
        if not as_object:
            for line in told(run):
                click.echo(line)
    bad = sum(bool(run.noticed) for run in runs)
    status = 2 if not all(run.is_looked_at for run in runs) else 1 if bad else 0
    if as_object:
        print_json(
            {"version": as_json.VERSION, "fail_on": fail_on, "status": status, "runs": [object_of(run) for run in runs]}
        )
    else:
        could_be_read = sum(run.error is None for run in runs)
        least = "critical" if fail_on == "critical" else "warning or critical"
        click.echo(f"{count(could_be_read, 'run')} checked: {bad} with a {least} finding.")
    if status:
        raise click.exceptions.Exit(status)


def told(run: Checked) -> Iterator[str]:
    """Yield a line for each finding of a run."""
    for n in run.noticed:
        line = f"{run.path}: {n.severity}: {n.name} by {n.strategy}, {n.where}: {n.message}"
        yield printable(" ".join(line.split()))


def object_of(run: Checked) -> dict[str, Any]:
    """Return what `--json` prints of one run."""
    made = asdict(run)
    return {
        "path": made["path"],
        "source": made["source"],
        "error": made["error"],
        "findings": made["noticed"],
        "failures": made["failures"],
    }


def _checked(paths: tuple[str, ...], asking: Asking, fail_on: FailOn, where: Where) -> Iterator[Checked]:
    """Yield what was noticed in each run: those with a journal first, then those that are replayed."""
    replayed: list[str] = []
    for path in paths:
        live = None if asking.is_given or asking.values or is_url(path) else checked_live(Path(path), fail_on)
        if live is None:
            replayed.append(path)
        else:
            yield live
    for run in told_of(tuple(replayed), asking, None, where):
        yield checked(run, fail_on)
