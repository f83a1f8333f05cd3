"""The averages that strategies propose when a run is over: judged by its scorers, journaled, ranked with the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import asdict, evolve, frozen

from steersman.averaging.layouts import NotAveraged
from steersman.averaging.leeway import allowance
from steersman.averaging.writing import name_of
from steersman.checkpoints import Checkpoint, Evaluations, averaged_name
from steersman.decisions import Average
from steersman.examples import MOST, take
from steersman.journal import Journal
from steersman.ranking import exists
from steersman.records import Record
from steersman.scoring import Scoring


@frozen
class Candidate:
    """An average that `strategy` proposes, of which nothing is made yet."""

    scoring: Scoring
    strategy: str
    average: Average

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return averaged_name(self.average.steps)

    @property
    def folder(self) -> str:
        """What its folder is called."""
        return name_of(self.average.steps)

    def places(self) -> tuple[Path, ...]:
        """Return where its checkpoints lie, in order of step.

        Raises NotAveraged where one is not there.
        """
        there = self.scoring.ranking.there()
        gone = [str(step) for step in self.average.steps if step not in there]
        if gone:
            raise NotAveraged(f"no checkpoint of step {', '.join(gone)} is there any more")
        return tuple(Path(there[step]) for step in self.average.steps)

    def judge(self, metrics: Mapping[str, float], path: Path) -> Checkpoint:
        """Let every scorer judge it by its own metrics, rank it, journal it. Every rank must call this.

        It is scored as if evaluated at the step in the middle, with the train loss that belongs there.
        """
        steps, ranking = self.average.steps, self.scoring.ranking
        middle = steps[len(steps) // 2]
        centre = ranking.at(middle) or Checkpoint(middle, None, {}, None)
        evaluation = Evaluations().add(Record(middle, "eval", metrics, centre.epoch))
        whole, losses = evaluation.metrics if evaluation is not None else metrics, take()
        made = Checkpoint(middle, centre.epoch, whole, centre.train_loss, path=str(path), averaged=steps)
        scores, allowed = self.scoring.ranks.agree(
            lambda: (self.scoring.dispatch.scores(self.scoring.run, made), self._allowance(losses))
        )
        made = evolve(made, scores=scores, allowance=allowed)
        ranking.add_average(made)
        self.scoring.examples.keep(made.key, losses)
        journal_averaged(self.scoring.journal, self.scoring.run.step, self.strategy, self.average, made)
        return made

    def _allowance(self, losses: Sequence[float]) -> float:
        """Return how far its loss may lie above that of the best checkpoint, paired with it by example."""
        best = self.scoring.ranking.best(where=lambda c: not c.averaged)
        if best is None or not losses or not self.average.leeway:
            return 0.0
        theirs = self.scoring.examples.read(best.step).get(best.key, ())
        return allowance(self.average.leeway, theirs, losses[:MOST])

    def refuse(self, reason: str) -> None:
        """Journal why nothing came of it."""
        journal_averaged(self.scoring.journal, self.scoring.run.step, self.strategy, self.average, None, reason=reason)

    def best_raw(self) -> Checkpoint | None:
        """Return the best checkpoint that is there and is no average: what an average must beat."""
        return self.scoring.ranking.best(where=lambda c: not c.averaged and exists(c))

    def ranks_by(self, checkpoint: Checkpoint | None) -> float | None:
        """Return what decides where it ranks; None where there is nothing, or it may not be best. Lower is better."""
        leader, ranked = self.scoring.ranking.leader, self.scoring.ranking.ranked()
        if checkpoint is None or all(c.key != checkpoint.key for c in ranked):
            return None
        return checkpoint.ranks_by(leader or "")

    def why_kept(self) -> str:
        """Return, as it follows on its name, why it is kept once it was judged."""
        leader, best = self.scoring.ranking.leader or "", self.best_raw()
        mine = [c for c in self.scoring.ranking.averages if c.averaged == self.average.steps]
        if best is None or not mine or mine[0].scores[leader].value < best.scores[leader].value:
            return "is better than every checkpoint that is there"
        return f"is within {self.average.leeway:g} standard errors of {best.name}, the best that is there"


def worth_a_try(candidates: tuple[Candidate, ...]) -> str:
    """Return what is said of averages that nobody makes here."""
    names = ", ".join(candidate.folder for candidate in candidates)
    are = "1 average is" if len(candidates) == 1 else f"{len(candidates)} averages are"
    return f"{are} worth a try: {names}; steersman.average(...) or `steersman average RUN` makes them"


_FEW = 3
"""The fewest checkpoints of which an average is usually made."""
Tries = Callable[[tuple[Candidate, ...]], None]
"""Makes the averages that are proposed, and evaluates them."""


def propose(scoring: Scoring, tries: Tries | None) -> KeyboardInterrupt | None:
    """Ask for averages, journal those that are proposed, and let somebody try them. Every rank must call this.

    Return the Ctrl-C that ended it, which is to be raised once the run's end is told. Of several ranks each may have
    been interrupted elsewhere, so there it is raised at once.
    """
    proposed = scoring.ranks.agree(lambda: scoring.dispatch.averages(scoring.run))
    for strategy, average in proposed:
        scoring.journal.write(
            "average", scoring.run.step, strategy=strategy, steps=list(average.steps), leeway=average.leeway
        )
    if not proposed and tries is not None and scoring.dispatch.has("propose_averages"):
        there = len(scoring.ranking.there())
        if there < _FEW <= len(scoring.ranking.ranked()) and scoring.run.mode != "observe":
            message = (
                f"no averages: they need {_FEW} or more saved checkpoints when the run ends, and there are {there};"
                " save as often as you evaluate, and keep more (save_total_limit)"
            )
            scoring.journal.write("note", scoring.run.step, message=message, severity="info")
    if proposed and tries is not None:
        try:
            tries(tuple(Candidate(scoring, strategy, average) for strategy, average in proposed))
        except Exception as error:  # the run is over, and its result stands
            message = f"averages could not be tried: {type(error).__name__}: {error}"
            scoring.journal.write("note", scoring.run.step, message=message, severity="warning")
        except KeyboardInterrupt as error:
            if scoring.ranks.size > 1:
                raise
            message = "interrupted while averages were tried: the one in the making is gone, the run is over"
            scoring.journal.write("note", scoring.run.step, message=message, severity="info")
            return error
    return None


def journal_averaged(
    journal: Journal, step: int, strategy: str, average: Average, made: Checkpoint | None, *, reason: str = ""
) -> None:
    """Write what came of an average: its scores and where it was written, or the reason why there is none."""
    loss = made.train_loss if made else None
    journal.write(
        "averaged",
        step,
        strategy=strategy,
        steps=list(average.steps),
        leeway=average.leeway,
        allowance=made.allowance if made else 0.0,
        centre=made.step if made else None,
        path=made.path if made else None,
        metrics=made.metrics if made else {},
        scores={name: asdict(score) for name, score in made.scores.items()} if made else {},
        train_loss=asdict(loss) if loss else None,
        epoch=made.epoch if made else None,
        reason=reason,
    )
