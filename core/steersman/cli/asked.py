"""The options that say who is asked about finished runs, and the runs told one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from steersman import readers
from steersman.config.reading import Source
from steersman.config.use_text import with_use
from steersman.replaying import replay
from steersman.results import ReplayedRun
from steersman.task_metrics import parsed as metric_parsed
from steersman.telling import told, unreadable

Command = Callable[..., Any]
_find: Callable[[Path], Iterable[Path]] | None = getattr(readers, "find", None)


def who_is_asked(command: Command) -> Command:
    """Add the options --use, --config, --set and --effects to a command."""
    options = (
        click.option(
            "--use",
            "uses",
            multiple=True,
            metavar="NAME[:KEY=VALUE,...]",
            help="A strategy to ask, in place of those of the config. May be repeated.",
        ),
        click.option(
            "--config", type=click.Path(path_type=Path), help="A steersman.yaml or .toml; without it, the defaults."
        ),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME=VALUE",
            help="A hyperparameter that the log does not hold. May be repeated.",
        ),
        click.option("--effects", is_flag=True, help="Ask strategies that act outside the run (webhooks ...) too."),
    )
    for option in reversed(options):
        command = option(command)
    return command


on_the_task = click.option(
    "--task-metric",
    "metrics",
    multiple=True,
    metavar="NAME[:higher|lower]",
    help="A metric of the task, and which way it is better. May be repeated.",
)


def source_of(config: Path | None, uses: tuple[str, ...]) -> Source:
    """Return the config that --config and --use come to. Raises click.BadParameter where a --use cannot be read."""
    try:
        return with_use(config, uses)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--use'") from None


def metrics_of(texts: tuple[str, ...]) -> Mapping[str, bool] | None:
    """Return the metrics given by hand, each with whether higher is better. Raises click.BadParameter."""
    try:
        return dict(metric_parsed(text) for text in texts) or None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--task-metric'") from None


def values_of(settings: tuple[str, ...]) -> Mapping[str, float]:
    """Return the hyperparameters given by hand. Raises click.BadParameter for what is no `name=value`."""
    return dict(_setting(text) for text in settings)


def runs_in(path: Path) -> Iterator[Path]:
    """Yield the runs of a path: a file or a run directory is one, a tree holds any number."""
    if _find is None or not path.is_dir():
        yield path
        return
    found = False
    for run in _find(path):
        found = True
        yield run
    if not found:
        yield path  # reading it says why


def told_of(
    run: Path, source: Source, values: Mapping[str, float], metrics: Mapping[str, bool] | None, *, effects: bool
) -> ReplayedRun:
    """Return what is told of one run, also of one that cannot be read."""
    try:
        return told(replay(run, source, values=values, effects=effects), metrics, str(run))
    except readers.UnreadableRun as error:
        return unreadable(run, error)


def _setting(text: str) -> tuple[str, float]:
    name, equals, given = text.partition("=")
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not name.strip() or not equals or not math.isfinite(value):
        raise click.BadParameter(
            f"expected name=value with a finite number, such as max_grad_norm=1.0, got {text!r}", param_hint="'--set'"
        )
    return name.strip(), value
