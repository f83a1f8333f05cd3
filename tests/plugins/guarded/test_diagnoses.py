"""What no learning rate mends: named, and nothing is proposed."""

from __future__ import annotations

import pytest
from guarded_words import STEADY, evaluated, found, onward, played

SICK = {
    "dead-units": {"gradient_zero_share": 0.8, "gradient_depth_ratio": 0.5},
    "vanishing-gradients": {"gradient_zero_share": 0.0, "gradient_depth_ratio": 1e-7},
}


@pytest.mark.parametrize("name", SICK)
def test_it_is_named_from_the_second_evaluation_on_and_nothing_is_changed(name: str) -> None:
    """Seen once it may be chance; seen twice it is told, critical, whatever the losses do, and no value is moved."""
    losses = [2.0, 2.0, 2.0, 2.6, 2.0]

    told = played(evaluated(losses, losses, **SICK[name]))

    assert found(told) == [(step, name) for step in (21, 31, 41, 51)]
    assert {f.severity for f in told.findings} == {"critical"}
    assert told.proposals == ()


def test_once_is_chance() -> None:
    """One evaluation with dead units between healthy ones is not told."""
    healthy = {"gradient_zero_share": 0.1, "gradient_depth_ratio": 0.5}
    story = evaluated(STEADY[:3], STEADY[:3], **healthy)
    story = onward(story, STEADY[3:4], STEADY[3:4], **SICK["dead-units"])

    assert found(played(onward(story, STEADY[4:], STEADY[4:], **healthy))) == []


def test_units_that_die_right_after_a_rollback_to_the_begin_go_back_once_more() -> None:
    """Far above the first loss: back to the begin. Dead there at once: the rate is too high still, and is cut again."""
    story = evaluated([3.2], [3.2])
    story = onward(story, [2.0], [2.0], **SICK["dead-units"])

    told = played(story)

    assert found(told) == [(11, "worse-than-start"), (21, "dead-units")]
    assert [(p.step, p.action) for p in told.proposals if p.strategy == "trend-health"] == [
        (11, "rollback"),
        (21, "rollback"),
    ]
