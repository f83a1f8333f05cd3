"""What `--use` names: an installed strategy, a class in a module or in a file, with its options."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, cast

import yaml

from steersman.config import ConfigError, read
from steersman.config.structuring import structure
from steersman.config.use_text import parsed
from steersman.loading import installed
from steersman.planned import Planned, plan

_IN_A_MODULE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FALLBACK = "eval-loss as lowest-eval-loss"
"""Who is asked where the strategy under test has no opinion."""


def planned(text: str) -> Planned:
    """Return the strategy that a text names, planned for many runs. Raises ConfigError with every fault."""
    problems: list[str] = []
    try:
        entry = _entry(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--use {text}", [str(error)]) from None
    made = None
    if (instance := _in_a_module(entry, problems)) is not None or not problems:
        settings = read(
            {"extends": "no-rails", "mode": "act", "use": [entry if instance is None else instance, _FALLBACK],
             "check_every": "eval", "console": False},
            problems, environment={},
        )  # fmt: skip
        made = plan(settings, problems) if not problems else None
    if made is None:
        raise ConfigError(f"--use {text}", problems)
    return made


def _entry(text: str) -> str | dict[str, dict[str, Any]]:
    """Return the entry of `use:` for `NAME`, `NAME: {option: value}` as YAML, or `NAME:option=value,...`."""
    if _IN_A_MODULE.fullmatch(text.strip()):
        return text.strip()
    found: object = yaml.safe_load(text) if ": " in text else None
    if isinstance(found, dict) and len(table := cast("dict[object, object]", found)) == 1:
        [(name, options)] = table.items()
        if isinstance(options, dict) or options is None:
            return {str(name): cast("dict[str, Any]", options or {})}
    return parsed(text)


def _in_a_module(entry: str | dict[str, dict[str, Any]], problems: list[str]) -> object:
    """Return the object of a `module:Class`; None where the entry names none, or with its faults told."""
    target, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    if not _IN_A_MODULE.fullmatch(target):
        return None
    module, _, name = target.partition(":")
    try:
        cls = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        problems.append(f"{target!r} cannot be imported: {error}")
        return None
    return structure(options, cls, target, problems) if options else cls()


def or_class(name: str, target: str) -> str | None:
    """Return `name` where such a strategy is installed, else the class `target`; None where that is not there."""
    if name in installed():
        return name
    try:
        return target if hasattr(import_module(target.partition(":")[0]), target.partition(":")[2]) else None
    except ImportError:
        return None
