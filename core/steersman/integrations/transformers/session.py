"""One supervised run of a Trainer, from train begin to train end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import asdict, evolve

from steersman.config import Config
from steersman.dispatch import Loaded
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.torch.learning_rate import LearningRate
from steersman.integrations.torch.ranks import current_ranks
from steersman.integrations.torch.tokens import TokenCount
from steersman.integrations.transformers.announcing import announce
from steersman.integrations.transformers.native_score import NativeScore, is_chosen
from steersman.integrations.transformers.trainer_facts import plan_of, preflight, registry_of
from steersman.journal import Journal, from_json, to_json
from steersman.journaling import journal_own_failure
from steersman.keeping import Keeper
from steersman.logs import logger
from steersman.readers.run_directory import JOURNAL, KEPT
from steersman.readers.trainer_state import OWN_STATE, own_state
from steersman.records import is_other_evaluation, kind_of, record_from_logs
from steersman.reporters.console import Console
from steersman.reporters.tensorboard import TensorBoard
from steersman.supervisor import Supervisor


class Session:
    """Holds what lives as long as a run: the supervisor, the journal, the hooks on optimizer and model."""

    def __init__(
        self,
        config: Config,
        strategies: tuple[Loaded, ...],
        trainer: Any | None,
        args: Any,
        state: Any,
        kwargs: Mapping[str, Any],
        own: tuple[Hyperparameter, ...],
        notes: tuple[str, ...],
    ) -> None:
        self.config, self.args = config, args
        self._held = ExitStack()  # what must be given back, also where the rest of this fails
        try:
            self._start(strategies, trainer, state, kwargs, own, notes)
        except BaseException:
            self._held.close()
            raise

    def _start(
        self,
        strategies: tuple[Loaded, ...],
        trainer: Any | None,
        state: Any,
        kwargs: Mapping[str, Any],
        own: tuple[Hyperparameter, ...],
        notes: tuple[str, ...],
    ) -> None:
        config, args = self.config, self.args
        saved: Mapping[str, Any] = from_json(own_state({"stateful_callbacks": state.stateful_callbacks}))
        saved = saved if state.global_step > 0 else {}
        ranks = current_ranks()
        self.forces_logs = config.mode != "observe" and (
            config.force_logs == "always" or (config.force_logs == "auto" and config.mode == "act")
        )
        plan = plan_of(args, state, trainer, kwargs.get("train_dataloader"), forces_logs=self.forces_logs)
        registry = registry_of(args, kwargs.get("optimizer"), trainer, own)
        self._held.callback(registry.release)
        self.values = saved.get("values") or registry.values()
        output = Path(args.output_dir)
        path = Path(config.journal) if config.journal else output / JOURNAL
        self.journal = Journal(path if ranks.is_main else None, self._complain)
        self._complaints: list[str] = []
        self._held.callback(self.journal.close)
        if ranks.is_main and config.console:
            self.journal.subscribers.append(Console().hear)
        if ranks.is_main and trainer is not None and config.mode != "observe":
            self.journal.subscribers.append(TensorBoard(trainer.callback_handler).hear)
        self.supervisor = Supervisor(
            config, strategies, plan=plan, registry=registry, journal=self.journal, ranks=ranks
        )
        self.native = NativeScore(always=is_chosen(args), into_logs=config.mode != "observe")
        self.keeper = Keeper(output / KEPT) if config.keep_both_bests and ranks.is_main else None
        self.tokens = TokenCount(kwargs["model"]) if kwargs.get("model") is not None else None
        if self.tokens is not None:
            self._held.callback(self.tokens.release)
            self.tokens.resume(saved.get("tokens") or {})
        self._elapsed_before, self._begun = float(saved.get("elapsed") or 0.0), perf_counter()
        self._step_began: float | None = None
        self.journal.open()
        if config.journal and self.journal.is_open:
            _point_to(path, output / JOURNAL)
        warned = [*notes, *preflight(args, plan, config, trainer)]
        if ranks.size > 1:
            warned.append(f"{ranks.size} ranks: rank 0 decides for all; tokens are those of rank 0")
        if state.global_step > 0 and not saved and state.log_history:
            warned.append("this checkpoint was saved without Steersman: what was evaluated before it is not ranked")
        past = [
            record_from_logs(entry, step=int(entry["step"]), names=config.metrics)
            for entry in state.log_history
            if "step" in entry and not is_other_evaluation(entry)
        ]
        problems = self.supervisor.restore(past, saved, step=state.global_step)
        announce(self.supervisor, strategies, state.global_step, self.values, warned, forces_logs=self.forces_logs)
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
        self._step_began = perf_counter()

    def step_ends(self, state: Any, control: Any) -> None:
        """Obey a stop or a save, and see to the logs that scores and resumes need."""
        if self.tokens is not None and self._step_began is not None:
            self.tokens.seconds += perf_counter() - self._step_began
        actions = self.supervisor.actions
        if actions.stop_because is not None:
            control.should_save = control.should_training_stop = True
            self.supervisor.note(f"the run stops: {actions.stop_because}")
            actions.stop_because = None
        if actions.save_because is not None:
            control.should_save = True
            actions.save_because = None
        self.force_log(state, control)

    def force_log(self, state: Any, control: Any) -> None:
        """Ask for a log where there will be an evaluation or a save, so that its train loss is fresh."""
        if self.forces_logs and (control.should_evaluate or control.should_save):
            control.should_log = True
        if control.should_save:
            self.carry(state)

    def logged(self, logs: dict[str, Any], state: Any, control: Any) -> None:
        """Hear a log: correct its learning rate, score its evaluation."""
        if is_other_evaluation(logs):
            return
        if kind_of(logs) == "eval":
            self.native.heard(None)
        history: list[dict[str, Any]] = state.log_history
        self._tell_true_rate(logs, history)
        record = record_from_logs(logs, step=state.global_step, elapsed=self._elapsed(), names=self.config.metrics)
        if self.tokens is not None and record.kind != "eval":
            record = evolve(record, usage=self.tokens.take())
        checkpoint = self.supervisor.feed(record)
        if record.kind == "eval":
            score = checkpoint.scores.get(self.supervisor.ranking.leader or "") if checkpoint else None
            self.native.heard(score.value if score else None)
            self.native.write_logs(logs, history)
        if control.should_save:
            self.carry(state)

    def saved(self, path: Path, step: int) -> None:
        """Hear that a checkpoint was written."""
        self.supervisor.saved(step, str(path))
        self._keep()

    def end(self) -> dict[str, Any]:
        """Finish the run, put back the user's values, and return the summary."""
        try:
            self.supervisor.progress.elapsed = self._elapsed()
            self._keep()
            return self.supervisor.end(journal=str(self.journal.path) if self.journal.is_open else None)
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Leave the run as it would be without us."""
        self._held.close()

    def carry(self, state: Any) -> None:
        """Put into the Trainer's state what a checkpoint must hold for a resumed run to decide as this one."""
        attributes = {
            **self.supervisor.save(),
            "elapsed": self._elapsed(),
            "tokens": asdict(self.tokens.pending()) if self.tokens is not None else {},
            "plan": asdict(self.supervisor.plan),
            "values": self.values,
        }
        state.stateful_callbacks[OWN_STATE] = {"args": {}, "attributes": to_json(attributes)}

    def _elapsed(self) -> float:
        return self._elapsed_before + perf_counter() - self._begun

    def _keep(self) -> None:
        for sentence in self.keeper.keep(self.supervisor.ranking) if self.keeper is not None else ():
            self.supervisor.note(sentence, severity="info")

    def _tell_true_rate(self, logs: dict[str, Any], history: list[dict[str, Any]]) -> None:
        handle = self.supervisor.registry.get("learning_rate").handle
        if isinstance(handle, LearningRate) and handle.in_force != 1.0 and isinstance(logs.get("learning_rate"), float):
            logs["learning_rate"] *= handle.in_force
            if history and "learning_rate" in history[-1]:
                history[-1]["learning_rate"] = logs["learning_rate"]

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
