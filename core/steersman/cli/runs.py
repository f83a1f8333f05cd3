"""The runs that a command looks at: found in its paths, and told one by one, with a bar where it takes long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from steersman.asking import Asking
from steersman.cli.terminal import with_bar
from steersman.replaying_many import Where, stream
from steersman.replaying_many import found as found_in
from steersman.results.run import ReplayedRun
from steersman.scale.work import Work
from steersman.spelling import did_you_mean


def found(paths: Sequence[str]) -> tuple[str, ...]:
    """Return every run in `paths`. Raises click.BadParameter for an empty one, which an unset variable leaves."""
    if not all(path.strip() for path in paths):
        raise click.BadParameter("a path is empty", param_hint="'PATH...'")
    return tuple(with_bar(found_in(paths), None, "Looking for runs"))


def told_of(
    runs: Sequence[str],
    asking: Asking,
    metrics: Mapping[str, bool] | None,
    where: Where,
    output: Path | None = None,
) -> Iterator[ReplayedRun]:
    """Yield what is told of each run, as it is done; then say which of `metrics` no run has."""
    work = Work(asking, metrics)
    results = stream(work, runs, where, output, lambda made, count: with_bar(made, count, "Replaying"))
    return saying_what_never_came(results, metrics)


def saying_what_never_came(results: Iterable[ReplayedRun], metrics: Mapping[str, bool] | None) -> Iterator[ReplayedRun]:
    """Yield every run; then say which of the metrics given by hand no evaluation has, with the nearest that came."""
    came: set[str] = set()
    for run in results:
        if metrics:
            came |= {metric.name for metric in run.task_metrics} | {*run.unknown_direction}
        yield run
    for name in metrics or {}:
        if not {name, f"eval_{name}"} & came:
            click.echo(f"Note: no evaluation has a metric {name!r}{did_you_mean(name, came)}", err=True)
