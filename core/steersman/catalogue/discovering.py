"""Which strategies there are, and what their source says of them. No package of a strategy is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from steersman.catalogue.entry_points import EntryPoint, entry_points
from steersman.catalogue.locating import Unreadable
from steersman.catalogue.outlines import Outline, Outlines

GROUP = "steersman.strategies"
"""The entry-point group of strategies; the name is what users write in `use:`."""


class Found(NamedTuple):
    """A strategy as its source tells of it.

    `target` is `module:Class` or `FILE:CLASS`; a file is of no distribution. `hooks` are in the order of the source,
    inherited ones last. `problem` is a sentence where it cannot be read or used.
    """

    name: str
    target: str
    distribution: str
    version: str
    summary: str = ""
    hooks: tuple[str, ...] = ()
    effects: bool = False
    problem: str = ""

    @property
    def origin(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}".rstrip()


def installed() -> list[Found]:
    """Return every installed strategy by name; a name that two distributions claim is there twice."""
    outlines = Outlines()
    found = [_outlined(point, outlines) for point in entry_points(GROUP)]
    return list(_with_rivals(sorted(found, key=lambda each: (each.name, each.origin))))


def in_house(target: str, folder: str | os.PathLike[str] = ".") -> Found:
    """Return the strategy `FILE:CLASS`; a relative path is looked for from `folder`."""
    name, _, cls = target.rpartition(":")
    file = os.path.realpath(os.path.join(folder, os.path.expanduser(name)))
    bare = Found(target, target, "", "")
    if not os.path.isfile(file):
        return bare._replace(problem=f"there is no file {file}")
    try:
        return _told(bare, Outlines().of_file(file, cls))
    except Unreadable as error:
        return bare._replace(problem=str(error))


def _outlined(point: EntryPoint, outlines: Outlines) -> Found:
    bare = Found(*point)
    module, _, name = (part.strip() for part in point.value.partition("[")[0].partition(":"))
    try:
        if not all(part.isidentifier() for part in f"{module}.{name or 'Class'}".split(".")):
            raise Unreadable(f"its entry point {point.value!r} does not read as module:Class")
        if not name:
            raise Unreadable(f"{module} is a module; an entry point must name a class")
        return _told(bare, outlines.of(module, name))
    except Unreadable as error:
        return bare._replace(problem=str(error))


def _told(bare: Found, outline: Outline) -> Found:
    nothing = f"{bare.target} has no hook: no method is marked with @hookimpl" if not outline.hooks else ""
    problem = outline.unseen or nothing
    return bare._replace(summary=outline.summary, hooks=outline.hooks, effects=outline.effects, problem=problem)


def _with_rivals(found: Iterable[Found]) -> Iterator[Found]:
    """Yield what was found; one whose name another claims too has that as its first problem."""
    by_name: dict[str, list[Found]] = {}
    for each in found:
        by_name.setdefault(each.name, []).append(each)
    for claims in by_name.values():
        for each in claims:
            rivals = [other for other in claims if other is not each]
            others = " and ".join(f"{other.origin} ({other.target})" for other in rivals)
            claim = f"{others} provides {each.name!r} too; uninstall one of them" if rivals else ""
            yield each._replace(problem="; ".join(part for part in (claim, each.problem) if part))
