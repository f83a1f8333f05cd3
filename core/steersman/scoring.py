"""An evaluation becomes a scored checkpoint: every scorer is asked on rank 0, every rank receives."""

from __future__ import annotations

from attrs import define, evolve, field

from steersman.checkpoints import Checkpoint, Evaluation, Evaluations, train_loss_of
from steersman.dispatch import Dispatch
from steersman.examples import ExampleLosses
from steersman.history import WritableHistory
from steersman.journal import Journal
from steersman.journaling import journal_scores
from steersman.ranking import Ranking
from steersman.ranks import Ranks
from steersman.records import Record
from steersman.run import Run


@define(eq=False)
class Scoring:
    """Merges the eval records of a step, and scores what they make."""

    run: Run
    history: WritableHistory
    ranking: Ranking
    dispatch: Dispatch
    ranks: Ranks
    journal: Journal
    evaluations: Evaluations
    fingerprint: str
    examples: ExampleLosses = field(factory=ExampleLosses)
    _is_closed: bool = True
    _stand_in_said: bool = False

    def hear(self, record: Record, *, judging: bool) -> Checkpoint | None:
        """Hear one eval record; return the scored checkpoint if it closed an evaluation."""
        evaluation = self.evaluations.add(record)
        self._is_closed = evaluation is not None
        return self._score(evaluation, judging=judging) if evaluation is not None else None

    def close(self, *, judging: bool) -> None:
        """No further record of this evaluation will come: score it as it is, if it was not."""
        if not self._is_closed and (late := self.evaluations.close()) is not None:
            self._score(late, judging=judging)
        self._is_closed = True

    def _score(self, evaluation: Evaluation, *, judging: bool) -> Checkpoint | None:
        if self.history["eval_loss"].latest_step != evaluation.step and "eval_loss" in evaluation.metrics:
            self.history.append_value("eval_loss", evaluation.step, evaluation.metrics["eval_loss"])
        if not judging:
            return None
        self._say_stand_in()
        loss = train_loss_of(evaluation, self.history)
        checkpoint = Checkpoint(evaluation.step, evaluation.epoch, evaluation.metrics, loss)
        if self.dispatch.has("on_eval"):
            self.dispatch.notify("on_eval", self.run, evolve(evaluation, metrics=dict(evaluation.metrics)))
        scores = self.ranks.agree(lambda: self.dispatch.scores(self.run, checkpoint))
        checkpoint = Checkpoint(evaluation.step, evaluation.epoch, evaluation.metrics, loss, scores)
        self.ranking.add(checkpoint)
        journal_scores(self.journal, checkpoint, self.fingerprint)
        if self.dispatch.has("on_checkpoint_scored"):
            self.dispatch.notify("on_checkpoint_scored", self.run, checkpoint.copied())
        return checkpoint

    def _say_stand_in(self) -> None:
        stands_in = self.evaluations.stands_in
        if stands_in is not None and not self._stand_in_said:
            self._stand_in_said = True
            message = (
                f"eval_loss is taken from {stands_in}, the first evaluation set; set `metrics:` or `score:` to choose"
            )
            self.journal.write("note", self.run.step, message=message, severity="warning")
