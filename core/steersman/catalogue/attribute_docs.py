"""What the fields of a class mean: the text below each, which Python drops and its source keeps."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import attrs


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
        name = _name_of(field)
        if isinstance(text, str) and name:
            yield name, text


def _name_of(field: ast.stmt) -> str:
    """Return the one name that a statement of a class gives a value or a type, else an empty text."""
    targets = field.targets if isinstance(field, ast.Assign) else []
    targets = [field.target] if isinstance(field, ast.AnnAssign) else targets
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
