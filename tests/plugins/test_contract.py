"""Every strategy that ships keeps the contract that any author's must keep."""

from __future__ import annotations

import pytest

from steersman.testing import StrategyContract, a_run
from steersman_plugins.averaged import Averaged
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.multi_metric import MultiMetric
from steersman_plugins.recovery import Recovery
from steersman_plugins.rl_health import RlHealth
from steersman_plugins.step_guard import StepGuarding
from steersman_plugins.token_accounting import TokenAccounting
from steersman_plugins.trend_health import TrendHealth
from steersman_plugins.weighted_score import WeightedScore


class TestEvalLoss(StrategyContract):
    """The fallback scorer."""

    strategy = EvalLoss


class TestMultiMetric(StrategyContract):
    """The default scorer, judging an improvement by the evaluation before and by the best so far."""

    strategy = MultiMetric
    options = ({}, {"improvement": "best"})


class TestWeightedScore(StrategyContract):
    """The strategy behind `score:`, over metrics of both directions."""

    strategy = WeightedScore
    options = ({"metrics": {"eval_loss": 0.7, "eval_accuracy": {"weight": 0.3, "direction": "higher"}}},)


class TestTrendHealth(StrategyContract):
    """As it is, and the other preset with a threshold of its own."""

    strategy = TrendHealth
    options = ({}, {"preset": "seed", "loss_rules": "on", "seed": {"high_loss": 2.0}})


class TestRlHealth(StrategyContract):
    """As it is, and with every option that is no threshold and some that are."""

    strategy = RlHealth
    options = (
        {},
        {
            "held_out": ["eval_reward", "loss"],
            "reward_range": [0, 1],
            "leave_out": ["reward-stagnant"],
            "rules": {"windows_needed": 2, "newest": 4, "sure": 0.5, "kl_ceiling": 0.1},
        },
    )


class TestRecovery(StrategyContract):
    """The strategy that rolls back."""

    strategy = Recovery
    options = ({}, {"windows_needed": 1, "confirm": 1})


class TestStepGuarding(StrategyContract):
    """The strategy that guards steps."""

    strategy = StepGuarding


class TestAveraged(StrategyContract):
    """The strategy that is asked once, at the end."""

    strategy = Averaged
    options = ({}, {"sizes": [2], "around": 1})


class TestTokenAccounting(StrategyContract):
    """The strategy with the largest state."""

    strategy = TokenAccounting


@pytest.mark.parametrize(
    ("scorer", "loss", "eval_loss"), [(MultiMetric(), 1e308, 0.5), (WeightedScore({"eval_loss": 4.0}), 1.0, 1e308)]
)
def test_figures_too_large_to_add_up_are_no_opinion(scorer: object, loss: float, eval_loss: float) -> None:
    """The gap of 1e308 over 0.5, and four times 1e308, are past the largest float: no score, and no failure."""
    played = a_run().epoch(loss=loss).evaluate(eval_loss=eval_loss).play(scorer)
    assert played.errors == ()
    assert played.scores == {}
