"""How a run goes on from what a checkpoint carries: its records are heard again, its state is given back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from steersman import fingerprint, saved_state
from steersman.records import Record

if TYPE_CHECKING:
    from steersman.supervisor import Supervisor


def restore(supervisor: Supervisor, past: Iterable[Record], saved: Mapping[str, Any], *, step: int) -> tuple[str, ...]:
    """Bring a supervisor to `step`; return a sentence for each thing that could not be given back or begins anew."""
    supervisor.at.undone = [int(at) for at in saved.get("undone", [])]
    _hear_again(supervisor, past, int(saved.get("settled", -1)), int(saved.get("restarted", -1)))
    progress = supervisor.progress
    progress.step = max(progress.step, step)
    changed = fingerprint.differences(saved.get("fingerprint", {}), supervisor.fingerprint)
    keep = [loaded for loaded in supervisor.dispatch.strategies if not (changed and loaded.is_scorer)]
    problems = saved_state.give_back(tuple(keep), saved.get("strategies", {}))
    problems += saved_state.restore_values(
        supervisor.registry, saved.get("hyperparameters", {}), supervisor.config.mode
    )
    saved_state.restore_ranking(supervisor.ranking, saved.get("ranking", {}))
    supervisor.accounting.restore(saved.get("accounting", {}))
    supervisor.decider.restore(saved.get("decisions", {}))
    for adjustment in saved_state.restore_adjustments(saved.get("adjustments", [])):
        supervisor.run.note_adjustment(adjustment)
    if changed:
        supervisor.not_comparable = f"scores are not comparable with those before the resume: {changed}"
        supervisor.restarts.forget_before(progress.step)
    return problems


def _hear_again(supervisor: Supervisor, past: Iterable[Record], settled: int, restarted: int) -> None:
    """Hear the records of a run that goes on, without judging them; begin anew where it did."""
    supervisor.windows.start(0)
    supervisor.due.start(0, None)
    supervisor.judging = False
    for record in past:
        if 0 <= restarted < record.step:
            supervisor.settle()
            supervisor.restarts.forget_before(restarted)
            restarted = -1
        supervisor.feed(record)
    if supervisor.at.open is not None and settled >= supervisor.at.open:
        supervisor.settle()  # it was saved in the middle of the step after
    if restarted >= 0:
        supervisor.restarts.forget_before(restarted)
    supervisor.judging = True
