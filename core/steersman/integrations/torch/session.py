"""One supervised run of any trainer built on torch, from its begin to its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import asdict, evolve, field, frozen

from steersman.checkpoints import Checkpoint
from steersman.config import Config
from steersman.dispatch import Loaded
from steersman.hyperparameters import Registry
from steersman.integrations.announcing import announce
from steersman.integrations.torch.ranks import current_ranks
from steersman.integrations.torch.tokens import TokenCount
from steersman.journal import Journal, JournalEntry, from_json, to_json
from steersman.journaling import journal_own_failure
from steersman.logs import logger
from steersman.readers.run_directory import JOURNAL
from steersman.records import Record
from steersman.reporters.console import Console
from steersman.schedule import RunPlan
from steersman.supervisor import Supervisor

_RECORDS = 20_000
"""How many of the newest records a checkpoint carries where the trainer keeps no log of its own."""


@frozen
class Begin:
    """What an integration knows of a run at its begin.

    `folder` is the run directory; `saved` what the checkpoint it goes on from carries, `past` its records; `notes` are
    sentences for the user; `packages` are named with their versions in the journal. `keeps_records` where the trainer
    keeps no log of its own: then `saved` holds the records.
    """

    folder: Path
    plan: RunPlan
    registry: Registry
    step: int = 0
    saved: Mapping[str, Any] = field(factory=dict[str, Any])
    past: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
    model: Any = None
    packages: tuple[str, ...] = ("torch",)
    forces_logs: bool = False
    subscribers: tuple[Callable[[JournalEntry], None], ...] = ()
    keeps_records: bool = False


class Session:
    """Holds what lives as long as a run: the supervisor, the journal, the hooks on optimizer and model."""

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
        config, saved = self.config, from_json(begin.saved)
        self.ranks = current_ranks()
        self.values = saved.get("values") or begin.registry.values()
        path = Path(config.journal) if config.journal else begin.folder / JOURNAL
        self.journal = Journal(path if self.ranks.is_main else None, self._complain)
        self._complaints: list[str] = []
        self._held.callback(self.journal.close)
        if self.ranks.is_main and config.console:
            self.journal.subscribers.append(Console().hear)
        if self.ranks.is_main:
            self.journal.subscribers.extend(begin.subscribers)
        self.supervisor = Supervisor(
            config, strategies, plan=begin.plan, registry=begin.registry, journal=self.journal, ranks=self.ranks
        )
        self.tokens = TokenCount(begin.model)
        self._held.callback(self.tokens.release)
        self.tokens.resume(saved.get("tokens") or {})
        self._elapsed_before, self._begun = float(saved.get("elapsed") or 0.0), perf_counter()
        kept = tuple(Record(**fields) for fields in saved.get("records") or ())
        past = kept if begin.keeps_records else begin.past
        self._records = deque(kept, _RECORDS) if begin.keeps_records else None
        self.journal.open()
        if config.journal and self.journal.is_open:
            _point_to(path, begin.folder / JOURNAL)
        warned = list(begin.notes)
        if self.ranks.size > 1:
            warned.append(f"{self.ranks.size} ranks: rank 0 decides for all; tokens are those of rank 0")
        problems = self.supervisor.restore(past, saved, step=begin.step)
        announce(self.supervisor, strategies, begin, self.values, warned)
        for problem in problems:
            self.supervisor.note(problem)
        self._flush_complaints()
        self.supervisor.tell_begin()

    @property
    def step(self) -> int:
        """Optimizer steps finished, as far as the log tells."""
        return self.supervisor.progress.step

    def note(self, message: str) -> None:
        """Journal a sentence for the user."""
        self.supervisor.note(message)

    def failed(self, event: str, error: Exception, count: int, *, gives_up: bool) -> None:
        """Journal an error of Steersman's own."""
        journal_own_failure(self.journal, self.supervisor.progress.step, event, error, count, gives_up=gives_up)

    def step_begins(self) -> None:
        """Every record of the step before has arrived; decisions take effect in this one."""
        self.supervisor.settle()
        self.tokens.start()

    def step_ends(self) -> None:
        """The optimizer has stepped."""
        self.tokens.stop()

    def hear(self, record: Record) -> Checkpoint | None:
        """Feed a record with time and tokens; return the scored checkpoint if it closed an evaluation."""
        record = evolve(record, elapsed=self.elapsed())
        if record.kind != "eval":
            record = evolve(record, usage=self.tokens.take())
        if self._records is not None:
            self._records.append(record)
        return self.supervisor.feed(record)

    def saved(self, path: Path, step: int) -> None:
        """Hear that a checkpoint was written."""
        self.supervisor.saved(step, str(path))

    def end(self) -> dict[str, Any]:
        """Finish the run, put back the user's values, and return the summary."""
        try:
            self.supervisor.progress.elapsed = self.elapsed()
            return self.supervisor.end(journal=str(self.journal.path) if self.journal.is_open else None)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Leave the run as it would be without us."""
        self.is_running = False
        self._held.close()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold for a resumed run to decide as this one: JSON values only."""
        attributes = {
            **self.supervisor.save(),
            "elapsed": self.elapsed(),
            "tokens": asdict(self.tokens.pending()),
            "plan": asdict(self.supervisor.plan),
            "values": self.values,
            "records": [asdict(evolve(record, usage=())) for record in self._records or ()],
        }
        plain: dict[str, Any] = to_json(attributes)
        return plain

    def elapsed(self) -> float:
        """Return the seconds of training so far, over resumes."""
        return self._elapsed_before + perf_counter() - self._begun

    def _complain(self, message: str) -> None:
        if not self.config.console:
            logger().warning(message)
        self._complaints.append(message)
        if hasattr(self, "supervisor"):
            self._flush_complaints()

    def _flush_complaints(self) -> None:
        while self._complaints:
            self.supervisor.note(self._complaints.pop(0))


def _point_to(path: Path, place: Path) -> None:
    """Leave a link where the journal of a run is looked for, to a journal that lies elsewhere."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(path.resolve())
    except OSError:
        return  # the journal itself is written; only `explain` must be given its path
