"""The README's loop runs as it stands, is as short as it says, and resumes as it would have gone on."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import pytest
import torch

from steersman.cli import main
from steersman.readers import journal as journal_reader

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ACTS = """
mode: act
use: [multi-metric, eval-loss, {trend-health: {preset: seed}}]
hyperparameters: {learning_rate: {min: 1.0e-5}}
console: false
"""


def _loop() -> str:
    found = re.search(r"<!-- loop -->\s*```python\n(.+?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def _config() -> str:
    found = re.search(r"```yaml\n(# steersman.yaml\n.+?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def _run(folder: Path, config: str, monkeypatch: pytest.MonkeyPatch, steps: int = 200) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    (folder / "steersman.yaml").write_text(config)
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {}
    exec(compile(_loop().replace("201", str(steps + 1)), "README.md", "exec"), namespace)
    return namespace


def test_it_runs_with_the_config_beside_it(tmp_path, monkeypatch):
    """Under the README's own config it evaluates ten times and keeps the best and the last."""
    summary = _run(tmp_path, _config(), monkeypatch)["loop"].summary

    assert summary["evaluations"] == 10
    assert torch.load("last.pt")["steersman"]["step"] == 200
    assert torch.load("best.pt")["steersman"]["step"] == summary["best"]["step"]


def test_it_has_fifteen_lines():
    """The loop itself, the `with` included, is the fifteen lines that the README promises."""
    assert len(_loop().partition("\nwith ")[2].splitlines()) == 15


def test_a_resumed_loop_is_the_straight_one(tmp_path, monkeypatch):
    """Run to step 110 and started again, it decides as the run in one go, and ends with the same parameters."""
    straight = _run(tmp_path / "straight", ACTS, monkeypatch)
    _run(tmp_path / "resumed", ACTS, monkeypatch, steps=110)
    resumed = _run(tmp_path / "resumed", ACTS, monkeypatch)

    one, other = (
        [(e.kind, e.step, dict(e.data)) for e in journal_reader.current(file) if e.kind in ("score", "adjustment")]
        for file in (
            tmp_path / name / "runs" / "mine" / "steersman" / "journal.jsonl" for name in ("straight", "resumed")
        )
    )
    assert one == other
    assert {kind for kind, _, _ in one} == {"score", "adjustment"}
    assert torch.equal(resumed["model"].weight, straight["model"].weight)


def test_its_story_is_true(tmp_path, monkeypatch):
    """The strategy and the story of the README stand in files as it says, and the story holds."""
    strategy = re.search(r"```python\n(# hooks/median.py.+?)```", README, re.DOTALL)
    story = re.search(r"<!-- story -->\s*```python\n(.+?)```", README, re.DOTALL)
    assert strategy is not None
    assert story is not None
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "median.py").write_text(strategy[1])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hooks", raising=False)
    namespace: dict[str, object] = {}
    exec(compile(story[1], "README.md", "exec"), namespace)

    namespace["test_one_lucky_evaluation_is_not_the_best"]()


def test_its_commands_are_there():
    """Every `steersman` command in a block of shell is one, down to the subcommand."""
    blocks = "\n".join(re.findall(r"```(?:sh|console)\n(.+?)```", README, re.DOTALL))
    named = re.findall(r"^(?:\$ )?(?:\S*/)?steersman (\w+)(?: ([a-z]+)\b)?", blocks, re.M)
    assert len(named) >= 6
    for command, rest in named:
        group = main.get_command(click.Context(main), command)
        assert group is not None, command
        if isinstance(group, click.Group) and rest:
            assert rest in group.list_commands(click.Context(group)), (command, rest)
