"""One supervised run of a Trainer: what its logs, evaluations and saves mean, and how decisions reach it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from steersman.averaging.candidates import Candidate
from steersman.config import Config
from steersman.integrations.policy import Policy
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.learning_rate import LearningRate
from steersman.integrations.torch.session import Session
from steersman.integrations.transformers.averages import Trial
from steersman.integrations.transformers.native_score import NativeScore, is_chosen
from steersman.integrations.transformers.trackers import trackers_of
from steersman.integrations.transformers.trainer_facts import facts_of, plan_of, preflight, registry_of
from steersman.integrations.trl.generation_meter import meters_of
from steersman.journal import JournalEntry
from steersman.keeping import Keeper
from steersman.loaded import Loaded
from steersman.readers.run_directory import KEPT
from steersman.readers.trainer_state import OWN_STATE, own_state
from steersman.records import is_other_evaluation, kind_of, record_from_logs
from steersman.reporters.sinks import reporting
from steersman.step_guard import without_excused


class TrainerSession(Session):
    """A run of the Hugging Face Trainer, or one built on it."""

    def __init__(
        self,
        config: Config,
        strategies: tuple[Loaded, ...],
        policy: Policy,
        trainer: Any | None,
        args: Any,
        state: Any,
        kwargs: Mapping[str, Any],
        notes: tuple[str, ...],
        failed: Callable[[str, Exception], None],
    ) -> None:
        output = Path(args.output_dir)
        self.args, self._state, self._trainer = args, state, trainer
        self.forces_logs = config.mode != "observe" and (
            config.force_logs == "always" or (config.force_logs == "auto" and config.mode in ("ask", "act"))
        )
        loader, scheduler = kwargs.get("train_dataloader"), kwargs.get("lr_scheduler")
        plan = plan_of(args, state, trainer, loader, scheduler, forces_logs=self.forces_logs)
        saved: Mapping[str, Any] = own_state({"stateful_callbacks": state.stateful_callbacks})
        saved = saved if state.global_step > 0 else {}
        warned = [*notes, *preflight(args, plan, config, trainer)]
        if state.global_step > 0 and not saved and state.log_history:
            warned.append("this checkpoint was saved without Steersman: what was evaluated before it is not ranked")
        self.native = NativeScore(always=is_chosen(args), into_logs=config.mode != "observe")
        past = tuple(
            without_excused(record_from_logs(entry, step=int(entry["step"]), names=config.metrics))
            for entry in state.log_history
            if "step" in entry and not is_other_evaluation(entry)
        )
        self._reporting = reporting(config.report_to, config.mode, trackers_of(trainer, args, state.global_step))
        warned += self._reporting.notes
        begin = Begin(
            output,
            plan,
            registry_of(args, kwargs.get("optimizer"), trainer, policy.own),
            step=state.global_step,
            saved=saved,
            past=past,
            notes=tuple(warned),
            model=kwargs.get("model"),
            optimizer=kwargs.get("optimizer"),
            scaler=getattr(getattr(trainer, "accelerator", None), "scaler", None),
            facts=facts_of(args, trainer),
            packages=("transformers", "torch"),
            forces_logs=self.forces_logs,
            reporters=self._reporting.reporters,
            listener=self._heard,
            meters=lambda exclude: (*meters_of(trainer, exclude), policy.teacher),
        )
        super().__init__(config, strategies, begin)
        keeps = config.keep_both_bests and self.ranks.is_main
        self.keeper = Keeper(output / KEPT, resumed=state.global_step > 0) if keeps else None
        resumed_from = output / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        if state.global_step > 0 and resumed_from.is_dir():  # it was written before it could be told of
            self.supervisor.ranking.mark_saved(state.global_step, str(resumed_from))
        _carry_into(state, self, failed)

    def obey(self, state: Any, control: Any) -> None:
        """Stop or save where that was decided, and see to the logs that scores and resumes need."""
        actions = self.supervisor.actions
        if self.stops():
            control.should_training_stop = True
            control.should_save = control.should_save or not self.was_stopped_before
        if actions.save_because is not None:
            control.should_save = True
            actions.save_because = None
        self.force_log(control)

    def force_log(self, control: Any) -> None:
        """Ask for a log where there will be an evaluation or a save, so that its train loss is fresh."""
        if control.should_save:
            self.meters.sum_pending()
        if self.forces_logs and (control.should_evaluate or control.should_save):
            control.should_log = True

    def logged(self, logs: dict[str, Any], state: Any) -> None:
        """Hear a log: correct its learning rate, score its evaluation."""
        if is_other_evaluation(logs):
            return
        if kind_of(logs) == "eval":
            self.native.heard(None)
        history: list[dict[str, Any]] = state.log_history
        self._tell_true_rate(logs, history)
        self._tell_steps(logs, history)
        record = record_from_logs(logs, step=state.global_step, names=self.config.metrics)
        checkpoint = self.hear(record)
        if record.kind == "eval":
            self.native.heard(self.supervisor.ranking.standing(checkpoint) if checkpoint else None)
            self.native.write_logs(logs, history)

    def saved(self, path: Path, step: int) -> None:
        super().saved(path, step)
        self._keep()

    def carry(self) -> None:
        """Put into the Trainer's state what a resumed run needs."""
        self._state.stateful_callbacks[OWN_STATE] = {"args": {}, "attributes": self.state()}

    def end(self) -> dict[str, Any]:
        self._keep()
        self.carry()
        return super().end()

    def try_averages(self, candidates: tuple[Candidate, ...]) -> None:
        if self.config.mode != "act" or self._trainer is None:
            super().try_averages(candidates)
            return
        names = self.config.metrics
        trial = Trial(self._trainer, self.ranks, lambda logs: record_from_logs(logs, step=0, names=names).metrics)
        for sentence in trial.run(candidates, Path(self.args.output_dir)):
            self.supervisor.note(sentence, severity="info")

    def give_up(self) -> None:
        super().give_up()
        self._reporting.close()

    def _heard(self, entry: JournalEntry) -> None:
        """See to what of the Trainer's own must begin anew with the ranking, or go back with the weights."""
        if entry.kind == "restart" and self.native.always:
            self._state.best_metric = None
        if entry.kind == "rollback" and self._trainer is not None:
            _forget_undone(self._trainer)

    def _keep(self) -> None:
        if self.keeper is None:
            return
        for sentence in self.keeper.keep(self.supervisor.ranking, self.supervisor.late.unheard()):
            self.supervisor.note(sentence, severity="info")

    def _tell_true_rate(self, logs: dict[str, Any], history: list[dict[str, Any]]) -> None:
        handle = self.supervisor.registry.get("learning_rate").handle
        if isinstance(handle, LearningRate) and handle.in_force != 1.0 and isinstance(logs.get("learning_rate"), float):
            logs["learning_rate"] *= handle.in_force
            if history and "learning_rate" in history[-1]:
                history[-1]["learning_rate"] = logs["learning_rate"]

    def _tell_steps(self, logs: dict[str, Any], history: list[dict[str, Any]]) -> None:
        """Put into the Trainer's own log what a guard tells of its steps: a resumed run hears its logs again."""
        if self.steps is None or kind_of(logs) != "train":
            return
        for name, value in self.steps.take().items():
            if name not in logs:
                logs[name] = value
                if history:
                    history[-1][name] = value


def _forget_undone(trainer: Any) -> None:
    """Drop what a trainer holds of steps that were undone: completions to learn from, and a mean loss that is NaN.

    The Trainer empties its sum of losses by subtracting it from itself, so one NaN would stay for ever.
    """
    if getattr(trainer, "_buffered_inputs", None) is not None:
        trainer._buffered_inputs = None
    losses = getattr(trainer, "_tr_loss", None)
    if losses is not None:
        losses.zero_()


def _carry_into(state: Any, session: TrainerSession, failed: Callable[[str, Exception], None]) -> None:
    """Make `state` take along, whenever and by whomever it is written, what a resumed run needs.

    The Trainer writes its state before it tells of a save, and a just-in-time checkpoint tells of none.
    """
    write: Callable[[str], None] = state.save_to_json

    def told(act: Callable[[], None]) -> None:
        try:
            if session.is_running:
                act()
        except Exception as error:
            if session.ranks.size == 1:
                failed("save_to_json", error)
            else:  # only the ranks that write come here, and none may leave the others alone
                session.failed("save_to_json", error, 1, gives_up=False)

    @functools.wraps(write)
    def save_to_json(json_path: str) -> None:
        told(session.carry)
        write(json_path)
        folder = Path(json_path).parent
        if folder.name.startswith(PREFIX_CHECKPOINT_DIR):
            told(lambda: session.leave_factors(folder))

    state.save_to_json = save_to_json
