"""Carries out what the arbiter let through: writes values, asks for a stop or a checkpoint, journals each ruling."""

from __future__ import annotations

from attrs import evolve

from steersman.arbiter import Mode, Verdict
from steersman.checks import Ruled
from steersman.decisions import Adjust, Rollback, Save, Stop
from steersman.dispatch import Dispatch
from steersman.hyperparameters import Registry
from steersman.journal import Journal
from steersman.journaling import journal_action, journal_adjustment, journal_verdict
from steersman.run import Adjustment, WritableRun


class Actions:
    """What a run was asked to do. `stop_because` and `save_because` are set when it should at its next step."""

    def __init__(self, run: WritableRun, registry: Registry, journal: Journal, dispatch: Dispatch) -> None:
        self.stop_because: str | None = None
        self.save_because: str | None = None
        self._run, self._registry, self._journal, self._dispatch = run, registry, journal, dispatch

    def carry_out(self, ruled: Ruled) -> None:
        """Act on one ruling, on every rank alike."""
        if isinstance(ruled.proposal, Adjust) and ruled.verdict is not None:
            self._adjust(ruled.strategy, ruled.proposal, ruled.verdict)
        elif not isinstance(ruled.proposal, Adjust):
            self._act(ruled.strategy, ruled.proposal, self._run.mode)

    def _adjust(self, strategy: str, proposal: Adjust, verdict: Verdict) -> None:
        made: Adjustment | None = None
        if verdict.ruling == "accepted" and verdict.new is not None:
            verdict, made = self._write(strategy, proposal, verdict, verdict.new)
        journal_verdict(self._journal, self._run.step, strategy, proposal, verdict)
        if made is not None:
            self._run.note_adjustment(made)
            journal_adjustment(self._journal, made)
            self._dispatch.notify("on_adjusted", self._run, made)

    def _write(
        self, strategy: str, proposal: Adjust, verdict: Verdict, new: float
    ) -> tuple[Verdict, Adjustment | None]:
        name, run = proposal.hyperparameter, self._run
        written = self._registry.write(name, new, verdict.ratio)
        if written.error:
            return evolve(verdict, ruling="failed", reason=f"{name} is given up: {written.error}"), None
        factor = self._registry.get(name).factor
        made = Adjustment(
            run.step, run.epoch, name, strategy, written.old, new, written.read_back, factor, proposal.because
        )
        return evolve(verdict, ruling="applied"), made

    def _act(self, strategy: str, proposal: Stop | Save | Rollback, mode: Mode) -> None:
        ruling, reason = ("accepted", "at the next step") if mode == "act" else ("advised", f"the mode is {mode}")
        total = self._run.plan.total_steps
        if isinstance(proposal, Rollback):
            ruling, reason = "refused", "this release keeps no snapshots to roll back to"
        elif total is not None and self._run.step >= total:
            ruling, reason = "refused", "no step is left"
        elif mode == "act" and isinstance(proposal, Stop):
            self.stop_because = f"{strategy}: {proposal.because}"
        elif mode == "act":
            self.save_because = f"{strategy}: {proposal.because}"
        journal_action(self._journal, self._run.step, strategy, proposal, ruling, reason)
