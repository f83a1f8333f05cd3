"""The journal lines of records, scores, checks, rulings and failures: what each holds, in one place."""

from __future__ import annotations

import traceback
from collections.abc import Container, Mapping
from importlib.metadata import version
from typing import Any

from attrs import asdict

from steersman.arbiter import Verdict
from steersman.checkpoints import Checkpoint
from steersman.checks import Check, Outcome, Ruled
from steersman.decisions import Adjust, Average
from steersman.failing import Failure, told
from steersman.journal import Journal
from steersman.late.entries import LateScore
from steersman.loaded import Loaded
from steersman.outcomes import Judged
from steersman.records import Record, Usage
from steersman.run import Adjustment
from steersman.snapshots import RolledBack

DROPPED_TOLD = 100
"""How many names of metrics that are no numbers are told."""


def journal_record(journal: Journal, record: Record) -> None:
    """Write what the trainer logged, so that a journal can be replayed."""
    journal.write(
        "record",
        record.step,
        of=record.kind,
        metrics=record.metrics,
        epoch=record.epoch,
        elapsed=record.elapsed,
        usage=[_told(usage) for usage in record.usage] if record.usage else (),
        dropped=record.dropped,
        spent=record.spent,
    )


def _told(usage: Usage) -> dict[str, Any]:
    """Return what a usage holds beside nothing."""
    return {name: value for name, value in asdict(usage, recurse=False).items() if value}


def journal_dropped(journal: Journal, record: Record, said: set[str]) -> None:
    """Write, once for each of the first hundred names, that a metric is no number; `said` holds those told before."""
    for name in record.dropped:
        if name not in said and len(said) < DROPPED_TOLD:
            said.add(name)
            message = f"the metric {name!r} came as something that is no number; such values are left out"
            journal.write("note", record.step, message=message, severity="warning")


def journal_scores(
    journal: Journal,
    checkpoint: Checkpoint,
    fingerprint: str,
    *,
    only: Container[str] | None = None,
    heard_at: int | None = None,
) -> None:
    """Write a line for each score, or one that says that no scorer had an opinion.

    After a late score, heard at a check, there is a line for those `only` who were asked again and had one.
    """
    loss = checkpoint.train_loss
    told = {"value": loss.value, "source": loss.source, "age_steps": loss.age_steps} if loss else None
    decides = checkpoint.scorer
    for name, score in checkpoint.scores.items():
        if only is not None and name not in only:
            continue
        journal.write(
            "score",
            checkpoint.step,
            strategy=name,
            value=score.value,
            terms=score.terms,
            because=score.because,
            rejected=score.rejected,
            decides=name == decides,
            train_loss=told if told is None else dict(told),
            epoch=checkpoint.epoch,
            eval_loss=checkpoint.metrics.get("eval_loss"),
            fingerprint=fingerprint,
            heard_at=heard_at,
        )
    if not checkpoint.scores and heard_at is None:
        journal.write("unscored", checkpoint.step, epoch=checkpoint.epoch, metrics=checkpoint.metrics)


def journal_late(journal: Journal, step: int, reason: str, scores: tuple[LateScore, ...]) -> None:
    """Write which late scores were heard before a check."""
    journal.write("late_heard", step, reason=reason, scores=[late.to_json() for late in scores])


def journal_check(journal: Journal, check: Check, outcome: Outcome, values: Mapping[str, float]) -> None:
    """Write the figures of a check and the hyperparameters in force before it, then a line for each finding."""
    said, healthy = outcome.said, outcome.is_healthy
    if said.anything:
        journal.write("control", check.step, off=said.off, approved=said.approved, reverts=said.reverts)
    journal.write(
        "check", check.step, reason=check.reason, epoch=check.epoch, healthy=healthy, values=values, **_figures(check)
    )
    for strategy, finding in outcome.findings:
        journal.write(
            "finding",
            check.step,
            strategy=strategy,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            evidence=finding.evidence,
        )
    for judged in outcome.judged:
        journal_judged(journal, check.step, judged)
    for message in outcome.notes:
        journal.write("note", check.step, message=message, severity="warning")


def journal_judged(journal: Journal, step: int, judged: Judged) -> None:
    """Write what became of a change, beside how often the same is said where nothing was changed."""
    compared = judged.comparison
    journal.write(
        "outcome",
        step,
        hyperparameter=judged.hyperparameter,
        strategy=judged.strategy,
        changed_at=judged.changed_at,
        label=judged.label,
        metric=compared.metric if compared else None,
        before=compared.before if compared else None,
        after=compared.after if compared else None,
        noise=compared.noise if compared else None,
        placebos=judged.placebos,
        placebo_better=judged.placebo_better,
        placebo_worse=judged.placebo_worse,
        clear=judged.is_clear,
    )


def journal_verdict(
    journal: Journal, step: int, strategy: str, proposal: Adjust, verdict: Verdict, number: int | None = None
) -> None:
    """Write a proposed change with what the arbiter ruled; `number` is the one to approve it by."""
    journal.write(
        "proposal",
        step,
        strategy=strategy,
        action="adjust",
        hyperparameter=proposal.hyperparameter,
        change=proposal.change,
        scale=proposal.scale,
        add=proposal.add,
        at_least=proposal.at_least,
        at_most=proposal.at_most,
        because=proposal.because,
        lasting=proposal.lasting,
        verdict=verdict.ruling,
        reason=verdict.reason,
        old=verdict.old,
        new=verdict.new,
        number=number,
    )


def journal_action(journal: Journal, step: int, ruled: Ruled, ruling: str, reason: str) -> None:
    """Write a proposed stop, save or rollback with what became of it."""
    proposal = ruled.proposal
    journal.write(
        "proposal",
        step,
        strategy=ruled.strategy,
        action=type(proposal).__name__.lower(),
        because=proposal.because,
        verdict=ruling,
        reason=reason,
        number=ruled.number,
    )


def journal_average(journal: Journal, step: int, strategy: str, average: Average) -> None:
    """Write that the mean of saved checkpoints was proposed as one more candidate."""
    journal.write("average", step, strategy=strategy, steps=list(average.steps))


def journal_rollback(journal: Journal, made: RolledBack) -> None:
    """Write a rollback that was made."""
    journal.write(
        "rollback", made.step, to_step=made.to_step, strategy=made.strategy, because=made.because, left=made.left
    )


def journal_effect(journal: Journal, step: int, name: str, value: float | None) -> None:
    """Write that a value that waited for its moment is in force."""
    journal.write("effect", step, hyperparameter=name, value=value)


def journal_adjustment(journal: Journal, made: Adjustment) -> None:
    """Write a change that was made and read back."""
    journal.write(
        "adjustment",
        made.step,
        strategy=made.strategy,
        hyperparameter=made.hyperparameter,
        old=made.old,
        new=made.new,
        read_back=made.read_back,
        factor=made.factor,
        factor_before=made.factor_before,
        peak=made.peak,
        because=made.because,
    )


def journal_failure(journal: Journal, step: int, failure: Failure) -> None:
    """Write which strategy failed in which hook, and why."""
    journal.write(
        "error",
        step,
        strategy=failure.loaded.name,
        hook=failure.hook,
        origin=failure.loaded.origin,
        distribution=failure.loaded.source.distribution,
        version=failure.loaded.source.version,
        error=told(failure.error),
        count=failure.count,
        quarantined=failure.quarantined,
        trace="".join(traceback.format_exception(failure.error)[-4:]),
    )


def journal_overrun(journal: Journal, step: int, loaded: Loaded, hook: str) -> None:
    """Write, while it still runs, that a hook outlasts its time budget."""
    source = loaded.source
    journal.write(
        "overrun",
        step,
        strategy=loaded.name,
        hook=hook,
        origin=source.text,
        distribution=source.distribution,
        version=source.version,
        budget=loaded.time_budget,
    )


def journal_own_failure(
    journal: Journal, step: int, event: str, error: Exception, count: int, *, gives_up: bool
) -> None:
    """Write that Steersman itself failed at an event of the trainer's, and whether it gives up."""
    journal.write(
        "error",
        step,
        strategy="steersman",
        hook=event,
        origin="Steersman itself",
        distribution="steersman",
        version=version("steersman"),
        error=f"{type(error).__name__}: {error}",
        count=count,
        quarantined=gives_up,
        trace="".join(traceback.format_exception(error)[-4:]),
    )


def _change(old: float | None, new: float | None) -> float | None:
    return new - old if new is not None and old is not None else None


def _figures(check: Check) -> dict[str, Any]:
    window = check.window
    if window is None:
        return {}
    back = 2 if check.reason == "scheduled" else 1
    before = check.windows[-back] if len(check.windows) >= back else None
    loss, reward = window.mean("loss"), window.mean("reward")
    loss_before = before.mean("loss") if before is not None and loss is not None else None
    reward_before = before.mean("reward") if before is not None and reward is not None else None
    return {
        "first_step": window.first_step,
        "last_step": window.last_step,
        "loss": loss,
        "loss_change": _change(loss_before, loss),
        "reward": reward,
        "reward_change": _change(reward_before, reward),
        "reward_variance": None if reward is None else window.reward_variance,
        "nonfinite": dict(window.nonfinite) if window.nonfinite else {},
    }
