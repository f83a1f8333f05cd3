"""YAML as a config means it: the core scalars of YAML 1.2, no key twice; and text that reads back as it was."""

from __future__ import annotations

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_LIBYAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = {
    "int": (re.compile(r"^[-+]?[0-9]+$"), "-+0123456789"),
    "float": (
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+.0123456789",
    ),
}


class _Core(yaml.resolver.Resolver):
    """YAML 1.2's core scalars: `no` and `on` are text, `1e-4` is a number, `12:30` is no time."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, regexp)
            for tag, regexp in resolvers
            if tag.rsplit(":", 1)[1] not in ("bool", "float", "int", "timestamp")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Loader(_Core, yaml.SafeLoader):
    """Says best what does not parse."""


class _FastLoader(_Core, _LIBYAML):  # type: ignore[misc]
    """Ten times as fast where there is libyaml."""


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something other than text."""


def _unique(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if key.tag != _TAG + "merge"]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is there twice", node.start_mark)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


def _on_one_line(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar(_TAG + "str", text, style='"' if not text.isprintable() else None)


def _resolve(cls: Any, name: str, regexp: re.Pattern[str], first: str) -> None:
    cls.add_implicit_resolver(_TAG + name, regexp, list(first))


_resolve(_Core, "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
for _name, (_regexp, _first) in _NUMBERS.items():
    _resolve(_Core, _name, _regexp, _first)
    _resolve(_Dumper, _name, _regexp, _first)
for _class in (_Loader, _FastLoader):
    _class.add_constructor(_TAG + "map", _unique)
_Dumper.add_representer(str, _on_one_line)


def loads(text: str) -> object:
    """Return the value of a YAML document; None where it holds none. Raises yaml.YAMLError."""
    try:
        return yaml.load(text, _FastLoader)
    except yaml.YAMLError:
        return yaml.load(text, _Loader)


def told(error: Exception) -> str:
    """Return what is wrong with a text that does not parse, as one sentence with its line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    hint = "; a text that begins with > goes into quotes" if "chomping" in str(problem) else ""
    return " ".join(f"it does not parse: {where}{problem or error}{hint}".split())


def dumps(value: object) -> str:
    """Return a plain value as one line of YAML that `loads` reads as the same value.

    Raises yaml.YAMLError for what is neither text, number, truth value, None, list nor table.
    """
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").strip()
