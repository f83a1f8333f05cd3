"""One supervised run of any trainer built on torch, from its begin to its end."""

from __future__ import annotations

import math
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import cattrs
from attrs import asdict, evolve

from steersman.accounting.budgets import Budget
from steersman.alarms import WATCHED_STEPS
from steersman.averaging.candidates import Candidate, worth_a_try
from steersman.checkpoints import Checkpoint
from steersman.config import Config
from steersman.control import mark_stopped
from steersman.examples import FILE, ExampleLosses
from steersman.integrations.announcing import announce, budgets_told, will_not_change
from steersman.integrations.earlier_runs import heard_of, leave_factors
from steersman.integrations.meters import Meters, Stopwatch
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.ranks import current_ranks
from steersman.integrations.torch.recovery import recovery_of, told
from steersman.integrations.torch.step_guarding import guard_of
from steersman.integrations.torch.tokens import TokenCount
from steersman.integrations.torch.watching import control_of, watch_for_nan
from steersman.journal import Journal, from_json, to_json
from steersman.journaling import journal_own_failure
from steersman.late.hearing import JournalLines
from steersman.loaded import Loaded
from steersman.logs import logger
from steersman.readers.run_directory import JOURNAL, point_to
from steersman.records import Record
from steersman.reporters.console import Console
from steersman.reporters.isolation import isolated
from steersman.saved_state import readable
from steersman.supervisor import Supervisor

_RECORDS = 20_000
"""How many of the newest records a checkpoint carries where the trainer keeps no log of its own."""
_UNLOGGED = 64
"""How many of the newest records it carries that no trainer logged: those of non-finite steps."""
_BUDGET_EVERY = 10
"""After how many steps a budget is looked at where nothing is logged: one read from the device."""
_converter = cattrs.Converter()


class Session:
    """Holds what lives as long as a run: the supervisor, the journal, the hooks on optimizer and model.

    `step` counts the optimizer steps finished, as far as they are known.
    """

    def __init__(self, config: Config, strategies: tuple[Loaded, ...], begin: Begin) -> None:
        self.config = config
        self.is_running = True
        self._held = ExitStack()  # what must be given back, also where the rest of this fails
        self._held.callback(begin.registry.release)
        try:
            self._start(strategies, begin)
        except BaseException:
            self._held.close()
            raise

    def _start(self, strategies: tuple[Loaded, ...], begin: Begin) -> None:
        config = self.config
        saved, too_new = readable(from_json(begin.saved))
        self.ranks = current_ranks()
        self.values = saved.get("values") or begin.registry.values()
        path = Path(config.journal) if config.journal else begin.folder / JOURNAL
        self.journal = Journal(path if self.ranks.is_main else None, self._complain)
        self._complaints: list[str] = []
        self._held.callback(self.journal.close)
        if self.ranks.is_main:
            reporters = (*((Console().hear,) if config.console else ()), *begin.reporters)
            self.journal.subscribers.extend(isolated(hear) for hear in reporters)
        if begin.listener is not None:
            self.journal.subscribers.append(begin.listener)
        self.folder = begin.folder / JOURNAL.parent
        recovery = recovery_of(config, strategies, begin.model, begin.optimizer, begin.scaler, self.folder, self.ranks)
        self.facts = {**begin.facts, "the number of ranks": self.ranks.size}
        self._watch = watch_for_nan(begin, recovery, self.journal, self._held)
        self.supervisor = Supervisor(
            config,
            strategies,
            plan=evolve(begin.plan, keeps_snapshots=recovery.is_on),
            registry=begin.registry,
            journal=self.journal,
            ranks=self.ranks,
            control=control_of(self.folder, saved, self.ranks, self._complain),
            recovery=recovery,
            late=JournalLines(self.journal, resumed=begin.step > 0),
            facts=self.facts,
            steps_begin_late=begin.steps_begin_late,
        )
        self._held.callback(self.supervisor.close)
        self.tokens = begin.tokens or TokenCount(begin.model, hooks=begin.counts_forwards)
        self.meters = Meters(self.ranks, self.note)
        self._held.callback(self.meters.release)
        earlier = self.ranks.agree(lambda: heard_of(self.folder, self.journal.path, begin.step, saved, config.mode))
        self.meters.resume(saved.get("usage") or (), earlier.usage)
        for meter in (self.tokens, *begin.meters(self.tokens.exclude)):
            self.meters.add(meter)
        self.stopwatch = Stopwatch()
        self._elapsed_before, self._begun = float(saved.get("elapsed") or 0.0), perf_counter()
        self.step = begin.step
        self._unlogged = deque((_converter.structure(r, Record) for r in saved.get("unlogged", ())), _UNLOGGED)
        kept = tuple(_converter.structure(r, Record) for r in saved.get("records") or ())
        self._records = deque(kept, _RECORDS) if begin.keeps_records else None
        self.journal.open()
        if config.journal and self.journal.is_open:
            point_to(path, begin.folder / JOURNAL)
        counted = self.meters.ledgers() - ({"backpropagation"} if begin.model is None else set())
        warned = [*begin.notes, *will_not_change(begin.registry, config), *budgets_told(config, counted)]
        warned += [too_new] if too_new else []
        if self.ranks.size > 1:
            warned.append(f"{self.ranks.size} ranks: rank 0 decides for all; tokens are those of all")
        recovery.used = earlier.rollbacks
        self._stopped_before = earlier.stopped_because
        if earlier.stopped_because and config.mode in ("ask", "act"):
            self.supervisor.actions.stop_because = earlier.stopped_because
        warned += earlier.notes
        for what, seconds in earlier.spent.items():
            self.stopwatch.add(what, seconds)
        if (snapshots := told(recovery)) != "":
            warned.append(snapshots)
        past = sorted((*self._unlogged, *(kept if begin.keeps_records else begin.past)), key=lambda record: record.step)
        problems = self.supervisor.restore(past, saved, step=begin.step)
        announce(
            self.supervisor, strategies, begin, self.values, self.facts, warned,
            superseded=earlier.superseded, settled=int(saved.get("settled", -1)),
        )  # fmt: skip
        for problem in problems:
            self.supervisor.note(problem)
        self._flush_complaints()
        examples = ExampleLosses(self.folder / FILE if self.ranks.is_main else None, self.note)
        self.supervisor.scoring.examples = examples
        self._held.callback(examples.open(resumed=begin.step > 0))
        self.supervisor.tries = self.try_averages
        self.supervisor.tell_begin()
        self.steps = guard_of(self.supervisor, begin, saved.get("guard") or {})
        if self.steps is not None:
            self._held.callback(self.steps.release)
            if self._watch is not None:
                self._watch.guard = self.steps
        if begin.step and (because := self.supervisor.accounting.spent(self._elapsed_before, begin.step)):
            self._stopped_before = self.supervisor.actions.stop_because = because

    def note(self, message: str) -> None:
        """Journal a sentence for the user."""
        self.supervisor.note(message)

    def failed(self, event: str, error: Exception, count: int, *, gives_up: bool) -> None:
        """Journal an error of Steersman's own."""
        journal_own_failure(self.journal, self.supervisor.progress.step, event, error, count, gives_up=gives_up)

    def step_begins(self) -> None:
        """Every record of the step before has arrived; decisions take effect in this one."""
        self.supervisor.settle(step_begins=True)
        if self.config.budget.is_set:
            self._see_to_budgets(self.config.budget)
        self.tokens.start()

    def step_ends(self, step: int, epoch: float | None = None) -> None:
        """Optimizer step `step` (from 1) was made, after so many epochs."""
        self.meters.reach(epoch)
        self.tokens.stop()
        self.meters.step_ended()
        self.stopwatch.mark()
        self.step = step
        seen = self._watch.seen() if self._watch is not None else None
        if seen is not None:
            self._unlogged.append(Record(step, "train", {seen: math.nan, WATCHED_STEPS: 1.0}, elapsed=self.elapsed()))
            self.supervisor.feed(self._unlogged[-1])

    def hear(self, record: Record) -> Checkpoint | None:
        """Feed a record with time and tokens; return the scored checkpoint if it closed an evaluation."""
        self.step = record.step
        self.meters.reach(record.epoch)
        if record.kind == "eval":
            self.stopwatch.went_into("evaluation")
            self.meters.sum_pending()
        else:
            record = self.with_steps(evolve(record, usage=self.meters.take()))
        record = evolve(record, elapsed=self.elapsed(), spent=self.stopwatch.take())
        if self._records is not None:
            self._records.append(record)
        try:
            if record.kind == "eval":
                self.supervisor.scoring.examples.hear(record.step)
            return self.supervisor.feed(record)
        finally:
            self.stopwatch.mark()

    def with_steps(self, record: Record) -> Record:
        """Return a training log with what a guard of the steps tells of those since the log before."""
        return self.steps.heard(record) if self.steps is not None and record.kind == "train" else record

    def saved(self, path: Path, step: int) -> None:
        """Hear that a checkpoint was written."""
        self.stopwatch.went_into("checkpointing")
        self.leave_factors(path)
        self.supervisor.saved(step, str(path))

    def stops(self) -> str:
        """Return why the run must stop now, once, or nothing; a mark is left, so that a requeued run stops again."""
        actions = self.supervisor.actions
        because, actions.stop_because = actions.stop_because, None
        if because is None:
            return ""
        if actions.stops_healthy:
            self.supervisor.recovery.restore()
        self.supervisor.note(f"the run stops: {because}")
        try:
            if self.ranks.is_main and not self._stopped_before and not self.supervisor.accounting.is_spent:
                mark_stopped(self.folder, self.step, because)
        except OSError as error:
            self.supervisor.note(f"no mark of the stop could be left in {self.folder}: {error.strerror or error}")
        return because

    @property
    def was_stopped_before(self) -> bool:
        """Whether this is the run of somebody who has not cleared its stop: there is nothing new to save."""
        return bool(self._stopped_before)

    def leave_factors(self, checkpoint: Path) -> None:
        """Leave in a checkpoint directory, for people and other tools, what its optimizer state does not hold."""
        if self.ranks.is_main and checkpoint.is_dir():
            leave_factors(checkpoint, self.step, self.supervisor.registry)

    def end(self) -> dict[str, Any]:
        """Finish the run, put back the user's values, and return the summary."""
        try:
            usage, spent = self.meters.take(), self.stopwatch.take()
            if usage or spent:
                self.supervisor.feed(Record(self.step, "summary", elapsed=self.elapsed(), usage=usage, spent=spent))
            self.supervisor.progress.elapsed = self.elapsed()
            return self.supervisor.end(journal=str(self.journal.path) if self.journal.is_open else None)
        finally:
            self.give_up()

    def try_averages(self, candidates: tuple[Candidate, ...]) -> None:
        """Make and evaluate the averages that are proposed, where the trainer can be asked to; else say which."""
        self.supervisor.note(worth_a_try(candidates), severity="info")

    def give_up(self) -> None:
        """Leave the run as it would be without us."""
        self.is_running = False
        self._held.close()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold for a resumed run to decide as this one: JSON values only."""
        attributes = {
            **self.supervisor.save(),
            "step": self.step,
            "elapsed": self.elapsed(),
            "usage": self.meters.pending(),
            "plan": asdict(self.supervisor.plan),
            "values": self.values,
            "facts": self.facts,
            "guard": self.steps.state() if self.steps is not None else None,
            "records": [asdict(evolve(record, usage=(), spent={})) for record in self._records or ()],
            "unlogged": [asdict(record) for record in self._unlogged],
        }
        plain: dict[str, Any] = to_json(attributes)
        return plain

    def elapsed(self) -> float:
        """Return the seconds of training so far, over resumes."""
        return self._elapsed_before + perf_counter() - self._begun

    def _see_to_budgets(self, budget: Budget) -> None:
        is_turn = self.step > 0 and self.step % _BUDGET_EVERY == 0
        if is_turn or (budget.hours is not None and self.ranks.size == 1):  # clocks of ranks differ: they must agree
            more = self.meters.so_far() if is_turn and budget.counts else ()
            self.supervisor.see_to_budgets(self.elapsed(), self.step, more)

    def _complain(self, message: str) -> None:
        if not self.config.console:
            logger().warning(message)
        self._complaints.append(message)
        if hasattr(self, "supervisor"):
            self._flush_complaints()

    def _flush_complaints(self) -> None:
        while self._complaints:
            self.supervisor.note(self._complaints.pop(0))
