"""Another learning rate that `guarded` tries, and whether it is kept, through the real Supervisor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from guarded_words import evaluated, found, played, rates, rollbacks

from steersman.testing import Story

FLOOR = (1.6, 1.3, 1.1, 1.0, 1.05, 0.93, 1.04, 0.94, 1.06, 0.95, 1.05, 0.94)
"""Evaluations that fall to 1 and then only scatter; the trial is made at the eleventh, at step 111."""
LOW = (1.6, 1.3, 1.1, *[1.0] * 9)
SCATTER = (0.95, 1.03, 0.97, 1.02, 0.94, 1.05, 0.95, 1.04, 0.94, 1.06, 0.95, 1.03, 0.97, 1.02, 0.94, 1.05)
CRAWL = (1.999, 1.998, 1.997, 1.996)
"""Four evaluations that fall by a thousandth of what a run that learns falls by; the trial is made at step 41."""


def alike(losses: Sequence[float]) -> Story:
    """Return a run whose eval losses are its train losses."""
    return evaluated(losses, losses)


def test_a_lower_rate_is_kept_on_a_floor_of_noise_where_it_helps() -> None:
    """The loss stands still in its noise: x0.3 is tried, the floor sinks, and it stays."""
    told = played(evaluated((*LOW, 0.9, 0.85, 0.8), (*FLOOR, 0.85, 0.8, 0.77)))

    assert (found(told), rates(told)) == ([(111, "noise-floor")], [(111, 0.3, "trial")])


def test_a_lower_rate_that_does_not_help_is_taken_back_and_rests_longer_each_time() -> None:
    """The floor stays where it was: back two evaluations later; the second trial waits for ten at the old rate."""
    told = played(evaluated((*LOW, *[1.0] * len(SCATTER)), (*FLOOR, *SCATTER)))

    steps = [step for step, _, because in rates(told) if because == "trial"]
    backs = [(step, factor) for step, factor, because in rates(told) if because == "taken back"]
    assert backs == [(step + 20, 3.333333) for step in steps]
    assert steps == [111, 231]
    assert rollbacks(told) == []


def test_the_rest_between_failed_trials_grows() -> None:
    """A crawl that no rate helps is tried at ever longer distances, and each time taken back an evaluation later."""
    told = played(alike([2 - 0.001 * i for i in range(1, 36)]))

    steps = [step for step, _, because in rates(told) if because == "trial"]
    apart = [b - a for a, b in itertools.pairwise(steps)]
    assert len(apart) >= 2
    assert apart == sorted(set(apart))
    factors = [factor for _, factor, _ in rates(told)]
    assert factors == ([5.0, 0.2] * len(steps))[: len(factors)]


def test_a_crawl_is_raised_again_and_again_while_the_loss_falls_in_proportion() -> None:
    """Five times the rate, five times the fall, three times over; then it falls no faster, and is raised no more."""
    told = played(alike((*CRAWL, 1.991, 1.966, 1.84, 1.65, 1.45, 1.3, 1.2)))

    raised = [(step, factor) for step, factor, because in rates(told) if because == "trial"]
    assert raised[:3] == [(41, 5.0), (51, 5.0), (61, 5.0)]
    assert rollbacks(told) == []


def test_a_higher_rate_that_does_not_help_is_taken_back() -> None:
    """The loss falls as slowly as before: the rate is what it was, the weights stay."""
    told = played(alike((*CRAWL, 1.995, 1.994)))

    assert (rollbacks(told), rates(told)) == ([], [(41, 5.0, "trial"), (51, 0.2, "taken back")])


def test_a_higher_rate_that_harms_is_taken_back_with_its_weights() -> None:
    """The eval loss is above what it was before: weights and rate go back to before the trial."""
    told = played(alike((*CRAWL, 1.999, 1.995)))

    assert (rollbacks(told), rates(told)) == ([(51, 41)], [(41, 5.0, "trial"), (51, 0.2, "rollback")])


def test_an_overshoot_after_a_raise_goes_back_and_gives_the_raise_back() -> None:
    """A kept x5 with which the run diverges soon after is undone by the rollback: x0.2, and no more is restored."""
    told = played(alike((*CRAWL, 1.991, 1.966, 1.9, 1.8, 2.3, 1.75, 1.7)))

    (step, _) = rollbacks(told)[-1]
    assert step == 91
    assert [(factor, because) for at, factor, because in rates(told) if at >= step] == [(0.2, "rollback")]


def test_without_snapshots_a_trial_that_harms_is_taken_back_by_the_rate_alone() -> None:
    """A rollback would be refused, and five times the rate stay in force."""
    told = played(alike((*CRAWL, 1.999, 1.995)), recovery={"snapshots": "off"})

    assert (rollbacks(told), rates(told)) == ([], [(41, 5.0, "trial"), (51, 0.2, "taken back")])


def test_a_trial_that_a_rail_refuses_is_not_believed_to_be_made() -> None:
    """The bounds allow no higher rate: it is never applied, nothing is ever judged or taken back."""
    told = played(alike((*CRAWL, 1.995, 1.994, 1.993)), hyperparameters={"learning_rate": {"max_factor": 1.0}})

    assert rates(told) == []
    assert {name for _, name in found(told)} == {"learning-rate-too-low"}


def test_several_evaluations_an_epoch_do_not_hold_a_trial_in_force() -> None:
    """Ten evaluations make an epoch here: what did not help is taken back at the next evaluation all the same."""
    losses = (*CRAWL, 1.995, 1.994)

    told = played(evaluated(losses, losses, epoch=100))

    assert rates(told) == [(41, 5.0, "trial"), (51, 0.2, "taken back")]
