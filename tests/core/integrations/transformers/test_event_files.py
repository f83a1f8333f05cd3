"""The event files that the Trainer writes beside its trainer_state.json hold the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

import steersman
from steersman.readers import find, read

CONFIG = {"extends": "no-rails", "use": ["multi-metric", "eval-loss", "trend-health"], "console": False}


@pytest.fixture
def logged(make_trainer, eval_sets):
    """Return the output directory of a supervised run with two evaluation sets that reports to TensorBoard."""
    trainer = make_trainer(eval_dataset=eval_sets, logging_steps=3, report_to=["tensorboard"])
    steersman.supervise(trainer, CONFIG)
    trainer.train()
    trainer.save_state()
    return Path(trainer.args.output_dir)


def test_event_files_hold_the_records_of_the_state(logged):
    """Steps, kinds and names are the same, and the values to the single precision of an event file.

    What Steersman logged into them is left out, and the evaluations of one step are one record.
    """
    [folder] = {file.parent for file in logged.rglob("*tfevents*")}
    state, events = read(logged / "trainer_state.json"), read(folder)

    assert (state.format, events.format) == ("trainer_state", "tensorboard")
    expected = {}
    for record in state.records:
        metrics = expected.setdefault((record.step, record.kind), {})
        metrics.update(record.metrics)
    assert [(r.step, r.kind) for r in events.records] == list(expected)
    for record in events.records:
        assert record.metrics == pytest.approx(expected[record.step, record.kind], rel=1e-6)
    assert [r.epoch for r in events.records] == pytest.approx([k[0] / 4 for k in expected])


def test_the_run_is_found_once(logged):
    """A journal, the states of checkpoints and event files in one output directory are one run."""
    assert list(find(logged.parent)) == [logged]
    assert read(logged).format == "journal"


def test_event_files_give_the_scores_of_the_state(logged):
    """Replayed from its event files the run has the scores of its trainer state."""
    [folder] = {file.parent for file in logged.rglob("*tfevents*")}
    of_state, of_events = steersman.replay(logged / "trainer_state.json", CONFIG), steersman.replay(folder, CONFIG)

    scores = [(e.step, e.data["strategy"], e.data["value"]) for e in of_state.of("score")]
    assert len(scores) == 6
    told = [(e.step, e.data["strategy"], e.data["value"]) for e in of_events.of("score")]
    assert [(step, name) for step, name, _ in told] == [(step, name) for step, name, _ in scores]
    assert [value for *_, value in told] == pytest.approx([value for *_, value in scores], rel=1e-6)
