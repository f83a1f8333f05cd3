"""What a loop and a callback share: the session that runs now, and the state that outlives it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from steersman.checkpoints import first_eval_loss
from steersman.integrations.guarding import Guarded, guarded
from steersman.integrations.metrics import record_of
from steersman.integrations.policy import Policy
from steersman.integrations.torch.session import Session
from steersman.records import Record
from steersman.teacher import Teacher


@frozen
class Evaluated:
    """What Steersman says of an evaluation.

    `score` is lower for better, None where no scorer has an opinion, infinity where the checkpoint may not be best:
    it was rejected, or what `score: require:` names is not there yet or not met.
    """

    score: float | None = None
    is_best: bool = False


class Supervised(Guarded):
    """A run under supervision. `session` is the run, or None outside one; `summary` the facts of one that ended.

    `step` counts the optimizer steps finished.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.session: Session | None = None
        self.summary: dict[str, Any] = {}
        self.step = 0
        self._state: Mapping[str, Any] = {}
        self._said = Evaluated()
        self._lowest = math.inf

    @property
    def teacher(self) -> Teacher:
        """What records calls to a teacher: `with run.teacher() as call:`, `run.teacher.wrap(client)`."""
        return self.policy.teacher

    @property
    def says_itself(self) -> bool:
        return self.policy.config.console

    def watched(self) -> Session | None:
        return self.session

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: JSON values only, the records so far included.

        After the run it is what the run had before its end.
        """
        self._keep_state()
        return {**self._state, "loop_step": self.step}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._state = dict(state_dict)

    @guarded
    def _keep_state(self) -> None:
        if self.session is not None and self.session.is_running:
            self._state = self.session.state()

    def _judge(self, step: int, epoch: float | None, metrics: Mapping[str, Any]) -> Evaluated:
        """Hear an evaluation and return what is said of it."""
        self._said = Evaluated()
        self._hear("eval", step, epoch, metrics)
        return self._said

    @guarded
    def _hear(self, kind: Literal["train", "eval"], step: int, epoch: float | None, metrics: Mapping[str, Any]) -> None:
        self.step = step
        record = record_of(kind, step, epoch, metrics, self.policy.config.metrics)
        if self.session is None:
            self._said = self._by_eval_loss(record)
        elif self.session.is_running and (checkpoint := self.session.hear(record)) is not None:
            ranking = self.session.supervisor.ranking
            best = ranking.best()
            self._said = Evaluated(ranking.standing(checkpoint), best is not None and best.step == step)

    def _by_eval_loss(self, record: Record) -> Evaluated:
        """Return what is said without a session: the eval loss is the score."""
        loss = record.metrics.get(first_eval_loss(record.metrics) or "")
        is_best = loss is not None and loss < self._lowest
        self._lowest = loss if loss is not None and is_best else self._lowest
        return Evaluated(loss, is_best)

    @guarded
    def _heard_of_save(self, path: str | Path, step: int) -> None:
        if self.session is not None:
            self.session.saved(Path(path), step)

    @guarded
    def _finish(self) -> None:
        if self.session is not None and self.session.is_running:
            self._keep_state()
            self.summary = self.session.end()

    def _abandon(self, error: BaseException) -> None:
        """The run ended in an error or Ctrl-C: say so in the journal, and put back the user's values."""
        if self.session is not None and self.session.is_running:
            self._keep_state()
            self.session.note(f"training ended at step {self.step} by {type(error).__name__}, before its end")
            self.session.give_up()
