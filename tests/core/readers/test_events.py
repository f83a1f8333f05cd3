import math
import subprocess
import sys

import pytest

import steersman
from steersman.readers import UnreadableRun, find, read, scalars
from steersman.schedule import RunPlan


def test_the_trainer_s_event_file(runs):
    """The Trainer's names, its epoch as the epoch and not as a metric, the time, and its last words as a summary."""
    recording = read(runs / "tfevents" / "16831-project-01")
    first, last = recording.records[0], recording.records[-1]
    assert (recording.format, len(recording.records)) == ("tensorboard", 751)
    assert recording.plan == RunPlan(375000, evaluates=False)
    assert (first.step, first.kind, sorted(first.metrics)) == (500, "train", ["grad_norm", "learning_rate", "loss"])
    assert first.epoch == pytest.approx(0.16)
    assert first.elapsed == pytest.approx(32.28, abs=0.01)
    assert (last.kind, last.step, last.epoch) == ("summary", 375000, 120.0)
    assert sorted(last.metrics) == [
        "total_flos", "train_loss", "train_runtime", "train_samples_per_second", "train_steps_per_second",
    ]  # fmt: skip


def test_a_masked_divergence_is_found_in_events_as_in_the_state(runs):
    """The NaN filter's loss of 0.0 beside a gradient norm of NaN is critical in both logs of one run.

    Steps, names and severities are the same; figures are, to the single precision of an event file.
    """
    of_state = steersman.replay(runs / "trainer_state" / "16831-project-01.json")
    of_events = steersman.replay(runs / "tfevents" / "16831-project-01")

    def findings(replayed):
        return [(e.step, e.data["strategy"], e.data["name"], e.data["severity"]) for e in replayed.of("finding")]

    assert findings(of_events) == findings(of_state)
    assert (37500, "trend-health", "non-finite-grad-norm", "critical") in findings(of_events)
    masked = [e for e in of_events.of("finding") if e.step == 37500]
    assert "the logged loss of 0.0 is the trainer's NaN filter" in masked[0].data["message"]
    changes = [
        [(e.step, e.data["action"], e.data.get("change"), e.data["verdict"]) for e in r.of("proposal")]
        for r in (of_state, of_events)
    ]
    assert changes[0] == changes[1]
    for one, other in zip(of_state.of("finding"), of_events.of("finding"), strict=True):
        numbers = {k: v for k, v in one.data["evidence"].items() if isinstance(v, float)}
        assert {k: other.data["evidence"][k] for k in numbers} == pytest.approx(numbers, rel=1e-6, nan_ok=True)


def test_a_loss_of_nothing_is_no_divergence_where_there_is_a_reward(runs, write_events, tmp_path):
    """A GRPO run, whose loss is 0.0 by right and whose gradients are finite, gives no critical finding."""
    rows = [(s, {"train/loss": 0.0, "train/reward": 0.5 + s / 100, "train/grad_norm": 0.25}) for s in range(1, 61)]
    write_events(tmp_path / "events.out.tfevents.1.host", *rows)
    for run in (tmp_path, runs / "tfevents" / "verl-04", runs / "trainer_state" / "unslothgrpo-01.json"):
        assert [e for e in steersman.replay(run).of("finding") if e.data["severity"] == "critical"] == []


def test_the_names_of_verl(runs):
    """Reward, loss, KL, gradient norm and rate have our names; an evaluation without a loss is one, at step 0 too."""
    recording = read(runs / "tfevents" / "verl-04")
    evaluations = [record for record in recording.records if record.kind == "eval"]
    assert [record.step for record in evaluations] == [0, 5, 10, 15, 20, 25, 30]
    assert evaluations[0].metrics["val-core/game2048/acc/mean@1"] == -1.0
    training = [record for record in recording.records if record.kind == "train"]
    assert [record.step for record in training] == list(range(1, 31))
    assert training[0].metrics["reward"] == training[0].metrics["critic/score/mean"] == -1.14453125
    assert {"loss", "kl", "grad_norm", "learning_rate", "entropy", "actor/ppo_kl"} <= training[0].metrics.keys()
    assert (training[-1].epoch, recording.plan.evaluates) == (9.0, True)
    assert [record.kind for record in recording.records[-2:]] == ["train", "eval"]


def test_the_names_of_torchtitan(runs):
    """The mean loss over all ranks is the loss; other names stay as they are."""
    first = read(runs / "tfevents" / "torchtitan-01").records[0]
    assert first.metrics["loss"] == pytest.approx(8.223147)
    assert first.metrics["loss_metrics/global_max_loss"] == pytest.approx(8.228186)


def test_many_events_of_a_step_are_a_record_of_each_kind(write_events, tmp_path, told):
    """Events that are written one scalar at a time, evaluation first, are merged; a value written again counts."""
    path = write_events(
        tmp_path / "events.out.tfevents.1",
        (10, {"eval/loss": 1.5}), (10, {"train/loss": 2.0}), (10, {"train/reward": 1.0}), (10, {"eval/math_f1": 0.5}),
        (10, {"train/loss": 2.5}), (10, {"train/epoch": 0.5}), (10, {"train/global_step": 9.0}),
    )  # fmt: skip
    recording = read(path)
    assert told(recording) == [
        (10, "train", {"loss": 2.5, "reward": 1.0}), (10, "eval", {"eval_loss": 1.5, "eval_math_f1": 0.5}),
    ]  # fmt: skip
    assert [record.epoch for record in recording.records] == [0.5, 0.5]


def test_a_run_that_was_restarted(write_events, tmp_path, told):
    """Later files of a folder go on; what they did again is superseded; the time of the training adds up."""
    write_events(
        tmp_path / "events.out.tfevents.1",
        (10, {"train/loss": 5.0}, 10), (20, {"train/loss": 4.0}, 20), (20, {"eval/loss": 4.5}, 21), (30, {"train/loss": 3.0}, 30),
    )  # fmt: skip
    write_events(tmp_path / "events.out.tfevents.2", (20, {"train/loss": 4.25}, 10), (30, {"train/loss": 3.25}, 20))
    recording = read(tmp_path)
    assert told(recording) == [
        (10, "train", {"loss": 5.0}),
        (20, "train", {"loss": 4.25}),
        (30, "train", {"loss": 3.25}),
    ]
    assert [record.elapsed for record in recording.records] == [10.0, 40.0, 50.0]


def test_files_side_by_side(write_events, tmp_path, told):
    """A second file with metrics of its own is no restart: both are of the same steps."""
    write_events(tmp_path / "events.out.tfevents.1", (10, {"train/loss": 5.0}), (20, {"train/loss": 4.0}))
    write_events(tmp_path / "events.out.tfevents.2", (10, {"val/loss": 5.5}), (20, {"val/loss": 4.5}))
    assert told(read(tmp_path)) == [
        (10, "train", {"loss": 5.0}), (10, "eval", {"eval_loss": 5.5}),
        (20, "train", {"loss": 4.0}), (20, "eval", {"eval_loss": 4.5}),
    ]  # fmt: skip


def test_a_file_that_is_cut_short(runs, tmp_path):
    """A file that a kill cut, or that is still being written, is read up to there."""
    [source] = (runs / "tfevents" / "16831-project-01").iterdir()
    content = source.read_bytes()
    path = tmp_path / source.name
    path.write_bytes(content[: len(content) // 2])
    whole, cut = read(source), read(path)
    assert 300 < len(cut.records) < 450
    assert [r.metrics["loss"] for r in cut.records[:300]] == [r.metrics["loss"] for r in whole.records[:300]]


def test_a_file_that_is_damaged(runs, tmp_path):
    """What comes after a record whose checksum is wrong is not read."""
    [source] = (runs / "tfevents" / "torchtitan-01").iterdir()
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / source.name
    path.write_bytes(content)
    assert 3 < len(read(path).records) < 8


def test_what_is_no_scalar_is_left_out(tmp_path, told):
    """Text, histograms and images are left out; scalars in tensors of every form are read; NaN is a value."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    def tensor(tag, value, plugin):
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
        return Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=metadata)

    values = [
        tensor("notes/text_summary", "hello", "text"),
        tensor("weights", [1.0, 2.0], "histograms"),
        tensor("train/loss", 0.5, "scalars"),
        tensor("train/reward", 3, "scalars"),
        Summary.Value(tag="picture", image=Summary.Image(height=1)),
        Summary.Value(tag="train/grad_norm", simple_value=math.nan),
    ]
    path = tmp_path / "events"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version="brain.Event:2").SerializeToString())
        writer.write(Event(step=3, summary=Summary(value=values)).SerializeToString())
    [record] = read(path).records
    assert math.isnan(record.metrics.pop("grad_norm"))
    assert (record.step, record.metrics) == (3, {"loss": 0.5, "reward": 3.0})


def test_our_own_tags_are_left_out(write_events, tmp_path, told):
    """A log we wrote into is read as the trainer wrote it."""
    path = write_events(
        tmp_path / "events.out.tfevents.1",
        (4, {"eval/loss": 1.0, "eval/steersman_score": 0.5, "HealthCheck/learning_rate": 0.1}),
    )
    assert told(read(path)) == [(4, "eval", {"eval_loss": 1.0})]


def test_a_user_s_own_names(write_events, tmp_path, told):
    """The `metrics:` of a config are by the tags of the log."""
    path = write_events(tmp_path / "events.out.tfevents.1", (4, {"nll": 1.0, "obj": 2.0}))
    assert told(read(path, {"nll": "eval_loss", "obj": "loss"})) == [
        (4, "train", {"loss": 2.0}),
        (4, "eval", {"eval_loss": 1.0}),
    ]


def test_a_file_without_a_scalar(write_events, tmp_path):
    """A run that has only just begun is a recording without records; so is a file nothing was written to yet."""
    write_events(tmp_path / "events.out.tfevents.1")
    (tmp_path / "events.out.tfevents.2").touch()
    assert read(tmp_path).records == ()


def test_a_file_that_is_no_event_file(write_events, tmp_path):
    """A pointer or another file by that name is told with its path, and does not hide the others of its folder."""
    (tmp_path / "events.out.tfevents.1").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "events.out.tfevents.2").write_bytes(b"\x00\x01 something else")
    with pytest.raises(UnreadableRun, match=r"tfevents\.1: it is a Git LFS pointer.*tfevents\.2: it is no TensorBoard"):
        read(tmp_path)
    write_events(tmp_path / "events.out.tfevents.3", (1, {"train/loss": 1.0}))
    assert len(read(tmp_path).records) == 1


def test_without_tensorboard(runs, monkeypatch):
    """Where TensorBoard is not installed the sentence says what to install."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(UnreadableRun, match=r"pip install 'steersman\[tensorboard\]'"):
        read(runs / "tfevents" / "torchtitan-01")


def test_neither_tensorflow_nor_torch_is_imported(runs):
    """Reading events needs TensorBoard and numpy alone."""
    code = (
        "import sys, pathlib; from steersman.readers import read\n"
        f"assert len(read(pathlib.Path({str(runs / 'tfevents' / 'torchtitan-01')!r})).records) == 10\n"
        "print(sorted({'tensorflow', 'torch', 'pandas'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_files_of_a_url(runs):
    """Event files that lie on no disk of this machine are read through a copy."""
    upath = pytest.importorskip("upath")
    folder = upath.UPath("memory://events-of-a-url/run")
    folder.mkdir(parents=True)
    [source] = (runs / "tfevents" / "torchtitan-01").iterdir()
    (folder / source.name).write_bytes(source.read_bytes())
    assert [r.step for r in read(folder).records] == list(range(1, 11))
    assert scalars.MISSING.startswith("TensorBoard event files are read with TensorBoard")


def test_a_folder_for_each_stage_is_one_run(tmp_path, write_events, told):
    """Keras writes `train` and `validation`: one run, whose steps are the epochs finished, without what batches logged."""
    run = tmp_path / "run1"
    train = (({"epoch_loss": 2.0, "epoch_learning_rate": 0.5}), {"epoch_loss": 1.0, "epoch_learning_rate": 0.25})
    write_events(run / "train" / "events.out.tfevents.1.v2", *enumerate(train), (500, {"batch_loss": 9.0}))
    valid = ({"epoch_loss": 1.5, "epoch_accuracy": 0.5}, {"epoch_loss": 1.25, "epoch_accuracy": 0.75})
    late = (938, {"evaluation_loss_vs_iterations": 1.25})
    write_events(run / "validation" / "events.out.tfevents.1.v2", *enumerate(valid), late)
    assert list(find(tmp_path)) == [run]
    assert told(read(run)) == [
        (1, "train", {"loss": 2.0, "learning_rate": 0.5}), (1, "eval", {"eval_loss": 1.5, "eval_accuracy": 0.5}),
        (2, "train", {"loss": 1.0, "learning_rate": 0.25}), (2, "eval", {"eval_loss": 1.25, "eval_accuracy": 0.75}),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["validation", "valid", "val", "eval"])
def test_the_name_of_a_folder_is_the_stage(tmp_path, write_events, told, name):
    """A writer for each stage, with the same tags; a tag that has a stage keeps it, and a restart goes back in both."""
    write_events(tmp_path / "train" / "a.tfevents.1", (10, {"loss": 2.0}), (20, {"loss": 1.0, "eval/acc": 0.5}))
    write_events(tmp_path / name / "a.tfevents.1", (10, {"loss": 1.5}), (20, {"loss": 1.25}))
    write_events(tmp_path / name / "a.tfevents.2", (20, {"loss": 1.0}))
    assert told(read(tmp_path)) == [
        (10, "train", {"loss": 2.0}), (10, "eval", {"eval_loss": 1.5}),
        (20, "train", {"loss": 1.0}), (20, "eval", {"eval_acc": 0.5, "eval_loss": 1.0}),
    ]  # fmt: skip


def test_two_runs_are_no_stages(tmp_path, write_events):
    """Folders of other names beside each other are runs; so is a folder called train that is alone."""
    for name in ("train", "second", "sub/train"):
        write_events(tmp_path / name / "a.tfevents.1", (10, {"loss": 2.0}))
    assert list(find(tmp_path)) == [tmp_path / "second", tmp_path / "sub" / "train", tmp_path / "train"]


def test_an_event_file_that_is_cut_short_is_named(tmp_path, write_events):
    """It was read up to there, and a note says so."""
    path = write_events(tmp_path / "a.tfevents.1", (10, {"loss": 2.0}), (20, {"loss": 1.0}))
    path.write_bytes(path.read_bytes()[:-5])
    recording = read(tmp_path)
    assert [record.step for record in recording.records] == [10]
    assert recording.notes == (f"{path} is cut short or damaged, so it was read up to there.",)
