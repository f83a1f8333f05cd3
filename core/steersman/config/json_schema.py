"""The JSON Schema (draft-07) of a config, with the options of every installed strategy: for an editor to check with."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steersman.catalogue.attribute_docs import meanings_of
from steersman.catalogue.entry_points import entry_points
from steersman.config.entries import Handling
from steersman.config.json_types import Schema, Types, or_null
from steersman.config.layers import SHIPPED
from steersman.config.options import resolved
from steersman.config.restrictions import Restriction
from steersman.config.schema import KEYS, Config
from steersman.deprecations import CONFIG_KEYS
from steersman.loading import find, installed
from steersman.requirements import PATTERN

_IN_HOUSE = r"\.py:\S"
"""A strategy in a file of one's own. Its options are not known here."""
_OPEN: Schema = {"type": ["object", "null"]}


def schema(problems: list[str] | None = None) -> Schema:
    """Return the schema of a whole config, as a file that is nothing else.

    Every installed strategy is imported for its options. One that cannot be takes any, and is a sentence in `problems`.
    """
    types, found = Types(), list[str]()
    strategies = _strategies(types, found)
    properties = {**types.table(Config)["properties"], **_keys(types, strategies)}
    for renamed in CONFIG_KEYS:
        told = {"deprecated": True, "description": f"It is called {renamed.new} now."}
        properties[renamed.old] = {**properties[renamed.new], **told}
    if problems is not None:
        problems += found
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A config of Steersman",
        "type": ["object", "null"],
        "properties": {name: properties[name] for name in (*KEYS, *(renamed.old for renamed in CONFIG_KEYS))},
        "additionalProperties": False,
        "$defs": {**types.definitions, **{_defined(name): table for name, table in strategies.items()}},
    }


def _strategies(types: Types, problems: list[str]) -> dict[str, Schema]:
    """Return the table of options of each installed strategy, with the keys that are Steersman's own beside them."""
    ours = types.table(Handling)["properties"]
    tables: dict[str, Schema] = {}
    for name in sorted(installed()):
        with contextlib.redirect_stdout(sys.stderr):  # the schema may be on its way to standard output
            found = find(name, Path.cwd(), problems)
        tables[name] = _OPEN
        if found is None:
            continue
        try:
            tables[name] = or_null(types.table(found[0], extra=ours))
        except Exception as error:
            problems.append(f"the options of {name!r} cannot be told: {type(error).__name__}: {error}")
    return tables


def _keys(types: Types, strategies: dict[str, Schema]) -> dict[str, Schema]:
    """Return the schemas of the keys that are more than a value of a type."""
    checks = types.of(resolved(Config)["check_every"].type, Restriction(at_least=1))
    steps = {"type": "string", "pattern": r"^\s*[0-9]+\s+steps?\s*$"}
    parent = {
        "anyOf": [{"enum": sorted({p.name for p in entry_points(SHIPPED)})}, {"type": "string", "pattern": _PATH}]
    }
    weights = strategies.get("score", _OPEN).get("properties", {}).get("metrics", {"type": "object"})
    return {
        "check_every": {
            "description": meanings_of(Config).get("check_every", ""),
            "anyOf": [*checks["anyOf"], steps],
        },
        "use": {
            "description": "The strategies, in the order in which they are asked.",
            "type": "array",
            "items": {"anyOf": [_bare(strategies), _with_options(strategies)]},
        },
        "without": {
            "description": "Strategies of the configs below that do not run, by their names in the run.",
            "type": "array",
            "items": {"type": "string"},
        },
        "score": or_null(
            {
                **weights,
                "properties": {"require": _require()},
                "description": "Metrics and their weights; this score is asked before all others.",
            }
        ),
        "extends": {
            "description": "What this config is laid over: a shipped config, a path, or a list of them.",
            "anyOf": [parent, {"type": "array", "items": parent}],
        },
    }


def _require() -> Schema:
    return {
        "description": "What a checkpoint must have to be best, whoever scores it: a comparison for each metric.",
        "type": "object",
        "additionalProperties": {"type": ["string", "null"], "pattern": PATTERN},
    }


_PATH = r"/|\.(yaml|yml|toml)$"


def _bare(names: Iterable[str]) -> Schema:
    renamed = f"^({'|'.join(map(_escaped, names))}) as .*\\S"
    return {"type": "string", "anyOf": [{"enum": [*names]}, {"pattern": renamed}, {"pattern": _IN_HOUSE}]}


def _with_options(names: Iterable[str]) -> Schema:
    tables: dict[str, Any] = {
        f"^{_escaped(name)}( as .*\\S.*)?$": {"$ref": f"#/$defs/{_defined(name)}"} for name in names
    }
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "patternProperties": {**tables, _IN_HOUSE: _OPEN},
        "additionalProperties": False,
    }


def _defined(name: str) -> str:
    return f"use.{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}"


def _escaped(name: str) -> str:
    return re.sub(r"([.^$*+?()\[\]{}|\\/])", r"\\\1", name)
