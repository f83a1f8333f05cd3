import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from steersman.readers import UnreadableRun, find, read

STATE = json.dumps({"log_history": [{"step": 1, "loss": 1.0}]})
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"


@pytest.fixture
def plant(tmp_path):
    """Return a function that writes files below a folder, making those above them, and returns the folder."""

    def write(files, top=tmp_path / "tree"):
        for name, text in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return top

    return write


def found(top):
    return [str(path.relative_to(top)) for path in find(top)]


def test_the_runs_among_the_real_logs(runs):
    """Every log of the test data is found once, in the order of the names, and each can be read."""
    names = found(runs)
    assert names == [
        "grpo_public/gemma-3-rl-finetuning-01.json", "lightning/pytorch-lightning-01.csv", "roberta", *(f"task_metrics/semeval23-0{i}.json" for i in (1, 2, 5, 7)), "tfevents/16831-project-01", "tfevents/torchtitan-01", "tfevents/verl-04",
        "trainer_log/llama-factory-01.jsonl", "trainer_log/llama-factory-03.jsonl", "trainer_state/16831-project-01.json",
        "trainer_state/llama-factory-01.json", "trainer_state/merilion-01.json", "trainer_state/unslothgrpo-01.json",
    ]  # fmt: skip
    assert all(read(path).records for path in find(runs))


def test_everything_of_a_run_directory_is_one_run(plant):
    """A journal, states, logs and event files in one output directory are one run; what lies beside it is another."""
    top = plant(
        {
            "run/steersman/journal.jsonl": '{"v": 1, "kind": "run", "step": 0}\n',
            "run/trainer_state.json": STATE,
            "run/checkpoint-1/trainer_state.json": STATE,
            "run/checkpoint-1/deeper/trainer_state.json": STATE,
            "run/runs/Jan01_host/events.out.tfevents.1": "",
            "run/events.out.tfevents.1": "",
            "run/trainer_log.jsonl": '{"step": 1, "loss": 1.0}\n',
            "run/metrics.csv": "step,loss\n1,1.0\n",
            "run/all_results.json": '{"epoch": 1.0, "eval_loss": 1.0}',
            "run/ablation/trainer_state.json": STATE,
            "run/other.jsonl": '{"step": 1, "loss": 1.0}\n',
            "run2/checkpoint-5/trainer_state.json": STATE,
        }
    )
    assert found(top) == ["run", "run/ablation", "run/other.jsonl", "run2"]


def test_event_files_without_a_state_are_runs(plant):
    """Each folder with event files is a run where no output directory claims them."""
    top = plant({f"out/runs/{name}/events.out.tfevents.{i}": "" for name, i in [("a", 1), ("a", 2), ("b", 1)]})
    assert found(top) == ["out/runs/a", "out/runs/b"]


def test_files_that_are_no_runs(plant):
    """Configs, tokenizers, data sets and tables of text are passed over; so are hidden folders and installed packages."""
    top = plant(
        {
            "config.json": '{"n_layer": 2}',
            "tokenizer.json": '{"model": {' + '"a": 1,' * 20000 + '"b": 2}}',
            "data.jsonl": '{"messages": [{"role": "user", "content": "x"}]}\n',
            "data.csv": "text,label\nhello,1\n",
            "metrics.csv": "name,value\na,b\n",
            "notes.txt": "the loss went down",
            "wandb/run-1/files/wandb-summary.json": '{"_step": 9, "_runtime": 3, "train/loss": 1.0}',
            ".cache/trainer_state.json": STATE,
            ".hidden.jsonl": '{"step": 1, "loss": 1.0}\n',
            "lib/site-packages/x/trainer_state.json": STATE,
            "node_modules/trainer_state.json": STATE,
            "__pycache__/trainer_state.json": STATE,
            "kept/trainer_state.json": STATE,
        }
    )
    (top / "model.json").write_bytes(b"\x00\x01" * 100)
    assert found(top) == ["kept"]


def test_what_claims_to_be_a_run_is_named(plant):
    """A trainer state that is binary, and pointers under the names of logs, are found, so that reading says why not."""
    top = plant({"b/trainer_state.json": LFS, "c/metrics.csv": LFS, "d/events.out.tfevents.1": LFS, "e/other.csv": LFS})
    (top / "a").mkdir()
    (top / "a" / "trainer_state.json").write_bytes(b"\x00\x01\x02")
    assert found(top) == ["a", "b", "c", "d"]
    for path, reason in zip(find(top), ["it is no JSON", *["it is a Git LFS pointer"] * 3], strict=True):
        with pytest.raises(UnreadableRun, match=reason):
            read(path)


def test_a_single_run_is_found_as_it_is_given(plant):
    """A file, a run directory and a checkpoint of one are found as themselves."""
    top = plant({"trainer_state.json": STATE, "checkpoint-1/trainer_state.json": STATE, "x.json": "{}"})
    assert list(find(top)) == [top]
    assert list(find(top / "checkpoint-1")) == [top / "checkpoint-1"]
    assert list(find(top / "x.json")) == [top / "x.json"]


def test_a_tree_without_runs_is_found_as_itself(plant, tmp_path):
    """Where there is no run, and where there is nothing, the path itself is yielded: reading says what is missing."""
    top = plant({"config.json": "{}", "below/data.csv": "a,b\n"})
    assert list(find(top)) == [top]
    with pytest.raises(UnreadableRun, match="tree: it holds no run: no journal, no trainer_state.json"):
        read(top)
    [gone] = find(tmp_path / "gone")
    with pytest.raises(UnreadableRun, match="gone: there is no such file or directory"):
        read(gone)


def test_links(plant, tmp_path):
    """Links to folders are followed; one that leads in a circle, or a second way to a folder, is not walked again."""
    elsewhere = plant({"run/trainer_state.json": STATE}, tmp_path / "elsewhere")
    top = plant({"a/trainer_state.json": STATE, "z/trainer_state.json": STATE})
    (top / "b").symlink_to(elsewhere)
    (top / "c").symlink_to(elsewhere / "run")
    (top / "a" / "up").symlink_to(top)
    (top / "loop").symlink_to(top / "loop")
    (top / "nowhere").symlink_to(tmp_path / "gone")
    assert found(top) == ["a", "b/run", "z"]
    assert found(top / "b") == ["run"]


@pytest.mark.parametrize("name", ["loop", "nowhere"])
def test_a_link_that_leads_nowhere(tmp_path, name):
    """A path that is a circle of links is a sentence, and so is a link to what is gone."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    [path] = find(tmp_path / name)
    with pytest.raises(UnreadableRun, match=f"{name}: it is a link that leads nowhere or in a circle"):
        read(path)


@pytest.fixture
def forbid(monkeypatch):
    """Return a function that takes the right to read from a path; root may anything, so for root it is played."""

    def take(path):
        path.chmod(0)
        if os.geteuid() != 0:
            return
        scandir, opens = os.scandir, Path.open

        def refuse(asked):
            if Path(asked) == path:
                raise PermissionError(13, "Permission denied", str(asked))

        monkeypatch.setattr(os, "scandir", lambda asked: refuse(asked) or scandir(asked))
        monkeypatch.setattr(Path, "open", lambda self, *args, **kw: refuse(self) or opens(self, *args, **kw))

    taken = []
    yield lambda path: (taken.append(path), take(path))
    for path in taken:
        path.chmod(0o755)


def test_a_folder_that_may_not_be_read(plant, forbid):
    """It is yielded, so that reading it names the reason; the others go on."""
    top = plant({"a/trainer_state.json": STATE, "b/trainer_state.json": STATE, "c/trainer_state.json": STATE})
    forbid(top / "b")
    assert found(top) == ["a", "b", "c"]
    with pytest.raises(UnreadableRun, match="b: it cannot be read: Permission denied"):
        read(top / "b")


@pytest.mark.parametrize("name", ["trainer_state.json", "metrics.csv", "events.out.tfevents.1"])
def test_a_log_that_may_not_be_read(plant, forbid, name):
    """A log without the right to read it is a sentence with its own path."""
    top = plant({f"a/{name}": STATE})
    forbid(top / "a" / name)
    assert found(top) == ["a"]
    with pytest.raises(UnreadableRun, match=f"a/{name}: it cannot be read: Permission denied"):
        read(top / "a")


def test_a_pipe(plant):
    """A named pipe would wait for a writer: in a tree it is not opened. Given by its own name it is read, as a trainer state."""
    top = plant({"a/trainer_state.json": STATE})
    pipe = top / "log.jsonl"
    os.mkfifo(pipe)
    assert found(top) == ["a"]
    writer = threading.Thread(target=pipe.write_text, args=(STATE,))
    writer.start()
    assert len(read(pipe).records) == 1
    writer.join()


def test_runs_are_found_as_they_come(plant):
    """The first run is yielded before the rest of the tree was looked at."""
    top = plant({"a/trainer_state.json": STATE, "b/trainer_state.json": STATE})
    runs = find(top)
    assert next(runs) == top / "a"
    shutil.rmtree(top / "b")
    plant({"b/c/trainer_state.json": STATE})
    assert list(runs) == [top / "b" / "c"]


PEAK = """
import itertools, pathlib, sys, tracemalloc
from steersman.readers import find

top = pathlib.Path(sys.argv[1])
list(itertools.islice(find(top), 10))
tracemalloc.start()
print(sum(1 for _ in find(top)), tracemalloc.get_traced_memory()[1])
"""


def test_memory_stays_flat(plant):
    """Two thousand runs in folders of a hundred take less than four megabytes at any time, in a process of their own."""
    top = plant({f"{i // 100}/{i}/trainer_state.json": STATE for i in range(2000)})
    told = subprocess.run([sys.executable, "-c", PEAK, str(top)], capture_output=True, text=True, check=True)
    count, peak = map(int, told.stdout.split())
    assert count == 2000
    assert peak < 2**22


def test_a_deep_tree(plant, tmp_path):
    """Hundreds of folders in each other are no limit."""
    deep = tmp_path / "tree"
    deep.mkdir()
    here = os.getcwd()
    try:
        os.chdir(deep)
        for _ in range(400):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    (deep / "run").mkdir()
    (deep / "run" / "trainer_state.json").write_text(STATE)
    assert found(deep) == ["run"]


def test_runs_of_a_url(runs):
    """A tree that is no disk of this machine is walked and read in the same way."""
    upath = pytest.importorskip("upath")
    top = upath.UPath("memory://runs-of-a-url")
    files = [
        "trainer_state/llama-factory-01.json",
        "lightning/pytorch-lightning-01.csv",
        "trainer_log/llama-factory-01.jsonl",
    ]
    for name in (*files, "roberta/checkpoint-500/trainer_state.json", "roberta/checkpoint-1000/trainer_state.json"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes((runs / name).read_bytes())
    names = [str(path).removeprefix(f"{top}/") for path in find(top)]
    assert names == [files[1], "roberta", files[2], files[0]]
    assert [len(read(path).records) for path in find(top)] == [5, 4, 5, 257]
    assert list(read(top / "roberta").saved) == [500, 1000]
    [gone] = find(top / "gone")
    with pytest.raises(UnreadableRun, match="there is no such file or directory"):
        read(gone)


def test_the_folder_of_wandb_is_no_run_of_its_own(tmp_path):
    """What W&B keeps beside a run's own log is that run; its summary is never one, also far from any run."""
    summary = '{"eval/loss": 0.7, "train/global_step": 20, "_step": 4, "_runtime": 5.0, "_timestamp": 1.7}'
    for folder in ("out/wandb/run-1/files", "alone/wandb/run-2/files"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "wandb-summary.json").write_text(summary + "\n" + summary + "\n")
        (tmp_path / folder / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    (tmp_path / "out" / "trainer_state.json").write_text('{"log_history": []}')
    assert list(find(tmp_path)) == [tmp_path / "alone/wandb/run-2/files/log.jsonl", tmp_path / "out"]
