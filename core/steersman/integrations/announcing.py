"""The line a run begins its journal with: what is asked, what may be changed, and what will not work."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from attrs import asdict

from steersman.config import Config
from steersman.loaded import Loaded
from steersman.registry import Registry
from steersman.schedule import checks_ahead
from steersman.supervisor import Supervisor

if TYPE_CHECKING:
    from steersman.integrations.torch.begin import Begin


def announce(
    supervisor: Supervisor,
    strategies: tuple[Loaded, ...],
    begin: Begin,
    values: Mapping[str, float],
    facts: Mapping[str, object],
    warned: list[str],
    *,
    superseded: int,
    settled: int,
) -> None:
    """Journal the begin of a run.

    `values` are those it first began with, `facts` what its scores depend on, `warned` sentences for the user;
    `superseded` is how many lines of the journal come after the step a resumed run goes on from, `settled` the newest
    step whose check it does not make again.
    """
    config, registry, every = supervisor.config, supervisor.registry, supervisor.due.every
    supervisor.journal.write(
        "run",
        begin.step,
        resumed=begin.step > 0,
        superseded=superseded,
        settled=settled,
        rollbacks=supervisor.recovery.used,
        accounting=supervisor.accounting.save() if begin.step else None,
        config_source=config.source,
        config=config.raw,
        mode=config.mode,
        strategies=[_told(strategy) for strategy in strategies],
        check_every=str(every) if config.logging.epoch_health_check_enabled else "off, but for one at the end",
        checks_ahead=checks_ahead(every, supervisor.plan, step=begin.step)
        if config.logging.epoch_health_check_enabled
        else None,
        hyperparameters=[
            {
                "name": entry.name,
                "status": entry.status,
                "reason": entry.reason,
                "value": registry.view(entry.name).value,
                "safer": entry.safer,
                "allowed": entry.name in config.allowed,
                "bounds": str(config.allowed[entry.name]) if entry.name in config.allowed else "",
            }
            for entry in registry.entries.values()
        ],
        forces_logs=begin.forces_logs,
        plan=asdict(supervisor.plan),
        facts=facts,
        values=values,
        preflight=warned,
        journal=str(supervisor.journal.path) if supervisor.journal.is_open else None,
        versions={name: version(name) for name in ("steersman", *begin.packages)},
    )


def _told(strategy: Loaded) -> dict[str, object]:
    source = strategy.source
    return {
        "name": strategy.name,
        "target": strategy.target,
        "origin": source.text,
        "distribution": source.distribution,
        "version": source.version,
        "file": source.file,
        "sha256": source.sha256,
        "options": strategy.options,
        "on_error": strategy.on_error,
        "time_budget": strategy.time_budget,
        "effects": strategy.effects,
        "scores_late": strategy.scores_late,
    }


def budgets_told(config: Config, counted: Collection[str]) -> Iterator[str]:
    """Yield what the budgets of a run are, and for which of them nothing is `counted`: the ledgers that are filled."""
    budget = config.budget
    if not budget.is_set:
        return
    then = "only said, as the mode is observe" if config.mode == "observe" else "the run stops with a checkpoint there"
    yield f"budget: {budget.told(config.prices)}; {then}"
    if budget.tokens is not None and "backpropagation" not in counted:
        yield "budget.tokens is never spent: the model was not given, so its tokens are not counted"
    if budget.generated_tokens is not None and "generation" not in counted:
        yield "budget.generated_tokens is never spent: this trainer generates nothing that is counted"


def will_not_change(registry: Registry, config: Config) -> Iterator[str]:
    """Yield a sentence for each hyperparameter the config names that this run has not, or not within its bounds."""
    for name, bounds in config.allowed.items():
        entry = registry.get(name)
        if name not in registry.entries:
            yield f"{name} in `hyperparameters:`: {entry.reason}"
            continue
        value = getattr(entry.handle, "peak", None)
        value = entry.value if value is None else value
        if value is not None and not bounds.min <= value <= bounds.max:
            yield f"{name} is {value:g}, outside its bounds ({bounds}): only a change that leads inside them is made"
