"""What the source of a class says of it as a strategy: its summary, its hooks, its effects. Nothing is imported."""

from __future__ import annotations

import ast
import builtins
import sys
from typing import NamedTuple

from steersman.catalogue.bindings import Imported, SourceModule, bound_by, dotted, read_file, read_module
from steersman.catalogue.locating import Specs, Unreadable, find

_HOPS = 8
"""How many re-exports, aliases and bases are followed, one behind the other."""


class Outline(NamedTuple):
    """The first line of the docstring, the methods marked with `@hookimpl`, and whether it acts outside the run.

    `unseen` says why there may be more than was seen: a base class that cannot be read.
    """

    summary: str
    hooks: tuple[str, ...]
    effects: bool
    unseen: str = ""


_Class = tuple[SourceModule, ast.ClassDef]


class Outlines:
    """Reads outlines; a module is read once."""

    def __init__(self) -> None:
        self._read: dict[str, SourceModule] = {}
        self._specs: Specs = {}

    def of(self, module: str, name: str) -> Outline:
        """Return the outline of the class `name` of a module that is installed.

        Raises Unreadable.
        """
        return self._outline(self._class(self._module(module), name, _HOPS))

    def of_file(self, file: str, name: str) -> Outline:
        """Return the outline of a class of a file that belongs to no package.

        Raises Unreadable.
        """
        return self._outline(self._class(read_file(file), name, _HOPS))

    def _outline(self, cls: _Class) -> Outline:
        unseen: list[str] = []
        summary, hooks, effects = "", list[str](), False
        settled: set[str] = set()  # what a class binds hides what its bases bind, hook or not
        for module, node in self._with_bases(cls, _HOPS, unseen):
            summary = summary or _first_line(node)
            bound = {name: value for part in node.body for name, value in bound_by(part)}
            for name, value in bound.items():
                if name not in settled:
                    effects = effects or (name == "effects" and isinstance(value, ast.Constant) and value.value is True)
                    hooks += [name] if self._is_hook(module, value) else []
            settled.update(bound)
        return Outline(summary, tuple(hooks), effects, "; ".join(dict.fromkeys(unseen)))

    def _with_bases(self, cls: _Class, hops: int, unseen: list[str]) -> list[_Class]:
        """Return a class and its bases in the order in which Python looks a method up."""
        line = [cls]
        module, node = cls
        for base in node.bases:
            name = dotted(base.value if isinstance(base, ast.Subscript) else base)
            if not name or _is_pythons_own(module, name):
                continue
            try:
                line += self._with_bases(self._class(module, name, hops - 1), hops - 1, unseen)
            except Unreadable as error:
                unseen.append(f"its base class {name} cannot be read: {error}")
        return [found for i, found in enumerate(line) if found not in line[i + 1 :]]

    def _module(self, name: str) -> SourceModule:
        if name not in self._read:
            self._read[name] = read_module(name, self._specs)
        return self._read[name]

    def _class(self, module: SourceModule, name: str, hops: int) -> _Class:
        """Return the class that a dotted name stands for in a module, through imports and aliases."""
        if hops <= 0:
            raise Unreadable(f"{module.name} leads on through more than {_HOPS} imports")
        first, _, rest = name.partition(".")
        bound = module.names.get(first)
        if isinstance(bound, ast.ClassDef):
            return module, _nested(bound, rest, module)
        if isinstance(bound, ast.FunctionDef | ast.AsyncFunctionDef):
            raise Unreadable(f"{module.name}:{name} is a function; expected a class")
        if isinstance(bound, Imported):
            if bound == (module.name, first):  # `from . import part`
                return self._below(module, first, rest, hops)
            further = _joined(bound.name, rest)
            if not further:
                raise Unreadable(f"{module.name}:{name} is a module; expected a class")
            return self._class(self._module(bound.module), further, hops - 1)
        if bound is not None:
            alias = dotted(bound)
            if not alias:
                raise Unreadable(f"{module.name}:{name} is no class that is written there; expected a class")
            return self._class(module, _joined(alias, rest), hops - 1)
        for origin in module.stars:
            try:
                return self._class(self._module(origin), name, hops - 1)
            except Unreadable:
                continue
        return self._below(module, first, rest, hops)

    def _below(self, module: SourceModule, first: str, rest: str, hops: int) -> _Class:
        """Return a class of a module of a package."""
        inner = f"{module.name}.{first}"
        if module.is_package and find(inner, self._specs) is not None:
            if not rest:
                raise Unreadable(f"{inner} is a module; expected a class")
            return self._class(self._module(inner), rest, hops - 1)
        if "__getattr__" in module.names:
            raise Unreadable(f"{module.name} makes {first!r} only when it is asked for it, so it cannot be read")
        raise Unreadable(f"{module.name} has no class {first!r}{_instead(first, module)}")

    def _is_hook(self, module: SourceModule, bound: ast.AST) -> bool:
        decorators = bound.decorator_list if isinstance(bound, ast.FunctionDef | ast.AsyncFunctionDef) else []
        return any(self._is_marker(module, decorator, _HOPS) for decorator in decorators)

    def _is_marker(self, module: SourceModule, made: ast.AST, hops: int) -> bool:
        """Whether an expression is Steersman's `hookimpl`, under whatever name."""
        if isinstance(made, ast.Call):
            if dotted(made.func).rpartition(".")[2] == "HookimplMarker":
                return any(isinstance(a, ast.Constant) and a.value == "steersman" for a in made.args)
            made = made.func
        first, _, rest = dotted(made).partition(".")
        bound = module.names.get(first)
        if bound is None:
            return first == "hookimpl" and "steersman" in module.stars
        if not isinstance(bound, Imported):
            return hops > 0 and not rest and self._is_marker(module, bound, hops - 1)
        origin, _, name = _joined(bound.module, bound.name, rest).rpartition(".")
        if origin.partition(".")[0] == "steersman":
            return name == "hookimpl"
        try:
            return hops > 0 and self._is_marker(self._module(origin), ast.Name(name), hops - 1)
        except Unreadable:
            return False


def _first_line(cls: ast.ClassDef) -> str:
    docstring = ast.get_docstring(cls, clean=False) or ""
    return docstring.strip().partition("\n")[0].rstrip()


def _is_pythons_own(module: SourceModule, name: str) -> bool:
    first = name.partition(".")[0]
    bound = module.names.get(first)
    if isinstance(bound, Imported):
        return bound.module.partition(".")[0] in sys.stdlib_module_names
    return bound is None and hasattr(builtins, first)


def _nested(cls: ast.ClassDef, rest: str, module: SourceModule) -> ast.ClassDef:
    for part in rest.split(".") if rest else []:
        inner = next((s for s in cls.body if isinstance(s, ast.ClassDef) and s.name == part), None)
        if inner is None:
            raise Unreadable(f"the class {cls.name} of {module.name} has no class {part!r}")
        cls = inner
    return cls


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _instead(name: str, module: SourceModule) -> str:
    from steersman.spelling import did_you_mean

    classes = sorted(key for key, bound in module.names.items() if isinstance(bound, ast.ClassDef))
    return did_you_mean(name, classes) + (f"; it has {', '.join(classes)}" if classes else "")
