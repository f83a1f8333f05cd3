import json
import math

import pytest

from steersman import Record, RunPlan, Usage
from steersman.readers import UnreadableRun, read
from steersman.readers.journal import current


def entry(kind, step, **data):
    return {"v": 1, "kind": kind, "step": step, "time": 0.0, **data}


def log(step, loss):
    return entry(
        "record", step, of="train", metrics={"loss": loss}, epoch=step / 10, elapsed=None, usage=[], dropped=[]
    )


@pytest.fixture
def journal(write):
    """Return a writer of a journal from its entries."""

    def build(*entries, end="\n"):
        return write("journal.jsonl", "\n".join(json.dumps(line) for line in entries) + end)

    return build


def test_records_plan_values_and_checkpoints(journal):
    """A journal gives back the records as they were, the plan, the values at begin and where checkpoints were saved."""
    spent = {"ledger": "generation", "tokens": 9, "seconds": 0.5, "samples": 1, "received": 0}
    path = journal(
        entry("run", 0, plan={"total_steps": 50, "evaluates": True, "evaluation_sets": 2}, values={"kl_penalty": 0.15}),
        entry(
            "record", 5, of="train", metrics={"loss": "NaN"}, epoch=0.5, elapsed=3.5, usage=[spent], dropped=["note"]
        ),
        entry("score", 5, strategy="eval-loss", value=1.0),
        entry("record", 5, of="eval", metrics={"eval_loss": 1.0}, epoch=0.5, elapsed=None, usage=[], dropped=[]),
        entry("checkpoint_saved", 5, path="out/checkpoint-5", evaluated=True),
        entry("record", 9, of="summary", metrics={"train_loss": 1.0}, epoch=None, elapsed=9.0, usage=[], dropped=[]),
    )
    recording = read(path)
    first, second, third = recording.records
    assert math.isnan(first.metrics["loss"])
    assert (first.step, first.kind, first.epoch, first.elapsed) == (5, "train", 0.5, 3.5)
    assert first.usage == (Usage("generation", 9, 0.5, 1),)
    assert first.dropped == ("note",)
    assert second == Record(5, "eval", {"eval_loss": 1.0}, 0.5)
    assert third == Record(9, "summary", {"train_loss": 1.0}, None, 9.0)
    assert recording.plan == RunPlan(50, evaluates=True, evaluation_sets=2)
    assert recording.values == {"kl_penalty": 0.15}
    assert recording.saved == {5: "out/checkpoint-5"}
    assert (recording.format, recording.supervised) == ("journal", True)


def test_the_last_run_of_several(journal):
    """Of several runs in one file the last is read."""
    path = journal(entry("run", 0, plan=None), log(5, 1.0), entry("run", 0, plan=None), log(7, 2.0))
    recording = read(path)
    assert [record.step for record in recording.records] == [7]
    assert recording.plan == RunPlan(7, evaluates=False)


def test_a_resume_supersedes_what_came_after_its_checkpoint(journal):
    """A run resumed at step 10 keeps what was before, and the records and scores of step 10, but none of its checks."""
    path = journal(
        entry("run", 0, plan=None),
        log(5, 1.0),
        log(10, 2.0),
        entry("score", 10, strategy="eval-loss"),
        entry("checkpoint_saved", 10, path="out/checkpoint-10"),
        entry("check", 10, reason="scheduled"),
        log(15, 3.0),
        entry("run", 10, plan=None, resumed=True),
        entry("check", 10, reason="scheduled"),
        log(15, 4.0),
    )
    assert [(e.kind, e.step) for e in current(path)] == [
        ("run", 0), ("record", 5), ("record", 10), ("score", 10), ("checkpoint_saved", 10),
        ("run", 10), ("check", 10), ("record", 15),
    ]  # fmt: skip
    assert [record.metrics["loss"] for record in read(path).records] == [1.0, 2.0, 4.0]


def test_a_torn_last_line(journal):
    """The journal of a run that was killed is read up to its last whole line."""
    path = journal(entry("run", 0, plan=None), log(5, 1.0), log(10, 2.0), end="")
    assert [record.step for record in read(path).records] == [5]


def test_a_newer_format(journal):
    """A journal of a newer Steersman is refused with file, line and versions."""
    path = journal(entry("run", 0, plan=None), {**log(5, 1.0), "v": 2})
    with pytest.raises(UnreadableRun, match="line 2: format 2 is newer than this Steersman reads"):
        read(path)


@pytest.mark.parametrize("lines", [[], [log(5, 1.0)]])
def test_no_run_in_it(journal, lines):
    """A file of lines that hold no run of ours is a sentence."""
    with pytest.raises(UnreadableRun, match="it holds no run of Steersman's journal"):
        read(journal(*lines))


def control(step, **said):
    return entry("control", step, **{"off": "", "approved": [], "reverts": False} | said)


def test_what_the_last_check_heard_is_kept_beside_the_end(journal):
    """The check at the end hears the switch once more; what was approved at the scheduled one of that step stays."""
    recording = read(journal(entry("run", 0), log(5, 1.0), control(5, approved=[2]), control(5, off="a file is there")))

    assert recording.said[5].approved == (2,)


def test_a_checkpoint_from_the_middle_of_a_step_keeps_the_decisions_of_the_step_before(journal):
    """Saved after the check of step 10 was made, the check stands; saved before it, the resumed run makes it again."""
    lines = [entry("run", 0), log(10, 1.0), entry("check", 10), entry("proposal", 10, verdict="applied"), log(11, 1.0)]
    for settled, kinds in ((10, ["run", "record", "check", "proposal", "run"]), (9, ["run", "record", "run"])):
        path = journal(*lines, entry("run", 10, resumed=True, settled=settled))
        assert [e.kind for e in current(path)] == kinds


def test_resumes_tell_what_they_used_and_whether_they_are_another(journal):
    """Rollbacks used before, and whether the config or the facts that scores depend on were changed."""
    same, other = (
        {"config": {"mode": "act"}, "facts": {"batch": 8}},
        {"config": {"mode": "act"}, "facts": {"batch": 16}},
    )
    path = journal(
        entry("run", 0, **same),
        log(5, 1.0),
        entry("run", 5, resumed=True, rollbacks=2, **same),
        entry("run", 5, resumed=True, rollbacks=3, **other),
    )

    assert [(r.step, r.rollbacks, r.is_other) for r in read(path).resumes] == [(5, 2, False), (5, 3, True)]
