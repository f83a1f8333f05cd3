"""Who is asked of a finished run: the config's strategies, those of `use` in their place, or the run's own."""

from __future__ import annotations

import pickle

import pytest

from steersman import ConfigError, replay
from steersman.asking import Asking
from steersman.readers import read

MINE = """from attrs import define
from steersman import hookimpl


@define(eq=False)
class Mine:
    '''Looks on.'''

    @hookimpl
    def on_log(self, run, log):
        pass
"""


@pytest.fixture
def one_evaluation(trainer_state):
    """A run with one evaluation."""
    return trainer_state({"step": 1, "loss": 1.0}, {"step": 1, "eval_loss": 1.0})


def test_use_takes_the_place_of_the_configs_strategies(write, one_evaluation):
    """What `use` names is asked, in its order; what else the config says holds."""
    config = write(
        "steersman.yaml", "mode: observe\nscore: {eval_loss: 1.0, require: {safety: '>= 0.9'}}\nuse: [trend-health]\n"
    )
    planned = Asking(config, ("eval-loss", "multi-metric")).of(read(one_evaluation))
    settings = planned.config
    assert [strategy.name for strategy in planned.strategies] == ["eval-loss", "multi-metric"]
    assert settings.mode == "observe"
    assert [requirement.metric for requirement in settings.require] == ["safety"]
    assert settings.source == f"{config}, its strategies replaced"


def test_in_house_files_of_a_config_elsewhere_are_found(write, one_evaluation):
    """A config that is laid under `use` still finds the files beside it; those of `use` are looked for from here."""
    write("hooks/mine.py", MINE)
    config = write("hooks/steersman.yaml", "metrics: {eval/ce: eval_loss}\nuse: [./mine.py:Mine]\n")
    assert [s.name for s in Asking(config).of(read(one_evaluation)).strategies] == ["Mine"]
    assert dict(Asking(config, ("eval-loss",)).of(read(one_evaluation)).config.metrics) == {"eval/ce": "eval_loss"}


def test_every_fault_is_told_before_a_run_is_read():
    """A strategy that is not there and an option it has not are one error, at once."""
    with pytest.raises(ConfigError, match="no-such") as caught:
        Asking(None, ("no-such", {"eval-loss": {"colour": 1}})).prepare()
    assert len(caught.value.problems) == 2


def test_runs_share_no_memory(one_evaluation, counting):
    """A strategy given as an object is copied for each run where many are replayed."""
    asking, recording = Asking(None, (counting(),), afresh=True), read(one_evaluation)
    made = [asking.of(recording).fresh()[0].strategy for _ in range(2)]
    made[0].seen = 7
    assert made[1].seen == 0
    assert asking.of(recording).fresh()[0].strategy.seen == 0


def test_another_process_asks_the_same(one_evaluation):
    """What is sent to another process asks the same strategies with the same values."""
    sent = pickle.loads(pickle.dumps(Asking(None, ("eval-loss",), {"kl_penalty": 0.1}, effects=True, afresh=True)))
    assert [s.name for s in sent.of(read(one_evaluation)).strategies] == ["eval-loss"]
    assert (sent.values, sent.effects, sent.afresh) == ({"kl_penalty": 0.1}, True, True)


def test_the_mark_differs_where_an_answer_may(write):
    """A value, an option and an in-house file's content are part of the mark; asking again is not."""
    mine = write("mine.py", MINE)
    asked = (f"{mine}:Mine",)
    marks = [Asking(None, asked).mark(), Asking(None, asked, {"kl_penalty": 0.1}).mark(), Asking().mark()]
    assert len(set(marks)) == 3
    assert Asking(None, asked).mark() == marks[0]
    mine.write_text(mine.read_text().replace("Looks on", "Looks away"))
    assert Asking(None, asked).mark() != marks[0]


def test_replay_with_use(one_evaluation, counting):
    """`steersman.replay` takes strategies by name and as objects, and tells plain values."""
    told = replay(one_evaluation, use=["eval-loss", counting()])
    assert {name: choice.value for name, choice in told.choices.items()} == {"eval-loss": 1.0, "counting": 1.0}
    assert [(score.strategy, score.step) for score in told.scores] == [("eval-loss", 1), ("counting", 1)]
    assert told.findings == () and told.proposals == ()
