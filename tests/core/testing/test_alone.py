"""The kit stands alone: it looks for nothing that is installed, and needs its extras only where it uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from steersman import testing
from steersman.testing import a_run, play
from steersman_plugins.eval_loss import EvalLoss


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


@pytest.mark.usefixtures("nothing_installed")
def test_nothing_installed_is_looked_for(runs):
    """Neither a story nor a recorded run asks which distributions are installed; nor do the checks, see test_checks.py."""
    assert a_run().epoch(loss=1.0).evaluate(eval_loss=2.0).resume().play(EvalLoss).scores == {10: 2.0}
    assert play(runs / "trainer_state" / "llama-factory-01.json", EvalLoss).errors == ()
