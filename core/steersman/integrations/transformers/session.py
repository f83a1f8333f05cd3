"""One supervised run of a Trainer, from train begin to train end."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import asdict

from steersman.config import Config
from steersman.dispatch import Loaded
from steersman.hyperparameters import Hyperparameter, Registry
from steersman.integrations.torch.ranks import current_ranks
from steersman.integrations.torch.tokens import TokenCount
from steersman.integrations.transformers.native_score import NativeScore, is_chosen
from steersman.integrations.transformers.trainer_facts import plan_of, preflight, registry_of
from steersman.journal import Journal, from_json, to_json
from steersman.keeping import Keeper
from steersman.readers.run_directory import JOURNAL
from steersman.readers.trainer_state import OWN_STATE, own_state
from steersman.records import kind_of, record_from_logs
from steersman.reporters.console import Console
from steersman.reporters.tensorboard import TensorBoard
from steersman.schedule import RunPlan, checks_ahead
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
        saved: Mapping[str, Any] = from_json(own_state({"stateful_callbacks": state.stateful_callbacks}))
        saved = saved if state.global_step > 0 else {}
        ranks = current_ranks()
        plan = plan_of(args, state, trainer, kwargs.get("train_dataloader"))
        registry = registry_of(args, kwargs.get("optimizer"), trainer, own)
        self.values = saved.get("values") or _values(registry)
        output = Path(args.output_dir)
        path = Path(config.journal) if config.journal else output / JOURNAL
        self.journal = Journal(path if ranks.is_main else None, self._complain)
        self._complaints: list[str] = []
        if ranks.is_main and config.console:
            self.journal.subscribers.append(Console().hear)
        if ranks.is_main and trainer is not None and config.mode != "observe":
            self.journal.subscribers.append(TensorBoard(trainer.callback_handler).hear)
        self.supervisor = Supervisor(
            config, strategies, plan=plan, registry=registry, journal=self.journal, ranks=ranks
        )
        self.native = NativeScore(always=is_chosen(args), into_logs=config.mode != "observe")
        self.keeper = Keeper(output / "steersman" / "kept") if config.keep_both_bests and ranks.is_main else None
        self.forces_logs = config.mode != "observe" and (
            config.force_logs == "always" or (config.force_logs == "auto" and config.mode == "act")
        )
        self.tokens = TokenCount(kwargs["model"]) if kwargs.get("model") is not None else None
        self._elapsed_before, self._begun = float(saved.get("elapsed") or 0.0), perf_counter()
        self._step_began: float | None = None
        self.journal.open()
        warned = [*notes, *preflight(args, plan, config, trainer)]
        if ranks.size > 1:
            warned.append(f"{ranks.size} ranks: rank 0 decides for all; tokens are those of rank 0")
        self._announce(strategies, registry, plan, state.global_step, warned)
        names = config.metrics
        past = [record_from_logs(e, step=int(e["step"]), names=names) for e in state.log_history if "step" in e]
        for problem in self.supervisor.begin(past, saved, step=state.global_step):
            self.supervisor.note(problem)
        self._flush_complaints()

    def note(self, message: str) -> None:
        """Journal a sentence for the user."""
        self.supervisor.note(message)

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
            self._carry(state)

    def logged(self, logs: dict[str, Any], state: Any, control: Any) -> None:
        """Hear a log: correct its learning rate, score its evaluation."""
        history: list[dict[str, Any]] = state.log_history
        self._tell_true_rate(logs, history)
        is_train = kind_of(logs) != "eval"
        record = record_from_logs(
            logs,
            step=state.global_step,
            elapsed=self._elapsed_before + perf_counter() - self._begun,
            usage=self.tokens.take() if self.tokens is not None and is_train else (),
            names=self.config.metrics,
        )
        checkpoint = self.supervisor.feed(record)
        if record.kind == "eval":
            score = checkpoint.scores.get(self.supervisor.ranking.leader or "") if checkpoint else None
            self.native.heard(score.value if score else None)
            self.native.write_logs(logs, history)
        if control.should_save:
            self._carry(state)

    def evaluated(self, metrics: dict[str, Any], state: Any) -> None:
        """Put the score into the metrics the Trainer chooses by."""
        self.native.write_metrics(metrics)
        self._carry(state)

    def saved(self, path: Path, step: int) -> None:
        """Hear that a checkpoint was written."""
        self.supervisor.saved(step, str(path))
        if self.keeper is not None:
            for sentence in self.keeper.keep(self.supervisor.ranking):
                self.supervisor.note(sentence, severity="info")

    def end(self, now: float) -> dict[str, Any]:
        """Finish the run, put back the user's values, and return the summary."""
        self.supervisor.progress.elapsed = self._elapsed_before + now - self._begun
        told = self.supervisor.end(journal=str(self.journal.path) if self.journal.path else None)
        self._release()
        return told

    def give_up(self) -> None:
        """Leave the run as it would be without us."""
        self.supervisor.registry.release()
        self._release()

    def _release(self) -> None:
        if self.tokens is not None:
            self.tokens.release()
        self.journal.close()

    def _carry(self, state: Any) -> None:
        attributes = {**self.supervisor.save(), "plan": asdict(self.supervisor.plan), "values": self.values}
        state.stateful_callbacks[OWN_STATE] = {"args": {}, "attributes": to_json(attributes)}

    def _tell_true_rate(self, logs: dict[str, Any], history: list[dict[str, Any]]) -> None:
        factor = self.supervisor.registry.get("learning_rate").factor
        if factor != 1.0 and isinstance(logs.get("learning_rate"), float):
            logs["learning_rate"] *= factor
            if history and "learning_rate" in history[-1]:
                history[-1]["learning_rate"] = logs["learning_rate"]

    def _announce(
        self, strategies: tuple[Loaded, ...], registry: Registry, plan: RunPlan, step: int, warned: list[str]
    ) -> None:
        config = self.config
        self.journal.write(
            "run",
            step,
            resumed=step > 0,
            config_source=config.source,
            config=config.raw,
            mode=config.mode,
            strategies=[
                {"name": s.name, "target": s.target, "origin": s.origin, "options": s.options} for s in strategies
            ],
            check_every=str(self.supervisor.due.every),
            checks_ahead=checks_ahead(self.supervisor.due.every, plan, step=step),
            hyperparameters=[
                {
                    "name": entry.name,
                    "status": entry.status,
                    "reason": entry.reason,
                    "value": registry.view(entry.name).value,
                    "allowed": entry.name in config.allowed,
                    "bounds": str(config.allowed[entry.name]) if entry.name in config.allowed else "",
                }
                for entry in registry.entries.values()
            ],
            forces_logs=self.forces_logs,
            plan=asdict(plan),
            values=self.values,
            preflight=warned,
            journal=str(self.journal.path) if self.journal.path else None,
            versions={name: version(name) for name in ("steersman", "transformers", "torch")},
        )

    def _complain(self, message: str) -> None:
        self._complaints.append(message)
        if hasattr(self, "supervisor"):
            self._flush_complaints()

    def _flush_complaints(self) -> None:
        while self._complaints:
            self.supervisor.note(self._complaints.pop(0))


def _values(registry: Registry) -> dict[str, float]:
    known = {name: registry.view(name).value for name in registry.entries}
    return {name: value for name, value in known.items() if value is not None}
