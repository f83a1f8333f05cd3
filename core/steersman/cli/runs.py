"""The runs that a command looks at: found in its paths, and told one by one, with a bar where it takes long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from steersman.asking import Asking
from steersman.cli.terminal import with_bar
from steersman.replaying_many import Where, stream
from steersman.replaying_many import found as found_in
from steersman.results import ReplayedRun
from steersman.scale.work import Work


def found(paths: Sequence[str]) -> tuple[str, ...]:
    """Return every run in `paths`."""
    return tuple(with_bar(found_in(paths), None, "Looking for runs"))


def told_of(
    runs: Sequence[str],
    asking: Asking,
    metrics: Mapping[str, bool] | None,
    where: Where,
    output: Path | None = None,
) -> Iterator[ReplayedRun]:
    """Yield what is told of each run, as it is done."""
    work = Work(asking, metrics)
    return stream(work, runs, where, output, lambda made, count: with_bar(made, count, "Replaying"))
