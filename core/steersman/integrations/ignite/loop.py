"""Handlers on Ignite's engines: iterations and evaluations become records, decisions reach the trainer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from ignite.engine import EventEnum, Events

from steersman.config.reading import Source
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.metrics import SCORE
from steersman.integrations.policy import Policy
from steersman.integrations.torch.facts import adaptive
from steersman.integrations.torch.loop import Loop
from steersman.schedule import RunPlan
from steersman.teacher import Teacher


class SteersmanEvents(EventEnum):  # type: ignore[misc]
    """Events of ours that the trainer fires: SAVE where a strategy asks for a checkpoint, and before it is stopped."""

    SAVE = "steersman_save"


class IgniteLoop(Loop):
    """The supervised runs of a trainer. Steps are those of the optimizer; a later `trainer.run` goes on."""

    def watch(
        self,
        trainer: Any,
        evaluator: Any,
        log_every: int,
        accumulation: int,
        output_transform: Callable[[Any], Mapping[str, Any]],
    ) -> None:
        """Put the handlers on both engines."""
        self._trainer, self._accumulation = trainer, accumulation
        self._log_every, self._output_transform = log_every, output_transform
        self._logged_at, self._is_interrupted = 0, False
        trainer.register_events(*SteersmanEvents)
        trainer.add_event_handler(Events.STARTED, self._plan_run)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._after_iteration)
        trainer.add_event_handler(Events.INTERRUPT, self._interrupted)
        if evaluator is not None:
            evaluator.add_event_handler(Events.COMPLETED, self._after_evaluation)
        trainer.run = self._closing(trainer.run)

    def score_function(self, engine: Any) -> float:
        """Return the score of an evaluation for Ignite's `Checkpoint` and `EarlyStopping`, which maximise."""
        return -float(engine.state.metrics[SCORE])

    def _closing(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return the trainer's `run` such that its end, an exception too, is ours.

        A handler of EXCEPTION_RAISED would swallow the exception or keep the user's own handler from running, and one
        of COMPLETED would close before an evaluation that the user makes there.
        """

        @functools.wraps(run)
        def runs(*args: Any, **kwargs: Any) -> Any:
            if self._closed:
                self._open()
            self._is_interrupted = False
            try:
                state = run(*args, **kwargs)
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
            if not self._is_interrupted:
                self.close()
            return state

        return runs

    def _plan_run(self, engine: Any) -> None:
        length = engine.state.epoch_length
        batches = engine.state.max_iters or (length * engine.state.max_epochs if length else None)
        total = batches // self._accumulation if batches else None
        per_epoch = length / self._accumulation if length else None
        if not self._begun:
            self.plan = evolve(self.plan, total_steps=total, steps_per_epoch=per_epoch)

    def _after_iteration(self, engine: Any) -> None:
        if self.step > self._logged_at and self.step % self._log_every == 0:
            self._logged_at = self.step
            self.begin()
            self._hear("train", self.step, self._epoch(), self._output_transform(engine.state.output))
        if self.should_save:
            engine.fire_event(SteersmanEvents.SAVE)
        if self.should_stop:
            engine.terminate()

    def _after_evaluation(self, engine: Any) -> None:
        self.begin()
        score = self._judge(self.step, self._epoch(), engine.state.metrics).score
        engine.state.metrics[SCORE] = math.inf if score is None or math.isnan(score) else score

    def _interrupted(self, engine: Any) -> None:
        self._is_interrupted = True

    def _epoch(self) -> float | None:
        state = self._trainer.state
        return state.iteration / state.epoch_length if state.epoch_length else None


def _metrics_of(output: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", output) if isinstance(output, Mapping) else {"loss": output}


def attach(
    trainer: Any,
    evaluator: Any,
    optimizer: Any,
    config: Source = None,
    *,
    folder: str | Path,
    model: Any = None,
    scheduler: Any = None,
    log_every: int = 10,
    eval_every: int | None = None,
    gradient_accumulation_steps: int = 1,
    output_transform: Callable[[Any], Mapping[str, Any]] = _metrics_of,
    hyperparameters: Sequence[Hyperparameter] = (),
    teacher: Teacher | None = None,
) -> IgniteLoop:
    """Supervise the runs of an Ignite trainer; return the loop, whose state goes into Ignite's `Checkpoint`.

    Every `log_every` optimizer steps the trainer's output is heard: a number is the loss, a dict is metrics, anything
    else needs `output_transform`. Each run of `evaluator` is an evaluation of the model as it is then; its
    `state.metrics` gets `steersman_score`, infinity where nothing was scored: attach before a handler that needs it.
    `evaluator` may be None, and evaluations told by `loop.evaluate`.
    Raises ConfigError with every fault at once.
    """
    evaluates = True if evaluator is not None or eval_every else None
    plan = RunPlan(evaluates=evaluates, eval_every=eval_every, adaptive_scheduler=adaptive(scheduler))
    policy = Policy(config, hyperparameters, teacher)
    loop = IgniteLoop(policy, optimizer, Path(folder), plan, model, packages=("pytorch-ignite", "torch"))
    loop.watch(trainer, evaluator, log_every, gradient_accumulation_steps, output_transform)
    return loop
