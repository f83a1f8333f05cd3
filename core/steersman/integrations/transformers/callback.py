"""The callback: turns the Trainer's events into records, and decisions into what the Trainer understands."""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers.trainer_callback import TrainerCallback

from steersman.config import ConfigError, read
from steersman.config.reading import Source
from steersman.dispatch import StrategyError
from steersman.hyperparameters import SAFER, Hyperparameter
from steersman.integrations.transformers import native_score
from steersman.integrations.transformers.session import Session
from steersman.integrations.trl.reward_weights import is_named
from steersman.loading import load
from steersman.logs import logger
from steersman.records import kind_of
from steersman.spelling import did_you_mean
from steersman.strategies import restore_state, state_of

F = TypeVar("F", bound=Callable[..., Any])
_TOLERANCE = 3
OFF_SWITCH = "STEERSMAN_DISABLED"


def _guarded(event: F) -> F:
    """Training never dies of Steersman: an error of ours is logged, and after three the run goes on unsupervised."""

    @functools.wraps(event)
    def safe(self: SteersmanCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.failures >= _TOLERANCE:
            return
        try:
            event(self, args, state, control, **kwargs)
        except (ConfigError, StrategyError):
            if self.session is not None:
                self.session.give_up()
            raise
        except Exception as error:
            self.failed(event.__name__, error)

    return safe  # type: ignore[return-value]


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


class SteersmanCallback(TrainerCallback):  # type: ignore[misc]
    """Supervises the Trainer it is given to. `steersman.supervise(trainer, config)` makes and places it.

    As `callbacks=[SteersmanCallback(config)]` it works without the trainer itself, and says at train begin what it
    cannot do. `session` is the supervised run, or None outside a run; `summary` the facts of the last finished one.
    Raises ConfigError at construction, with every fault at once.
    """

    def __init__(self, config: Source = None, *, hyperparameters: Sequence[Hyperparameter] = ()) -> None:
        problems: list[str] = []
        self.config = read(config, problems)
        self._own = tuple(hyperparameters)
        known = [*SAFER, *(own.name for own in self._own)]
        for name in self.config.hyperparameters:
            if name not in known and not is_named(name):
                problems.append(f"$.hyperparameters.{name}: there is no such hyperparameter{did_you_mean(name, known)}")
        self._first = load(self.config, problems)
        if problems:
            raise ConfigError(self.config.source, problems)
        self._fresh = {loaded.name: state_of(loaded.strategy) for loaded in self._first}
        self._trainer: Callable[[], Any] = lambda: None
        self._misplaced = (
            "give the trainer to steersman.supervise(trainer, ...): as a plain callback Steersman stands behind "
            "the reporters (TensorBoard and others will not show the score) and does not know the evaluation sets"
        )
        self._directed = ""
        self.failures = 0
        self._is_training = False
        self.session: Session | None = None
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
        if session is not None:
            session.note(f"training ended at step {session.step} by {type(error).__name__}, before its end")
            session.give_up()

    def failed(self, event: str, error: Exception) -> None:
        """Note an error of Steersman's own: in the journal, and once to the user."""
        self.failures += 1
        gives_up = self.failures >= _TOLERANCE
        if self.session is None or not self.config.console:
            logger().error("steersman failed; training goes on", hook=event, gives_up=gives_up, exc_info=error)
        if self.session is not None:
            self.session.failed(event, error, self.failures, gives_up=gives_up)
            if gives_up:
                self.session.give_up()

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._directed = native_score.set_direction(args) or self._directed

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._is_training, self.failures = True, 0
        self._begin(args, state, control, **kwargs)

    @_guarded
    def _begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.give_up()  # auto_find_batch_size starts over without an end
        self.session = None
        if os.environ.get(OFF_SWITCH, "") not in ("", "0"):
            logger().warning("steersman is switched off", variable=OFF_SWITCH)
            return
        strategies = load(self.config, []) if any(u.instance is None for u in self.config.use) else self._first
        for loaded in strategies:
            restore_state(loaded.strategy, self._fresh[loaded.name])
        notes = tuple(note for note in (self._misplaced, self._directed) if note)
        self.session = Session(self.config, strategies, self._trainer(), args, state, kwargs, self._own, notes)

    @_guarded
    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.step_begins()

    @_guarded
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.step_ends(state, control)

    @_guarded
    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.force_log(state, control)

    @_guarded
    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if self.session is not None and logs is not None:
            self.session.logged(logs, state, control)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Never guarded away: the Trainer dies of a missing score where `metric_for_best_model` names it."""
        if metrics is None or not self._is_training or kind_of(metrics) != "eval":
            return
        if self.session is not None and self.failures < _TOLERANCE:
            self.session.native.write_metrics(metrics)
            self._carry(args, state, control)
        elif native_score.is_chosen(args):
            native_score.instead(metrics, failed=self.failures > 0)

    @_guarded
    def _carry(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.carry(state)

    @_guarded
    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.session.saved(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._is_training = False
        self._end(args, state, control, **kwargs)
        self.session = None

    @_guarded
    def _end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.session is not None:
            self.summary = self.session.end()
