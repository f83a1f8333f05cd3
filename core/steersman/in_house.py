"""A strategy in a file of one's own: `./hooks/quota.py:Quota`, found from the folder of the config that names it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from steersman.loaded import Source
from steersman.spelling import did_you_mean

_ROOTS = ("pyproject.toml", "setup.py", ".git", ".hg")


def is_in_house(target: str) -> bool:
    """Whether `target` names a file and a class rather than an installed strategy."""
    return ".py:" in target


def class_of(target: str, folder: Path, path: str, problems: list[str]) -> tuple[type[Any], Source] | None:
    """Return the class that `target` names, or None with a sentence appended to `problems`."""
    name, _, class_name = target.rpartition(":")
    written = Path(name).expanduser()
    try:
        file = (folder / written).resolve()
    except (OSError, RuntimeError):
        problems.append(f"{path}: {target!r} leads around in a circle of links")
        return None
    if not written.is_absolute() and not _is_inside(folder / written, project := _project(folder)):
        problems.append(
            f"{path}: {target!r} lies outside the project {project}; copy it there, make it a package, "
            f"or name it by its absolute path, {file}"
        )
        return None
    if not file.is_file():
        problems.append(f"{path}: {target!r}: there is no file {file}")
        return None
    module_name = f"steersman_in_house_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        problems.append(f"{path}: {file} is no Python file")
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        content = file.read_bytes()
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(module_name, None)
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problems.append(f"{path}: {file}{line} cannot be imported: {type(error).__name__}: {error}")
        return None
    classes = {n: c for n, c in vars(module).items() if inspect.isclass(c) and c.__module__ == module_name}
    if class_name not in classes:
        has = f"; it has {', '.join(sorted(classes))}" if classes else ""
        problems.append(f"{path}: {file} has no class {class_name!r}{did_you_mean(class_name, classes)}{has}")
        return None
    digest = hashlib.sha256(content).hexdigest()
    return classes[class_name], Source(f"the file {file}", file=str(file), sha256=digest)


def _project(folder: Path) -> Path:
    """Return the nearest folder above a config that is the root of a project, else the config's own."""
    return next((p for p in (folder, *folder.parents) if any((p / mark).exists() for mark in _ROOTS)), folder)


def _is_inside(file: Path, project: Path) -> bool:
    return Path(os.path.normpath(file.absolute())).is_relative_to(os.path.normpath(project.absolute()))
