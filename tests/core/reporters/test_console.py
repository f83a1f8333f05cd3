"""What a person reads while the run goes on."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest

from steersman import Adjust, Finding, Record, RunPlan, Score, Supervisor, hookimpl
from steersman.config import read
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal
from steersman.loading import load
from steersman.registry import Registry
from steersman.reporters.console import Console, change

GOLDEN = {"learning_rate": 4e-6, "kl_penalty": 0.15, "max_grad_norm": 0.3, "reward_threshold": 0.25}


def told(config: dict[str, Any], records: list[Record], values: dict[str, float]) -> list[str]:
    """Return the lines printed for a story of records, supervised for real."""
    stream, journal = io.StringIO(), Journal(None)
    journal.subscribers.append(Console(stream).hear)
    settings = read(config)
    registry = Registry(Entry(name, OnPaper(value), "live") for name, value in values.items())
    supervisor = Supervisor(settings, load(settings, []), plan=RunPlan(), registry=registry, journal=journal)
    supervisor.begin()
    for record in records:
        supervisor.feed(record)
    supervisor.settle()
    return [line.removeprefix("steersman: ") for line in stream.getvalue().splitlines()]


def epochs(*means: tuple[float, float]) -> list[Record]:
    """Return one log an epoch, with its loss and reward."""
    return [
        Record(10 * i, "train", {"loss": loss, "reward": reward}, float(i)) for i, (loss, reward) in enumerate(means, 1)
    ]


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (4e-6, 3.2e-6, "4e-06 -> 3.2e-06 (-20.0 %)"),
        (0.15, 0.18, "0.15 -> 0.18 (+20.0 %)"),
        (0.25, 0.27, "0.25 -> 0.27 (+8.0 %)"),
        (0.0, 0.5, "0 -> 0.5"),
    ],
)
def test_a_change(old: float, new: float, shown: str) -> None:
    """A change is old, new and the share, with its sign; from nothing there is no share."""
    assert change(old, new) == shown


def test_the_golden_epoch() -> None:
    """The origin's golden epoch reads as the origin printed it: findings in words, figures with their change, changes."""
    config = {
        "mode": "act",
        "check_every": "epoch",
        "use": [{"trend-health": {"preset": "seed", "seed": {"variance_threshold": 0.07}}}],
        "hyperparameters": {name: {} for name in GOLDEN},
    }
    lines = told(config, epochs((0.4562, 0.2398), (0.8188, 0.2485)), GOLDEN)
    assert lines[0] == "check at step 10 (epoch 1.00): loss 0.4562, reward 0.2398, reward variance 0.0000: healthy"
    second = lines.index(
        "check at step 20 (epoch 2.00): loss 0.8188 (rose by 0.3626), reward 0.2485 (rose by 0.0087), "
        "reward variance 0.0000: not healthy"
    )
    assert "  loss-spike: loss spiked by 0.3626 to 0.8188" in lines[second:]
    assert "  learning_rate: 4e-06 -> 3.2e-06 (-20.0 %) because of loss-spike" in lines[second:]
    assert "  kl_penalty: 0.15 -> 0.18 (+20.0 %) because of loss-spike" in lines[second:]
    assert "  max_grad_norm: 0.3 -> 0.24 (-20.0 %) because of loss-spike" in lines[second:]


def test_advice_is_no_change() -> None:
    """In `advise` the line says would; nothing reads as if it had been done."""
    config = {"check_every": "epoch", "use": [{"trend-health": {"preset": "seed"}}]}
    lines = told(config, epochs((0.1, 0.5), (0.4, 0.6)), {"learning_rate": 1e-3})
    assert "  would change learning_rate: 0.001 -> 0.0008 (-20.0 %) because of loss-spike" in lines
    assert not any(line.startswith("  learning_rate: ") for line in lines)


def test_a_refusal_is_said_once() -> None:
    """The same refusal at every check is printed the first time only."""

    class Insists:
        @hookimpl
        def propose_adjustments(self, run: Any, check: Any) -> Adjust:
            return Adjust("temperature", scale=1.1, because="hope")

    config = {"mode": "act", "check_every": "epoch", "use": [Insists()]}
    lines = told(config, epochs(*[(0.1, 0.5)] * 4), {})
    assert len([line for line in lines if "temperature x1.1 (hope) refused" in line]) == 1


def test_a_score_with_its_terms_and_the_age_of_its_train_loss() -> None:
    """A score line has the value, the weighted terms, and how old the train loss is."""
    records = [Record(8, "train", {"loss": 1.8}), Record(10, "eval", {"eval_loss": 2.0})]
    [line] = told({"use": ["multi-metric"]}, records, {})
    assert line.startswith("step 10: score 0.966945 by multi-metric (eval_loss +1.0000, gap +0.0300, ")
    assert line.endswith("train loss 1.8000, 2 steps old)")


def test_rejected_and_unscored() -> None:
    """A rejected checkpoint is named with the reason; one without any score is said to have none."""

    class Rejects:
        @hookimpl
        def score_checkpoint(self, run: Any, checkpoint: Any) -> Score | None:
            return Score.reject("too rude") if checkpoint.step == 1 else None

    records = [Record(1, "eval", {"eval_loss": 1.0}), Record(2, "eval", {"eval_loss": 1.0})]
    assert told({"use": [Rejects()]}, records, {}) == [
        "step 1: rejected by rejects: too rude",
        "step 2: no scorer has an opinion on this evaluation (its eval_loss is 1.0)",
    ]


def test_severity_does_not_print_markup() -> None:
    """Brackets in a message are printed as they are, not read as markup."""

    class Brackets:
        @hookimpl
        def diagnose(self, run: Any, check: Any) -> Finding:
            return Finding("odd", "layer[red]0[/red] is odd", "critical")

    lines = told({"check_every": "epoch", "use": [Brackets()]}, epochs((0.1, 0.5)), {})
    assert "  odd: layer[red]0[/red] is odd" in lines


def test_a_closed_stream_never_raises() -> None:
    """A stream that was closed swallows the line; the run goes on."""
    stream = io.StringIO()
    console = Console(stream)
    stream.close()
    journal = Journal(None)
    journal.subscribers.append(console.hear)
    journal.write("note", 1, message="hello", severity="warning")
    assert stream.closed


def test_progress_bars_are_out_of_the_way() -> None:
    """A line begins at the start of a row even while a tqdm bar is drawn, as the Trainer draws one."""
    code = """
import sys, time
from tqdm import tqdm
from steersman.journal import JournalEntry
from steersman.reporters.console import Console
bar = tqdm(total=10, file=sys.stderr, mininterval=0)
console = Console(sys.stdout)
for step in range(3):
    bar.update()
    console.hear(JournalEntry("note", step, {"message": f"line {step}", "severity": "warning"}))
"""
    ran = subprocess.run(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    rows = ran.stdout.replace("\r", "\n").splitlines()
    assert [row for row in rows if "line" in row] == [f"steersman: line {step}" for step in range(3)]
