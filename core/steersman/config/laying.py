"""Lays one config over another: tables are merged, all else is replaced, `without` takes strategies away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import field, frozen

from steersman.config.entries import name_of, names_in
from steersman.config.layers import merge
from steersman.spelling import did_you_mean


@frozen
class Laid:
    """What the layers so far come to, and the name of every strategy that one of them names."""

    values: Mapping[str, Any] = field(factory=dict[str, Any])
    named: tuple[str, ...] = ()

    def under(self, values: Mapping[str, Any], problems: list[str]) -> Laid:
        """Return this with `values` over it; what is wrong with their `without` goes into `problems`."""
        said = {key: value for key, value in values.items() if key not in ("extends", "without")}
        own, merged = names_in(said), merge(self.values, said)
        if "without" in values:
            off = _switched_off(values["without"], own, self.named, problems)
            listed: object = merged.get("use")
            if isinstance(listed, list | tuple):
                merged["use"] = [entry for entry in cast("list[object]", listed) if name_of(entry) not in off]
            if "score" in off:
                score: object = merged.pop("score", None)
                if isinstance(score, Mapping) and "require" in score:  # no strategy: it stays
                    merged["score"] = {"require": cast("Mapping[str, Any]", score)["require"]}
        return Laid(merged, tuple(dict.fromkeys((*self.named, *own))))


def _switched_off(names: object, own: tuple[str, ...], below: tuple[str, ...], problems: list[str]) -> frozenset[str]:
    """Return the names in a `without:` of a config that itself names `own` over others that name `below`."""
    if not isinstance(names, list | tuple):
        problems.append(f"$.without: expected a list of names of strategies, got {names!r}")
        return frozenset()
    listed = cast("list[object]", names)
    for index, name in enumerate(listed):
        if not isinstance(name, str):
            problems.append(f"$.without[{index}]: expected the name of a strategy, got {name!r}")
        elif name in own:
            problems.append(f"$.without[{index}]: {name!r} is under `use` of the same config; leave one of the two out")
        elif name not in below:
            near = did_you_mean(name, below) or f"; there are {', '.join(below) or 'none'}"
            problems.append(f"$.without[{index}]: no config that this one extends names a strategy {name!r}{near}")
    return frozenset(name for name in listed if isinstance(name, str) and name not in own)
