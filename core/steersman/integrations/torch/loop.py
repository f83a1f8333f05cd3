"""A training loop of your own under supervision: `steersman.attach(optimizer, "steersman.yaml", ...)`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from steersman.config.reading import Source
from steersman.examples import example_losses as heard_of
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.guarding import guarded
from steersman.integrations.policy import Policy, is_switched_off
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.facts import adaptive
from steersman.integrations.torch.learning_rate import LearningRate, innermost, learning_rates
from steersman.integrations.torch.session import Session
from steersman.integrations.torch.supervised import Evaluated, Supervised
from steersman.integrations.torch.tokens import TokenCount
from steersman.records import number
from steersman.registry import registry_of
from steersman.reporters.sinks import Reporting, Trackers, reporting
from steersman.schedule import RunPlan
from steersman.teacher import Teacher


class Loop(Supervised):
    """A supervised loop. Decisions made at a step take effect just before the next `optimizer.step` computes.

    `session` is the supervised run; it begins with the first log, evaluation or optimizer step, so that a state may be
    loaded before. On several ranks every rank must call every method.
    """

    def __init__(
        self,
        policy: Policy,
        optimizer: Any,
        folder: Path,
        plan: RunPlan,
        model: Any = None,
        *,
        packages: tuple[str, ...] = ("torch",),
    ) -> None:
        super().__init__(policy)
        self.plan, self.folder = plan, folder
        self._packages, self._model, self._optimizer = packages, model, optimizer
        self._open()

    def _open(self) -> None:
        self._begun = self._closed = self._stops = False
        self._tokens = TokenCount(self._model)  # its first step begins before the run, which its first log may begin
        self._reporting = Reporting()
        inner = innermost(self._optimizer)
        self._handles = (  # before those of the learning rate, so that a change acts on the step about to be made
            [
                inner.register_step_pre_hook(self._step_begins),
                inner.register_step_post_hook(self._step_ends),
            ]
            if isinstance(inner, torch.optim.Optimizer)
            else []
        )
        self._registry = registry_of(
            self.policy.own,
            learning_rates(self._optimizer),
            lambda _: "hand it over as Hyperparameter(name, get, set)",
        )
        rate = self._registry.get("learning_rate").handle
        self._scaling = rate.scaling if isinstance(rate, LearningRate) else None
        if self._scaling is not None:
            self._scaling.users.add(self)  # a run that gives up in the midst of hooks must not take any off

    def log(self, step: int, *, epoch: float | None = None, **metrics: Any) -> None:
        """Hear what was logged after optimizer step `step` (counted from 1); numbers and one-element tensors."""
        self.begin()
        self._hear("train", step, self._epoch_of(step, epoch), metrics)

    def evaluate(
        self, step: int, *, epoch: float | None = None, example_losses: Iterable[Any] | None = None, **metrics: Any
    ) -> Evaluated:
        """Hear an evaluation; names without it get the prefix `eval_`. Return its score and whether it is the best.

        `example_losses` are the loss of each validation example, in the order that every evaluation has: with them it
        is known which checkpoints are tied with the best. Raises TypeError where they are no numbers.

        Where Steersman is switched off, the eval loss is the score.
        """
        self.begin()
        if example_losses is not None:
            heard_of(example_losses)
        return self._judge(step, self._epoch_of(step, epoch), metrics)

    def saved(self, step: int, path: str | Path) -> None:
        """Hear that a checkpoint of `step` was written to `path`."""
        self._heard_of_save(path, step)

    @property
    def should_stop(self) -> bool:
        """Whether the run should end now; save a checkpoint first."""
        if self.session is not None and self.session.stops():
            self._stops = True
        return self._stops

    @property
    def should_save(self) -> bool:
        """Whether a checkpoint was asked for; asking resets it."""
        if self.session is None:
            return False
        actions = self.session.supervisor.actions
        asked, actions.save_because = actions.save_because is not None, None
        return asked or (self.should_stop and not self.session.was_stopped_before)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned: call it before the first log or step, after the optimizer's own.

        Raises RuntimeError where the run has begun already.
        """
        if self._begun:
            raise RuntimeError("load the state before the first log, evaluation or optimizer step of the run")
        super().load_state_dict(state_dict)
        self.step = int(state_dict.get("loop_step", state_dict.get("step", 0)))

    def close(self) -> None:
        """End the run: the last check, the summary; your own values are in force again. Twice is once."""
        if not self._closed:
            self._finish()
        self._detach()

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._abandon(error)
            self._detach()
        self.close()

    def begin(self) -> None:
        """Begin the run now rather than with its first log; what it will do is said here."""
        if self.may_give_up and self.must_give_up and self.session is not None:
            self.session.give_up()
        if not self._begun:
            self._begun = True
            self._begin()

    @guarded
    def _begin(self) -> None:
        if self._closed or is_switched_off():
            self._tokens.release()
            return
        config, strategies = self.policy.begin()
        self._reporting = reporting(config.report_to, config.mode, Trackers(self.folder, self.step))
        begin = Begin(
            self.folder, self.plan, self._registry, step=self.step, saved=self._state, model=self._model,
            optimizer=self._optimizer, packages=self._packages, keeps_records=True,
            steps_begin_late=True, hooks_steps=False, notes=self._reporting.notes, reporters=self._reporting.reporters,
            tokens=self._tokens, meters=lambda _: (self.teacher,),
        )  # fmt: skip
        self.session = Session(config, strategies, begin)

    def _step_begins(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        with self._inside_a_hook():
            self._settle()
            if self.session is not None and self.session.steps is not None:
                self.session.steps.before_hook(optimizer, args, kwargs)

    def _step_ends(self, *_: object) -> None:
        with self._inside_a_hook():
            self._count()

    @contextmanager
    def _inside_a_hook(self) -> Generator[None]:
        """Keep the hooks on while torch goes through them: one that is taken off there would end the training."""
        self.may_give_up = False
        try:
            yield
        finally:
            self.may_give_up = True

    @guarded
    def _settle(self) -> None:
        self.begin()
        if self.session is not None:
            self.session.step_begins()

    @guarded
    def _count(self) -> None:
        self.step += 1
        if self.session is not None:
            epoch = self._epoch_of(self.step, None)
            self.session.step_ends(self.step, epoch)
            if epoch is not None and int(epoch + 1e-6) > int((self._epoch_of(self.step - 1, None) or 0.0) + 1e-6):
                self.session.meters.epoch_ended()

    def _epoch_of(self, step: int, epoch: float | None) -> float | None:
        per = self.plan.steps_per_epoch
        return epoch if epoch is not None else step / per if per else None

    def _detach(self) -> None:
        self._closed = True
        self._tokens.release()
        for handle in self._handles:
            handle.remove()
        self._registry.release()
        if self._scaling is not None:
            self._scaling.leave(self)
        if self.session is not None:
            self.session.give_up()
        self._reporting.close()


def attach(
    optimizer: Any,
    config: Source = None,
    *,
    folder: str | Path,
    model: Any = None,
    scheduler: Any = None,
    total_steps: int | None = None,
    steps_per_epoch: float | None = None,
    warmup_steps: int = 0,
    eval_every: int | None = None,
    evaluation_sets: int = 1,
    hyperparameters: Sequence[Hyperparameter] = (),
    teacher: Teacher | None = None,
) -> Loop:
    """Supervise a training loop of your own.

    `optimizer` may be wrapped (Accelerate). The journal goes to `folder`/steersman/journal.jsonl. With `model` the
    tokens trained on are counted; what else is known of the run, in optimizer steps, makes checks, rails and warnings
    better: `total_steps` of the whole run, `eval_every` of evaluations with `evaluation_sets` records each. `teacher`
    records calls to one; `run.teacher` is one of its own without.
    Raises ConfigError with every fault at once.
    """
    for name, value in (("total_steps", total_steps), ("steps_per_epoch", steps_per_epoch), ("eval_every", eval_every)):
        if value is not None and not (number(value) or 0.0) > 0:
            raise ValueError(f"`{name}` must be a number above 0, got {value!r}")
    policy = Policy(config, hyperparameters, teacher)
    plan = RunPlan(
        total_steps,
        True if eval_every else None,
        evaluation_sets,
        eval_every,
        steps_per_epoch,
        warmup_steps=warmup_steps,
        adaptive_scheduler=adaptive(scheduler),
    )
    return Loop(policy, optimizer, Path(folder), plan, model)
