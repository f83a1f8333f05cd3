"""Carries out what a check came to, on every rank alike: writes values, rolls back, asks for a stop or a save."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from steersman.arbiter import Verdict
from steersman.checks import Outcome, Ruled
from steersman.deciding import Decider
from steersman.decisions import Adjust, Rollback, Save, Stop
from steersman.dispatch import Dispatch
from steersman.hyperparameters import MOVES_METRICS, base_of
from steersman.journal import Journal
from steersman.journaling import (
    journal_action,
    journal_adjustment,
    journal_effect,
    journal_rollback,
    journal_verdict,
)
from steersman.outcomes import OWN_NAME
from steersman.ranks import Ranks
from steersman.registry import Registry
from steersman.run import Adjustment, WritableRun
from steersman.secrets import masked
from steersman.snapshots import RolledBack


class Actions:
    """What a run was asked to do.

    `stop_because` and `save_because` are set when it should at its next step; `stopped_because` and
    `saved_because` stay. With
    `stops_healthy` the healthy weights are put back once more when it stops, after the step that it still makes.
    """

    def __init__(
        self,
        run: WritableRun,
        registry: Registry,
        journal: Journal,
        dispatch: Dispatch,
        decider: Decider,
        ranks: Ranks,
        restart: Callable[[str], None],
    ) -> None:
        self.stop_because: str | None = None
        self.save_because: str | None = None
        self.stopped_because = self.saved_because = ""
        self.rolled_back = self.stops_healthy = False
        self._run, self._registry, self._journal, self._dispatch = run, registry, journal, dispatch
        self._decider, self._ranks, self._restart = decider, ranks, restart

    def carry_out(self, outcome: Outcome) -> None:
        """Act on everything a check came to."""
        if outcome.said.reverts:
            self._put_all_back()
        off = outcome.said.off or self._decider.halted
        for expired in outcome.expired:
            self._tell_expired(expired)
        for ruled in outcome.rulings:
            if isinstance(ruled.proposal, Adjust) and ruled.verdict is not None:
                self._adjust(ruled, ruled.proposal, ruled.verdict)
            elif not isinstance(ruled.proposal, Adjust):
                self._act(ruled, ruled.proposal, off)

    def take_effects(self) -> None:
        """Put in force what waited for a moment that the trainer allows."""
        for name, written in self._registry.take_effects():
            journal_effect(self._journal, self._run.step, name, written)
            self._moved(name)

    def stop(self, because: str) -> None:
        """Ask for a stop, with a checkpoint first."""
        self.stop_because = self.stopped_because = str(masked(because))

    def _adjust(self, ruled: Ruled, proposal: Adjust, verdict: Verdict) -> None:
        made: Adjustment | None = None
        if verdict.ruling == "accepted" and self._decider.halted:
            verdict = evolve(verdict, ruling="advised", reason=f"not applied: {self._decider.halted}")
        if verdict.ruling == "accepted" and verdict.new is not None:
            verdict, made = self._write(ruled.strategy, proposal, verdict, verdict.new)
        journal_verdict(self._journal, self._run.step, ruled.strategy, proposal, verdict, ruled.number)
        if made is not None:
            self._note(made, proposal, verdict)

    def _write(
        self, strategy: str, proposal: Adjust, verdict: Verdict, new: float
    ) -> tuple[Verdict, Adjustment | None]:
        name, run = proposal.hyperparameter, self._run
        written = self._registry.write(name, new, verdict.ratio)
        entry = self._registry.get(name)
        if not self._ranks.same((entry.status, entry.factor, written.read_back)):
            self._registry.take_back(name, written)
            held = written.error or f"it reads {written.read_back} here"
            self._halt(f"the ranks do not hold the same {name} after step {run.step} ({held}); it is put back")
            return evolve(verdict, ruling="failed", reason="the ranks did not hold the same value"), None
        if written.error:
            return evolve(verdict, ruling="failed", reason=f"{name} is given up: {written.error}"), None
        made = Adjustment(
            run.step, run.epoch, name, strategy, written.old, new, written.read_back, entry.factor, proposal.because,
            written.factor_before, written.peak,
        )  # fmt: skip
        return evolve(verdict, ruling="applied"), made

    def _note(self, made: Adjustment, proposal: Adjust, verdict: Verdict) -> None:
        name, purpose, outcomes = made.hyperparameter, verdict.offer.purpose, self._decider.outcomes
        self._run.note_adjustment(made)
        journal_adjustment(self._journal, made)
        if purpose == "proposal" or proposal.because == "rollback":
            self._decider.standing.note(name)
            entry = self._registry.get(name)
            outcomes.watch(entry, made.strategy, made.step, made.old, made.new, proposal, verdict.ratio)
        else:
            outcomes.undo_was_made(proposal, released=purpose == "release")
        self._dispatch.notify("on_adjusted", self._run, made)
        if not self._registry.waits(name):
            self._moved(name)

    def _moved(self, name: str) -> None:
        """Begin baselines and ranking anew where a change moves the metrics themselves."""
        if base_of(name) in MOVES_METRICS and self._decider.config.rails.restart_baselines:
            self._restart(f"{name} was changed, which moves the metrics themselves")

    def _put_all_back(self) -> None:
        """Undo every change of the run."""
        run = self._run
        for name, written in self._registry.undo_all():
            if written.error:
                self._journal.write("note", run.step, message=f"{name}: {written.error}", severity="warning")
                continue
            because = "steersman revert"
            made = Adjustment(
                run.step, run.epoch, name, OWN_NAME, written.old, written.new, written.read_back, 1.0, because,
                written.factor_before, written.peak,
            )  # fmt: skip
            run.note_adjustment(made)
            journal_adjustment(self._journal, made)
            self._dispatch.notify("on_adjusted", run, made)
            self._moved(name)
        self._decider.outcomes.forget()

    def _tell_expired(self, ruled: Ruled) -> None:
        said = "nobody approved it before the check after"
        if isinstance(ruled.proposal, Adjust):
            verdict = Verdict(self._decider.offer_of(ruled, ruled.proposal), "expired", said)
            journal_verdict(self._journal, self._run.step, ruled.strategy, ruled.proposal, verdict, ruled.number)
        else:
            journal_action(self._journal, self._run.step, ruled, "expired", said)

    def _act(self, ruled: Ruled, proposal: Stop | Save | Rollback, off: str) -> None:
        mode, step, total = self._run.mode, self._run.step, self._run.plan.total_steps
        may = mode == "act" or (mode == "ask" and (ruled.approved or isinstance(proposal, Save)))
        if total is not None and step >= total and not isinstance(proposal, Rollback):
            ruling, reason = "refused", "no step is left"
        elif ruled.number is not None:
            ruling, reason = "waiting", "for `steersman approve`"
        elif off or not may:
            ruling, reason = "advised", off or f"the mode is {mode}"
        elif isinstance(proposal, Rollback):
            ruling, reason = self._roll_back(ruled.strategy, proposal)
        else:
            ruling, reason = "accepted", "at the next step"
            if isinstance(proposal, Stop):
                self.stop(f"{ruled.strategy}: {proposal.because}")
            else:
                self.save_because = self.saved_because = f"{ruled.strategy}: {proposal.because}"
        journal_action(self._journal, step, ruled, ruling, reason)

    def _roll_back(self, strategy: str, proposal: Rollback) -> tuple[str, str]:
        recovery, step = self._decider.recovery, self._run.step
        if recovery.is_sharded or (recovery.is_on and not recovery.is_ready):
            why = recovery.why_not or "no healthy snapshot was taken yet"
            there = self._newest_checkpoint(recovery.healthy_at)
            advice = f"resume from {there} with a learning-rate factor of {recovery.factor_of(proposal.factor):g}"
            self.stop(f"{strategy}: {proposal.because}; {why}, so {advice}")
            return "refused", f"{why}; the run stops: {advice}"
        if not recovery.is_ready:
            return "refused", recovery.why_not
        if self.rolled_back:
            return "lost", "the run was rolled back at this check already"
        to_step, left = recovery.restore(), recovery.left
        self.rolled_back = True
        if left == 0:
            self.stops_healthy = True
            self.stop(
                f"{strategy}: {proposal.because}; {recovery.settings.max_rollbacks} rollbacks did not help. "
                f"The weights are those of step {to_step}, the last healthy check"
            )
            return "refused", "every rollback is used; the healthy weights are back, and the run stops"
        recovery.used += 1
        made = RolledBack(step, to_step, strategy, proposal.because, recovery.left)
        journal_rollback(self._journal, made)
        self._dispatch.notify("on_rolled_back", self._run, made)
        return "applied", f"weights and optimizer are those of step {to_step}; rollbacks left: {recovery.left}"

    def _newest_checkpoint(self, before: int | None) -> str:
        saved = [c for c in self._run.checkpoints if c.path is not None and (before is None or c.step <= before)]
        return saved[-1].path or "" if saved else "the newest healthy checkpoint"

    def _halt(self, because: str) -> None:
        self._decider.halted = f"{because}, and nothing is changed any more"
        self._journal.write("note", self._run.step, message=self._decider.halted, severity="warning")
