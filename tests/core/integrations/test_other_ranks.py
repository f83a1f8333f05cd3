"""Strategies run on rank 0 alone: other ranks need neither the config nor the plugin."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from steersman.config import ConfigError
from steersman.integrations.policy import Policy
from steersman.ranks import expected_rank

SCRIPT = """
import os
import steersman

dist.init_process_group("gloo")
if int(os.environ["RANK"]) == 0:
    config = out / "steersman.yaml"
    (out / "mine.py").write_text('''
from attrs import define
from steersman import Adjust, Score, hookimpl

@define(eq=False)
class Mine:
    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(checkpoint.metrics["eval_loss"] + 1)

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust("learning_rate", scale=0.5, because="a test says so") if check.step == 2 else None
''')
    config.write_text("mode: act\\nconsole: false\\nextends: [default, no-rails]\\nuse: ['./mine.py:Mine', eval-loss]\\n"
                      "check_every: eval\\nhyperparameters: {learning_rate: {}}\\n")
else:
    config = "/nowhere/steersman.yaml"  # neither the file nor its strategy is here

torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with steersman.attach(optimizer, config, folder=out / "run", total_steps=6, eval_every=2) as loop:
    scores = []
    for step in range(1, 7):
        loss = model(torch.ones(2, 4)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 2 == 0:
            loop.log(step, loss=loss)
            scores.append(loop.evaluate(step, loss=float(step)).score)
told["scores"] = scores
told["mode"] = loop.policy.config.mode
told["factor"] = loop.session.supervisor.registry.get("learning_rate").factor
told["asked"] = [s.name for s in loop.session.supervisor.dispatch.strategies]
"""


@pytest.mark.slow
def test_rank_0_brings_config_and_strategies(on_two_ranks: Callable[[str], list[dict[str, Any]]]) -> None:
    """Two real processes decide alike though only the first can read the config and import the strategy."""
    zero, one = on_two_ranks(SCRIPT)

    assert zero["scores"] == one["scores"] == [3.0, 5.0, 7.0]
    assert (zero["mode"], one["mode"]) == ("act", "act")
    assert zero["factor"] == one["factor"] == 0.5
    assert (zero["asked"], one["asked"]) == (["Mine", "eval-loss"], [])


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, 0),
        ({"RANK": "0", "LOCAL_RANK": "3"}, 0),
        ({"RANK": "5"}, 5),
        ({"SLURM_PROCID": "2"}, 2),
        ({"LOCAL_RANK": "1"}, 1),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, 1),
        ({"RANK": "none"}, 0),
    ],
)
def test_what_launchers_tell(environment: dict[str, str], rank: int) -> None:
    """The global rank counts where it is told; else any part of it that is not 0 says that this is not the first."""
    assert expected_rank(environment) == rank


def test_a_launcher_that_told_a_wrong_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was told it is not the first, and is, reads its config when the run begins, with every fault."""
    monkeypatch.setitem(os.environ, "RANK", "3")
    policy = Policy({"mode": "atc"})
    with pytest.raises(ConfigError, match="expected one of 'observe', 'advise', 'ask', 'act'"):
        policy.begin()
    config, strategies = Policy({"use": ["eval-loss"]}).begin()
    assert ([loaded.name for loaded in strategies], config.mode) == (["eval-loss"], "advise")


def test_what_is_switched_off_needs_no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    """With STEERSMAN_DISABLED=1 a faulty config, or one that is not there, ends no training."""
    monkeypatch.setenv("STEERSMAN_DISABLED", "1")
    assert Policy({"mode": "atc"}).config == Policy("nowhere.yaml").config
    monkeypatch.setenv("STEERSMAN_DISABLED", "0")
    with pytest.raises(ConfigError, match="it cannot be read"):
        Policy("nowhere.yaml")
