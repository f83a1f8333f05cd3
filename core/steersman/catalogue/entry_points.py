"""The entry points of one group, as `importlib.metadata` finds them, read from the disk without its imports.

The library takes longer to import than all of this to run. A zip, an `.egg`, and a process in which another finder of
distributions is at work are left to it.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from typing import Any, NamedTuple


class EntryPoint(NamedTuple):
    """A name, the `module:attribute` it stands for, and the distribution that says so."""

    name: str
    value: str
    distribution: str
    version: str

    @property
    def origin(self) -> str:
        """The distribution, its version, and what it says."""
        return f"{self.distribution} {self.version} ({self.value})"

    def load(self) -> Any:
        """Import the module and return what the name stands for; raises whatever that raises."""
        module, _, attribute = (part.strip() for part in self.value.partition("[")[0].partition(":"))
        return functools.reduce(getattr, attribute.split(".") if attribute else (), import_module(module))


def entry_points(group: str) -> list[EntryPoint]:
    """Return every entry point of a group; of two distributions of one name the first on the path counts."""
    seen: set[str] = set()
    if any(hasattr(finder, "find_distributions") and not _looks_at_folders(finder) for finder in sys.meta_path):
        return list(_by_the_library(group, seen, None))
    found: list[EntryPoint] = []
    for folder in (entry or "." for entry in sys.path):
        if folder.endswith(".egg") or os.path.isfile(folder):
            found += _by_the_library(group, seen, [folder])
            continue
        for name in _names_in(folder):
            stem, _, ending = name.rpartition(".")
            if ending in ("dist-info", "egg-info") and _is_first(stem.partition("-")[0], seen):
                found += _points(os.path.join(folder, name), group)
    return found


def _looks_at_folders(finder: object) -> bool:
    """Whether a finder of distributions looks at the folders of the path, as the backport `importlib_metadata` does."""
    return finder is PathFinder or type(finder).__module__.partition(".")[0] == "importlib_metadata"


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_first(distribution: str, seen: set[str]) -> bool:
    name = distribution.lower().replace("-", "_").replace(".", "_")
    is_first = name not in seen
    seen.add(name)
    return is_first


def _points(info: str, group: str) -> Iterator[EntryPoint]:
    text = _text(os.path.join(info, "entry_points.txt"))
    if f"[{group}]" not in text:
        return
    name, version = _name_and_version(info)
    is_ours = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            is_ours = line == f"[{group}]"
        elif is_ours and line and not line.startswith("#"):
            point, _, target = line.partition("=")
            yield EntryPoint(point.strip(), target.strip(), name, version)


def _name_and_version(info: str) -> tuple[str, str]:
    """Return what the head of the metadata says; where it says nothing, what the folder is called."""
    name, _, version = os.path.basename(info).rpartition(".")[0].partition("-")
    text = _text(os.path.join(info, "METADATA")) or _text(os.path.join(info, "PKG-INFO"))
    lines = text.replace("\r", "").partition("\n\n")[0].splitlines()
    said = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return said.get("Name", name), said.get("Version", version)


def _text(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _name_of(dist: Any) -> str:
    """Return the name of a distribution, nothing where it has none to tell."""
    try:
        return dist.name or ""
    except Exception:  # newer releases of the library raise one of their own
        return ""


def _by_the_library(group: str, seen: set[str], path: list[str] | None) -> Iterator[EntryPoint]:
    from importlib import metadata

    for dist in metadata.distributions() if path is None else metadata.distributions(path=path):
        if _is_first(_name_of(dist), seen):
            for point in dist.entry_points:
                if point.group == group:
                    yield EntryPoint(point.name, point.value, dist.name, dist.version)
