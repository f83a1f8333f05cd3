"""What a strategy takes and does, told from its class once it is imported."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from steersman.catalogue.attribute_docs import meanings_of
from steersman.config.options import default_of, is_table, resolved
from steersman.config.restrictions import restriction_of
from steersman.config.type_words import words_for
from steersman.hookspecs import HOOKS
from steersman.inspecting import hooks_of


@frozen
class Option:
    """An option by the path that a config gives it: `window`, or `seed.spike_rise` in a table of options.

    `default` is a plain value, None where it is `required` as well as where it is null; `type` is in words.
    """

    name: str
    type: str
    default: Any
    required: bool
    meaning: str


@frozen
class Described:
    """A strategy: its docstring, its options in order, its hooks in the order of a run, and what it declares.

    `file` is None where its source cannot be found.
    """

    docstring: str
    options: tuple[Option, ...]
    hooks: tuple[str, ...]
    effects: bool
    needs_snapshots: bool
    scores_late: bool
    logs_with_usage_only: bool
    file: str | None


def describe(cls: type[Any]) -> Described:
    """Return what there is to say of a strategy's class."""
    hooks = hooks_of(cls)
    return Described(
        docstring=_docstring(cls),
        options=tuple(_options(cls)),
        hooks=tuple(hook for hook in HOOKS if hook in hooks),
        effects=bool(getattr(cls, "effects", False)),
        needs_snapshots=bool(getattr(cls, "needs_snapshots", False)),
        scores_late=bool(getattr(cls, "scores_late", False)),
        logs_with_usage_only=bool(getattr(cls, "logs_with_usage_only", False)),
        file=_file(cls),
    )


def _options(cls: type[Any], above: str = "", around: tuple[type[Any], ...] = ()) -> Iterator[Option]:
    meanings, around = meanings_of(cls), (*around, cls)
    for name, option in resolved(cls).items():
        type_: Any = option.type
        if is_table(type_) and type_ not in around:
            yield from _options(type_, f"{above}{name}.", around)
            continue
        restriction = str(restriction_of(option.validator))
        default = default_of(option)
        yield Option(
            name=above + name,
            type=words_for(type_) + (f", {restriction}" if restriction else ""),
            default=None if default is attrs.NOTHING else default,
            required=default is attrs.NOTHING,
            meaning=meanings.get(option.name, ""),
        )


def _docstring(cls: type[Any]) -> str:
    """Return the docstring that somebody wrote: attrs and Python have none of their own for a class without one."""
    own = (part.__dict__.get("__doc__") for part in cls.__mro__ if part is not object)
    return next((inspect.cleandoc(text) for text in own if text), "")


def _file(cls: type[Any]) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except (OSError, TypeError):
        return None
