from __future__ import annotations

import json

import pytest
from attrs import define, field

from steersman import Adjust, Score, Stop, hookimpl
from steersman.readers import UnreadableRun
from steersman.testing import play


@define(eq=False)
class Highest:
    """Scores by accuracy; stops, and halves the KL penalty, at step 20."""

    replaying: list[bool] = field(factory=list)

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        self.replaying.append(run.replaying)
        return Score.higher(checkpoint.metrics["eval_accuracy"])

    @hookimpl
    def propose_adjustments(self, run, check):
        if check.step == 20:
            return [Stop("enough"), Adjust("kl_penalty", scale=0.5, because="half")]
        return None


@pytest.fixture
def recorded(tmp_path):
    """A trainer_state.json of three evaluations."""
    logs = []
    for step, accuracy in ((10, 0.5), (20, 0.75), (30, 0.25)):
        logs += [
            {"step": step, "epoch": step / 10, "loss": 1.0, "learning_rate": 0.5},
            {"step": step, "epoch": step / 10, "eval_loss": 2.0, "eval_accuracy": accuracy},
        ]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": logs, "max_steps": 30}))
    return path


def test_a_recorded_run_is_scored(recorded):
    """Scores, the best checkpoint with all its metrics, and the values known of the log."""
    strategy = Highest()
    played = play(recorded, strategy)
    assert played.scores == {10: -0.5, 20: -0.75, 30: -0.25}
    assert played.best is not None
    assert (played.best.step, played.best.metrics) == (20, {"eval_loss": 2.0, "eval_accuracy": 0.75})
    assert played.values == {"learning_rate": 0.5}
    assert strategy.replaying == [True] * 3
    assert played.errors == ()


def test_a_recorded_run_is_advised_on(recorded):
    """Nothing is changed unless the mode says so; what the log does not hold can be given."""
    assert [p.verdict for p in play(recorded, Highest).proposals] == ["advised", "unknown"]
    played = play(recorded, Highest, values={"kl_penalty": 0.4}, mode="act")
    assert [(c.step, c.epoch, c.old, c.new) for c in played.changes] == [(20, 2.0, 0.4, 0.2)]
    assert played.values == {"learning_rate": 0.5, "kl_penalty": 0.2}
    assert played.stopped_at == 20
    assert len(played.scores) == 3  # what came after was logged all the same


def test_no_run_is_told(tmp_path):
    """A path that holds no run raises what every reader raises, and a name is refused."""
    with pytest.raises(UnreadableRun, match="there is no such file"):
        play(tmp_path / "nowhere.json", Highest)
    with pytest.raises(TypeError, match="'eval-loss' is a name"):
        play(tmp_path, "eval-loss")


def test_nobody_has_an_opinion(recorded):
    """Without a scorer there is no best checkpoint."""
    assert play(recorded).best is None
