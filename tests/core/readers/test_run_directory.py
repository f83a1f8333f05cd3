import json
import shutil

import pytest

from steersman.readers import UnreadableRun, read
from steersman.readers.run_directory import checkpoints, find_journal


def test_checkpoints_are_one_run(runs):
    """Six successive checkpoints are one run: the log of the last, and each directory by its step."""
    recording = read(runs / "roberta")
    assert [record.step for record in recording.records if record.kind == "eval"] == [500, 1000, 1500, 2000, 2500, 3000]
    assert recording.saved == {
        step: str(runs / "roberta" / f"checkpoint-{step}") for step in (500, 1000, 1500, 2000, 2500, 3000)
    }
    assert recording.plan.total_steps == 8610


def test_the_longest_log_wins(runs, tmp_path):
    """The log is that of the checkpoint with most records, not of the one named last."""
    shutil.copytree(runs / "roberta" / "checkpoint-500", tmp_path / "checkpoint-9000")
    shutil.copytree(runs / "roberta" / "checkpoint-1500", tmp_path / "checkpoint-1500")
    recording = read(tmp_path)
    assert len(recording.records) == 6
    assert list(recording.saved) == [1500, 9000]


def test_the_state_beside_the_checkpoints(tmp_path):
    """A trainer_state.json in the directory itself is one of the logs."""
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 10, "loss": 1.0}]}))
    recording = read(tmp_path)
    assert [record.step for record in recording.records] == [10]
    assert recording.saved == {10: str(tmp_path / "checkpoint-10")}


def test_one_broken_checkpoint(runs, tmp_path):
    """A checkpoint that was torn while it was written does not hide the others."""
    shutil.copytree(runs / "roberta" / "checkpoint-500", tmp_path / "checkpoint-500")
    (tmp_path / "checkpoint-1000").mkdir()
    (tmp_path / "checkpoint-1000" / "trainer_state.json").write_text('{"log_history": [')
    assert len(read(tmp_path).records) == 2


def test_nothing_but_broken_checkpoints(tmp_path):
    """Where no log can be read the reason of each is told."""
    for step in (5, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("[]")
    with pytest.raises(UnreadableRun) as caught:
        read(tmp_path)
    assert str(caught.value).count("expected a JSON object, got list") == 2


def test_the_journal_comes_first(runs, tmp_path):
    """Where there is a journal it is the source, with the checkpoints that are there now."""
    shutil.copytree(runs / "roberta" / "checkpoint-500", tmp_path / "checkpoint-500")
    (tmp_path / "steersman").mkdir()
    lines = [
        {"v": 1, "kind": "run", "step": 0, "plan": {"total_steps": 50}, "values": {"max_grad_norm": 1.0}},
        {"v": 1, "kind": "record", "step": 5, "of": "train", "metrics": {"loss": 1.0}},
        {"v": 1, "kind": "checkpoint_saved", "step": 9, "path": "gone/checkpoint-9"},
    ]
    journal = tmp_path / "steersman" / "journal.jsonl"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recording = read(tmp_path)
    assert (recording.format, recording.path, recording.supervised) == ("journal", journal, True)
    assert recording.saved == {500: str(tmp_path / "checkpoint-500")}
    assert recording.values == {"max_grad_norm": 1.0}


def test_where_a_journal_is_found(tmp_path):
    """A journal is found from the run directory, from its own folder, and by its own path; nothing else is one."""
    folder = tmp_path / "steersman"
    folder.mkdir()
    assert find_journal(tmp_path) is None
    journal = folder / "journal.jsonl"
    journal.touch()
    assert find_journal(tmp_path) == find_journal(folder) == find_journal(journal) == journal
    assert find_journal(tmp_path / "trainer_state.json") is None


def test_what_is_a_checkpoint(tmp_path):
    """A checkpoint is a directory named after its step; a file of that name, or another folder, is none."""
    for name in ("checkpoint-20", "checkpoint-3", "checkpoint-best", "logs", "checkpoint-7-old"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-5").touch()
    assert list(checkpoints(tmp_path)) == [3, 20]


def test_an_empty_directory(tmp_path):
    """A directory with nothing to read says what would be read."""
    with pytest.raises(UnreadableRun, match=r"it holds no run: no journal, no trainer_state\.json, no checkpoint-"):
        read(tmp_path)


def test_a_journal_without_a_run_gives_way_to_the_trainer_state(tmp_path, runs):
    """A journal that holds no run does not hide the checkpoints beside it; folders merely named alike are none."""
    (tmp_path / "steersman").mkdir()
    (tmp_path / "steersman" / "journal.jsonl").write_text("")
    for name in ("checkpoint-1220", "tmp-checkpoint-1230"):
        (tmp_path / name).mkdir()
    state = (runs / "trainer_state" / "llama-factory-01.json").read_bytes()
    (tmp_path / "checkpoint-1220" / "trainer_state.json").write_bytes(state)

    recording = read(tmp_path)

    assert recording.format == "trainer_state"
    assert list(recording.saved) == [1220]


SOURCES = {
    "steersman/journal.jsonl": '{"v": 1, "kind": "run", "step": 0, "plan": null}\n'
    '{"v": 1, "kind": "record", "step": 1, "of": "train", "metrics": {"loss": 1.0}}\n',
    "checkpoint-5/trainer_state.json": '{"log_history": [{"step": 2, "loss": 1.0}]}',
    "trainer_log.jsonl": '{"current_steps": 3, "total_steps": 9, "loss": 1.0}\n',
    "wandb-history.csv": "_step,_runtime,train/loss\n4,1,1.0\n",
    "metrics.csv": "epoch,step,train_loss\n0,4,1.0\n",
    "results.csv": "epoch,train/loss,metrics/top1\n6,1.0,0.5\n",
}


def test_the_best_source_wins(tmp_path, write_events):
    """A journal, then a state, then LLaMA-Factory's log, W&B, Lightning, Ultralytics, then events; one that is broken gives way."""
    write_events(tmp_path / "events.out.tfevents.1", (7, {"train/loss": 1.0}))
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    told = []
    for name in SOURCES:
        recording = read(tmp_path)
        told.append((recording.format, recording.records[0].step))
        assert list(recording.saved) == [5]
        (tmp_path / name).write_bytes(b"\x00broken")
    recording = read(tmp_path)
    told.append((recording.format, recording.records[0].step))
    assert told == [
        ("journal", 1), ("trainer_state", 2), ("trainer_log", 3), ("wandb", 4), ("lightning", 5), ("ultralytics", 6),
        ("tensorboard", 7),
    ]  # fmt: skip


def test_every_source_that_cannot_be_read_is_told(tmp_path):
    """Where none can be read, each is named with its reason."""
    (tmp_path / "trainer_state.json").write_text("{")
    (tmp_path / "metrics.csv").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(
        UnreadableRun, match=r"trainer_state\.json: it is no JSON.*metrics\.csv: it is a Git LFS pointer"
    ):
        read(tmp_path)


DAMAGED = {
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "cut": b'{"log_history": [{"step": 10, "loss": 1.0}, {"st',
    "cut late": b'{"log_history": [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 1.0}, {"step": 30, "loss": 1.0}, {"st',
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_newest_checkpoint_is_named(tmp_path, damage):
    """The run is told of from the checkpoint before, and a note says which was passed over and why."""
    good = json.dumps({"log_history": [{"step": 50, "loss": 2.0}, {"step": 100, "loss": 1.0}]})
    for name, content in (("checkpoint-100", good.encode()), ("checkpoint-200", DAMAGED[damage])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_bytes(content)
    recording = read(tmp_path)
    assert [record.step for record in recording.records] == [50, 100]
    (note,) = recording.notes
    assert note.startswith(f"Passed over: {tmp_path}/checkpoint-200/trainer_state.json: it is ")


def test_an_older_damaged_checkpoint_is_no_news(tmp_path):
    """What the newer one holds too was not lost."""
    good = json.dumps({"log_history": [{"step": 50, "loss": 2.0}, {"step": 200, "loss": 1.0}]})
    for name, content in (("checkpoint-100", DAMAGED["a pointer"]), ("checkpoint-200", good.encode())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_bytes(content)
    assert read(tmp_path).notes == ()
