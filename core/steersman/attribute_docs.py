"""What the fields of a class mean: the text below each, which Python drops and its source keeps."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import attrs

from steersman.source_modules import bound_by


def meanings_of(cls: type[Any]) -> dict[str, str]:
    """Return what is said of each field, on one line: the text below it in the source, else `metadata["help"]`.

    A subclass says it anew, or leaves what its base says. Where the source cannot be read the rest remains.
    """
    meanings: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(part)) if attrs.has(part) else ()
        helps = {field.name: field.metadata.get("help") for field in fields}
        meanings |= {name: help for name, help in helps.items() if isinstance(help, str)}
        meanings |= dict(_said_below(part))
    return {name: " ".join(meaning.split()) for name, meaning in meanings.items()}


def _said_below(cls: type[Any]) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return
    body = next((node.body for node in tree.body if isinstance(node, ast.ClassDef)), list[ast.stmt]())
    for field, below in pairwise(body):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        names = [name for name, _ in bound_by(field)] or _annotated(field)
        if isinstance(text, str) and len(names) == 1:
            yield names[0], text


def _annotated(field: ast.stmt) -> list[str]:
    """Return the name of a field that has a type and no default."""
    target = field.target if isinstance(field, ast.AnnAssign) else None
    return [target.id] if isinstance(target, ast.Name) else []
