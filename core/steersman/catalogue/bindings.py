"""What a module binds at its top, read from its source: no module is imported, no package above it either."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from steersman.catalogue.locating import Specs, Unreadable, find, parsed, source_of

_SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)


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
    return SourceModule(name, parsed(source_of(spec), spec.origin or name), package)


def read_file(file: str) -> SourceModule:
    """Return a file that belongs to no package; it is named by its path.

    Raises Unreadable.
    """
    try:
        with open(file, "rb") as opened:
            return SourceModule(file, parsed(opened.read(), file))
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None
