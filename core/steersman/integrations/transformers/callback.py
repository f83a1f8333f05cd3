"""The callback: turns the Trainer's events into records, and decisions into what the Trainer understands."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_callback import TrainerCallback

from steersman.config.reading import Source
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.guarding import TOLERANCE, Guarded, guarded
from steersman.integrations.policy import Policy, is_switched_off
from steersman.integrations.transformers import native_score
from steersman.integrations.transformers.session import TrainerSession
from steersman.records import kind_of
from steersman.teacher import Teacher


def _put_back_after(train: Callable[..., Any], callback: SteersmanCallback) -> Callable[..., Any]:
    """Return the Trainer's `train` such that an exception, Ctrl-C too, leaves the user's values behind it.

    The Trainer tells its callbacks nothing of either.
    """

    @functools.wraps(train)
    def trains(*args: Any, **kwargs: Any) -> Any:
        try:
            return train(*args, **kwargs)
        except BaseException as error:
            callback.interrupted(error)
            raise

    return trains


class SteersmanCallback(Guarded, TrainerCallback):  # type: ignore[misc]
    """Supervises the Trainer it is given to. `steersman.supervise(trainer, config)` makes and places it.

    As `callbacks=[SteersmanCallback(config)]` it works without the trainer itself, and says at train begin what it
    cannot do. `session` is the supervised run, or None outside a run; `summary` the facts of the last finished one.
    Raises ConfigError at construction, with every fault at once.
    """

    def __init__(
        self,
        config: Source = None,
        *,
        hyperparameters: Sequence[Hyperparameter] = (),
        teacher: Teacher | None = None,
    ) -> None:
        self.policy = Policy(config, hyperparameters, teacher)
        self._trainer: Callable[[], Any] = lambda: None
        self._misplaced = (
            "give the trainer to steersman.supervise(trainer, ...): as a plain callback Steersman stands behind "
            "the reporters (TensorBoard and others will not show the score) and does not know the evaluation sets"
        )
        self._directed = ""
        self._is_training = False
        self.session: TrainerSession | None = None
        self.summary: dict[str, Any] = {}

    def bind(self, trainer: Any, misplaced: str) -> None:
        """Tell the callback its trainer, and why it could not be placed best, if so."""
        self._trainer = weakref.ref(trainer)
        self._misplaced = misplaced
        self._directed = native_score.set_direction(trainer.args)
        trainer.train = _put_back_after(trainer.train, self)

    def interrupted(self, error: BaseException) -> None:
        """Training ended in an error or Ctrl-C: say so in the journal, and put back the user's values."""
        session, self.session, self._is_training = self.session, None, False
        if session is not None and session.is_running:  # else its end is told
            session.note(f"training ended at step {session.step} by {type(error).__name__}, before its end")
            session.give_up()

    @property
    def teacher(self) -> Teacher:
        """What records calls to a teacher: `with run.teacher() as call:`, `run.teacher.wrap(client)`."""
        return self.policy.teacher

    @property
    def says_itself(self) -> bool:
        return self.policy.config.console

    def watched(self) -> TrainerSession | None:
        return self.session

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._directed = native_score.set_direction(args) or self._directed

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._is_training, self.failures = True, 0
        self._begin(args, state, control, **kwargs)

    @guarded
    def _begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.give_up()  # auto_find_batch_size starts over without an end
        self.session = None
        if is_switched_off():
            return
        notes = tuple(note for note in (self._misplaced, self._directed) if note)
        config, strategies = self.policy.begin()
        self.session = TrainerSession(
            config, strategies, self.policy, self._trainer(), args, state, kwargs, notes, self.failed
        )

    @guarded
    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.step_begins()

    @guarded
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.step_ends(state.global_step, state.epoch)
            self.session.obey(state, control)

    @guarded
    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.meters.epoch_ended()
            self.session.force_log(control)

    @guarded
    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if self.session is not None and logs is not None:
            self.session.logged(logs, state)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Never guarded away: the Trainer dies of a missing score where `metric_for_best_model` names it."""
        if metrics is None or not self._is_training or kind_of(metrics) != "eval":
            return
        if self.session is not None and self.failures < TOLERANCE:
            self.session.native.write_metrics(metrics)
        elif native_score.is_chosen(args):
            native_score.instead(metrics, failed=self.failures > 0)

    @guarded
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.saved(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._is_training = False
        self._end(args, state, control, **kwargs)
        self.session = None

    @guarded
    def _end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.summary = self.session.end()
