"""The file of results: a line a run, taken up where it was cut, never mixed with other answers."""

from __future__ import annotations

import json
import math

import pytest

from steersman import TrainLoss
from steersman.results.json_objects import from_object, to_object
from steersman.results.run import Choice, FindingMade, ProposalMade, ReplayedRun, ScoreGiven, StopAsked, TaskMetric
from steersman.scale.results_file import OtherResults, ResultsFile

WHOLE = ReplayedRun(
    "out/a",
    "trainer_state",
    3,
    1,
    20,
    None,
    {"eval-loss": Choice(20, 0.5, "out/a/checkpoint-20", 0.5)},
    Choice(20, 0.5, None, 0.5),
    Choice(20, 0.5, None, 0.5),
    (ScoreGiven(20, "eval-loss", math.inf, {"eval_loss": 0.5}, TrainLoss(0.4, "recent", 2)),),
    (
        FindingMade(
            20, "trend-health", "loss-rising", "warning", "loss rose", {"loss": math.nan, "of": "x", "no": None}
        ),
    ),
    (ProposalMade(20, "trend-health", "learning_rate", "x0.5", "advised", "the mode is advise"),),
    (TaskMetric("eval_accuracy", True, 0.9, {"eval-loss": 0.8}),),
    (StopAsked(10, "early-stopping", 10, 20),),
)


def test_a_run_comes_back_as_it_was():
    """Every value of a run survives its line, NaN and infinity too."""
    back = from_object(json.loads(json.dumps(to_object(WHOLE))))
    assert repr(back) == repr(WHOLE)  # NaN is not equal to itself


def test_taken_up_where_it_was_cut(tmp_path):
    """A torn last line is cut off; a run that could not be read is to be tried again."""
    path = tmp_path / "results.jsonl"
    first = ResultsFile(path, "asked")
    assert list(first.taken_up()) == []
    first.add(WHOLE)
    first.add(ReplayedRun("out/b", error="it cannot be read"))
    first.close()
    with path.open("ab") as file:
        file.write(b'{"version":1,"asked":"asked","path":"out/c"')
    second = ResultsFile(path, "asked")
    assert [run.path for run in second.taken_up()] == ["out/a"]
    second.add(ReplayedRun("out/c"))
    second.close()
    assert [json.loads(line)["path"] for line in path.read_text().splitlines()] == ["out/a", "out/b", "out/c"]


def test_answers_to_another_question_are_not_mixed(tmp_path):
    """A file that was made with another config is refused, and left as it is."""
    path = tmp_path / "results.jsonl"
    first = ResultsFile(path, "one")
    list(first.taken_up())
    first.add(WHOLE)
    first.close()
    before = path.read_bytes()
    with pytest.raises(OtherResults, match=r"line 1: it was asked of other strategies, .* name another file"):
        list(ResultsFile(path, "other").taken_up())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"# A text\nof mine", b'{"loss": 1.0}\n', b'{"loss": 1.0}', b"[1, 2]\n", b"\x00\xff\x00\n"]
)
def test_a_file_that_is_something_else_is_not_written_into(tmp_path, content):
    """A file with other content is refused and keeps every byte."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(OtherResults, match="name another file"):
        list(ResultsFile(path, "asked").taken_up())
    assert path.read_bytes() == content


def test_names_that_are_no_unicode(tmp_path):
    """A file's name of other bytes and a metric with half a character are written and read back as they were."""
    strange = ReplayedRun("out/\udcff", never_came={"eval_\ud800": None})
    file = ResultsFile(tmp_path / "results.jsonl", "asked")
    assert list(file.taken_up()) == []
    file.add(strange)
    file.close()
    assert list(ResultsFile(tmp_path / "results.jsonl", "asked").taken_up()) == [strange]
