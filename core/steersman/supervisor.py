"""The loop: a pure function of the records, delegating to the rooms around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from steersman import summary
from steersman.actions import Actions
from steersman.arbiter import Rails
from steersman.checkpoints import Checkpoint, Evaluation, Evaluations, train_loss_of
from steersman.checks import Check, Outcome, Reason, examine
from steersman.config import Config
from steersman.decisions import Score
from steersman.dispatch import Dispatch, Failure, Loaded, StrategyError
from steersman.history import WritableHistory
from steersman.hyperparameters import Registry
from steersman.journal import Journal, JournalEntry
from steersman.journaling import journal_check, journal_failure, journal_record, journal_scores
from steersman.loading import register
from steersman.ranking import Ranking
from steersman.ranks import OneProcess, Ranks
from steersman.records import Record
from steersman.run import Progress, WritableRun
from steersman.saved_state import VERSION as STATE_VERSION
from steersman.saved_state import (
    adjustments_state,
    give_back,
    ranking_state,
    restore_adjustments,
    restore_ranking,
    strategies_state,
)
from steersman.schedule import Due, RunPlan, cadence
from steersman.windows import Window, Windows, anomalies


class Supervisor:
    """Hears records, asks the strategies, carries out what the arbiter lets through, and journals all of it.

    `feed` every record in order, `settle` when a step's records are all in, `end` once. `actions` tells when the run
    should stop or save at its next step.
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
        replaying: bool = False,
    ) -> None:
        self.config, self.plan = config, plan or RunPlan()
        self.registry, self.journal = registry or Registry(), journal or Journal(None)
        self.ranks: Ranks = ranks or OneProcess()
        self.history, self.windows, self.progress = WritableHistory(), Windows(), Progress()
        self.ranking = Ranking(tuple(loaded.name for loaded in strategies))
        self.evaluations = Evaluations(self.plan.evaluation_sets)
        self.due = Due(cadence(config.check_every, self.plan))
        asked = strategies if self.ranks.is_main else ()
        self.dispatch = Dispatch(register(asked), asked, self._failed, tolerance=config.quarantine_after)
        self.run = WritableRun(
            self.history, self.windows, self.ranking, self.registry, self.progress, self.plan, config.mode,
            replaying=replaying,
        )  # fmt: skip
        self.actions = Actions(self.run, self.registry, self.journal, self.dispatch)
        if not replaying and self.dispatch.has("on_journaled"):
            self.journal.subscribers.append(self._tell)
        self._open: int | None = None
        self._evaluated = self._scored = self._alarmed = self._telling = False
        self._sick: set[str] = set()
        self._stand_in_said = False
        self._dropped: set[str] = set()
        self._judging, self._journals_records = True, not replaying

    def begin(
        self, past: Iterable[Record] = (), saved: Mapping[str, Any] | None = None, *, step: int = 0
    ) -> tuple[str, ...]:
        """Start at `step`: `restore` what a resumed run needs, then tell the strategies."""
        problems = self.restore(past, saved, step=step)
        self.tell_begin()
        return problems

    def tell_begin(self) -> None:
        """Tell the strategies that the run begins."""
        self.dispatch.notify("on_train_begin", self.run)

    def restore(
        self, past: Iterable[Record] = (), saved: Mapping[str, Any] | None = None, *, step: int = 0
    ) -> tuple[str, ...]:
        """Bring back a run at `step`: `past` are its records, `saved` is the state its checkpoint carries.

        Returns a sentence for each thing that could not be given back.
        """
        self.windows.start(0)
        self.due.start(0, None)
        self._judging = False
        for record in past:
            self.feed(record)
        if self._open is not None and step > self._open:
            self.settle()  # a later step had begun, so what this one asks for is decided
        self._judging = True
        self.progress.step = max(self.progress.step, step)
        problems: tuple[str, ...] = ()
        if saved:
            problems = give_back(self.dispatch.strategies, saved.get("strategies", {}))
            problems += self.registry.restore(saved.get("hyperparameters", {}))
            restore_ranking(self.ranking, saved.get("ranking", {}))
            for adjustment in restore_adjustments(saved.get("adjustments", [])):
                self.run.note_adjustment(adjustment)
        return problems

    def feed(self, record: Record) -> Checkpoint | None:
        """Hear one record; return the scored checkpoint if it closed an evaluation."""
        if record.step != self._open or record.kind == "summary":
            self.settle()
        self._open = record.step
        progress = self.progress
        progress.step = record.step
        progress.epoch = record.epoch if record.epoch is not None else progress.epoch
        progress.elapsed = record.elapsed if record.elapsed is not None else progress.elapsed
        self.history.append(record)
        if self._journals_records and self._judging:
            journal_record(self.journal, record)
        if record.dropped and self._judging:
            self._say_dropped(record.dropped)
        if record.kind != "summary":
            self.windows.add(record)
            self._look_for_anomalies(record)
        if record.kind != "eval":
            if self._judging:
                self.dispatch.notify("on_log", self.run, record)
            return None
        evaluation = self.evaluations.add(record)
        self._evaluated, self._scored = True, evaluation is not None
        return self._score(evaluation) if evaluation is not None else None

    def settle(self) -> None:
        """Every record of the open step has arrived: close windows and run the check that is due."""
        if self._open is None:
            return
        step, self._open = self._open, None
        if self._evaluated and not self._scored and (late := self.evaluations.close()) is not None:
            self._score(late)
        epoch_closed = self.due.epoch_closed(self.progress.epoch)
        if epoch_closed:
            window = self.windows.close_epoch(step)
            if self._judging:
                self.dispatch.notify("on_epoch_end", self.run, window)
        if self.due.check(step, epoch_closed=epoch_closed, evaluated=self._evaluated):
            self._check("scheduled", self.windows.close_check(step))
        elif self._alarmed:
            self._check("anomaly", self.windows.check.close())
        self._evaluated = self._scored = self._alarmed = False

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
        self.dispatch.notify("on_train_end", self.run)
        for problem in self.registry.release():
            self.note(problem)
        told = {
            **summary.choices(self.ranking),
            "changes": len(self.run.adjustments),
            "elapsed": self.progress.elapsed,
            "never_came": summary.never_came(self.history, self._dropped),
            "strategy_seconds": self.dispatch.seconds(),
            **facts,
        }
        self.journal.write("end", self.progress.step, **told)
        return told

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry for a resumed run to decide as this one."""
        return {
            "version": STATE_VERSION,
            "step": self.progress.step,
            "elapsed": self.progress.elapsed,
            "strategies": strategies_state(self.dispatch.strategies),
            "hyperparameters": self.registry.save(),
            "ranking": ranking_state(self.ranking),
            "adjustments": adjustments_state(self.run.adjustments),
        }

    def note(self, message: str, *, severity: str = "warning") -> None:
        """Journal a sentence for the user."""
        self.journal.write("note", self.progress.step, message=message, severity=severity)

    def _say_dropped(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._dropped and len(self._dropped) < 100:
                self._dropped.add(name)
                self.note(f"the metric {name!r} came as something that is no number; such values are left out")

    def _look_for_anomalies(self, record: Record) -> None:
        sick = set(anomalies(record))
        self._alarmed = self._alarmed or bool(sick - self._sick)
        self._sick = (self._sick - set(record.metrics)) | sick

    def _score(self, evaluation: Evaluation) -> Checkpoint | None:
        if self.history["eval_loss"].latest_step != evaluation.step and "eval_loss" in evaluation.metrics:
            self.history.append_value("eval_loss", evaluation.step, evaluation.metrics["eval_loss"])
        if not self._judging:
            return None
        stands_in = self.evaluations.stands_in
        if stands_in is not None and not self._stand_in_said:
            self._stand_in_said = True
            self.note(
                f"eval_loss is taken from {stands_in}, the first evaluation set; set `metrics:` or `score:` to choose"
            )
        loss = train_loss_of(evaluation, self.history)
        checkpoint = Checkpoint(evaluation.step, evaluation.epoch, evaluation.metrics, loss)
        self.dispatch.notify("on_eval", self.run, evaluation)
        nobody: dict[str, Score] = {}
        scores = self.ranks.agree(lambda: self.dispatch.scores(self.run, checkpoint), nobody)
        checkpoint = evolve(checkpoint, scores=scores)
        self.ranking.add(checkpoint)
        journal_scores(self.journal, checkpoint)
        self.dispatch.notify("on_checkpoint_scored", self.run, checkpoint)
        return checkpoint

    def _check(self, reason: Reason, window: Window | None) -> None:
        if not self._judging or (reason != "end" and not self.config.logging.epoch_health_check_enabled):
            return
        step = self.progress.step
        check = Check(step, self.progress.epoch, reason, window, self.windows.closed)
        over = self.plan.total_steps is not None and step >= self.plan.total_steps
        rails = Rails(self.config.mode, self.config.allowed, is_last_step=over)
        values = self.registry.values()
        outcome = self.ranks.agree(lambda: examine(check, self.run, self.dispatch, self.registry, rails), Outcome())
        journal_check(self.journal, check, outcome, values)
        for ruled in outcome.rulings:
            self.actions.carry_out(ruled)

    def _failed(self, failure: Failure) -> None:
        journal_failure(self.journal, self.progress.step, failure)
        if self.config.on_error == "raise":
            raise StrategyError(f"{failure.loaded.name} failed in {failure.hook}: {failure.error}") from failure.error
        if self.config.on_error == "stop":
            self.actions.stop_because = (
                f"{failure.loaded.name} failed in {failure.hook} and `on_error` is stop: {failure.error}"
            )

    def _tell(self, entry: JournalEntry) -> None:
        if not self._telling:
            self._telling = True
            try:
                self.dispatch.notify("on_journaled", self.run, entry)
            finally:
                self._telling = False
