"""Structures plain values into attrs classes: strict, every fault at once, each with its path."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import AttributeValidationNote, ClassValidationError
from cattrs.v import transform_error

from steersman import secrets
from steersman.secrets import Secret
from steersman.spelling import did_you_mean

T = TypeVar("T")


def structure(raw: object, cls: type[T], path: str, problems: list[str]) -> T | None:
    """Return `raw` as a `cls`, or None with a sentence for each fault appended to `problems`."""
    if not isinstance(raw, Mapping):
        problems.append(f"{path}: expected a table of options, got {_shown(raw)}")
        return None
    try:
        return _converter().structure(cast("Mapping[str, Any]", raw), cls)
    except Exception as error:
        problems.extend(_told(line) for line in transform_error(error, path=path, format_exception=_explain))
        return None


def structure_value(value: object, type_: Any) -> Any:
    """Return `value` as a `type_`; raises ValueError where it is none."""
    return _converter().structure(value, type_)


def options_of(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """Return the fields of a class that a config may set, by the name it sets them with."""
    return {
        a.alias or a.name: a
        for a in cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))
        if a.init and a.metadata.get("steersman.structure", True)
    }


@functools.cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(bool, lambda v, _: _exactly(v, bool, "true or false"))
    converter.register_structure_hook(str, lambda v, _: _exactly(v, str, "text"))
    converter.register_structure_hook(int, lambda v, _: _integer(v))
    converter.register_structure_hook(float, lambda v, _: _float(v))
    converter.register_structure_hook(Secret, secrets.from_config)
    converter.register_structure_hook_func(_is_literal, _literal)
    for predicate, factory in ((_is_union, _union_hook), (attrs.has, _attrs_class), (_is_mapping, _mapping)):
        converter.register_structure_hook_factory(predicate, functools.partial(factory, converter=converter))
    return converter


def _is_literal(type_: Any) -> bool:
    return cast(object, get_origin(type_)) is cast(object, Literal)


def _union_hook(type_: Any, converter: cattrs.Converter) -> Any:
    def hook(value: object, _: Any) -> object:
        return _union(value, type_, converter)

    return hook


def _attrs_class(cls: type[Any], converter: cattrs.Converter) -> Any:
    # cattrs would compile a function for each class, which takes a millisecond; a config names each class once
    options = options_of(attrs.resolve_types(cls))

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table of options, got {_shown(value)}")
        given = cast("Mapping[str, Any]", value)
        made: dict[str, Any] = {}
        faults: list[Exception] = []
        for name, option in options.items():
            try:
                if name in given:
                    made[name] = _option(given[name], option, converter)
                elif option.default is attrs.NOTHING:
                    raise ValueError("is required")
            except Exception as error:
                faults.append(_at(error, name, option.type))
        if strangers := {name for name in given if name not in options}:
            faults.append(cattrs.ForbiddenExtraKeysError("", cls, strangers))
        try:
            if not faults:
                return cls(**made)
        except Exception as error:
            faults.append(error)
        raise ClassValidationError(f"structuring {cls.__name__}", faults, cls)  # pyright: ignore[reportCallIssue]

    return hook


def _option(value: Any, option: attrs.Attribute[Any], converter: cattrs.Converter) -> Any:
    if _is_sequence(option.type) and not _is_list(value):
        raise ValueError(f"expected a list, got {_shown(value)}")
    value = converter.structure(value, option.type) if option.type is not None else value
    if option.validator is not None:
        option.validator(None, option, value)
    return value


def _at(error: Exception, name: str, type_: Any) -> Exception:
    error.add_note(AttributeValidationNote(f"structuring {name!r}", name, type_))
    return error


def _is_union(type_: Any) -> bool:
    return get_origin(type_) in (Union, types.UnionType)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _is_sequence(type_: Any) -> bool:
    """Whether a type holds items in a row; cattrs would take the letters of a text for some, and a table's names."""
    origin = get_origin(type_) or type_
    return isinstance(origin, type) and issubclass(origin, Sequence | Set) and not issubclass(origin, str | bytes)


def _is_mapping(type_: Any) -> bool:
    origin = get_origin(type_)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _mapping(type_: Any, converter: cattrs.Converter) -> Any:
    arguments: tuple[Any, ...] = get_args(type_) or (str, Any)
    key_type, inner = arguments

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table of names, got {_shown(value)}")
        items = cast("Mapping[object, object]", value)
        is_named = key_type in (str, Any)
        strangers = [f"the name {key!r} is not text" for key in items if is_named and not isinstance(key, str)]
        if strangers:
            raise ValueError("; ".join(strangers))
        made: dict[Any, Any] = {}
        faults: list[Exception] = []
        for name, item in items.items():
            try:
                made[name if is_named else key_type(name)] = converter.structure(item, inner)
            except Exception as error:
                faults.append(_at(error, str(name), inner))
        if faults:
            raise ClassValidationError("structuring a table of names", faults, dict)  # pyright: ignore[reportCallIssue]
        return made

    return hook


def _exactly(value: object, type_: type[T], expected: str) -> T:
    if type(value) is not type_:
        raise ValueError(f"expected {expected}, got {_shown(value)}")
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise ValueError(f"expected a whole number, got {_shown(value)}")
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {_shown(value)}")
    return float(value)


def _literal(value: object, type_: Any) -> object:
    choices = get_args(type_)
    if isinstance(value, bool) and {"on", "off"} <= set(choices):
        value = "on" if value else "off"
    if value not in choices or type(value) is bool:
        near = did_you_mean(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(map(repr, choices))}, got {_shown(value)}{near}")
    return value


def _union(value: object, type_: Any, converter: cattrs.Converter) -> object:
    members = get_args(type_)
    if value is None and type(None) in members:
        return None
    rest = [m for m in members if m is not type(None)]
    failures: list[str] = []
    for member in rest:
        if attrs.has(member) and isinstance(value, Mapping):
            return converter.structure(cast("Mapping[str, Any]", value), member)
        if _is_sequence(member):
            if _is_list(value):
                return converter.structure(value, member)
            failures.append("expected a list")
            continue
        try:
            return converter.structure(value, member)
        except Exception as error:
            failures.append(str(error))
    raise ValueError(
        failures[0] if len(rest) == 1 else " or ".join(f.split(", got")[0] for f in failures) + f", got {_shown(value)}"
    )


def _explain(error: BaseException, type_: type | None) -> str:
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = options_of(error.cl)
        strangers = sorted(cast("set[object]", error.extra_fields), key=str)
        return "; ".join(f"unknown option {name!r}{did_you_mean(str(name), known)}" for name in strangers)
    if isinstance(error, cattrs.StructureHandlerNotFoundError):
        return f"has the type {typing.cast(Any, error).type_!r}, which a config cannot give"
    return str(error)


def _told(line: str) -> str:
    message, _, path = line.rpartition(" @ ")
    return f"{path}: {message}" if message else line


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
