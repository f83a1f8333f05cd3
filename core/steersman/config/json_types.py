"""The JSON Schema of a type: of what a config may give an option of that type."""

from __future__ import annotations

import enum
import json
import re
import types
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs

from steersman.catalogue.attribute_docs import meanings_of
from steersman.config.options import default_of, is_table, resolved
from steersman.config.restrictions import Restriction, restriction_of
from steersman.config.type_words import unwrapped
from steersman.secrets import Secret

Schema = dict[str, Any]
_DIGITS = r"([0-9_]+\.?[0-9_]*|\.[0-9_]+)([eE][-+]?[0-9]+)?"
_NUMBER: Schema = {
    "description": "A number. As text it is one too: an editor may read 1e-4 as text.",
    "type": ["number", "string"],
    "pattern": rf"^\s*[-+]?({_DIGITS}|[iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])\s*$",
}
_SECRET: Schema = {
    "type": "object",
    "properties": {"env": {"type": "string", "minLength": 1, "description": "The environment variable that holds it."}},
    "required": ["env"],
    "additionalProperties": False,
}


class Types:
    """Schemas of types. A class of options is defined once, under `definitions`, and referred to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def table(self, cls: type[Any], *, extra: Mapping[str, Schema] | None = None) -> Schema:
        """Return the schema of a table of the options of a class, and of `extra` keys beside them."""
        meanings, options = meanings_of(cls), resolved(cls)
        renamed = cast("Mapping[str, str]", getattr(cls, "renamed_options", {}))
        properties = {name: self.option(option, meanings.get(option.name, "")) for name, option in options.items()}
        for old, new in renamed.items():
            properties[old] = {**properties.get(new, {}), "deprecated": True, "description": f"It is called {new} now."}
        properties |= extra or {}
        needed = [n for n, option in options.items() if option.default is attrs.NOTHING and n not in renamed.values()]
        told = (cls.__doc__ or "").strip().partition("\n")[0]
        return {
            "type": "object",
            **({"description": told} if told else {}),
            "properties": properties,
            **({"required": needed} if needed else {}),
            "additionalProperties": False,
        }

    def option(self, option: attrs.Attribute[Any], meaning: str) -> Schema:
        """Return the schema of one option, with its meaning and its default."""
        schema = self.of(option.type, restriction_of(option.validator))
        default = default_of(option)
        extra: Schema = {"description": meaning} if meaning else {}
        if default is not attrs.NOTHING and not is_table(option.type) and _is_json(default):
            extra["default"] = default
        if "$ref" in schema and extra:  # draft-07 sees nothing beside a $ref
            schema = {"allOf": [schema]}
        return {**schema, **extra}

    def of(self, type_: Any, restriction: Restriction | None = None) -> Schema:
        """Return the schema of a type; what it does not know may be anything."""
        limits, type_ = restriction or Restriction(), unwrapped(type_)
        if limits.one_of is not None:
            return {"enum": [*limits.one_of]}
        arguments: tuple[Any, ...] = get_args(type_)
        origin: Any = get_origin(type_)
        if origin in (Union, types.UnionType):
            return self._union(arguments, limits)
        if origin is Literal:
            return {"enum": [*arguments, *([True, False] if {"on", "off"} <= {*arguments} else [])]}
        kind = cast("type[Any] | None", origin or type_ if isinstance(origin or type_, type) else None)
        return {} if kind is None else self._of_class(kind, arguments, limits)

    def _of_class(self, kind: type[Any], arguments: tuple[Any, ...], limits: Restriction) -> Schema:
        if kind is Secret:
            return _SECRET
        if is_table(kind):
            return self.refer(kind)
        if kind is bool:
            return {"type": "boolean"}
        if kind is int:
            return {"type": "integer", **_bounds(limits)}
        if kind is float:
            self.definitions["number"] = _NUMBER
            bounds = _bounds(limits)
            return {"allOf": [{"$ref": "#/$defs/number"}], **bounds} if bounds else {"$ref": "#/$defs/number"}
        if issubclass(kind, enum.Enum):
            return {"enum": [member.value for member in kind]}
        if issubclass(kind, str | PurePath):
            return {"type": "string", **_lengths(limits, "Length"), **({"pattern": p} if (p := limits.pattern) else {})}
        if issubclass(kind, Mapping):
            inner = self.of(arguments[1]) if len(arguments) > 1 else {}
            return {"type": "object", "additionalProperties": inner or True, **_lengths(limits, "Properties")}
        if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
            count = len(arguments)
            return {"type": "array", "items": [self.of(a) for a in arguments], "minItems": count, "maxItems": count}
        if issubclass(kind, Collection):
            inner = self.of(arguments[0]) if arguments else {}
            return {"type": "array", **({"items": inner} if inner else {}), **_lengths(limits, "Items")}
        return {}

    def refer(self, cls: type[Any]) -> Schema:
        """Return a reference to the table of a class, which is defined where it was not."""
        name = re.sub(r"[^\w.-]", "_", f"{cls.__module__}.{cls.__qualname__}")
        if name not in self.definitions:
            self.definitions[name] = {}  # a class may hold itself
            self.definitions[name] = self.table(cls)
        return {"$ref": f"#/$defs/{name}"}

    def _union(self, members: tuple[Any, ...], limits: Restriction) -> Schema:
        rest = [self.of(member, limits) for member in members if member is not type(None)]
        schema = rest[0] if len(rest) == 1 else {"anyOf": rest}
        return or_null(schema) if type(None) in members else schema


def or_null(schema: Schema) -> Schema:
    """Return a schema that null keeps to as well."""
    if not schema:
        return schema
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "type" in schema:
        known: Any = schema["type"]
        return {**schema, "type": [*(known if isinstance(known, list) else [known]), "null"]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _bounds(limits: Restriction) -> Schema:
    bounds = {
        "minimum": limits.at_least,
        "exclusiveMinimum": limits.above,
        "maximum": limits.at_most,
        "exclusiveMaximum": limits.below,
    }
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _lengths(limits: Restriction, what: str) -> Schema:
    lengths = {f"min{what}": limits.shortest, f"max{what}": limits.longest}
    return {name: length for name, length in lengths.items() if length is not None}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
