"""What a checkpoint carries, versioned, and how it is given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import cattrs

from steersman.checkpoints import Checkpoint
from steersman.journal import to_json
from steersman.loaded import Loaded
from steersman.rails import Mode
from steersman.ranking import Ranking
from steersman.registry import Registry
from steersman.run import Adjustment
from steersman.strategies import restore_state, state_of

if TYPE_CHECKING:
    from steersman.supervisor import Supervisor

VERSION = 2
"""The version of the state; what an older one holds is brought up to it by `UPGRADES`."""


def _with_accounting(state: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had ledgers in the state of a strategy, and the tokens that were not logged yet as one usage."""
    strategies = dict(state.get("strategies", {}))
    held = {name: own["ledgers"] for name, own in strategies.items() if set(own) == {"ledgers"}}
    for name in held:
        del strategies[name]
    names = ("tokens", "received", "seconds", "samples", "rates")
    ledgers = {
        name: {
            "total": {"ledger": name, **{key: ledger[key] for key in names if key in ledger}},
            "interval": {"ledger": name},
        }
        for own in held.values()
        for name, ledger in own.items()
    }
    pending: dict[str, Any] = state.get("tokens") or {}
    return {
        **state,
        "version": 2,
        "strategies": strategies,
        "accounting": {"ledgers": ledgers, "spent": {}},
        "usage": [pending] if pending else [],
    }


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _with_accounting}
"""What makes a state of each older version one of the next."""
_converter = cattrs.Converter()
_CHECKPOINTS = 64


def of(supervisor: Supervisor) -> dict[str, Any]:
    """Return what a checkpoint must carry for a resumed run to decide as this one."""
    return {
        "version": VERSION,
        "settled": supervisor.at.settled,
        "restarted": supervisor.ranking.since,
        "undone": supervisor.at.undone,
        "fingerprint": supervisor.fingerprint,
        "stopped_because": supervisor.actions.stopped_because,
        "saved_because": supervisor.actions.saved_because,
        "decisions": supervisor.decider.save(),
        "elapsed": supervisor.progress.elapsed,
        "strategies": strategies_state(supervisor.dispatch.strategies),
        "hyperparameters": supervisor.registry.save(),
        "ranking": ranking_state(supervisor.ranking),
        "adjustments": adjustments_state(supervisor.run.adjustments),
        "accounting": supervisor.accounting.save(),
    }


def readable(saved: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the state as this version reads it, and why nothing is taken over, if so: a newer Steersman wrote it."""
    state = dict(saved)
    version = int(state.get("version", VERSION))
    if version > VERSION:
        return {}, (
            f"this checkpoint was written by a newer Steersman (state {version}, this one reads up to {VERSION}): "
            "nothing of it is taken over, and scores, factors and counts begin anew"
        )
    for older in range(version, VERSION):
        state = UPGRADES[older](state)
    return state, ""


def strategies_state(strategies: tuple[Loaded, ...]) -> dict[str, Any]:
    """Return the state of each strategy that has some, by its name in this run."""
    states = {s.name: to_json(state_of(s.strategy)) for s in strategies if s.strategy is not None}
    return {name: state for name, state in states.items() if state}


def give_back(strategies: tuple[Loaded, ...], saved: Mapping[str, Any]) -> tuple[str, ...]:
    """Give each strategy its state; return a sentence for each that could not take it."""
    problems: list[str] = []
    for loaded in strategies:
        state = saved.get(loaded.name)
        if loaded.strategy is None or not state:
            continue
        try:
            restore_state(loaded.strategy, state)
        except Exception as error:
            problems.append(f"{loaded.name} could not take back its state: {type(error).__name__}: {error}")
    return tuple(problems)


def restore_values(registry: Registry, saved: Mapping[str, Mapping[str, float]], mode: Mode) -> tuple[str, ...]:
    """Put changed values in force again, where the mode may change any; return a sentence for what is left out."""
    if mode in ("ask", "act"):
        return registry.restore(saved)
    return (f"changes to {', '.join(saved)} are left out, because the mode is {mode}",) if saved else ()


def ranking_state(ranking: Ranking) -> dict[str, Any]:
    """Return the ranking, bounded: the newest evaluations, the best of each scorer, and what was saved."""
    checkpoints = ranking.all()
    keep = {c.step for c in checkpoints[-_CHECKPOINTS:]}
    keep |= {
        c.step for name in ranking.order for c in (*ranking.ranked(name)[:8], *ranking.ranked(name, barred=True)[:8])
    }
    keep |= {ranking.lowest_loss.step} if ranking.lowest_loss else set()
    kept = [_converter.unstructure(c) for c in checkpoints if c.step in keep or c.step in ranking.saved]
    return {
        "checkpoints": kept,
        "saved": {str(step): path for step, path in ranking.saved.items()},
        "late": {str(step): dict(metrics) for step, metrics in ranking.late.items()},
    }


def restore_ranking(ranking: Ranking, saved: Mapping[str, Any]) -> None:
    """Fill a ranking from what `ranking_state` returned."""
    ranking.saved = {int(step): path for step, path in saved.get("saved", {}).items()}
    ranking.late = {int(step): metrics for step, metrics in saved.get("late", {}).items()}
    for item in saved.get("checkpoints", []):
        ranking.add(_converter.structure(item, Checkpoint))


def adjustments_state(adjustments: tuple[Adjustment, ...]) -> list[Any]:
    """Return the newest changes."""
    return [_converter.unstructure(a) for a in adjustments[-_CHECKPOINTS:]]


def restore_adjustments(saved: list[Any]) -> tuple[Adjustment, ...]:
    """Return the changes from what `adjustments_state` returned."""
    return tuple(_converter.structure(item, Adjustment) for item in saved)
