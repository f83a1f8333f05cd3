"""Many runs in Python: each is told once, in order, together; a second call takes up where the first was cut."""

from __future__ import annotations

import json
import math

import pytest

from steersman import ConfigError, replay, replay_many
from steersman.replaying_many import found


@pytest.fixture
def three(tmp_path):
    """A folder with three runs of one evaluation, the second of which cannot be read."""
    for i in range(3):
        path = tmp_path / "three" / f"run-{i}" / "trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text("{" if i == 1 else json.dumps({"log_history": [{"step": 10, "eval_loss": 1.0 + i}]}))
    return tmp_path / "three"


def test_each_run_is_told_in_the_order_of_the_paths(three):
    """The runs are those of the folder, in the order of their names; what cannot be read has its reason."""
    told = replay_many(three, use=["eval-loss"])
    assert [run.path for run in told.runs] == [str(three / f"run-{i}") for i in range(3)]
    assert [run.error is None for run in told.runs] == [True, False, True]
    assert [run.choices["eval-loss"].value for run in told.runs if run.error is None] == [1.0, 3.0]
    assert (told.total.runs, told.total.failed, told.total.evaluations) == (3, 1, 2)
    assert list(told.to_pandas("runs")["evaluations"]) == [1, 0, 1]


def test_a_run_told_alone_and_among_others_is_the_same(three):
    """What is told of a run does not depend on which others are replayed."""
    among = replay_many([three, three / "run-0"], use=["eval-loss"]).runs
    assert [run.path for run in among] == [str(three / f"run-{i}") for i in range(3)]  # each once
    assert among[2] == replay_many(three / "run-2", use=["eval-loss"]).runs[0]
    assert among[2].scores == replay(three / "run-2", use=["eval-loss"]).scores


def test_an_object_remembers_no_other_run(three, counting):
    """A strategy given as an object begins each run as it was given, and is itself left alone."""
    given = counting()
    told = replay_many(three, use=[given])
    assert [run.choices["counting"].value for run in told.runs if run.error is None] == [1.0, 1.0]
    assert given.seen == 0


def test_taken_up_where_it_was_cut(three, tmp_path):
    """What the file holds is not replayed again, but for what could not be read or has changed since."""
    output = tmp_path / "results.jsonl"
    first = replay_many(three, use=["eval-loss"], output=output)
    (three / "run-2" / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 10, "eval_loss": 9.0}]}))
    (three / "run-1" / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 10, "eval_loss": 2.0}]}))
    second = replay_many(three, use=["eval-loss"], output=output)
    assert second.runs[0] == first.runs[0]
    assert second.runs[2].choices["eval-loss"].value == 9.0
    assert len(output.read_text().splitlines()) == 5  # three, and two that were replayed again
    assert second.runs[1].choices["eval-loss"].value == 2.0
    assert second.total.failed == 0


def test_a_faulty_config_is_told_at_once(three):
    """A strategy that is not there is an error before any run is read."""
    with pytest.raises(ConfigError, match="eval-los"):
        replay_many(three, use=["eval-los"])


def test_a_path_without_a_run(tmp_path):
    """A path that holds no run is told as a run that cannot be read."""
    (tmp_path / "empty").mkdir()
    assert list(found([tmp_path / "empty", "nowhere"])) == [str(tmp_path / "empty"), "nowhere"]
    told = replay_many([tmp_path / "empty", "nowhere"])
    assert "it holds no run" in (told.runs[0].error or "")
    assert "there is no such file" in (told.runs[1].error or "")


@pytest.mark.parametrize(
    "wrong",
    [{"engine": "spark"}, {"workers": 0}, {"values": {"kl_penalty": "x"}}, {"values": {"kl_penalty": math.nan}}],
)
def test_what_cannot_be_meant(three, wrong):
    """Another engine, no worker and a value that is no number are refused at once."""
    with pytest.raises(ValueError):
        replay_many(three, **wrong)


def test_a_name_alone(three):
    """`use` may be the name of one strategy."""
    assert list(replay_many(three, use="eval-loss").runs[0].choices) == ["eval-loss"]


def test_overlapping_paths_are_one_run(tmp_path, monkeypatch):
    """A run that is named by its tree, itself, a checkpoint, its state, in full and through a link is read once."""
    state = '{"log_history": [{"step": 10, "loss": 1.0}]}'
    for folder in ("tree/a/checkpoint-10", "tree/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "trainer_state.json").write_text(state)
    (tmp_path / "link").symlink_to(tmp_path / "tree" / "a")
    monkeypatch.chdir(tmp_path)
    inner = "tree/a/checkpoint-10"
    paths = [
        "tree",
        "tree/a",
        inner,
        tmp_path / "tree" / "a",
        f"{inner}/trainer_state.json",
        "link",
        "link/../a/checkpoint-10",
    ]
    assert list(found(paths)) == ["tree/a", "tree/b"]
    assert list(found([inner, "tree/a"])) == ["tree/a"]
    assert list(found([f"{inner}/trainer_state.json", "link", "tree/a"])) == ["link"]
    assert list(found([inner])) == [inner]
    assert list(found([inner, f"{inner}/trainer_state.json"])) == [inner]
    assert len(replay_many(paths).runs) == 2


def test_urls_are_told_apart_by_their_text():
    """Where a URL lies is not known here, so it is as it is written, also where nothing can read it."""
    assert list(found(["nosuch://a/b", "nosuch://a/b", "nosuch://a/c"])) == ["nosuch://a/b", "nosuch://a/c"]
