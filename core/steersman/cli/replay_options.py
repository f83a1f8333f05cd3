"""The options of every command that replays: who is asked, which values are known, where the work is done."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from steersman.asking import Asking
    from steersman.replaying_many import Engine

Command = Callable[..., Any]


def _stacked(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_WHO = _stacked(
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
on_the_task = click.option(
    "--task-metric",
    "metrics",
    multiple=True,
    metavar="NAME[:higher|lower]",
    help="A metric of the task, and which way it is better. May be repeated.",
)
_WHERE = _stacked(
    click.option(
        "--workers", type=click.IntRange(1), help="Processes of this machine; one for each core where runs are many."
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "dask", "ray"]),
        default="local",
        show_default=True,
        help="What the work is handed to.",
    ),
    click.option("--address", help="Where the engine's cluster is; without it, one is made of this machine."),
)


def who_is_asked(command: Command) -> Command:
    """Add the options that say who is asked; the command receives them as `asking`, an Asking that is prepared."""

    @functools.wraps(command)
    def with_asking(
        *args: Any, uses: tuple[str, ...], config: Path | None, settings: tuple[str, ...], effects: bool, **others: Any
    ) -> Any:
        return command(*args, asking=_asking(uses, config, settings, effects=effects), **others)

    return _WHO(with_asking)


def where_it_is_done(command: Command) -> Command:
    """Add the options that say where the work is done; the command receives them as `where`."""

    @functools.wraps(command)
    def with_where(*args: Any, workers: int | None, engine: Engine, address: str | None, **others: Any) -> Any:
        from steersman.replaying_many import Where

        if address is not None and engine == "local":
            raise click.UsageError("--address is where an engine's cluster is; name it: --engine dask or --engine ray")
        return command(*args, where=Where(engine, workers, address), **others)

    return _WHERE(with_where)


def _asking(uses: tuple[str, ...], config: Path | None, settings: tuple[str, ...], *, effects: bool) -> Asking:
    """Return who is asked. Raises click.BadParameter for what cannot be read, ConfigError for a faulty config."""
    from steersman.asking import Asking
    from steersman.config.use_text import parsed as use_parsed
    from steersman.hyperparameters import SAFER, base_of
    from steersman.spelling import did_you_mean

    values: dict[str, float] = {}
    for text in settings:
        name, value = setting(text)
        if values.get(name, value) != value:
            raise click.BadParameter(f"{name} is given two values", param_hint="'--set'")
        if base_of(name) not in SAFER:
            near = did_you_mean(name, SAFER) or "; only strategies of your own can look at it"
            click.echo(f"Note: {name!r} is not a name that Steersman knows{near}", err=True)
        values[name] = value
    try:
        use = tuple(cast("object", use_parsed(text)) for text in uses)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--use'") from None
    asking = Asking(config, use, values, effects=effects, afresh=True)
    asking.prepare()
    return asking


def metrics_of(texts: tuple[str, ...]) -> Mapping[str, bool] | None:
    """Return the metrics given by hand, each with whether higher is better. Raises click.BadParameter."""
    from steersman.results.task_metrics import is_higher_better, parsed

    given: dict[str, bool] = {}
    for text in texts:
        try:
            name, higher = parsed(text)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="'--task-metric'") from None
        if given.get(name, higher) != higher:
            raise click.BadParameter(f"{name} is given as better both ways", param_hint="'--task-metric'")
        if is_higher_better(name) not in (None, higher):
            way = "lower" if higher else "higher"
            click.echo(f"Note: {name} is known to be better {way}; taken as you say, the other way round", err=True)
        given[name] = higher
    return given or None


def setting(text: str) -> tuple[str, float]:
    """Return the name and the value of `name=value`. Raises click.BadParameter where it is none."""
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
