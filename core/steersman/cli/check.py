"""`steersman check`: an exit status that says whether runs are healthy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from steersman.checking import Checked, FailOn, checked, checked_live
from steersman.cli import as_json
from steersman.cli.asked import runs_in, source_of, told_of, values_of, who_is_asked
from steersman.cli.terminal import print_json, printable
from steersman.config import read as read_config
from steersman.config.reading import Source
from steersman.hindsight import count


@click.command(short_help="Exit with 1 where a run shows ill health: for CI pipelines.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--fail-on",
    type=click.Choice(["warning", "critical"]),
    default="critical",
    show_default=True,
    help="The least severity of a finding that counts.",
)
@who_is_asked
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def check(
    paths: tuple[Path, ...],
    fail_on: FailOn,
    uses: tuple[str, ...],
    config: Path | None,
    settings: tuple[str, ...],
    *,
    effects: bool,
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
    source, values = source_of(config, uses), values_of(settings)
    read_config(source)  # one with faults is told before any run is read
    runs = list[Checked]()
    for run in _checked(paths, source, values, fail_on, effects=effects):
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


def _checked(
    paths: tuple[Path, ...], source: Source, values: Mapping[str, float], fail_on: FailOn, *, effects: bool
) -> Iterator[Checked]:
    for path in paths:
        for run in runs_in(path):
            live = checked_live(run, fail_on) if source is None else None
            yield live or checked(told_of(run, source, values, None, effects=effects), fail_on)
