"""`steersman strategies`: which there are, without importing one."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import click

from steersman.catalogue.discovering import installed
from steersman.cli import LazyGroup
from steersman.cli.strategies_page import object_of, page
from steersman.cli.terminal import console, print_json

_HERE = "steersman.yaml"


class _Strategies(LazyGroup):
    lazy: Mapping[str, tuple[str, str]] = {
        "show": ("steersman.cli.strategies_show:show", "Tell what a strategy does, what it takes and where it is."),
        "new": ("steersman.cli.strategies_new:new", "Begin a strategy of your own, with its tests."),
        "check": ("steersman.cli.strategies_check:check", "Try whether a strategy keeps to the contract."),
    }


@click.group(cls=_Strategies, invoke_without_command=True, short_help="List, show, begin or check strategies.")
@click.option(
    "--config",
    type=click.Path(),
    help="A steersman.yaml or .toml, to mark what it uses; without it, the ./steersman.yaml where there is one.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def strategies(context: click.Context, config: str | None, as_object: bool) -> None:
    """List every installed strategy. None of them is imported: what is said of them is read from their source.

    \b
    Examples:
      steersman strategies
      steersman strategies --config steersman.yaml
      steersman strategies --json | jq '.strategies[].name'
      steersman strategies show trend-health
    """
    if context.invoked_subcommand is not None:
        if config is not None or as_object:
            raise click.UsageError(f"--config and --json belong behind {context.invoked_subcommand!r}")
        return
    with _uncollected():
        _list(config, as_object=as_object)


@contextmanager
def _uncollected() -> Generator[None]:
    """Look for no garbage meanwhile: syntax trees are many small objects, and looking took a tenth of the time."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()


def _list(config: str | None, *, as_object: bool) -> None:
    path = config or (_HERE if os.path.isfile(_HERE) else None)
    rows, active = installed(), None
    if path is not None:
        from steersman.cli.strategies_used import read_config, used_only

        used = read_config(path, is_asked_for=config is not None)
        if used is not None:
            rows, active = [*rows, *used_only(used, rows)], frozenset(use.target for use in used.use)
    if as_object:
        print_json(object_of(rows, active, None if active is None else path))
    else:
        page(rows, active, path, console())
