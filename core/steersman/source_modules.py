"""What a module binds at its top, read from its source: no module is imported, no package above it either."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import Any, NamedTuple

_SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)


Specs = dict[str, ModuleSpec | None]
"""Where modules are, None for one that is nowhere."""


class Unreadable(Exception):
    """What was looked for cannot be read from source, or is not there; the message is a sentence."""


class Imported(NamedTuple):
    """A name that comes from a module; the module itself where `name` is empty."""

    module: str
    name: str = ""


class SourceModule:
    """The names bound at the top of a module, and the modules it imports everything from."""

    def __init__(self, name: str, tree: ast.Module, package: str = "") -> None:
        self.name, self.package = name, package
        self.names: dict[str, ast.AST | Imported] = {}
        self.stars: list[str] = []
        self._bind(tree.body, first_wins=False)

    @property
    def is_package(self) -> bool:
        """Whether it may have modules below it."""
        return bool(self.package) and self.package == self.name

    def _bind(self, statements: list[ast.stmt], *, first_wins: bool) -> None:
        for statement in statements:
            if isinstance(statement, _BLOCKS):
                self._bind(statement.body, first_wins=first_wins)
                handlers: list[ast.ExceptHandler] = getattr(statement, "handlers", [])
                for block in (*(h.body for h in handlers), getattr(statement, "orelse", [])):
                    self._bind(block, first_wins=True)
                continue
            for name, bound in self._bound_by(statement):
                if not first_wins or name not in self.names:
                    self.names[name] = bound

    def _bound_by(self, statement: ast.stmt) -> Iterator[tuple[str, ast.AST | Imported]]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, Imported(alias.name)) if alias.asname else (top, Imported(top))
        elif isinstance(statement, ast.ImportFrom):
            origin = self._absolute(statement)
            for alias in statement.names:
                if alias.name == "*":
                    self.stars.append(origin)
                else:
                    yield alias.asname or alias.name, Imported(origin, alias.name)
        else:
            yield from bound_by(statement)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        above = self.package.split(".")
        parts = above[: max(0, len(above) - statement.level + 1)]
        return ".".join([*parts, *([statement.module] if statement.module else [])])


def bound_by(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that a statement binds: to a class, to a function, to the value assigned."""
    if isinstance(statement, _SCOPES):
        yield statement.name, statement
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            if isinstance(target, ast.Name):
                yield target.id, statement.value


def dotted(expression: ast.AST) -> str:
    """Return `a.b.c` of an expression that is nothing more, else an empty text."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    return ".".join(reversed([*parts, expression.id])) if isinstance(expression, ast.Name) else ""


def read_module(name: str, specs: Specs) -> SourceModule:
    """Return a module that can be imported by that name.

    Raises Unreadable.
    """
    spec = find(name, specs)
    if spec is None:
        raise Unreadable(f"there is no module {name!r}")
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    return SourceModule(name, _parsed(_source(spec), spec.origin or name), package)


def read_file(file: str) -> SourceModule:
    """Return a file that belongs to no package; it is named by its path.

    Raises Unreadable.
    """
    try:
        with open(file, "rb") as opened:
            return SourceModule(file, _parsed(opened.read(), file))
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None


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


def _source(spec: ModuleSpec) -> bytes | str:
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


def _parsed(source: bytes | str, file: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a stranger's escapes, which only its author can mend
        try:
            return ast.parse(source, file)
        except SyntaxError as error:
            raise Unreadable(f"{file}{f', line {error.lineno}' if error.lineno else ''}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise Unreadable(f"{file}: {error}") from None
