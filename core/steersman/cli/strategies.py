"""`steersman strategies`: which there are, without importing one."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from steersman.cli import LazyGroup
from steersman.cli.terminal import console, print_json, printable, show_title
from steersman.discovering import Found, in_house, installed

if TYPE_CHECKING:
    from rich.console import Console

    from steersman.config import Config

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
    used = _read(path, is_asked_for=config is not None) if path else None
    found = installed()
    active = None if used is None else frozenset(use.target for use in used.use)
    rows = found if used is None else [*found, *_named_only(used, found)]
    if as_object:
        print_json(object_of(rows, active, path if used else None))
    else:
        page(rows, active, path, console())


def page(rows: Sequence[Found], active: frozenset[str] | None, config: str | None, out: Console) -> None:
    """Print the strategies as a table; what is wrong with one follows it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    show_title(out, "Strategies")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for name, width in zip(
        ("strategy", "what it does, and in which hooks", "from", "active"),
        _widths(rows, out.width, active),
        strict=False,
    ):
        table.add_column(name, width=width, overflow="fold")  # rich would measure every cell to find the widths
    for row in rows:
        says = Text(printable(row.summary or ("not known" if row.problem else "")))
        if row.hooks:
            says.append("\n" + ", ".join(row.hooks), style="dim")
        cells = [Text(printable(row.name)), says, Text(printable(_from(row)))]
        if active is not None:
            cells.append(Text("yes" if row.name in active else ""))
        table.add_row(*cells, style="red" if row.problem else "")
    out.print(table)
    for row in rows:
        if row.problem:
            out.print(Text(printable(f"{row.name} ({_from(row)}): {row.problem}"), style="red"))
    if active is not None:
        out.print(Text(printable(f"Active is what {config} uses. What is installed and not used does not run.")))
    out.print(Text("`steersman strategies show NAME` tells what one takes, and has a config to paste."))


def _widths(rows: Sequence[Found], whole: int, active: frozenset[str] | None) -> list[int]:
    """Return the width of each column: names as wide as they are, within reason, and the text takes the rest."""
    name = min(max((len(row.name) for row in rows), default=0) + 1, whole // 3)
    origin = min(max((len(_from(row)) for row in rows), default=0) + 1, whole // 4)
    last = [] if active is None else [len("active")]
    between = 3 * (3 + len(last))
    return [name, max(whole - name - origin - sum(last) - between, 20), origin, *last]


def _from(row: Found) -> str:
    return row.origin or ("a file" if row.target else "nowhere")


def object_of(rows: Sequence[Found], active: frozenset[str] | None, config: str | None) -> dict[str, Any]:
    """Return what `--json` prints; `active` is null without a config."""
    from steersman.cli.as_json import VERSION

    return {
        "version": VERSION,
        "config": config,
        "strategies": [
            {
                "name": row.name,
                "summary": row.summary,
                "hooks": row.hooks,
                "effects": row.effects,
                "distribution": row.distribution or None,
                "distribution_version": row.version or None,
                "target": row.target or None,
                "active": None if active is None else row.name in active,
                "problem": row.problem or None,
            }
            for row in rows
        ],
    }


def _read(path: str, *, is_asked_for: bool) -> Config | None:
    """Return a config; one that was not asked for and is wrong is named, and the list goes on without it."""
    from steersman.config import ConfigError, read

    try:
        return read(path)
    except ConfigError as error:
        if is_asked_for:
            raise
        click.echo(f"Note: which are active is not known. {printable(error)}", err=True)
        return None


def _named_only(config: Config, found: Sequence[Found]) -> list[Found]:
    """Return what a config uses that is not installed: files of its own, and names that nobody has."""
    from steersman.spelling import did_you_mean

    names = [row.name for row in found]
    others: list[Found] = []
    for target in dict.fromkeys(use.target for use in config.use):
        if ".py:" in target:
            others.append(in_house(target, config.folder))
        elif target not in names:
            near = did_you_mean(target, names)
            problem = f"{config.source} uses it, and no installed strategy has that name{near}"
            others.append(Found(target, "", "", "", problem=problem))
    return others
