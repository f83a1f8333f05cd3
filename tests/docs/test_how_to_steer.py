"""docs/how-to/steer-a-run.md: its commands steer a real run, and print and do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import steersman

_PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "steer-a-run.md").read_text(encoding="utf-8")
_COMMANDS = [
    re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block, re.M)
    for block in re.findall(r"^```console\n(.*?)^```", _PAGE, re.M | re.S)
]
_PRINTED = [line for block in re.findall(r"^```text\n(.*?)^```", _PAGE, re.M | re.S) for line in block.splitlines()]
_LOSSES = (3.0, 2.6, 2.4, 2.3, 2.25, 2.22, 5.0, *[2.2] * 6)
_DEADLINE = '''
from attrs import define

from steersman import Stop, hookimpl


@define(eq=False)
class Deadline:
    """Stop at a step."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Stop("step 110 is the deadline") if check.step == 110 else None
'''


def _run(block: list[tuple[str, str]]) -> None:
    """Run the commands of a block; each prints what the page shows."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command, output in block:
        result = subprocess.run(
            command, shell=True, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stderr, result.stdout) == (0, "", output)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Iterator[float | None]]:
    """Train in `out` under the page's config and a strategy that stops; each check yields the rate that is in force after it."""
    monkeypatch.chdir(tmp_path)
    (config,) = re.findall(r"^```yaml\n(.*?)^```", _PAGE, re.M | re.S)
    Path("steersman.yaml").write_text(
        config.replace("use:\n", "use:\n  - ./deadline.py:Deadline as deadline\n"), encoding="utf-8"
    )
    Path("deadline.py").write_text(_DEADLINE, encoding="utf-8")
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.001)

    def train() -> Iterator[float | None]:
        with steersman.attach(optimizer, "steersman.yaml", folder="out", total_steps=200) as loop:
            for step in range(1, 200):
                weight.sum().backward()
                optimizer.step()
                if loop.should_stop:
                    return
                if step % 10 == 0:
                    loop.log(step, loss=_LOSSES[step // 10 - 1])
                elif step % 10 == 1 and step > 1 and loop.session is not None:
                    yield loop.session.supervisor.registry.get("learning_rate").value

    yield train()


def test_the_commands_steer_a_run(steps: Iterator[float | None], capsys: pytest.CaptureFixture[str]) -> None:
    """Approved at 70, changed at 80; off and on at once; put back at 90; a stop approved at 110 is made at 120."""
    approve, off_and_on, revert, stop, resume, verify = _COMMANDS
    rates = [next(steps) for _ in range(7)]
    _run(approve)
    rates.append(next(steps))
    _run(off_and_on)
    _run(revert)
    rates += [next(steps) for _ in range(3)]
    _run(stop)

    assert next(steps, "stopped") == "stopped"
    _run(resume)
    _run(verify)
    assert rates == pytest.approx([0.001] * 7 + [0.0005] + [0.001] * 3)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in _PRINTED if line not in printed] == []
    assert len(_PRINTED) == 5
