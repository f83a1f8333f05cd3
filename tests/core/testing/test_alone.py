"""The kit stands alone: it looks for nothing that is installed, and needs its extras only where it uses them."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from steersman import testing
from steersman.testing import CHECKS, a_run, play


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_every_name_is_there():
    """Each public name can be imported, and is listed."""
    for name in testing.__all__:
        assert getattr(testing, name) is not None
        assert name in dir(testing)
    with pytest.raises(AttributeError, match="no attribute 'a_ran'"):
        _ = testing.a_ran


def test_stories_need_neither_hypothesis_nor_pytest():
    """A story is told and played where neither is installed; the contract says what to install."""
    told = python(
        "import sys\n"
        "sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "from steersman.testing import a_run, play\n"
        "print(a_run().epoch(loss=1.0).play().errors)\n"
        "import steersman.testing\n"
        "for name in ('CHECKS', 'StrategyContract'):\n"
        "    try:\n"
        "        getattr(steersman.testing, name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(error)\n"
    )
    assert told.splitlines() == [
        "()",
        "steersman.testing.CHECKS needs hypothesis: pip install 'steersman[testing]'",
        "steersman.testing.StrategyContract needs hypothesis: pip install 'steersman[testing]'",
    ]


def test_the_pytest_plugin_imports_nothing_of_ours():
    """What every pytest session loads imports the two packages it lies in, and no other module of Steersman."""
    told = python(
        "import sys\n"
        "import pytest\n"
        "before = set(sys.modules)\n"
        "import steersman.testing._pytest_plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('steersman')))\n"
        "print('hypothesis' in set(sys.modules) - before)\n"
    )
    assert told.splitlines() == ["['steersman', 'steersman.testing', 'steersman.testing._pytest_plugin']", "False"]


def test_nothing_installed_is_looked_for(monkeypatch, runs):
    """Neither a story, nor a recorded run, nor any check asks which distributions are installed."""

    def refuse(*_args, **_kwargs):
        raise AssertionError("somebody looked for what is installed")

    from steersman_plugins.eval_loss import EvalLoss

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    for module in ("steersman.loading", "steersman.config.reading"):
        monkeypatch.setattr(sys.modules[module], "entry_points", refuse, raising=False)
    assert a_run().epoch(loss=1.0).evaluate(eval_loss=2.0).resume().play(EvalLoss).scores == {10: 2.0}
    assert play(runs / "trainer_state" / "llama-factory-01.json", EvalLoss).errors == ()
    for check in CHECKS:
        check(EvalLoss)
