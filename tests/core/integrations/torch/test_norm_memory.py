"""The limit of a gradient norm, and what is ruled on each step, by numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from steersman import StepGuard
from steersman.integrations.torch.norm_memory import NormMemory, limit_of

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("norms", "multiple", "deviations", "limit"),
    [
        ([NAN, 1.0, 2.0, 3.0, 4.0, 10.0], 2.0, 10.0, 13.0),  # median 3, deviations 2 1 0 1 7, their median 1
        ([10.0, 2.0, 3.0, 4.0, 1.0], 5.0, 10.0, 15.0),
        ([1.0, 2.0, 3.0, 4.0, 10.0, 12.0], 1.0, 2.0, 7.5),  # median 3.5, deviations .5 .5 1.5 2.5 6.5 8.5: 2
        ([NAN, NAN, 1.0, 1.0, 1.0, 1.0], 5.0, 10.0, INF),
        ([0.0] * 5, 5.0, 10.0, INF),
        ([NAN] * 5, 5.0, 10.0, INF),
    ],
)
def test_the_limit(norms, multiple, deviations, limit):
    """It is the larger of both, over the norms that are known; four norms, or norms of 0, make none."""
    assert limit_of(torch.tensor(norms), multiple, deviations).item() == limit


@pytest.mark.parametrize(("share", "limit"), [(0.3, 4.0), (0.4, 6.0), (None, 6.0)])
def test_the_limit_of_heavy_tails(share, limit):
    """Two of five norms are beyond 3 x 2: more than three tenths, so that twice the median is the limit."""
    assert limit_of(torch.tensor([1.0, 2.0, 2.0, 7.0, 9.0]), 3.0, 0.0, share).item() == limit


@pytest.mark.parametrize(("fade", "factor"), [(False, 0.25), (True, 0.0625)])
def test_what_is_left_of_a_gradient_beyond_its_limit(fade, factor):
    """A norm of 8 where 2 is the limit is scaled to 2; where it fades, to 2 x 2 / 8."""
    memory = NormMemory(StepGuard(clip_multiple=2, clip_deviations=0, fade=fade), "cpu")
    for _ in range(5):
        memory.accept(memory.rule(torch.tensor(1.0)))
    assert memory.rule(torch.tensor(8.0)).factor.item() == factor


def test_the_lower_of_two_limits_holds():
    """A norm of 8 that fades to 2 x 2 / 8 is scaled down to 0.25 where a step may use no more; a norm below all stays."""
    memory = NormMemory(StepGuard(clip_multiple=2, clip_deviations=0, fade=True), "cpu")
    for _ in range(5):
        memory.accept(memory.rule(torch.tensor(1.0)))
    assert memory.rule(torch.tensor(8.0), torch.tensor(0.25)).factor.item() == 0.25 / 8
    assert memory.rule(torch.tensor(8.0), torch.tensor(4.0)).factor.item() == 0.0625
    assert memory.rule(torch.tensor(1.0), torch.tensor(INF)).factor.item() == 1


def rulings(guard: StepGuard, norms) -> str:
    """What is ruled on each step: `.` as it is, `c` clipped, `s` skipped; `e` is a skip whose NaN is excused."""
    memory, told = NormMemory(guard, "cpu"), ""
    for norm in norms:
        ruling = memory.rule(torch.tensor(float(norm)))
        memory.accept(ruling)
        skips = "e" if ruling.is_excused else "s"
        told += skips if not ruling.keep else "." if ruling.factor == 1 else "c"
    return told


def test_norms_are_judged_by_those_before_them():
    """Nothing is judged before five norms are known; then 6 is beyond 5 x 1, and 251 beyond 50 x that."""
    guard = StepGuard(clip_multiple=5, skip_multiple=50)
    assert rulings(guard, [1, 900, 1, 1, 1, 5, 6, 251, NAN, INF, 1]) == "......csee."


def test_a_clipped_norm_is_remembered_as_it_was_and_a_skipped_one_is_not():
    """With five norms of 1 and five of 9 the median is 5, and 9 is within twice that; what is skipped moves nothing."""
    guard = StepGuard(clip_multiple=2, clip_deviations=0, skip_multiple=50, remembered=10)
    assert rulings(guard, [1] * 5 + [9] * 7 + [901, 9]) == "....." + "ccccc" + "..s."
    assert rulings(guard, [1] * 5 + [900] * 4 + [3, 1]) == "....." + "ssss" + "c."


def test_gradients_that_have_grown_for_good_are_not_skipped_for_ever():
    """A thousand times as large from the sixth on: five are skipped, the next clipped, until the median has followed.

    Of ten remembered norms it is between 1 and 1000 with the fifth new one, and 1000 with the sixth.
    """
    guard = StepGuard(clip_multiple=5, clip_deviations=0, skip_multiple=50, remembered=10)
    assert rulings(guard, [1] * 10 + [1000] * 14) == "." * 10 + "sssss" + "ccccc" + "...."


def test_only_the_first_five_nan_in_a_row_are_excused():
    """From the sixth on all are skipped and none is excused; one sound step, and the next is excused again."""
    assert rulings(StepGuard(), [NAN] * 7 + [1] + [NAN]) == "eeeeess.e"
    assert rulings(StepGuard(skip_nonfinite=False), [NAN, INF, 1]) == "..."


def test_a_fixed_limit_holds_beside_that_of_the_run():
    """The lower of both clips. What is far is told by the run's own norms where it has five, else by the fixed limit."""
    assert rulings(StepGuard(clip=2, skip_multiple=10), [1, 3, 21, 20]) == ".csc"
    guard = StepGuard(clip=2, clip_multiple=5, skip_multiple=10)
    assert rulings(guard, [3] * 5 + [21, 151]) == "ccccc" + "cs"


def test_the_factor_leads_to_the_limit():
    """A norm of 8 under a limit of 2 is multiplied by a quarter."""
    assert NormMemory(StepGuard(clip=2), "cpu").rule(torch.tensor(8.0)).factor.item() == 0.25


def test_it_goes_on_from_its_state():
    """What a checkpoint carries is JSON, and the next ruling is the same; fewer remembered norms keep the newest."""
    memory = NormMemory(StepGuard(clip_multiple=2, clip_deviations=0), "cpu")
    for norm in (1, 1, 1, 1, 1, 9, NAN):
        memory.accept(memory.rule(torch.tensor(float(norm))))
    saved = memory.state()
    again = NormMemory(StepGuard(clip_multiple=2, clip_deviations=0, remembered=5), "cpu")
    again.restore(saved)

    assert saved == {"sums": [1.0, 1.0, 1.0], "rows": [0.0, 1.0], "norms": [1.0, 1.0, 1.0, 1.0, 1.0, 9.0]}
    assert again.norms.tolist() == [1.0, 1.0, 1.0, 1.0, 9.0]
    assert again.rule(torch.tensor(4.0)).factor.item() == 0.5
