"""A strategy is judged by what it keeps of a run that the real supervisor played to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from steersman_bench.select.candidates import windows
from steersman_bench.select.curves import Curves
from steersman_bench.select.naming import planned
from steersman_bench.select.playing import Play, play, prepare

from steersman.config import ConfigError


def kept(strategy: str, run: Curves, folder: Path) -> Play:
    """Return what a strategy keeps of a run by 8 examples."""
    prepare(folder)
    return play(planned(strategy), run, 8, folder)


def test_a_scorer_keeps_what_it_ranks_first(valley: Curves, under_test: str, tmp_path: Path) -> None:
    """The last checkpoint by `Newest`; the lowest eval loss, checkpoint 8, by nobody's opinion."""
    assert kept(f"{under_test}:Newest", valley, tmp_path) == Play(20)
    assert kept("token-accounting", valley, tmp_path) == Play(8)


def test_a_stop_ends_the_run_there(valley: Curves, under_test: str, tmp_path: Path) -> None:
    """Stopped at step 50, before the best: the lowest eval loss until then is that of checkpoint 5."""
    assert kept(f"{under_test}:StopsAt", valley, tmp_path) == Play(5, stopped=True)
    assert kept(f"{under_test}:StopsAt: {{step: 120}}", valley, tmp_path) == Play(8, stopped=True)


def test_an_average_is_kept_where_its_eval_loss_is_lower(
    valley: Curves, low_averages: Curves, under_test: str, tmp_path: Path
) -> None:
    """(3 + 2 + 3) / 3 is above 2; less 1 it is below."""
    number = windows().index((7, 8, 9))

    assert kept(f"{under_test}:Averages", valley, tmp_path) == Play(8, averages=1)
    assert kept(f"{under_test}:Averages", low_averages, tmp_path) == Play(number, averages=1)


def test_a_leeway_is_of_the_recorded_examples(valley: Curves, under_test: str, tmp_path: Path) -> None:
    """Worse by 1 and by -0.9 in turn an average is worse by 0.05; the standard error over 256 is 0.95 / sqrt(255), 0.059.

    Half of that is too little, all of it enough.
    """
    number = windows().index((7, 8, 9))
    valley.losses[number] = 2.0 + np.tile([1.0, -0.9], 128)
    prepare(tmp_path)

    for leeway, expected in ((0.5, 8), (1.0, number)):
        strategy = planned(f"{under_test}:Averages: {{leeway: {leeway}}}")
        assert play(strategy, valley, 256, tmp_path).kept == expected


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        (":NotANumber", "failed in score_checkpoint: TypeError: returned a score of nan"),
        (":Raises", "failed in diagnose: RuntimeError: no idea"),
        (":Averages: {steps: [70, 75]}", "steps 70, 75, of which not all are checkpoints of valley"),
        (":Averages: {steps: [10, 200]}", "only averages of 3 or 5 neighbours are recorded"),
    ],
)
def test_what_fails_or_makes_no_sense_is_told(
    strategy: str, says: str, valley: Curves, under_test: str, tmp_path: Path
) -> None:
    """Nothing is kept, and a sentence says why."""
    made = kept(under_test + strategy, valley, tmp_path)

    assert made.kept is None
    assert says in made.problem


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        ("evall-loss", "no strategy named 'evall-loss'"),
        ("select_strategies:Nothing", "has no attribute 'Nothing'"),
        ("select_strategies:StopsAt: {stepp: 3}", "stepp"),
        ("multi-metric: {gap_weight: [}", "--use"),
        ("multi-metric: {gap_weight: much}", "gap_weight"),
    ],
)
def test_what_cannot_be_asked_is_said_before(strategy: str, says: str, under_test: str) -> None:
    """A name, a class or an option that is not there is a config error."""
    with pytest.raises(ConfigError, match="--use") as raised:
        planned(strategy)

    assert says in str(raised.value)
