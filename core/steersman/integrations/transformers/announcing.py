"""The line a run begins its journal with: what is asked, what may be changed, and what will not work."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from attrs import asdict

from steersman.dispatch import Loaded
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
        check_every=str(every) if config.logging.epoch_health_check_enabled else "off, but for one at the end",
        checks_ahead=checks_ahead(every, supervisor.plan, step=step)
        if config.logging.epoch_health_check_enabled
        else None,
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
        journal=str(supervisor.journal.path) if supervisor.journal.is_open else None,
        versions={name: version(name) for name in ("steersman", "transformers", "torch")},
    )
