"""The line a run begins its journal with: what is asked, what may be changed, and what will not work."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from attrs import asdict

from steersman.dispatch import Loaded
from steersman.hyperparameters import Registry
from steersman.schedule import checks_ahead
from steersman.supervisor import Supervisor


def announce(
    supervisor: Supervisor,
    strategies: tuple[Loaded, ...],
    step: int,
    values: Mapping[str, float],
    warned: list[str],
    *,
    forces_logs: bool,
) -> None:
    """Journal the begin of a run at `step`; `warned` are sentences for the user."""
    config, registry, every = supervisor.config, supervisor.registry, supervisor.due.every
    supervisor.journal.write(
        "run",
        step,
        resumed=step > 0,
        config_source=config.source,
        config=config.raw,
        mode=config.mode,
        strategies=[{"name": s.name, "target": s.target, "origin": s.origin, "options": s.options} for s in strategies],
        check_every=str(every),
        checks_ahead=checks_ahead(every, supervisor.plan, step=step),
        hyperparameters=[
            {
                "name": entry.name,
                "status": entry.status,
                "reason": entry.reason,
                "value": registry.view(entry.name).value,
                "allowed": entry.name in config.allowed,
                "bounds": str(config.allowed[entry.name]) if entry.name in config.allowed else "",
            }
            for entry in registry.entries.values()
        ],
        forces_logs=forces_logs,
        plan=asdict(supervisor.plan),
        values=values,
        preflight=warned,
        journal=str(supervisor.journal.path) if supervisor.journal.path else None,
        versions={name: version(name) for name in ("steersman", "transformers", "torch")},
    )


def values_of(registry: Registry) -> dict[str, float]:
    """Return the values in force, where they are known."""
    known = {name: registry.view(name).value for name in registry.entries}
    return {name: value for name, value in known.items() if value is not None}
