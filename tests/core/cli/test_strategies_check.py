from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from steersman.testing import CHECKS

STRATEGIES = '''
from collections.abc import Mapping
from typing import ClassVar

from attrs import define, field, validators

from steersman import Score, hookimpl

print("imported")


@define(eq=False)
class Share:
    """Scores by an accuracy that it takes for granted."""

    metric: str = "eval_accuracy"
    weight: float = field(default=1.0, validator=validators.gt(0.0))
    lenient: bool = False

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        print("asked")
        value = checkpoint.metrics.get(self.metric) if self.lenient else checkpoint.metrics[self.metric]
        return None if value is None or value - value != 0 else Score.higher(self.weight * value)


@define(eq=False)
class Posts:
    """Writes a line for each journal entry to a file."""

    effects: ClassVar[bool] = True
    path: str = "posted"

    @hookimpl
    def on_journaled(self, run, entry):
        with open(self.path, "a") as file:
            file.write(entry.kind)


class Plain:
    """No attrs class."""

    @hookimpl
    def on_log(self):
        pass


class NeedsMore:
    """Cannot be made without more."""

    def __init__(self, more):
        pass

    @hookimpl
    def on_log(self):
        pass
'''


@pytest.fixture
def hooks(tmp_path, monkeypatch, write):
    """A folder of a user's, with strategies in a file, to stand in."""
    write("hooks/mine.py", STRATEGIES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_strategy_that_passes(command, hooks):
    """One line for each check, and exit 0; options are set by name, their values read as YAML."""
    result = command("strategies", "check", "hooks/mine.py:Share", "--set", "lenient=true", "--set", "weight=0.5")
    assert result.exit_code == 0, result.output
    names = [check.__name__.replace("_", " ") for check in CHECKS]
    assert result.stdout.splitlines() == [
        *(f"passed  {name}" for name in names),
        f"hooks/mine.py:Share: all {len(CHECKS)} checks passed",
    ]


def test_a_strategy_that_fails(command, hooks):
    """A check that fails says why in its line, and the command exits 1; the others are run all the same."""
    result = command("strategies", "check", "hooks/mine.py:Share")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    failed = [line for line in lines if line.startswith("failed")]
    assert re.fullmatch(
        r"failed  missing metrics: share failed in score_checkpoint at step \d+: KeyError: 'eval_accuracy'; .*",
        failed[0],
    )
    assert len(lines) == len(CHECKS) + 1
    assert lines[-1] == f"hooks/mine.py:Share: {len(failed)} of {len(CHECKS)} checks failed"


def test_as_json(command, hooks):
    """With --json standard output is one object, whatever the strategy prints, and the exit code is the same."""
    result = command("strategies", "check", "hooks/mine.py:Plain", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["version"], told["name"], told["passed"]) == (1, "hooks/mine.py:Plain", False)
    assert [check["name"] for check in told["checks"] if not check["passed"]] == ["sound class"]
    (sentence,) = {check["sentence"] for check in told["checks"]} - {None}
    assert sentence.startswith("Plain is no attrs class")
    assert "imported" in result.stderr


def test_an_installed_strategy(printed_json):
    """A strategy is found by the name it is installed under, with options as deep as they go."""
    told = printed_json("strategies", "check", "score", "--set", "metrics={eval_loss: {weight: 2, direction: lower}}")
    assert told["passed"] is True


def test_nothing_is_done_outside_the_run(command, hooks):
    """What a strategy with effects would do outside the run is not done."""
    result = command("strategies", "check", "hooks/mine.py:Posts")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in hooks.iterdir()) == ["hooks"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["recovry"], "no strategy named 'recovry', did you mean 'recovery'?"),
        (["hooks/mine.py:Shore"], "has no class 'Shore', did you mean 'Share'?"),
        (["hooks/mine.py:Share", "--set", "wieght=2"], "Share: unknown option 'wieght', did you mean 'weight'?"),
        (["hooks/mine.py:Share", "--set", "weight=much"], "Share.weight: expected a number, got 'much'"),
        (["hooks/mine.py:Share", "--set", "weight=-1"], "'weight' must be > 0"),
        (["hooks/mine.py:Share", "--set", "weight"], "expected option=value, the value as in YAML, such as window=3"),
        (
            ["hooks/mine.py:Share", "--set", "weight=[1"],
            "expected option=value, the value as in YAML, such as window=3",
        ),
        (["hooks/mine.py:Plain", "--set", "weight=1"], "Plain is no attrs class, so it takes no options"),
        (["hooks/mine.py:NeedsMore"], "NeedsMore cannot be made: TypeError: "),
        (["score"], "names no metric"),
    ],
)
def test_a_strategy_that_cannot_be_loaded(command, hooks, arguments, sentence):
    """What cannot be loaded is a sentence on standard error and exit 2."""
    result = command("strategies", "check", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sentence in result.stderr


def test_without_hypothesis(hooks):
    """Where the extra is not installed the command says what to install."""
    code = (
        "import sys\nsys.modules['hypothesis'] = None\nfrom steersman.cli import main\n"
        "main(['strategies', 'check', 'recovery'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert (
        ran.stderr.strip() == "Error: this needs hypothesis, which is not installed: pip install 'steersman[testing]'"
    )
