"""The ranking made again from journal entries, and why its best is the best."""

from __future__ import annotations

import math

import pytest

from steersman.hindsight import (
    compare,
    count,
    listed,
    ranking_of,
    rejected_told,
    rival_of,
    saved_told,
    why_best,
    written_over,
)
from steersman.journal import JournalEntry
from steersman.requirements import Requirement


def score(step, value, strategy="mine", *, eval_loss=None, rejected=None, **terms):
    """A `score` entry as the journal holds it."""
    data = {"strategy": strategy, "value": value, "terms": terms, "rejected": rejected, "eval_loss": eval_loss}
    return JournalEntry("score", step, data)


def test_config_order_decides_and_not_who_came_first():
    """The first scorer of the config leads even where another had an opinion earlier."""
    entries = [score(10, 1.0, "second"), score(20, 5.0, "first"), score(20, 2.0, "second")]
    ranking = ranking_of(entries, ("first", "second"))
    assert ranking.leader == "first"
    assert ranking.best("second").step == 10
    assert ranking_of(entries).leader == "second"


def test_a_step_that_was_scored_again_counts_once():
    """A resumed run that evaluates a step again replaces that step's score."""
    ranking = ranking_of([score(10, 1.0), score(10, 3.0), score(20, 2.0)])
    assert [(c.step, c.scores["mine"].value) for c in ranking.ranked()] == [(20, 2.0), (10, 3.0)]


def test_paths_and_train_losses_come_along():
    """A checkpoint has the directory it was saved in and the train loss its score was made with."""
    entry = score(10, 1.0)
    loss = {"value": 0.5, "source": "recent", "age_steps": 3}
    ranking = ranking_of(
        [JournalEntry("score", 10, {**entry.data, "train_loss": loss})], saved={10: "out/checkpoint-10"}
    )
    best = ranking.best()
    assert best.path == "out/checkpoint-10"
    assert (best.train_loss.value, best.train_loss.source, best.train_loss.age_steps) == (0.5, "recent", 3)


def test_terms_that_make_up_the_score_are_told_as_gains_and_losses():
    """Where terms sum to the score, each tells its share of the lead."""
    entries = [score(10, 3.0, eval_loss=2.0, a=1.0, b=2.0), score(20, 4.0, eval_loss=1.0, a=3.5, b=0.5)]
    said = why_best(ranking_of(entries))
    assert said[-1] == "Against step 20, step 10 gains 2.5000 by a and loses 1.5000 by b: better by 1.0000 in all."


def test_terms_that_make_up_no_score_are_only_listed():
    """Where terms do not sum to the score, no share is claimed."""
    entries = [score(10, 3.0, a=7.0), score(20, 4.0, a=9.0)]
    ranking = ranking_of(entries)
    assert not compare("mine", ranking.best(), rival_of(ranking)).is_sum
    assert why_best(ranking)[-1] == "Against step 20, step 10 is better by 1.0000: a 7.0000 against 9.0000."


def test_the_earlier_of_equals_is_kept():
    """Of two checkpoints with one score the earlier is best, and that is said."""
    said = why_best(ranking_of([score(10, 1.0, a=1.0), score(20, 1.0, a=1.0)]))
    assert said[-1] == "Against step 20, step 10 scores the same; the earlier is kept."


def test_the_rival_is_the_lowest_eval_loss_or_else_the_runner_up():
    """The best is judged against the lowest eval loss; where it is that itself, against the next best."""
    differ = ranking_of([score(10, 1.0, eval_loss=2.0), score(20, 2.0, eval_loss=3.0), score(30, 3.0, eval_loss=1.0)])
    agree = ranking_of([score(10, 1.0, eval_loss=1.0), score(20, 3.0, eval_loss=3.0), score(30, 2.0, eval_loss=2.0)])
    assert (rival_of(differ).step, rival_of(agree).step) == (30, 30)
    assert rival_of(ranking_of([score(10, 1.0)])) is None


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "No checkpoint was scored: the run has no evaluation."),
        ([score(0, 1.0)], "No checkpoint was scored: the run has no evaluation."),
        (
            [JournalEntry("unscored", 10, {"metrics": {}}), JournalEntry("unscored", 20, {"metrics": {}})],
            "2 evaluations, and no strategy could score one: no checkpoint is best.",
        ),
        (
            [score(10, math.inf, rejected="toxic")],
            "mine scored 1 evaluation and rejected each: no checkpoint is best.",
        ),
    ],
)
def test_no_best(entries, said):
    """Where no checkpoint is best the reason is told; the baseline at step 0 is never best."""
    assert why_best(ranking_of(entries))[0] == said


def test_words():
    """Numbers and lists read as a person writes them."""
    assert (count(1, "log"), count(2, "log"), count(0, "log")) == ("1 log", "2 logs", "0 logs")
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == (
        "",
        "a",
        "a and b",
        "a, b and c",
    )


SAFE = (Requirement("safety", ">=", 0.92),)


def late(step, **metrics):
    """A `late_score` entry as the journal holds it."""
    return JournalEntry("late_score", step, {"metrics": metrics, "by": ""})


def test_late_scores_and_the_metrics_of_evaluations_count():
    """What is required may come late or with the evaluation; the newer late score of a step counts."""
    entries = [
        score(10, 1.0),
        score(20, 2.0),
        score(30, 3.0),
        late(10, safety=0.95),
        late(10, safety=0.5),
        late(20, safety=1.0),
    ]
    entries.append(JournalEntry("record", 30, {"of": "eval", "metrics": {"safety": 0.99}}))

    ranking = ranking_of(entries, requires=SAFE)

    assert [c.step for c in ranking.ranked()] == [20, 30]
    assert [c.step for c in ranking_of(entries[:-1], requires=SAFE, evaluated={30: {"safety": 0.99}}).ranked()] == [
        20,
        30,
    ]


def test_what_a_replay_heard_counts_where_nothing_was_recorded():
    """A replay has only `late_heard` entries."""
    heard = JournalEntry(
        "late_heard", 40, {"reason": "end", "scores": [{"step": 20, "metrics": {"safety": 1.0}, "by": ""}]}
    )

    assert ranking_of([score(10, 1.0), score(20, 2.0), heard], requires=SAFE).best().step == 20


def test_a_newer_score_of_a_step_replaces_the_older():
    """Scored again after a late score: the newest line is the score, in config order."""
    entries = [score(10, 1.0, "second"), score(10, 9.0, "first"), score(20, 2.0, "second"), score(10, 3.0, "second")]
    ranking = ranking_of(entries, ("first", "second"))

    assert [(c.step, c.scores["second"].value) for c in ranking.ranked("second")] == [(20, 2.0), (10, 3.0)]
    assert list(ranking.all()[0].scores) == ["first", "second"]


def test_why_a_better_score_is_not_the_best():
    """Passed over while it waits, rejected with the figure, rejected by the scorer itself: each with its reason."""
    entries = [score(step, float(step)) for step in (10, 20, 30, 40)]
    entries += [score(50, math.inf, rejected="toxic"), late(10, safety=0.89), late(30, safety=0.92)]
    said = why_best(ranking_of(entries, requires=SAFE))

    assert said[0] == "mine decides: its best is step 30, with 30.0000 (lower is better). It scored 4 of 5 evaluations."
    assert said[-3:] == (
        "Step 10 scores 10.0000 and is rejected: safety 0.89 is not >= 0.92.",
        "Step 20 scores 20.0000 and is passed over, waiting for safety.",
        "mine rejected step 50: toxic.",
    )


def test_where_every_checkpoint_waits():
    """No checkpoint may be best, and of many that wait five are told."""
    entries = [score(step, float(step)) for step in range(10, 80, 10)]
    said = why_best(ranking_of(entries, requires=SAFE))

    assert said[0] == "mine scored 7 evaluations, and no checkpoint may be best."
    assert said[1:] == (
        *(f"Step {step} scores {step}.0000 and is passed over, waiting for safety." for step in (10, 20, 30, 40, 50)),
        "2 more are passed over too.",
    )


def test_a_rival_that_may_not_be_best_is_no_rival():
    """The lowest eval loss is barred: the best is judged against the next that may be best."""
    entries = [score(10, 1.0, eval_loss=1.0), score(20, 2.0, eval_loss=2.0), score(30, 3.0, eval_loss=3.0)]
    entries += [late(20, safety=1.0), late(30, safety=1.0)]

    assert rival_of(ranking_of(entries, requires=SAFE)).step == 30


def test_a_file_that_was_written_over_belongs_to_the_newest_step():
    """`best.pt` of step 10 is gone once step 20 was saved there."""
    saves = [(10, "best.pt"), (10, "a/checkpoint-10"), (20, "best.pt")]
    entries = [JournalEntry("checkpoint_saved", step, {"path": path}) for step, path in saves]

    assert saved_told(entries) == {10: "a/checkpoint-10", 20: "best.pt"}


def test_a_lowest_loss_that_was_rejected():
    """It is told with who rejected it; the best is held against the runner-up, never against infinity."""
    entries = [
        score(10, math.inf, eval_loss=0.5, rejected="toxic"),
        score(20, 1.0, eval_loss=1.0),
        score(30, 3.0, eval_loss=3.0),
    ]
    said = why_best(ranking_of(entries))

    assert said[1:] == (
        "The lowest eval loss, 0.5000 (at step 20: 1.0000), is at step 10, which mine rejected.",
        "Against step 30, step 20 is better by 2.0000.",
        "mine rejected step 10: toxic.",
    )


def test_steps_that_were_rejected_are_counted():
    """One, some, and more than are named."""
    for steps, told in (
        ((10,), "step 10"),
        ((10, 20, 30), "steps 10, 20 and 30"),
        (range(10, 80, 10), "steps 10, 20, 30, 40, 50 and 2 more"),
    ):
        ranking = ranking_of([score(step, math.inf, rejected="toxic") for step in steps])
        assert rejected_told(ranking, "mine") == (f"mine rejected {told}: toxic.",)


def test_what_was_written_over():
    """A step whose only file holds a later one; another file of its own, or the same one again, keeps it."""

    def entry(step, path):
        return JournalEntry("checkpoint_saved", step, {"path": path})

    assert written_over([entry(10, "best.pt"), entry(20, "best.pt"), entry(30, "best.pt")]) == {10: 20, 20: 30}
    assert written_over([entry(10, "10.pt"), entry(10, "last.pt"), entry(20, "last.pt")]) == {}
    assert written_over([entry(10, "best.pt"), entry(20, "best.pt"), entry(10, "best.pt")]) == {20: 10}
