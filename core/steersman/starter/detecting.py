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
    """A trainer, and why it was taken: the end of a sentence."""

    trainer: Trainer
    because: str


def detected(folder: Path, is_installed: Callable[[str], bool] | None = None) -> Found:
    """Return the trainer that most scripts in `folder` itself use, else one that is installed."""
    scripts = {path.name: found for path, found in _scripts(folder)}
    if scripts:
        times = Counter(trainer for trainer, _ in scripts.values())
        most = max(TRAINERS, key=lambda trainer: times[trainer])
        name, package = next((name, package) for name, (trainer, package) in scripts.items() if trainer == most)
        return Found(most, f"{name} imports {package}")
    there = is_installed or _is_installed
    for trainer, packages in _PACKAGES.items():
        for package in packages:
            if there(package):
                return Found(trainer, f"no script here trains, and {package} is installed")
    return Found("plain", "no script here trains, and no trainer is installed")


def _scripts(folder: Path) -> Iterator[tuple[Path, tuple[Trainer, str]]]:
    for path in sorted(folder.glob("*.py")):
        try:
            found = used_by(path.read_text(encoding="utf-8")) if path.stat().st_size <= _LARGEST else None
        except (OSError, ValueError, SyntaxError, RecursionError):  # not ours to mend
            continue
        if found is not None:
            yield path, found


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
