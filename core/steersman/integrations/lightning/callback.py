"""The callback: turns Lightning's events into records, and decisions into what its Trainer understands."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from steersman.config.reading import Source
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.guarding import guarded
from steersman.integrations.lightning.framework import DISTRIBUTION, Callback
from steersman.integrations.lightning.fresh import Fresh
from steersman.integrations.lightning.trackers import trackers_of
from steersman.integrations.lightning.trainer_facts import epoch_of, facts_of, placed, plan_of, preflight, registry_of
from steersman.integrations.metrics import SCORE
from steersman.integrations.policy import Policy, is_switched_off
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.session import Session
from steersman.integrations.torch.supervised import Evaluated, Supervised
from steersman.reporters.sinks import Reporting, reporting
from steersman.teacher import Teacher

NEVER_BEST = torch.finfo(torch.float32).max
"""The score where nothing was scored: worse than any, and finite, since `EarlyStopping` ends a run at infinity."""


class SteersmanCallback(Supervised, Callback):  # type: ignore[misc]
    """Supervises the runs of the Trainer it is given to; the score is `callback_metrics["steersman_score"]`.

    Steps are those of `trainer.global_step`. The journal goes to `folder`, by default the trainer's `log_dir`, as
    steersman/journal.jsonl. A second `fit` goes on where the first ended.
    Raises ConfigError at construction, with every fault at once.
    """

    def __init__(
        self,
        config: Source = None,
        *,
        folder: str | Path | None = None,
        hyperparameters: Sequence[Hyperparameter] = (),
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__(Policy(config, hyperparameters, teacher))
        self.folder = folder
        self._stage = "fit"
        self._fresh = Fresh()
        self._epoch: float | None = None
        self._loss: Any = None
        self._began_at: int | None = None
        self._logged_at = 0
        self._unwatch_saves: Callable[[], None] = lambda: None
        self._reporting = Reporting()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._stage = stage
        if stage == "fit":
            trainer.callbacks = placed(trainer.callbacks, self)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if self._stage == "fit":  # one that was saved without us has no state for `load_state_dict`
            self._state = {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        if self._stage == "fit":  # `test` and `validate` load checkpoints too
            super().load_state_dict(state_dict)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.failures, self.session, self._epoch, self._began_at = 0, None, None, None
        self.step = self._logged_at = trainer.global_step
        self._begin(trainer, pl_module)

    @guarded
    def _begin(self, trainer: Any, pl_module: Any) -> None:
        if is_switched_off():
            return
        config, strategies = self.policy.begin()
        self._fresh.mark(trainer)
        plan = plan_of(trainer)
        saved: Mapping[str, Any] = self._state if trainer.global_step > 0 else {}
        warned = list(preflight(trainer, plan))
        if trainer.global_step > 0 and not saved:
            warned.append("this checkpoint was saved without Steersman: what was evaluated before it is not ranked")
        logs = trainer.log_dir or trainer.default_root_dir
        folder = Path(self.folder or logs)
        self._reporting = reporting(config.report_to, config.mode, trackers_of(trainer, Path(logs)))
        [optimizer] = trainer.optimizers if len(trainer.optimizers) == 1 else [None]
        begin = Begin(
            folder, plan, registry_of(trainer, pl_module, self.policy.own), step=trainer.global_step, saved=saved,
            notes=(*warned, *self._reporting.notes), model=pl_module, optimizer=optimizer,
            scaler=getattr(trainer.precision_plugin, "scaler", None), facts=facts_of(trainer),
            packages=(DISTRIBUTION, "torch"), keeps_records=True, counts_forwards=False, hooks_steps=False,
            meters=lambda _: (self.teacher,),
            reporters=self._reporting.reporters,
        )  # fmt: skip
        self.session = Session(config, strategies, begin)
        self._saves_to = folder / "steersman" / "checkpoints"
        self._watch_saves(trainer)

    @guarded
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self._fresh.mark(trainer)

    @guarded
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if self.session is not None and trainer.global_step != self._began_at:
            self._began_at = trainer.global_step
            self.session.step_begins()

    @guarded
    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if self.session is not None and self.session.steps is not None:
            self.session.steps.before_step()

    @guarded
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.session is None:
            return
        if isinstance(batch, Mapping):
            self.session.tokens.add(cast("Mapping[str, Any]", batch))
        if trainer.global_step == self._began_at:
            return  # a micro-batch: gradients are still accumulating
        self.step, self._epoch = trainer.global_step, epoch_of(trainer, batch_idx)
        self.session.step_ends(self.step, self._epoch)
        self._loss = _loss_of(outputs, trainer, pl_module)
        every = trainer.log_every_n_steps
        if every and self.step // every > (self._began_at or 0) // every:
            self._log(trainer)
        self._obey(trainer)

    @guarded
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self.session is not None:
            self.session.meters.epoch_ended()

    @guarded
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if self.session is not None and self.step > self._logged_at and self.policy.config.force_logs != "never":
            self._log(trainer)
        self._fresh.mark(trainer)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Never guarded away: `ModelCheckpoint` dies where what it monitors is missing."""
        if trainer.sanity_checking or self._stage != "fit":
            return
        said = self._evaluated(trainer)
        score = said.score if said.score is not None and math.isfinite(said.score) else NEVER_BEST
        trainer.callback_metrics[SCORE] = torch.tensor(score, dtype=torch.float64)
        self._fresh.mark(trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._finish()
        self._let_go()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._abandon(exception)
        self._let_go()

    def _evaluated(self, trainer: Any) -> Evaluated:
        return self._judge(trainer.global_step, self._epoch, self._fresh.metrics(trainer))

    def _log(self, trainer: Any) -> None:
        loss = {"loss": self._loss} if self._loss is not None else {}
        self._logged_at = self.step
        self._hear("train", self.step, self._epoch, {**loss, **self._fresh.metrics(trainer)})

    def _obey(self, trainer: Any) -> None:
        """Stop or save where that was decided."""
        if self.session is None:
            return
        actions = self.session.supervisor.actions
        asked, actions.save_because = actions.save_because is not None, None
        if self.session.stops():
            trainer.should_stop = True
            asked = asked or not self.session.was_stopped_before
        if asked:
            trainer.save_checkpoint(self._saves_to / f"step-{self.step}.ckpt")

    def _watch_saves(self, trainer: Any) -> None:
        """Hear where checkpoints are written: Lightning tells its callbacks of a save, and not the path."""
        own: Any = trainer.__dict__.get("save_checkpoint")
        write: Callable[..., None] = trainer.save_checkpoint

        @functools.wraps(write)
        def save_checkpoint(filepath: str | Path, *args: Any, **kwargs: Any) -> None:
            write(filepath, *args, **kwargs)
            self._heard_of_save(filepath, trainer.global_step)

        def undo() -> None:
            del trainer.save_checkpoint
            if own is not None:
                trainer.save_checkpoint = own

        trainer.save_checkpoint, self._unwatch_saves = save_checkpoint, undo

    def _let_go(self) -> None:
        self._unwatch_saves()
        self._reporting.close()
        self.session, self._unwatch_saves, self._loss = None, lambda: None, None


def _loss_of(outputs: Any, trainer: Any, pl_module: Any) -> Any:
    """Return the loss of a batch, which Lightning divides by the number of batches it accumulates."""
    loss = outputs.get("loss") if hasattr(outputs, "get") else None
    return loss * trainer.accumulate_grad_batches if loss is not None and pl_module.automatic_optimization else loss
