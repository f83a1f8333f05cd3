"""What a config uses, for the list of strategies: which are active, and which of them are not installed."""

from __future__ import annotations

from collections.abc import Sequence

import click

from steersman.catalogue.discovering import Found, in_house
from steersman.cli.terminal import printable
from steersman.config import Config, ConfigError, read
from steersman.in_house import is_in_house
from steersman.spelling import did_you_mean


def read_config(path: str, *, is_asked_for: bool) -> Config | None:
    """Return a config; one that was not asked for and is wrong is named, and the list goes on without it."""
    try:
        return read(path)
    except ConfigError as error:
        if is_asked_for:
            raise
        click.echo(f"Note: which are active is not known. {printable(error)}", err=True)
        return None


def used_only(config: Config, found: Sequence[Found]) -> list[Found]:
    """Return what a config uses that is not installed: files of its own, and names that nobody has."""
    names = [row.name for row in found]
    others: list[Found] = []
    for target in dict.fromkeys(use.target for use in config.use):
        if is_in_house(target):
            others.append(in_house(target, config.folder))
        elif target not in names:
            near = did_you_mean(target, names)
            problem = f"{config.source} uses it, and no installed strategy has that name{near}"
            others.append(Found(target, "", "", "", problem=problem))
    return others
