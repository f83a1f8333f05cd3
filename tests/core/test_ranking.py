import math
import shutil

from steersman import Checkpoint, Score
from steersman.ranking import Ranking, exists
from steersman.requirements import Requirement


def checkpoint(step, loss=math.nan, **scores):
    given = {name: value if isinstance(value, Score) else Score(value) for name, value in scores.items()}
    return Checkpoint(step, None, {"eval_loss": loss}, None, given)


def ranking_of(*checkpoints, order=("first", "second")):
    ranking = Ranking(order)
    for one in checkpoints:
        ranking.add(one)
    return ranking


def steps(checkpoints):
    return [c.step for c in checkpoints]


def test_each_scorer_has_its_own_ranking():
    """Rankings are never mixed: each scorer's is by its own scores, and the first in config order leads."""
    ranking = ranking_of(checkpoint(10, first=3.0, second=1.0), checkpoint(20, first=2.0, second=2.0))
    assert ranking.leader == "first"
    assert steps(ranking.ranked()) == [20, 10]
    assert steps(ranking.ranked("second")) == [10, 20]
    assert ranking.best().step == 20
    assert ranking.best("second").step == 10


def test_the_leader_is_the_first_with_an_opinion():
    """A scorer that never had an opinion does not lead."""
    ranking = ranking_of(checkpoint(10, second=1.0), checkpoint(20, second=2.0))
    assert ranking.leader == "second"
    assert ranking.best().step == 10


def test_what_is_never_best():
    """The baseline, a rejected checkpoint and an unscored one are never ranked."""
    ranking = ranking_of(
        checkpoint(0, first=0.1),
        checkpoint(10, first=Score.reject("it loops")),
        checkpoint(20),
        checkpoint(30, first=9.0),
    )
    assert steps(ranking.ranked()) == [30]
    assert steps(ranking.all()) == [0, 10, 20, 30]


def test_no_scores_no_best():
    """Without a score there is no leader and no best."""
    ranking = ranking_of(checkpoint(10, 1.0))
    assert (ranking.leader, ranking.best(), ranking.ranked()) == (None, None, ())


def test_the_earlier_of_equals():
    """Of two equal scores the earlier step is the better."""
    assert steps(ranking_of(checkpoint(20, first=1.0), checkpoint(10, first=1.0)).ranked()) == [10, 20]


def test_one_checkpoint_a_step():
    """A checkpoint evaluated again replaces the one of that step."""
    ranking = ranking_of(checkpoint(10, first=1.0), checkpoint(20, first=2.0), checkpoint(10, first=3.0))
    assert steps(ranking.ranked()) == [20, 10]


def test_lowest_loss_may_be_another():
    """The lowest eval loss is kept whatever the scorers say; NaN and the baseline are never lowest."""
    ranking = ranking_of(
        checkpoint(0, 0.1), checkpoint(10, 1.0, first=5.0), checkpoint(20, 2.0, first=4.0), checkpoint(30, first=3.0)
    )
    assert ranking.lowest_loss.step == 10
    assert ranking.best().step == 30


def test_no_finite_loss_no_lowest():
    """A run whose evaluations were all NaN has no lowest loss."""
    assert ranking_of(checkpoint(10, math.nan), checkpoint(20, math.inf)).lowest_loss is None
    assert ranking_of().lowest_loss is None


def test_saved_and_gone(tmp_path):
    """A checkpoint knows where it was saved; the Trainer may delete it, and then it is said to be gone."""
    ranking = ranking_of(checkpoint(10, first=1.0), checkpoint(20, first=2.0))
    folders = {step: tmp_path / f"checkpoint-{step}" for step in (10, 20)}
    for step, folder in folders.items():
        folder.mkdir()
        assert ranking.mark_saved(step, str(folder)).path == str(folder)
    assert ranking.best(where=exists).step == 10
    shutil.rmtree(folders[10])
    assert ranking.best(where=exists).step == 20
    assert not exists(ranking.best())
    assert ranking.mark_saved(30, str(tmp_path)) is None
    assert set(ranking.saved) == {20, 30}


def test_saved_before_evaluated(tmp_path):
    """A checkpoint that was saved before its evaluation carries its path all the same."""
    ranking = Ranking(("first",))
    ranking.mark_saved(10, str(tmp_path))
    ranking.add(checkpoint(10, first=1.0))
    assert ranking.best().path == str(tmp_path)


def test_memory_is_bounded():
    """Of three thousand evaluations at most 1025 are remembered: the best of each scorer, the newest, the baseline."""
    ranking = Ranking(("first", "second"))
    for step in range(3000):
        ranking.add(checkpoint(step, 1.0 + step, first=abs(step - 700.5), second=float(step)))
    assert len(ranking.all()) <= 1025
    assert steps(ranking.ranked("first"))[:4] == [700, 701, 699, 702]
    assert steps(ranking.ranked("second"))[:2] == [1, 2]
    assert steps(ranking.all())[-500:] == list(range(2500, 3000))
    assert ranking.lowest_loss.step == 1
    assert ranking.all()[0].is_baseline


SAFE = (Requirement("safety", ">=", 0.92),)


def test_what_is_required_bars_from_every_ranking():
    """Whoever scores: what waits and what fails is not ranked, and is told as passed over with the reason."""
    ranking = Ranking(("first", "second"), SAFE)
    for step, first, second in ((10, 1.0, 3.0), (20, 2.0, 2.0), (30, 3.0, 1.0)):
        ranking.add(checkpoint(step, first=first, second=second))
    assert ranking.best() is None
    assert [(c.step, why.reason, why.waits) for c, why in ranking.passed_over()] == [
        (10, "waiting for safety", True), (20, "waiting for safety", True), (30, "waiting for safety", True),
    ]  # fmt: skip
    ranking.hear_late(20, {"safety": 0.95})
    ranking.hear_late(10, {"safety": 0.89})
    assert (steps(ranking.ranked()), steps(ranking.ranked("second"))) == ([20], [20])
    assert [(c.step, why.reason) for c, why in ranking.passed_over()] == [(10, "safety 0.89 is not >= 0.92")]
    assert [(c.step, why.reason) for c, why in ranking.passed_over("second")] == [(30, "waiting for safety")]
    assert steps(ranking.ranked(barred=True)) == [10, 20, 30]
    assert ranking_of(checkpoint(10, first=1.0)).passed_over() == ()


def test_late_metrics_are_merged_and_the_newer_counts():
    """They join those of the evaluation, before and after it was added again; a metric heard twice is the newer."""
    ranking = ranking_of(checkpoint(10, 1.0, first=1.0))
    ranking.hear_late(10, {"safety": 0.5, "f1": 0.7})
    ranking.hear_late(10, {"safety": 0.9})
    assert ranking.best().metrics == {"eval_loss": 1.0, "safety": 0.9, "f1": 0.7}
    ranking.add(checkpoint(10, 2.0, first=2.0))
    assert ranking.best().metrics == {"eval_loss": 2.0, "safety": 0.9, "f1": 0.7}


def test_a_score_that_comes_late_takes_its_place_in_config_order():
    """The first scorer of the config decides also where it scored last; an older score of its own is replaced."""
    ranking = ranking_of(checkpoint(10, second=1.0), checkpoint(20, second=2.0))
    heard = ranking.hear_late(20, {"safety": 0.9}, {"first": Score(5.0)})
    assert (list(heard.scores), heard.scorer, ranking.leader, ranking.best().step) == (
        ["first", "second"], "first", "first", 20,
    )  # fmt: skip
    ranking.hear_late(20, {"safety": 0.8}, {"first": Score.reject("too late")})
    assert ranking.ranked() == ()
    assert steps(ranking.ranked("second")) == [10, 20]


def test_a_checkpoint_that_was_saved_and_never_evaluated_can_be_scored_late(tmp_path):
    """Its late metrics are all it has; without a score it does not count as an evaluation."""
    ranking = ranking_of(checkpoint(10, first=1.0))
    ranking.mark_saved(15, str(tmp_path))
    ranking.hear_late(15, {"safety": 0.9})
    assert steps(ranking.all()) == [10]
    ranking.hear_late(15, {"safety": 0.9}, {"first": Score(0.5)})
    assert (ranking.best().step, ranking.best().path, ranking.best().metrics) == (15, str(tmp_path), {"safety": 0.9})


def test_what_waits_is_not_forgotten():
    """Of three thousand that all wait, the best by score are remembered: their scores may come hours later."""
    ranking = Ranking(("first",), SAFE)
    for step in range(1, 3001):
        ranking.add(checkpoint(step, 1.0, first=abs(step - 700.5)))
    assert steps(ranking.ranked(barred=True))[:3] == [700, 701, 699]
    ranking.hear_late(701, {"safety": 1.0})
    assert ranking.best().step == 701
