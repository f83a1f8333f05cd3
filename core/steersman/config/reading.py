"""Reads a config: what it extends, itself and the environment over each other, structured, every fault at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from attrs import evolve

from steersman.config.entries import anchored, overridden, used
from steersman.config.environment import layer_of, named, variables
from steersman.config.errors import ConfigError
from steersman.config.layers import SHIPPED, Layer, Source, load, stacked
from steersman.config.laying import Laid
from steersman.config.schema import KEYS, Config, Use
from steersman.config.structuring import options_of, structure
from steersman.deprecations import with_new_keys
from steersman.requirements import requirements_of
from steersman.spelling import did_you_mean

__all__ = ["KEYS", "SHIPPED", "Source", "read"]
OUR_NAMES = ("loss", "eval_loss", "reward", "reward_std", "kl", "grad_norm", "learning_rate")
"""The names of metrics that shipped strategies look at, for `metrics:` to map onto."""


def read(
    source: Source,
    problems: list[str] | None = None,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Return the config of `source`; None is the shipped default. A mapping's paths are looked for from `folder`.

    The variables STEERSMAN__KEY of `environment`, by default that of the process, lie over all else.
    Raises ConfigError with every fault at once, unless `problems` is given, which then receives them.
    """
    own = load(source)
    if folder is not None and isinstance(source, Mapping):
        own = evolve(own, folder=folder)
    found: list[str] = []
    layers: list[Layer] = []
    laid = Laid()
    for layer in stacked(own, found):
        layer = evolve(layer, values=with_new_keys(layer.values, layer.name))
        said = _faults(layer.values)
        laid = laid.under(anchored(layer.values, layer.folder, own.folder), said)
        told = said if layer.name == own.name else [f"{layer.name}: {fault}" for fault in said]
        found += [fault for fault in told if fault not in found]
        layers += [layer] if layer.name != own.name or source is not None else []
    for variable, text in variables(os.environ if environment is None else environment):
        said = list[str]()
        override = layer_of(variable, text, laid.values, own.folder, said)
        if override is not None:
            said += _faults({key: value for key, value in override.values.items() if key != "use"})
            laid = laid.under(overridden(override.values, laid.values), said)
            layers.append(override)
        found += [f"{named(variable)}: {fault}" for fault in said]
    config = _whole(laid.values, found)
    if problems is not None:
        problems += found
    elif found:
        raise ConfigError(own.name, found)
    raw: dict[str, Any] = {"extends": [], **{key: value for key, value in laid.values.items() if key in KEYS}}
    return evolve(config, source=own.name, folder=own.folder, raw=raw, layers=tuple(layers))


def _faults(values: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with what one layer says, so that each fault is told of the layer it is in."""
    problems = [f"$: unknown key {key!r}{did_you_mean(str(key), KEYS)}" for key in values if key not in KEYS]
    _structured(values, problems)
    used(values, problems)
    requirements_of(values.get("score"), problems)
    return problems


def _whole(values: Mapping[str, Any], found: list[str]) -> Config:
    """Return the config that all layers come to, with the faults that only the whole of it has."""
    faults: list[str] = []
    config = _structured(values, faults) or _what_holds(values)
    use, require = used(values, faults), requirements_of(values.get("score"), faults)
    faults += [*_impossible_bounds(config, use), *_bad_names(config), *_without_price(config)]
    found += [fault for fault in faults if not any(known.endswith(fault) for known in found)]
    return evolve(config, use=use, require=require)


def _structured(values: Mapping[str, Any], problems: list[str]) -> Config | None:
    known = {key: value for key, value in values.items() if key in options_of(Config)}
    if "check_every" in known:
        known["check_every"] = _steps(known["check_every"])
    return structure(known, Config, "$", problems)


def _what_holds(values: Mapping[str, Any]) -> Config:
    """Return the config without its faulty keys, so that faults which need the rest are found as well."""
    sound = {key: value for key, value in values.items() if _structured({key: value}, []) is not None}
    tables: object = values.get("hyperparameters")
    if "hyperparameters" not in sound and isinstance(tables, Mapping):
        rules = cast("Mapping[object, object]", tables).items()
        named = {name: rule for name, rule in rules if isinstance(name, str)}
        held = {n: r for n, r in named.items() if structure({"hyperparameters": {n: r}}, Config, "$", []) is not None}
        sound["hyperparameters"] = {name: held.get(name, {}) for name in named}
    return _structured(sound, []) or Config()


def _steps(check_every: object) -> object:
    """Return `50 steps` as 50; anything else as it is."""
    words = check_every.split() if isinstance(check_every, str) else []
    return int(words[0]) if len(words) == 2 and words[1] in ("step", "steps") and words[0].isdigit() else check_every


def _impossible_bounds(config: Config, use: tuple[Use, ...]) -> Iterator[str]:
    names = [entry.name for entry in use]
    for name, rules in config.hyperparameters.items():
        path, bounds = f"$.hyperparameters.{name}", rules.bounds()
        if bounds.min > bounds.max or bounds.min_factor > bounds.max_factor:
            yield f"{path}: its least value is above its greatest"
        if rules.owner is not None and rules.owner not in names:
            near = did_you_mean(rules.owner, names) or f"; it names {', '.join(names)}"
            yield f"{path}.owner: `use` names no strategy {rules.owner!r}{near}"


def _bad_names(config: Config) -> Iterator[str]:
    ours = list(config.metrics.values())
    for theirs, name in config.metrics.items():
        if ours.count(name) > 1:
            yield f"$.metrics.{theirs}: another metric is called {name!r} already"
        elif name not in OUR_NAMES and not name.startswith("eval_") and (near := did_you_mean(name, OUR_NAMES)):
            yield f"$.metrics.{theirs}: no strategy of ours looks at {name!r}{near}"


def _without_price(config: Config) -> Iterator[str]:
    if config.budget.cost is not None and not config.prices.are_set:
        yield "$.budget.cost: nothing has a price; set those of your teacher under `prices:`"
