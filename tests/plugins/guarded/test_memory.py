"""What the policy remembers: plain values that survive a resume."""

from __future__ import annotations

import json

from guarded_words import STEADY, evaluated, found, onward, played, rates, rollbacks

from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.guarded.memory import Cut, Memory, Trial, remembered
from steersman_plugins.trend_health import TrendHealth


def test_it_is_the_same_after_a_round_trip_through_json() -> None:
    """Every field, also those of the values in it, comes back as it was; nothing is a run that begins."""
    memory = Memory(7, 2.0, 1.5, [[20, 30]], 1, 3, 2, True, Cut(0.5, 6, 5), Trial("slow", 5.0, 7, 1.5, 0.01))

    assert remembered(json.loads(json.dumps(memory.saved()))) == memory
    assert remembered({}) == Memory()


def test_a_run_that_is_interrupted_decides_as_the_straight_one() -> None:
    """Resumed after each good evaluation: a crawl, one raise kept and one not, a divergence twice, the rate restored."""
    losses = (1.999, 1.998, 1.997, 1.996, 1.991, 1.988, 1.6, *STEADY[2:], 1.8, 1.8, 0.86, 0.84)
    straight = broken = evaluated([], [])
    for loss in losses:
        straight, broken = onward(straight, [loss], [loss]), onward(broken, [loss], [loss])
        broken = broken if loss == 1.8 else broken.resume()

    one, other = played(straight), played(broken)

    assert other.errors == ()
    assert len(rollbacks(one)) == 2
    assert [factor for _, factor, _ in rates(one)] == [5.0, 5.0, 0.2, 0.5, 2.0]
    assert (found(one), rates(one), rollbacks(one)) == (found(other), rates(other), rollbacks(other))


def test_it_does_not_grow_with_the_run() -> None:
    """After a hundred and more divergences it holds as many as there are windows to look at, and nothing else that grows."""
    strategy = TrendHealth()
    story = evaluated(STEADY, STEADY)
    for _ in range(140):
        story = onward(story, [1.8, 0.86], [1.9, 0.86])

    told = story.play(EvalLoss(), strategy, check_every="eval", recovery={"at": "best", "max_rollbacks": 1000})

    assert len(rollbacks(told)) > 64
    assert len(strategy.memory["undone"]) == 64
