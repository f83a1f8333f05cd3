from __future__ import annotations

import json
import math
import re

from attrs import define

from steersman import Adjustment, Checkpoint, Score, TrainLoss, hookimpl, state
from steersman.loaded import Loaded, Source
from steersman.ranking import Ranking
from steersman.saved_state import (
    adjustments_state,
    give_back,
    ranking_state,
    restore_adjustments,
    restore_ranking,
    strategies_state,
)


@define(eq=False)
class Counter:
    """A strategy with state."""

    seen: int = state(0)
    worst: float = state(0.0)

    @hookimpl
    def on_log(self, run, log):
        self.seen += 1


class Stateless:
    """A strategy without state."""


def through_json(value):
    """A checkpoint is written by others, as Python writes JSON: NaN and Infinity bare."""
    return json.loads(json.dumps(value))


def test_state_by_name():
    """Each strategy's state is kept under its name in this run, so that two of a kind do not mix."""
    one, two = Counter(), Counter()
    one.seen, one.worst, two.seen = 3, math.inf, 4
    saved = strategies_state(
        (Loaded("one", one, Source("")), Loaded("two", two, Source("")), Loaded("none", Stateless(), Source("")))
    )
    assert saved == {"one": {"seen": 3, "worst": "Infinity"}, "two": {"seen": 4, "worst": 0.0}}
    fresh, other = Counter(), Counter()
    assert give_back((Loaded("two", fresh, Source("")), Loaded("new", other, Source(""))), through_json(saved)) == ()
    assert (fresh.seen, other.seen) == (4, 0)


def test_state_that_is_not_taken_back_is_said():
    """A strategy that cannot take its state back is one sentence; the others get theirs."""
    one, two = Counter(), Counter()
    (problem,) = give_back(
        (Loaded("one", one, Source("")), Loaded("two", two, Source(""))), {"one": {"seen": "many"}, "two": {"seen": 5}}
    )
    assert re.match(r"one could not take back its state: \w+: ", problem)
    assert two.seen == 5


def test_the_ranking_survives_a_checkpoint(tmp_path):
    """Scores with their terms, rejections, train losses, paths and the lowest loss come back from JSON."""
    ranking = Ranking(("first", "second"))
    loss = TrainLoss(1.5, "recent", 3)
    ranking.add(Checkpoint(10, 0.5, {"eval_loss": 2.0}, loss, {"first": Score(1.0, {"gap": 0.25}, "good")}))
    ranking.add(
        Checkpoint(20, 1.0, {"eval_loss": 1.0}, None, {"first": Score.reject("it loops"), "second": Score(3.0)})
    )
    ranking.add(Checkpoint(30, None, {"eval_loss": math.nan}, None))
    ranking.mark_saved(10, str(tmp_path))
    restored = Ranking(("first", "second"))
    restore_ranking(restored, through_json(ranking_state(ranking)))
    assert restored.all()[:2] == ranking.all()[:2]
    assert math.isnan(restored.all()[2].metrics["eval_loss"])
    assert restored.saved == {10: str(tmp_path)}
    assert restored.best().step == 10
    assert restored.best().train_loss == loss
    assert restored.lowest_loss.step == 20


def test_the_saved_ranking_is_bounded():
    """What a checkpoint carries does not grow with the run: the newest 64, the best 8 of a scorer, the lowest loss."""
    ranking = Ranking(("first",))
    for step in range(1, 1001):
        ranking.add(Checkpoint(step, None, {"eval_loss": abs(step - 300.0)}, None, {"first": Score(float(step))}))
    kept = {c["step"] for c in ranking_state(ranking)["checkpoints"]}
    assert kept == {*range(1, 9), 300, *range(937, 1001)}


def test_adjustments_survive_a_checkpoint():
    """The newest 64 changes come back as they were."""
    changes = tuple(
        Adjustment(step, None, "learning_rate", "mine", 1.0, 0.5, 0.5, 0.5**step, "why") for step in range(100)
    )
    assert restore_adjustments(through_json(adjustments_state(changes))) == changes[-64:]


def test_nothing_saved_nothing_restored():
    """An empty state, as of a run that was not supervised, restores nothing."""
    ranking = Ranking(("first",))
    restore_ranking(ranking, {})
    assert (ranking.all(), ranking.saved, restore_adjustments([])) == ((), {}, ())
