"""`steersman best`: a path on standard output, all else on standard error."""

from __future__ import annotations

import json
import shutil

import pytest

from steersman.journal import Journal


@pytest.fixture
def out(tmp_path):
    """A run whose eval losses are 3, 1 and 2 at 10, 20 and 30, all saved."""
    journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
    journal.open()
    journal.write("run", 0, resumed=False, mode="advise", strategies=[{"name": "eval-loss"}], config={})
    for step, loss in {10: 3.0, 20: 1.0, 30: 2.0}.items():
        folder = tmp_path / "out" / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_text("w")
        journal.write("score", step, strategy="eval-loss", value=loss, eval_loss=loss)
        journal.write("checkpoint_saved", step, path=str(folder), evaluated=True)
    journal.close()
    return tmp_path / "out"


def test_only_the_path(command, out):
    """One line, so that a shell can use it."""
    result = command("best", out)

    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{out / 'checkpoint-20'}\n", "")


def test_the_next_best_is_told_on_standard_error(command, out):
    """The path is still all there is on standard output."""
    shutil.rmtree(out / "checkpoint-20")
    result = command("best", out)

    assert (result.exit_code, result.stdout) == (0, f"{out / 'checkpoint-30'}\n")
    assert result.stderr == (
        f"Step 20 is the best (1.0000), but was saved in {out / 'checkpoint-20'} and is gone; "
        "the best that is there is step 30.\n"
    )


def gone(out):
    return f"Step 20 is the best (1.0000), but was saved in {out / 'checkpoint-20'} and is gone."


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_where_there_is_none(command, out, more):
    """Exit status 1, a sentence on standard error; on standard output nothing, or an object without a path."""
    for step in (10, 20, 30):
        shutil.rmtree(out / f"checkpoint-{step}")
    result = command("best", out, *more)

    assert (result.exit_code, result.stderr) == (1, f"{out}: no checkpoint that may be best is there. {gone(out)}\n")
    assert bool(more) == bool(result.stdout)
    if more:
        assert json.loads(result.stdout) == {
            "version": 1, "run": str(out), "path": None, "step": None, "scorer": None, "value": None, "metrics": {},
            "reason": f"{out}: no checkpoint that may be best is there", "passed_over": [gone(out)], "link": None, "averaged": [], "tied": None,
        }  # fmt: skip


def test_a_link(command, out, tmp_path):
    """The path is printed all the same; a directory in the way is a sentence, and exit status 2."""
    linked = command("best", out, "--link", tmp_path / "current")
    refused = command("best", out, "--link", tmp_path / "out")

    assert (linked.stdout, (tmp_path / "current").resolve()) == (f"{out / 'checkpoint-20'}\n", out / "checkpoint-20")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == f"Error: {out}: it is there and is no symbolic link, so it is left alone\n"


def test_as_json(printed_json, out):
    """The same with step, score and scorer."""
    told = printed_json("best", out)

    assert told == {
        "version": 1, "run": str(out), "path": str(out / "checkpoint-20"), "step": 20, "scorer": "eval-loss", "value": 1.0,
        "metrics": {"eval_loss": 1.0}, "reason": None, "passed_over": [], "link": None, "averaged": [], "tied": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone",), "gone: there is no such file or directory"),
        (("out", "--scorer", "f1"), "no scorer of out is called 'f1'; there are eval-loss"),
        (("out", "--config", "no.yaml"), "no.yaml"),
    ],
)
def test_errors_are_sentences(command, out, monkeypatch, arguments, said):
    """No traceback, nothing on standard output, exit status 2."""
    monkeypatch.chdir(out.parent)
    result = command("best", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
