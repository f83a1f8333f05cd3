"""A training loop of your own under supervision: `steersman.attach(optimizer, "steersman.yaml", ...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from steersman.checkpoints import Checkpoint
from steersman.config.reading import Source
from steersman.hyperparameters import Hyperparameter, registry_of
from steersman.integrations.guarding import Guarded, guarded
from steersman.integrations.policy import Policy, is_switched_off
from steersman.integrations.torch.facts import adaptive
from steersman.integrations.torch.learning_rate import innermost, learning_rates
from steersman.integrations.torch.session import Begin, Session
from steersman.records import Kind, Record, record_from_logs
from steersman.schedule import RunPlan


@frozen
class Evaluated:
    """What Steersman says of an evaluation. `score` is lower for better, None where no scorer has an opinion."""

    score: float | None = None
    is_best: bool = False


class Loop(Guarded):
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
        notes: tuple[str, ...] = (),
    ) -> None:
        self.policy, self.plan, self.folder = policy, plan, folder
        self.says_itself = policy.config.console
        self.session: Session | None = None
        self.summary: dict[str, Any] = {}
        self._packages, self._notes = packages, notes
        self._optimizer, self._model = optimizer, model
        self._loaded: Mapping[str, Any] = {}
        self._begun = self._closed = False
        self._stops = False
        self._steps = 0
        self._scored: Checkpoint | None = None
        inner = innermost(optimizer)
        self._handles = [  # before those of the learning rate, so that a change acts on the step about to be made
            inner.register_step_pre_hook(lambda *_: self._step_begins()),
            inner.register_step_post_hook(lambda *_: self._step_ends()),
        ]
        self._found = learning_rates(optimizer)  # now: a hook cannot be added while hooks run

    def watched(self) -> Session | None:
        return self.session

    def log(self, step: int, *, epoch: float | None = None, **metrics: Any) -> None:
        """Hear what was logged after optimizer step `step` (counted from 1); numbers and one-element tensors."""
        self._hear("train", step, epoch, metrics)

    def evaluate(self, step: int, *, epoch: float | None = None, **metrics: Any) -> Evaluated:
        """Hear an evaluation; names without it get the prefix `eval_`. Return its score and whether it is the best."""
        self._scored = None
        named = {name if name.startswith("eval_") else f"eval_{name}": value for name, value in metrics.items()}
        self._hear("eval", step, epoch, named)
        if self._scored is None or self.session is None:
            return Evaluated()
        ranking = self.session.supervisor.ranking
        score = self._scored.scores.get(ranking.leader or "")
        best = ranking.best()
        return Evaluated(score.value if score else None, best is not None and best.step == self._scored.step)

    @guarded
    def saved(self, step: int, path: str | Path) -> None:
        """Hear that a checkpoint of `step` was written to `path`."""
        if self.session is not None:
            self.session.saved(Path(path), step)

    @property
    def should_stop(self) -> bool:
        """Whether the run should end now; save a checkpoint first."""
        if self.session is not None and self.session.stops():
            self._stops = True
        return self._stops

    @property
    def should_save(self) -> bool:
        """Whether a checkpoint was asked for; asking resets it."""
        actions = self.session.supervisor.actions if self.session is not None else None
        if actions is None or (actions.save_because is None and actions.stop_because is None):
            return False
        actions.save_because = None
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold: JSON values only, the records so far included."""
        return self.session.state() if self.session is not None else dict(self._loaded)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned: call it before the first log or step, after the optimizer's own.

        Raises RuntimeError where the run has begun already.
        """
        if self._begun:
            raise RuntimeError("load the state before the first log, evaluation or optimizer step of the run")
        self._loaded = dict(state)

    def close(self) -> None:
        """End the run: the last check, the summary; your own values are in force again. Twice is once."""
        if not self._closed:
            self._end()
        self._detach()

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self.session is not None and not self._closed:
            self.session.note(f"training ended at step {self.session.step} by {type(error).__name__}, before its end")
            self._detach()
        self.close()

    def begin(self) -> None:
        """Begin the run now rather than with its first log; what it will do is said here."""
        if not self._begun:
            self._begun = True
            self._begin()

    @guarded
    def _begin(self) -> None:
        if is_switched_off():
            return
        registry = registry_of(
            self.policy.own, self._found, lambda _: "hand it over as steersman.Hyperparameter(name, get, set)"
        )
        past = tuple(Record(**fields) for fields in self._loaded.get("records", ()))
        self._steps = step = int(self._loaded.get("step", 0))
        begin = Begin(
            self.folder, self.plan, registry, step=step, saved=self._loaded, past=past, notes=self._notes,
            model=self._model, optimizer=self._optimizer, packages=self._packages, keeps_records=True,
        )  # fmt: skip
        self.session = Session(self.policy.config, self.policy.strategies(), begin)

    def _hear(self, kind: Kind, step: int, epoch: float | None, metrics: Mapping[str, Any]) -> None:
        self.begin()
        self._feed(kind, step, epoch, metrics)

    @guarded
    def _feed(self, kind: Kind, step: int, epoch: float | None, metrics: Mapping[str, Any]) -> None:
        if self.session is None:
            return
        self._steps = step
        per = self.plan.steps_per_epoch
        plain = {name: _plain(value) for name, value in metrics.items()}
        record = record_from_logs(
            {**plain, "epoch": epoch if epoch is not None else step / per if per else None},
            step=step,
            names=self.policy.config.metrics,
        )
        self._scored = self.session.hear(record)

    @guarded
    def _step_begins(self) -> None:
        self.begin()
        if self.session is not None:
            self.session.step_begins()

    @guarded
    def _step_ends(self) -> None:
        if self.session is not None:
            self._steps += 1
            self.session.step_ends(self._steps)

    @guarded
    def _end(self) -> None:
        self._closed = True
        if self.session is not None:
            self.summary = self.session.end()

    def _detach(self) -> None:
        self._closed = True
        for handle in self._handles:
            handle.remove()
        if self.session is not None:
            self.session.give_up()
        for entry in self._found.values():
            if entry.handle is not None:
                entry.handle.release()


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
) -> Loop:
    """Supervise a training loop of your own.

    `optimizer` may be wrapped (Accelerate). The journal goes to `folder`/steersman/journal.jsonl. With `model` the
    tokens trained on are counted; what else is known of the run, in optimizer steps, makes checks, rails and warnings
    better: `total_steps` of the whole run, `eval_every` of evaluations with `evaluation_sets` records each.
    Raises ConfigError with every fault at once.
    """
    policy = Policy(config, hyperparameters)
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


def _plain(value: Any) -> Any:
    """Return a one-element tensor or array as the number it holds."""
    return value.item() if hasattr(value, "item") and getattr(value, "numel", lambda: 1)() == 1 else value
