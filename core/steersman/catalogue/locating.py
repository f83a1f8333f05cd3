"""Where the source of a module is, and its syntax tree: Python's finders are asked, and nothing is executed."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from importlib.machinery import ModuleSpec
from typing import Any

Specs = dict[str, ModuleSpec | None]
"""Where modules are, None for one that is nowhere."""


class Unreadable(Exception):
    """What was looked for cannot be read from source, or is not there; the message is a sentence."""


def find(name: str, specs: Specs) -> ModuleSpec | None:
    """Return where a module is, as Python's finders say; each package above it is found first, and not executed.

    `specs` keeps what was found. Raises Unreadable where a finder fails.
    """
    if name not in specs:
        above, _, last = name.rpartition(".")
        package = find(above, specs) if above else None
        locations = package.submodule_search_locations if package else None
        is_possible = last and (not above or locations is not None)
        specs[name] = _found(name, None if locations is None else list(locations)) if is_possible else None
    return specs[name]


def _found(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except KeyError:  # a namespace package asks for its parent, which nobody has imported
            inner = [os.path.join(folder, name.rpartition(".")[2]) for folder in path or []]
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [folder for folder in inner if os.path.isdir(folder)]
        except Exception as error:
            raise Unreadable(f"{name!r} cannot be looked for: {type(error).__name__}: {error}") from None
        if spec is not None:
            return spec
    return None


def source_of(spec: ModuleSpec) -> bytes | str:
    """Return the source of a module.

    Raises Unreadable.
    """
    loader: Any = spec.loader
    try:
        if spec.origin is not None and spec.origin.endswith(".py") and hasattr(loader, "get_data"):
            data: bytes = loader.get_data(spec.origin)
            return data
        source: str | None = loader.get_source(spec.name) if hasattr(loader, "get_source") else None
    except (OSError, ImportError) as error:
        raise Unreadable(f"the source of {spec.name} cannot be read: {error}") from None
    if source is None:
        what = "is a folder without code" if loader is None else "has no Python source"
        raise Unreadable(f"{spec.name} {what}, so what it holds cannot be read")
    return source


def parsed(source: bytes | str, file: str) -> ast.Module:
    """Return the syntax tree of a source.

    Raises Unreadable, with the line of the fault.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a stranger's escapes, which only its author can mend
        try:
            return ast.parse(source, file)
        except SyntaxError as error:
            raise Unreadable(f"{file}{f', line {error.lineno}' if error.lineno else ''}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise Unreadable(f"{file}: {error}") from None
