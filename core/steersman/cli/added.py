"""The commands that other distributions add: the entry points of `steersman.commands`, imported when they are run."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

import click

from steersman.catalogue.entry_points import EntryPoint, entry_points

GROUP = "steersman.commands"
"""The entry-point group of commands: `name = "module:command"`, a command or a group of click."""


class Added(NamedTuple):
    """A command that is installed: who claims the name, and why it cannot be run, where that is known already."""

    claims: tuple[EntryPoint, ...]
    problem: str = ""

    @property
    def says(self) -> str:
        """The line of `steersman --help`: what the distribution says of itself, or what is wrong."""
        return self.problem or _summary(self.claims[0].distribution) or f"Added by {self.claims[0].distribution}."


def added(ours: Container[str]) -> dict[str, Added]:
    """Return every installed command by name but for those of `ours`, which nobody replaces; nothing is imported."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(GROUP):
        if point.name not in ours:
            found.setdefault(point.name, []).append(point)
    return {name: Added(tuple(found[name]), _rivals(name, found[name])) for name in sorted(found)}


def _rivals(name: str, claims: list[EntryPoint]) -> str:
    if len(claims) < 2:
        return ""
    named = " and ".join(f"{point.distribution} {point.version}" for point in claims)
    return f"{named} both add a command {name!r}; uninstall one of them."


def _summary(distribution: str) -> str:
    from importlib import metadata  # takes long to import, and most have no command of others

    try:
        told = metadata.metadata(distribution)
        return told["Summary"] if "Summary" in told else ""
    except metadata.PackageNotFoundError:
        return ""


def loaded(command: Added) -> click.Command:
    """Import a command. Raises click.ClickException with a sentence for whatever that raises."""
    point = command.claims[0]
    if command.problem:
        raise click.ClickException(command.problem)
    try:
        made: object = point.load()
    except (Exception, SystemExit) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise click.ClickException(f"the command {point.name!r} of {point.origin} cannot be loaded: {told}") from error
    if not isinstance(made, click.Command):
        kind = type(made).__name__
        raise click.ClickException(f"{point.origin} adds {point.name!r}, which is no command of click but a {kind}")
    return made
