import json
import math

import pytest

from steersman.readers import UnreadableRun, read
from steersman.schedule import RunPlan


def test_a_run_with_evaluations(runs):
    """LLaMA-Factory's log: 244 train logs, 12 evaluations and a summary, in the order in which they were logged."""
    recording = read(runs / "trainer_state" / "llama-factory-01.json")
    kinds = [record.kind for record in recording.records]
    assert (kinds.count("train"), kinds.count("eval"), kinds.count("summary")) == (244, 12, 1)
    assert kinds[-1] == "summary"
    assert [record.step for record in recording.records] == sorted(record.step for record in recording.records)
    first = recording.records[0]
    assert (first.step, first.epoch, first.elapsed) == (5, 0.08, None)
    assert first.metrics == {"learning_rate": 4.999792783608719e-05, "loss": 0.6694}
    assert (recording.format, recording.supervised, recording.saved) == ("trainer_state", False, {})
    assert recording.plan == RunPlan(1220, evaluates=True)


def test_bare_nan_is_read(runs):
    """The Trainer writes NaN bare, which is no JSON: all 750 gradient norms are read as NaN."""
    recording = read(runs / "trainer_state" / "16831-project-01.json")
    assert len(recording.records) == 750
    assert all(math.isnan(record.metrics["grad_norm"]) for record in recording.records)
    assert recording.plan == RunPlan(375000, evaluates=False)


def test_a_named_evaluation_set(runs):
    """A named set is an evaluation, and a run that was stopped knows the steps it was to have."""
    recording = read(runs / "trainer_state" / "merilion-01.json")
    evaluations = [record for record in recording.records if record.kind == "eval"]
    assert len(evaluations) == 8
    assert evaluations[-1].metrics["eval_yahma/alpaca-cleaned_loss"] == 1.4915114641189575
    assert recording.plan == RunPlan(1940, evaluates=True, evaluation_sets=1)


def test_rewards(runs):
    """A GRPO log has a reward in every record and no evaluation."""
    recording = read(runs / "trainer_state" / "unslothgrpo-01.json")
    assert len(recording.records) == 250
    assert all("reward" in record.metrics for record in recording.records)
    assert recording.plan.evaluates is False


def state(path, log, **rest):
    path.write_text(json.dumps({"log_history": log, **rest}))
    return path


def test_several_sets_at_one_step(tmp_path):
    """How many evaluation sets a run has is seen from its records; a repeated evaluation is no second set."""
    log = [
        {"step": 10, "eval_a_loss": 1.0}, {"step": 10, "eval_b_loss": 2.0},
        {"step": 20, "eval_a_loss": 1.0}, {"step": 20, "eval_a_loss": 1.0},
    ]  # fmt: skip
    assert read(state(tmp_path / "trainer_state.json", log)).plan == RunPlan(20, evaluates=True, evaluation_sets=2)


def test_a_baseline_alone_is_no_evaluating_run(tmp_path):
    """A run that was evaluated only before its first step does not evaluate."""
    log = [{"step": 0, "eval_loss": 1.0}, {"step": 10, "loss": 1.0}]
    assert read(state(tmp_path / "trainer_state.json", log)).plan == RunPlan(10, evaluates=False)


def test_bad_metrics(tmp_path):
    """None, text and lists in a log are dropped by name, entries that are no tables are left out."""
    log = [{"step": 10, "loss": None, "note": "x", "shape": [1, 2], "lr": 0.1}, 3, None, {"loss": 1.0}]
    first, second = read(state(tmp_path / "trainer_state.json", log)).records
    assert (first.metrics, first.dropped) == ({"lr": 0.1}, ("loss", "note", "shape"))
    assert (second.step, second.metrics) == (10, {"loss": 1.0})


@pytest.mark.parametrize("odd", [None, True, math.nan, "late", [1], "absent"])
def test_an_entry_without_a_step_is_of_the_step_before(tmp_path, odd):
    """Evaluations that a script appended without their step are kept, each at the step before it."""
    step = {} if odd == "absent" else {"step": odd}
    log = [
        {"step": 10, "loss": 2.0}, {**step, "eval_loss": 1.5},
        {"step": "20", "loss": 1.0}, {**step, "eval_loss": 0.5}, {"step": 30.0, "loss": 0.75},
    ]  # fmt: skip
    records = read(state(tmp_path / "trainer_state.json", log)).records
    assert [(r.step, r.kind) for r in records] == [
        (10, "train"),
        (10, "eval"),
        (20, "train"),
        (20, "eval"),
        (30, "train"),
    ]
    assert [dict(r.metrics) for r in records if r.kind == "eval"] == [{"eval_loss": 1.5}, {"eval_loss": 0.5}]


def test_a_bool_is_no_metric(tmp_path):
    """True is dropped by name, alone and among numbers, as live."""
    log = [{"step": 1, "loss": 1.0, "eval_ok": True}, {"step": 2, "loss": True}, {"step": 3, "loss": 0.5}]
    records = read(state(tmp_path / "trainer_state.json", log)).records
    assert [dict(r.metrics) for r in records] == [{"loss": 1.0}, {}, {"loss": 0.5}]
    assert [r.dropped for r in records] == [("eval_ok",), ("loss",), ()]


def test_evaluations_under_another_prefix(tmp_path):
    """An evaluation on a test set of its own is no part of the training."""
    log = [
        {"step": 10, "loss": 1.0},
        {"step": 10, "test_loss": 3.0, "test_runtime": 1.0, "test_samples_per_second": 9.0},
    ]
    assert [r.metrics for r in read(state(tmp_path / "trainer_state.json", log)).records] == [{"loss": 1.0}]


def test_a_supervised_run(tmp_path):
    """A supervised run carries its plan and the values it began with; what was evaluated after its end is left out."""
    own = {"plan": {"total_steps": 40, "evaluates": True, "eval_every": 10}, "values": {"max_grad_norm": 1.0}}
    callbacks = {"steersman": {"args": {}, "attributes": own}}
    log = [
        {"step": 10, "loss": 1.0, "steersman_score": 0.5},
        {"step": 10, "train_runtime": 1.0},
        {"step": 10, "eval_loss": 9.0},
    ]
    recording = read(state(tmp_path / "trainer_state.json", log, stateful_callbacks=callbacks, max_steps=99))
    assert recording.supervised
    assert recording.plan == RunPlan(40, evaluates=True, eval_every=10)
    assert recording.values == {"max_grad_norm": 1.0}
    assert [record.kind for record in recording.records] == ["train", "summary"]
    assert recording.records[0].metrics == {"loss": 1.0}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is no JSON: "),
        (b"{", "it is no JSON: "),
        (b"\xff\xfe", "it is no JSON: "),
        (b"[1]", "expected a JSON object, got list"),
        (b"{}", "it has no `log_history`, so it is no trainer_state.json"),
        (b'{"log_history": {}}', "it has no `log_history`"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a Git LFS pointer"),
    ],
)
def test_an_unreadable_file(tmp_path, content, expected):
    """A file that is no trainer state is a sentence with its path and the reason."""
    path = tmp_path / "trainer_state.json"
    path.write_bytes(content)
    with pytest.raises(UnreadableRun) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {expected}")


@pytest.mark.parametrize("odd", ["NaN", "Infinity", '"ten"', "null", "[1]"])
def test_a_step_or_length_that_is_no_number(tmp_path, odd):
    """A step or a length that is no finite number is as good as none."""
    path = tmp_path / "trainer_state.json"
    path.write_text(
        f'{{"max_steps": {odd}, "log_history": [{{"step": {odd}, "loss": 1.0}}, {{"step": 5, "loss": 1.0}}]}}'
    )
    recording = read(path)
    assert [record.step for record in recording.records] == [0, 5]
    assert recording.plan.total_steps == 5


def test_a_file_that_is_not_there(tmp_path):
    """A path that does not exist is a sentence with the path."""
    with pytest.raises(UnreadableRun, match=r"gone\.json: there is no such file or directory"):
        read(tmp_path / "gone.json")
