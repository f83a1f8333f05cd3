"""The loop: a pure function of the records, delegating to the rooms around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steersman import fingerprint, finishing, resuming, saved_state
from steersman.accounting.accounting import Accounting
from steersman.accounting.ledgers import Ledgers
from steersman.actions import Actions
from steersman.alarms import Alarms
from steersman.averaging.candidates import Tries
from steersman.calls import Hooks
from steersman.checkpoints import Checkpoint, Evaluations
from steersman.checks import Check, Reason
from steersman.config import Config
from steersman.control import Control, Nobody
from steersman.deciding import Decider
from steersman.dispatch import Dispatch
from steersman.failures import Failures
from steersman.history import WritableHistory
from steersman.journal import Journal
from steersman.journaling import journal_check, journal_dropped, journal_record
from steersman.late.hearing import LateHearing, LateSource
from steersman.loaded import Loaded
from steersman.loading import register
from steersman.ranking import Ranking
from steersman.ranks import OneProcess, Ranks
from steersman.records import Record, Usage
from steersman.registry import Registry
from steersman.restarting import Restarts
from steersman.run import Progress, WritableRun
from steersman.schedule import Due, RunPlan, cadence
from steersman.scoring import Scoring
from steersman.skimming import Position, Skimming
from steersman.snapshots import Recovery
from steersman.step_guard import StepGuard
from steersman.tables import Block, Records
from steersman.windows import Window, Windows

if TYPE_CHECKING:
    from steersman.readers.recording import Resumed


class Supervisor:
    """Hears records, asks the strategies, carries out what the arbiter lets through, and journals all of it.

    `feed` every record in order, `settle` when a step's records are all in, `end` once. `actions` tells when the run
    should stop or save at its next step. `tries`, where it is set, tries the averages that are proposed at the end.
    `steps_begin_late` is whether a step has its gradients when it begins here.
    Hooks with effects outside the run are called in a replay only with `effects`. `hooks` are those of the strategies,
    where a plan has found them. `close` it in the end.
    """

    def __init__(
        self,
        config: Config,
        strategies: tuple[Loaded, ...],
        *,
        plan: RunPlan | None = None,
        registry: Registry | None = None,
        journal: Journal | None = None,
        ranks: Ranks | None = None,
        control: Control | None = None,
        recovery: Recovery | None = None,
        late: LateSource | None = None,
        facts: Mapping[str, object] | None = None,
        history: WritableHistory | None = None,
        progress: Progress | None = None,
        replaying: bool = False,
        steps_begin_late: bool = False,
        effects: bool = False,
        hooks: Hooks | None = None,
    ) -> None:
        self.steps_begin_late = steps_begin_late
        self.config, self.plan = config, plan or RunPlan()
        self.registry, self.journal = registry or Registry(), journal or Journal(None)
        self.ranks: Ranks = ranks or OneProcess()
        self.history, self.windows, self.progress = history or WritableHistory(), Windows(), progress or Progress()
        self.ranking = Ranking(tuple(loaded.name for loaded in strategies), config.require)
        self.alarms, self.due = Alarms(), Due(cadence(config.check_every, self.plan))
        self.fingerprint = fingerprint.of(facts or {}, strategies)
        failures = self.failures = Failures(self.journal, self.progress, is_told=config.console or replaying)
        self._may_stop = any(loaded.on_error == "stop" for loaded in strategies)
        asked = strategies if self.ranks.is_main else ()
        self.dispatch = Dispatch(
            register(asked) if hooks is None or not asked else hooks, asked, self.failures.hear,
            on_overrun=self.failures.overrun, tolerance=config.quarantine_after,
        )  # fmt: skip
        self.watchdog = None if replaying else self.dispatch.watch()
        self.run = WritableRun(
            self.history, self.windows, self.ranking, self.registry, self.progress, self.plan, config.mode,
            replaying=replaying, ledgers=Ledgers(), prices=config.prices,
        )  # fmt: skip
        self.accounting = Accounting(
            self.run.ledgers, config.prices, config.budget, self.progress, self.journal, self.ranks, config.mode
        )
        self.recovery = recovery or Recovery(config.recovery)
        self.decider = Decider(
            config, self.run, self.dispatch, self.registry, self.plan, control or Nobody(), self.recovery,
            lambda: failures.stop_because or "",
        )  # fmt: skip
        self.restarts = Restarts(self.windows, self.ranking, self.progress, self.journal)
        self.actions = Actions(
            self.run, self.registry, self.journal, self.dispatch, self.decider, self.ranks, self.restarts.begin_anew
        )
        self.scoring = Scoring(
            self.run, self.history, self.ranking, self.dispatch, self.ranks, self.journal,
            Evaluations(self.plan.evaluation_sets), fingerprint.short(self.fingerprint),
        )  # fmt: skip
        self.late = LateHearing(self.scoring, late)
        if self.dispatch.has("on_journaled") and (not replaying or effects):
            dispatch, run = self.dispatch, self.run
            self.journal.subscribers.append(lambda entry: dispatch.tell_journaled(run, entry))
        self.tries: Tries | None = None
        self.at, self.not_comparable = Position(), ""
        self.guards: tuple[tuple[str, StepGuard], ...] = ()
        self.judging, self._journals_records = True, not replaying

    def begin(
        self, past: Iterable[Record] = (), saved: Mapping[str, Any] | None = None, *, step: int = 0
    ) -> tuple[str, ...]:
        """Start at `step`: `restore` what a resumed run needs, then tell the strategies."""
        problems = self.restore(past, saved, step=step)
        self.tell_begin()
        return problems

    def tell_begin(self) -> None:
        """Tell the strategies that the run begins; keep the state it begins with; ask who guards its steps."""
        if self.not_comparable:
            self.journal.write("restart", self.progress.step, because=self.not_comparable)
        self.recovery.take(self.progress.step)
        if self.watchdog is not None:
            self.watchdog.start()
        self.dispatch.notify("on_train_begin", self.run)
        self.guards = self.ranks.agree(lambda: self.dispatch.guards(self.run))

    def restore(
        self, past: Iterable[Record] = (), saved: Mapping[str, Any] | None = None, *, step: int = 0
    ) -> tuple[str, ...]:
        """Bring back a run at `step`: `past` are its records, `saved` is the state its checkpoint carries.

        Returns a sentence for each thing that could not be given back, or that begins anew.
        """
        return resuming.restore(self, past, saved or {}, step=step)

    def go_on(self, resumed: Resumed) -> None:
        """Hear, in a replay, that the run was resumed: with the rollbacks and the ledgers of its checkpoint."""
        self.recovery.used = resumed.rollbacks
        self.recovery.take(resumed.step)
        if resumed.accounting is not None:
            self.accounting.restore(resumed.accounting)

    def feed(self, record: Record, row: Block | None = None) -> Checkpoint | None:
        """Hear one record, perhaps a `row` of a table; return the scored checkpoint if it closed an evaluation."""
        if record.step != self.at.open or record.kind == "summary":
            self.settle()
        if self.alarms.has_undone:
            record, row = self.alarms.without_undone(record, self.windows.last_log), None
        self.at.open = record.step
        self.progress.hear(record)
        self.accounting.hear(record)
        if row is None:
            self.history.append(record)
        else:
            self.history.extend(*row)
        if self._journals_records and self.judging:
            journal_record(self.journal, record)
        if record.dropped and self.judging:
            journal_dropped(self.journal, record, self.at.dropped)
        if record.kind != "summary":
            self.windows.add(record, row)
            self.alarms.hear(record)
        if record.kind != "eval":
            if self.judging:
                self.dispatch.tell_log(self.run, record)
            return None
        self.at.evaluated = True
        return self.scoring.hear(record, judging=self.judging)

    def feed_all(self, records: Sequence[Record]) -> None:
        """Hear every record in order, as `feed` would; train logs of which nothing follows are taken together."""
        hears_each = self._journals_records or self.dispatch.hears_every_log or self.alarms.has_undone
        if isinstance(records, Records) and self.judging and not hears_each:
            Skimming(
                self.at, self.history, self.windows, self.progress, self.due, self.alarms, self.registry, self.settle,
                self.feed,
            ).feed(records)  # fmt: skip
        else:
            for record in records:
                self.feed(record)

    def settle(self, *, step_begins: bool = False) -> None:
        """Close the open step and carry out its check; where the next one begins, what waits may come into force."""
        at = self.at
        if at.open is not None:
            step, at.open = at.open, None
            self._close(step)
            at.settled = step
        if self.judging and (step_begins or self.run.replaying) and self.registry.is_waiting:
            self.actions.take_effects()

    def _close(self, step: int) -> None:
        if self.at.evaluated:
            self.scoring.close(judging=self.judging)
        epoch_closed = self.due.epoch_closed(self.progress.epoch)
        if epoch_closed:
            self.accounting.close_epoch()
            window = self.windows.close_epoch(step)
            if self.judging:
                self.dispatch.notify("on_epoch_end", self.run, window)
        if self.due.check(step, epoch_closed=epoch_closed, evaluated=self.at.evaluated):
            self._check("scheduled", self.windows.close_check(step))
        elif self.judging and self.ranks.agree(lambda: self.alarms.is_ringing):  # a loss may be NaN on one rank only
            self._check("anomaly", self.windows.check.close())
        self.at.evaluated = False
        self.alarms.silence()
        if step in self.at.undone and not self.judging:
            self._leave_undone(step)
        if self._may_stop and self.judging and (because := self.ranks.agree(self.failures.take)) is not None:
            self.actions.stop(because)
        if self.judging:
            self.see_to_budgets()

    def see_to_budgets(
        self, elapsed: float | None = None, step: int | None = None, more: tuple[Usage, ...] = ()
    ) -> None:
        """Ask for a stop where a budget is spent after `elapsed` seconds and `step` steps; `more` is not logged yet."""
        if because := self.accounting.spent(elapsed, step, more):
            self.actions.stop(because)

    def saved(self, step: int, path: str) -> None:
        """Hear that the checkpoint of `step` was written to `path`."""
        known = self.ranking.mark_saved(step, path)
        checkpoint = known or Checkpoint(step, self.progress.epoch, {}, None, path=path)
        self.journal.write("checkpoint_saved", step, path=path, evaluated=known is not None)
        self.dispatch.notify("on_checkpoint_saved", self.run, checkpoint)

    def end(self, **facts: Any) -> dict[str, Any]:
        """Run the last check, put back the user's values, journal the summary and return it."""
        self.settle()
        enabled = self.config.logging.epoch_health_check_enabled
        partial = self.windows.check.close(is_partial=True) if enabled and self.windows.check.logs else None
        self._check("end", partial)
        return self.end_unchecked(**facts)

    def end_unchecked(self, **facts: Any) -> dict[str, Any]:
        """End without a last check: a run that was killed had none."""
        self.settle()
        return finishing.finish(self, facts)

    def close(self) -> None:
        """Watch the strategies no more."""
        if self.watchdog is not None:
            self.watchdog.stop()

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry for a resumed run to decide as this one."""
        return saved_state.of(self)

    def note(self, message: str, *, severity: str = "warning") -> None:
        """Journal a sentence for the user."""
        self.journal.write("note", self.progress.step, message=message, severity=severity)

    def _check(self, reason: Reason, window: Window | None) -> None:
        step = self.progress.step
        if self.judging and reason != "anomaly":
            self.late.hear(step, reason)
        if not self.judging or (reason != "end" and not self.config.logging.epoch_health_check_enabled):
            return
        check = Check(step, self.progress.epoch, reason, window, self.windows.closed)
        values = self.registry.values()
        outcome = self.ranks.agree(lambda: self.decider.decide(check))
        journal_check(self.journal, check, outcome, values)
        if reason == "scheduled":
            self.accounting.tell()
        self.actions.carry_out(outcome)
        if self.actions.rolled_back:
            self.actions.rolled_back = False
            self.at.undone.append(step)
            self._leave_undone(step)
        elif outcome.is_sound and reason == "scheduled":
            self.recovery.hear_sound(step, self.ranking.best(), check.windows, self.history)

    def _leave_undone(self, step: int) -> None:
        self.alarms.rolled_back(step, spoils_next=self.steps_begin_late)
        self.windows.drop_open(step)
