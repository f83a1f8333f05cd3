"""Whether the steps of a run are guarded, by whom, and why not."""

from __future__ import annotations

from typing import Any

from steersman.integrations.torch import learning_rate
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.guarded_steps import GuardedSteps
from steersman.integrations.torch.learning_rate import innermost
from steersman.integrations.torch.snapshots import why_sharded
from steersman.supervisor import Supervisor


def why_unguarded(model: Any, optimizer: Any) -> str:
    """Return why the steps of this optimizer cannot be guarded, or nothing where they can."""
    if optimizer is None:
        return "no optimizer was handed over, or several"
    reason = why_sharded(model, optimizer) or learning_rate.why_without_hooks(optimizer)
    if not reason and not any(group["params"] for group in innermost(optimizer).param_groups):
        return "the optimizer has no parameters"
    return reason


def guard_of(supervisor: Supervisor, begin: Begin, saved: Any) -> GuardedSteps | None:
    """Return the guard of the steps that a run begins with, said to the user; None where nobody asks, or none can be.

    `saved` is what the checkpoint that it goes on from holds of the guard.
    """
    if not supervisor.guards:
        return None
    (name, guard), *others = supervisor.guards
    mode = supervisor.config.mode
    reason = f"the mode is {mode}" if mode == "observe" else why_unguarded(begin.model, begin.optimizer)
    if reason:
        supervisor.note(f"steps are not guarded, though {name} asks for it: {reason}")
        return None
    model, optimizer = begin.model, innermost(begin.optimizer)
    mine = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    ordered = [p for p in model.parameters() if id(p) in mine] if model is not None else []
    steps = GuardedSteps(
        guard, optimizer, ordered or mine.values(), supervisor.note, acts=mode == "act", hooks=begin.hooks_steps
    )
    if saved:
        steps.restore(saved)
    journal = supervisor.journal
    journal.subscribers.append(lambda entry: steps.hear_rollback() if entry.kind == "rollback" else None)
    does = "steps are guarded" if mode == "act" else f"in mode {mode} nothing is done to a step, and this is counted"
    supervisor.note(f"{does}, by {name}: {guard.told}", severity="info")
    for other, _ in others:
        supervisor.note(f"{other} asked for a guard of the steps too, and lost to {name}, which is asked before it")
    return steps
