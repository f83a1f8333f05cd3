"""Averages at the end of a Trainer's run: written one after another, evaluated by its own `evaluate`, the best kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from steersman.averaging.candidates import Candidate
from steersman.averaging.writing import write_average
from steersman.integrations.transformers.chosen_metric import ChosenMetric
from steersman.integrations.transformers.weights_in_force import AdapterInForce, WeightsInForce
from steersman.ranks import Ranks
from steersman.records import number


@define(eq=False)
class Trial:
    """Tries averages with a trainer whose training is over. `metrics_of` is what we make of its metrics.

    Whatever happens, the model has the weights again that it had, but where the trainer was to load the best one
    (`load_best_model_at_end`) and that is an average: by the metric that its user named.
    """

    trainer: Any
    ranks: Ranks
    metrics_of: Callable[[Mapping[str, object]], Mapping[str, float]]
    _chosen: dict[str, float | None] = field(factory=dict[str, float | None], init=False)
    _refused: list[str] = field(factory=list[str], init=False)

    def run(self, candidates: tuple[Candidate, ...], folder: Path) -> Iterator[str]:
        """Try each; keep the best of them on disk if it ranks before every checkpoint there. Yield what to say."""
        why_not = self._why_not()
        if why_not:
            for candidate in candidates:
                self._refuse(candidate, why_not)
            yield self._counted(len(candidates))
            return
        kept: tuple[float, Path, Candidate] | None = None
        model = self.trainer.accelerator.unwrap_model(self.trainer.model, keep_torch_compile=False)
        weights = AdapterInForce(model) if hasattr(model, "peft_config") else WeightsInForce(model, self.ranks)
        loads = bool(self.trainer.args.load_best_model_at_end)
        try:
            for candidate in candidates:
                goal = folder / candidate.folder
                try:
                    score = self._try(candidate, goal, weights)
                except BaseException:  # Ctrl-C
                    self._remove(goal)
                    raise
                beaten = kept[0] if kept is not None else self._best_raw(candidate)
                if score is None or (beaten is not None and score >= beaten):
                    self._remove(goal)
                    continue
                if kept is not None:
                    self._remove(kept[1])
                kept = score, goal, candidate
        finally:
            weights.restore()
        if kept is None:
            yield self._counted(len(candidates))
            return
        yield from self._kept(kept, weights, loads=loads)

    def _kept(self, kept: tuple[float, Path, Candidate], weights: Any, *, loads: bool) -> Iterator[str]:
        _, goal, candidate = kept
        then = ""
        chosen = ChosenMetric.of(self.trainer)
        leader = candidate.scoring.ranking.leader or ""
        if loads and isinstance(weights, WeightsInForce):
            if chosen.is_decided_by(leader) or chosen.is_better(self._chosen.get(candidate.folder)):
                weights.load(goal)
                then = "; it is loaded, as load_best_model_at_end asks for the best"
            else:
                then = f"; it is not loaded: {chosen.why_not(self._chosen.get(candidate.folder))}"
        elif loads:
            then = "; it is not loaded in place of the adapter, whose rank is another"
        yield f"{candidate.name} {candidate.why_kept()}, and kept in {goal}{then}"

    def _counted(self, candidates: int) -> str:
        """Return how many were tried, and why others were not."""
        tried = candidates - len(self._refused)
        others = f"{_averages(len(self._refused))} not tried: {self._refused[0]}" if self._refused else ""
        if not tried:
            return others
        return f"{_averages(tried)} tried; none is better than the best checkpoint" + (others and f"; {others}")

    def _refuse(self, candidate: Candidate, reason: str) -> None:
        self._refused.append(reason)
        candidate.refuse(reason)

    def _best_raw(self, candidate: Candidate) -> float | None:
        return self.ranks.agree(lambda: candidate.ranks_by(candidate.best_raw()))

    def _why_not(self) -> str:
        trainer = self.trainer
        if getattr(trainer, "is_fsdp_enabled", False) or getattr(trainer, "is_deepspeed_enabled", False):
            return (
                "weights that FSDP or DeepSpeed shares out cannot be exchanged here; `steersman average RUN` makes it"
            )
        if trainer.eval_dataset is None:
            return "the trainer has no eval_dataset"
        if self.ranks.size > 1 and hasattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config"):
            return "adapters are averaged in a single process only; `steersman average RUN` makes it"
        return ""

    def _try(self, candidate: Candidate, goal: Path, weights: Any) -> float | None:
        """Return what an average ranks by, or None, journaled with its reason, where it has none."""
        failed, metrics, chosen = "", dict[str, float](), None
        try:
            self.ranks.agree(lambda: write_average(candidate.places(), goal, candidate.average.steps) and None)
            weights.load(goal)
        except Exception as error:
            self._refuse(candidate, _told(error))
            return None
        try:
            with undisturbed(self.trainer):
                evaluated: Mapping[str, object] = self.trainer.evaluate()
            metrics = dict(self.metrics_of(evaluated))
            chosen = number(evaluated.get(ChosenMetric.of(self.trainer).name))
        except Exception as error:
            failed = _told(error)
        failed = next((problem for problem in self.ranks.gathered(failed) if problem), "")
        if failed:
            self._refuse(candidate, f"its evaluation failed: {failed}")
            return None
        self._chosen[candidate.folder] = self.ranks.agree(lambda: chosen)
        made = candidate.judge(self.ranks.agree(lambda: metrics), goal)
        return candidate.ranks_by(made)

    def _remove(self, goal: Path) -> None:
        if self.ranks.is_main:
            shutil.rmtree(goal, ignore_errors=True)


@contextmanager
def undisturbed(trainer: Any) -> Generator[None]:
    """Let the trainer evaluate without a trace: no callback hears of it, and its log, state and control stay."""
    handler, state, model = trainer.callback_handler, trainer.state, trainer.model
    callbacks, history, control = handler.callbacks, list(state.log_history), trainer.control
    was_training = bool(model.training)
    handler.callbacks = []
    try:
        yield
    finally:
        handler.callbacks, trainer.control = callbacks, control
        state.log_history[:] = history
        model.train(was_training)


def _averages(count: int) -> str:
    return "1 average was" if count == 1 else f"{count} averages were"


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
