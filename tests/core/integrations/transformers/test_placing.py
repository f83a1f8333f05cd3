"""Where the callback stands, and what it says where it cannot stand there."""

from __future__ import annotations

import pytest
from transformers import DefaultFlowCallback, TrainerCallback
from transformers.integrations import TensorBoardCallback
from transformers.trainer_callback import CallbackHandler

import steersman
from steersman import SteersmanCallback
from steersman.integrations.transformers.placing import is_reporter, place


class _Users(TrainerCallback):
    pass


def _names(handler):
    return [type(callback).__name__ for callback in handler.callbacks]


def _handler(*callbacks):
    return CallbackHandler(list(callbacks), None, None, None, None)


def test_it_stands_behind_the_flow_and_before_the_reporters(make_trainer):
    """In a real Trainer it stands at index 1: after the flow callback, before reporters and the user's callbacks."""
    trainer = make_trainer(report_to=["tensorboard"], callbacks=[_Users()])
    callback = steersman.supervise(trainer, {"console": False})

    names = _names(trainer.callback_handler)
    assert names[0] == "DefaultFlowCallback"
    assert trainer.callback_handler.callbacks[1] is callback
    assert names.index("TensorBoardCallback") > 1
    assert names.index("_Users") > 1


def test_placing_again_changes_nothing():
    """Placing a callback twice leaves one of it, at the same place."""
    callback = _Users()
    handler = _handler(DefaultFlowCallback(), TensorBoardCallback(), callback)

    assert place(handler, callback) == ""
    first = list(handler.callbacks)
    assert place(handler, callback) == ""

    assert handler.callbacks == first
    assert _names(handler) == ["DefaultFlowCallback", "_Users", "TensorBoardCallback"]


def test_without_a_flow_callback_it_stands_last_and_says_so():
    """Where the user removed the flow callback there is no good place; it stands last, and the sentence says why."""
    callback = _Users()
    handler = _handler(TensorBoardCallback(), callback)

    said = place(handler, callback)

    assert said == "the Trainer has no DefaultFlowCallback, so Steersman stands last among the callbacks"
    assert handler.callbacks[-1] is callback


def test_a_reporter_before_the_flow_callback_is_named():
    """A reporter that stands too early to see the score is named."""
    callback = _Users()
    handler = _handler(TensorBoardCallback(), DefaultFlowCallback(), callback)

    said = place(handler, callback)

    assert "TensorBoardCallback stands before the flow callback" in said
    assert _names(handler) == ["TensorBoardCallback", "DefaultFlowCallback", "_Users"]


def test_what_a_reporter_is():
    """The Trainer's own trackers are reporters; its flow callback and a user's callback are not."""
    assert is_reporter(TensorBoardCallback())
    assert not is_reporter(DefaultFlowCallback())
    assert not is_reporter(_Users())


def test_a_missing_flow_callback_is_said_at_train_begin(make_trainer, journal):
    """The sentence about a bad place is in the journal, and the run is supervised all the same."""
    trainer = make_trainer()
    trainer.remove_callback(DefaultFlowCallback)
    trainer.add_callback(_Flow())
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    said = journal(trainer, "run")[0].data["preflight"]
    assert any("no DefaultFlowCallback" in sentence for sentence in said)
    assert [entry.step for entry in journal(trainer, "score") if entry.data["decides"]] == [4, 8, 12]
    scored = {e["step"] for e in trainer.state.log_history if "eval_steersman_score" in e}
    assert scored == {4, 8, 12}


class _Flow(TrainerCallback):
    """A user's own flow: an evaluation every four steps, twelve steps."""

    def on_step_end(self, args, state, control, **kwargs):
        control.should_log = control.should_evaluate = state.global_step % 4 == 0
        control.should_training_stop = state.global_step >= 12


def test_a_plain_callback_works_and_says_what_it_cannot(make_trainer, journal):
    """callbacks=[SteersmanCallback()] scores and journals, and says at train begin what it needs the trainer for."""
    trainer = make_trainer(callbacks=[SteersmanCallback({"console": False})])

    trainer.train()

    (said,) = (s for s in journal(trainer, "run")[0].data["preflight"] if "plain callback" in s)
    assert "steersman.supervise(trainer, ...)" in said
    assert "TensorBoard and others will not show the score" in said
    assert "does not know the evaluation sets" in said
    assert [entry.step for entry in journal(trainer, "score") if entry.data["decides"]] == [4, 8, 12]
    assert {e["step"] for e in trainer.state.log_history if "eval_steersman_score" in e} == {4, 8, 12}


def test_supervised_is_not_said_to_be_plain(make_trainer, journal):
    """Under supervise() nothing is said of a bad place."""
    trainer = make_trainer()
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    assert not any("plain callback" in s or "stands" in s for s in journal(trainer, "run")[0].data["preflight"])


@pytest.mark.parametrize("first", ["supervise", "callback"])
def test_a_second_supervision_is_refused(make_trainer, first):
    """A trainer supervised already, in either way, is refused with a sentence, and is left as it was."""
    trainer = make_trainer(callbacks=[SteersmanCallback({"console": False})] if first == "callback" else [])
    if first == "supervise":
        steersman.supervise(trainer, {"console": False})
    names = _names(trainer.callback_handler)

    with pytest.raises(RuntimeError, match="this trainer is supervised already; remove the other SteersmanCallback"):
        steersman.supervise(trainer, {"console": False})

    assert _names(trainer.callback_handler) == names
