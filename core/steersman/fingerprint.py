"""What a score depends on besides the model: where it changes, scores before and after cannot be compared."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from steersman.journal import to_json
from steersman.loaded import Loaded


def of(facts: Mapping[str, object], strategies: tuple[Loaded, ...]) -> dict[str, str]:
    """Return the fingerprint of a run: its `facts` (evaluation sets, batch, precision, ranks) and its scorers."""
    scorers = {
        f"the scorer {loaded.name}": f"{loaded.target} {_text(loaded.options)}{_hash(loaded)}"
        for loaded in strategies
        if loaded.is_scorer
    }
    return {name: _text(value) for name, value in facts.items()} | scorers


def short(fingerprint: Mapping[str, str]) -> str:
    """Return twelve characters that differ where fingerprints do."""
    return _shortened(tuple(sorted(fingerprint.items())))


@functools.lru_cache(maxsize=64)
def _shortened(items: tuple[tuple[str, str], ...]) -> str:
    return hashlib.sha256(json.dumps(dict(items)).encode()).hexdigest()[:12]


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what changed in words, or nothing where nothing did or nothing is known of before."""
    if not before:
        return ""
    told = [
        f"{name} was {before.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in dict.fromkeys((*before, *now))
        if before.get(name) != now.get(name)
    ]
    return "; ".join(told)


def _hash(loaded: Loaded) -> str:
    """Return the hash of a strategy's own file: what is edited there scores something else."""
    return f" {loaded.source.sha256[:12]}" if loaded.source.sha256 else ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(to_json(value), sort_keys=True) if value != {} else "{}"
