"""What no check heard is scored when somebody asks: by those who score by metrics alone, as the run had them."""

from __future__ import annotations

import pytest
import torch

import steersman
from steersman.explain import explain, ranking_told
from steersman.readers.journal import current

WEIGHTS = {"eval_loss": 0.5, "safety": {"weight": 0.5, "direction": "higher"}}


@pytest.fixture
def trained(tmp_path):
    """Train 20 steps, evaluated at 10 and 20 with losses 1.0 and 2.0, under a config; return its journal's entries."""

    def train(**config):
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        settings = {"use": ["eval-loss"], "console": False, **config}
        with steersman.attach(optimizer, settings, folder=tmp_path, total_steps=20) as loop:
            for step in range(1, 21):
                weight.square().sum().backward()
                optimizer.step()
                if step % 10 == 0:
                    loop.evaluate(step, loss=step / 10)
        return lambda: current(tmp_path / "steersman" / "journal.jsonl")

    return train


def test_a_weighted_score_is_made_after_the_end(trained, tmp_path):
    """0.5 x 2.0 - 0.5 x 0.9 = 0.55: the first scorer decides from then on; its terms are told."""
    entries = trained(score=WEIGHTS)
    before = ranking_told(entries())
    steersman.record(tmp_path, 20, safety=0.9)
    after = ranking_told(entries())

    assert (before.leader, before.best().step) == ("eval-loss", 10)
    assert (after.leader, after.best().step) == ("score", 20)
    assert after.best().score.value == pytest.approx(0.55)
    assert after.best().score.terms == pytest.approx({"eval_loss": 1.0, "safety": -0.45})


def test_only_those_are_loaded_that_must_be_asked(trained, tmp_path):
    """A strategy of the run that no longer exists is no hindrance; nothing of it is asked."""
    own = tmp_path / "mine.py"
    own.write_text(
        "import steersman\n\nclass Mine:\n    @steersman.hookimpl\n    def on_log(self, log):\n        pass\n"
    )
    entries = trained(score=WEIGHTS, use=["eval-loss", f"{own}:Mine"])
    steersman.record(tmp_path, 20, safety=0.9)
    own.unlink()
    problems: list[str] = []

    assert ranking_told(entries(), problems).best().step == 20
    assert problems == []


def test_a_scorer_that_cannot_be_asked_is_named(trained, tmp_path):
    """Its file is gone: the ranking is as the run left it, and why is told with it."""
    own = tmp_path / "mine.py"
    own.write_text(
        "import steersman\n\nclass Mine:\n    scores_late = True\n\n    @steersman.hookimpl\n"
        "    def score_checkpoint(self, checkpoint):\n        return steersman.Score(-checkpoint.metrics.get('safety', 0.0))\n"
    )
    entries = trained(use=[f"{own}:Mine"])
    steersman.record(tmp_path, 20, safety=0.9)
    asked = ranking_told(entries()).best().step
    own.unlink()
    problems: list[str] = []
    left = ranking_told(entries(), problems).best().step

    assert (asked, left) == (20, 10)
    assert len(problems) == 1
    assert problems[0].startswith("What came late could not be scored here: ")
    [why] = [chapter for chapter in explain(entries()) if chapter.title == "Why the best checkpoint is the best"]
    assert problems[0] in why.sentences


def test_explain_tells_what_came_late(trained, tmp_path):
    """Each score with who found it; the better-scored checkpoint that is passed over with the reason."""
    entries = trained(score={"require": {"safety": ">= 0.92"}})
    steersman.record(tmp_path, 10, safety=0.89, by="red team")
    steersman.record(tmp_path, 20, safety=0.95)
    told = {chapter.title: chapter.sentences for chapter in explain(entries())}

    assert told["What came late"] == (
        "Step 10: safety 0.89 by red team, heard by no check.",
        "Step 20: safety 0.95, heard by no check.",
    )
    assert told["Why the best checkpoint is the best"][:1] == (
        "eval-loss decides: its best is step 20, with 2.0000 (lower is better). It scored 2 of 2 evaluations.",
    )
    assert (
        "Step 10 scores 1.0000 and is rejected: safety 0.89 is not >= 0.92."
        in told["Why the best checkpoint is the best"]
    )
