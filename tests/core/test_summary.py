from steersman import Checkpoint, Record, Score, TrainLoss
from steersman.history import WritableHistory
from steersman.ranking import Ranking
from steersman.summary import choices, never_came


def ranking_of(*scores):
    ranking = Ranking(("mine",))
    for i, score in enumerate(scores, 1):
        loss = TrainLoss(0.5, "recent", 0)
        ranking.add(Checkpoint(10 * i, 0.1 * i, {"eval_loss": 3.0 - i}, loss, {"mine": Score(score, {"t": score})}))
    return ranking


def test_nothing_was_evaluated():
    """A run without an evaluation has nothing to choose from, and says so plainly."""
    told = choices(Ranking(("mine",)))
    assert told == {
        "scorer": None, "best": None, "best_per_scorer": {}, "lowest_eval_loss": None, "disagree": False,
        "best_saved": None, "ranking": [], "passed_over": [], "passed_over_count": 0, "evaluations": 0, "saved_known": False, "tied": None,
    }  # fmt: skip


def test_the_best_with_its_terms():
    """The best is told with step, epoch, score, terms, both losses, and whether its directory is there."""
    told = choices(ranking_of(2.0))
    assert told["best"] == {
        "step": 10, "epoch": 0.1, "score": 2.0, "terms": {"t": 2.0}, "eval_loss": 2.0, "train_loss": 0.5,
        "path": None, "exists": False,
    }  # fmt: skip
    assert not told["disagree"]
    assert not told["saved_known"]


def test_a_better_evaluation_that_was_never_saved(tmp_path):
    """The ranking lists what was saved and is still there; the better one that never was is told as the best."""
    ranking = ranking_of(2.0, 1.0, 3.0)
    for step in (10, 30):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        ranking.mark_saved(step, str(folder))
    (tmp_path / "checkpoint-30").rmdir()
    told = choices(ranking)
    assert [shown["step"] for shown in told["ranking"]] == [10]
    assert (told["best"]["step"], told["best"]["exists"]) == (20, False)
    assert (told["best_saved"]["step"], told["best_saved"]["exists"]) == (10, True)
    assert (told["lowest_eval_loss"]["step"], told["disagree"]) == (30, True)


def test_the_ranking_is_short():
    """At most ten are listed, and without knowledge of the disk all count as there."""
    told = choices(ranking_of(*(float(i) for i in range(1, 16))))
    assert [shown["step"] for shown in told["ranking"]] == [10 * i for i in range(1, 11)]
    assert told["evaluations"] == 15


def test_metrics_that_never_came():
    """A name that was asked for and came later is not missing; one that never came has the nearest name, or none."""
    history = WritableHistory()
    for name in ("loss", "eval_los", "zzz"):
        _ = history[name].latest
    history.append(Record(10, "train", {"loss": 1.0, "eval_loss": 2.0}))
    assert never_came(history) == {"eval_los": "eval_loss", "zzz": None}


def test_a_required_metric_that_never_came():
    """It is told like one that a strategy asked for, unless it came late; a late name may be the nearest."""
    history = WritableHistory()
    history.append(Record(10, "eval", {"eval_quality": 1.0}))
    assert never_came(history, required=["qualiti", "safty", "eval_quality", "harm"], late=["safety", "harm"]) == {
        "qualiti": "eval_quality",
        "safty": "safety",
    }
