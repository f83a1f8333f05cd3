"""Which trainer a folder uses, as far as the imports of its scripts and the installed packages tell."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from attrs import frozen

Trainer = Literal["trl", "lightning", "hf", "plain"]
"""The trainers there is a config for; of two that fit a script the first is taken."""
TRAINERS: tuple[Trainer, ...] = get_args(Trainer)
_PACKAGES: dict[Trainer, tuple[str, ...]] = {
    "trl": ("trl",),
    "lightning": ("pytorch_lightning", "lightning"),
    "hf": ("transformers",),
    "plain": ("torch",),
}
_LARGEST = 1_000_000
"""Bytes of a script that is still read."""


@frozen
class Found:
    """A trainer, and why it was taken: the end of a sentence. `unread` are scripts that told nothing, each with why."""

    trainer: Trainer
    because: str
    unread: tuple[str, ...] = ()


@frozen
class _Unread:
    """Why a script cannot be read: the end of a sentence."""

    because: str


def detected(folder: Path, is_installed: Callable[[str], bool] | None = None) -> Found:
    """Return the trainer that most scripts in `folder` itself use, else one that is installed.

    Where none that can be read uses one, and some cannot be read, it is a loop of one's own: the installed say nothing
    of these.
    """
    scripts = {path.name: _read(path) for path in sorted(folder.glob("*.py"))}
    unread = tuple(f"{name} {why.because}" for name, why in scripts.items() if isinstance(why, _Unread))
    used = {name: found for name, found in scripts.items() if isinstance(found, tuple)}
    if used:
        times = Counter(trainer for trainer, _ in used.values())
        most = max(TRAINERS, key=lambda trainer: times[trainer])
        name, package = next((name, package) for name, (trainer, package) in used.items() if trainer == most)
        return Found(most, f"{name} imports {package}", unread)
    if unread:
        return Found("plain", "no script that could be read here trains", unread)
    there = is_installed or _is_installed
    for trainer, packages in _PACKAGES.items():
        for package in packages:
            if there(package):
                return Found(trainer, f"no script here trains, and {package} is installed")
    return Found("plain", "no script here trains, and no trainer is installed")


def _read(path: Path) -> tuple[Trainer, str] | _Unread | None:
    """Return the trainer that a script uses, and the package it is of; None where it uses none."""
    if path.is_dir():
        return _Unread("is a folder")
    try:
        if path.stat().st_size > _LARGEST:
            return _Unread(f"is larger than {_LARGEST // 1_000_000} MB")
        return used_by(path.read_text(encoding="utf-8"))
    except OSError as error:
        return _Unread(f"cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        return _Unread("is not UTF-8 text")
    except SyntaxError as error:
        return _Unread(f"is no Python of this interpreter ({error.msg}, line {error.lineno})")
    except (ValueError, RecursionError):  # a null character; nesting without end
        return _Unread("is no Python of this interpreter")


def used_by(script: str) -> tuple[Trainer, str] | None:
    """Return the trainer that a script imports, and the package it is of; None where it imports none.

    Raises SyntaxError.
    """
    imported = {*_imports(ast.parse(script))}
    names = {name for package, name in imported if package == "transformers"}
    for trainer, packages in _PACKAGES.items():
        if trainer == "hf" and not any(name == "*" or "Train" in name for name in names):
            continue  # a tokenizer or a model is no trainer
        for package in packages:
            if any(package == used for used, _ in imported):
                return trainer, package
    return None


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the top package of each import, with each name that is taken from it; `*` is all of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], "*") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module.partition(".")[0], alias.name) for alias in node.names)


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
