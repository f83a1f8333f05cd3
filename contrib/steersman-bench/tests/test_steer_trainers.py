"""Real runs of `bench steer --trainers`: the Trainer of Hugging Face, and TRL's GRPO."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from steersman_bench.steer.command import steer
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy, always
from steersman_bench.steer.trainers.policies import CLIPPED, for_trainers

needs_trl = pytest.mark.skipif(find_spec("trl") is None, reason="TRL is not installed")


def test_trainers_clip_by_themselves():
    """Where the table clips by a strategy, a trainer does so itself, and what acting costs is against that, but in the
    rows that do nothing.
    """
    rows = for_trainers(always())
    assert [row.name for row in rows[:3]] == [NOTHING, BEST, CLIPPED]
    assert BASELINE not in [row.name for row in rows] and len(rows) == len(always())
    assert [row.alike for row in rows] == [NOTHING, BEST, *[CLIPPED] * (len(rows) - 2)]
    assert isinstance(rows[2], Policy) and rows[2].asked.load_best


@needs_trl
@pytest.mark.slow
def test_a_step_that_is_not_finite_ruins_a_trainer_and_not_one_that_is_recommended():
    """The loss of one step is infinite: alone, and clipped, nothing is learned any more, as the weights are NaN; under
    the recommended config that one step is skipped, it is told within one evaluation, and the run is as good as its
    twin. GRPO is driven too.
    """
    only = ["--policies", "recommended", "--cases", "not finite,x50", "--development", "--seeds", "1"]
    ran = CliRunner().invoke(steer, [*only, "--trainers", "--workers", "1", "--json"], catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["cases"] == [] and told["trainers"]["seeds"] == [100]
    rows = {row["name"]: row for row in told["trainers"]["policies"]}
    assert list(rows) == [NOTHING, BEST, CLIPPED, "recommended"]
    assert [row["problem"] for row in rows.values()] == [""] * 4
    case = "Trainer, loss not finite once"
    assert rows[NOTHING]["cases"][case] == 150 and rows[CLIPPED]["cases"][case] > 10
    assert abs(rows["recommended"]["cases"][case]) < 3
    [run] = [run for run in rows["recommended"]["runs"] if run["case"] == case]
    assert run["delay"] == 1 and [name for _, name in run["actions"]] == ["skip"]
    assert rows[NOTHING]["cases"]["GRPO, LR x50 from the middle on"] > 50
