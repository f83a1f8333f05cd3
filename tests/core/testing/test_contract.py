from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from steersman.testing import CHECKS, StrategyContract
from steersman.testing.contract import made_with

STRATEGIES = '''
from attrs import define, field
from steersman import Finding, Score, hookimpl
from steersman.testing import StrategyContract


@define(eq=False)
class Threshold:
    """Finds a loss above a limit; a limit of 0 is a fault of this one."""

    limit: float = 2.0

    @hookimpl
    def on_log(self, run, log):
        1 / self.limit


class TestThreshold(StrategyContract):
    strategy = Threshold
    options = ({}, {"limit": 0.0}, {"limt": 1.0})
'''


@pytest.fixture
def pytest_over(tmp_path: Path):
    """Return a caller of pytest, in a process of its own, over one test file."""

    def call(text: str, *arguments: str) -> str:
        (tmp_path / "test_it.py").write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *arguments, "test_it.py"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        return ran.stdout + ran.stderr

    return call


def test_three_lines_are_a_contract(pytest_over):
    """Every check is a test for every set of options, with an id that says which; what fails says why in a sentence."""
    told = pytest_over(STRATEGIES, "-k", "declared or pickled or missing")
    results = set(re.findall(r"^(PASSED|FAILED) test_it.py::TestThreshold::(\w+)\[(\S+)\]", told, re.MULTILINE))
    assert results == {
        ("PASSED", "test_it_is_declared_as_a_strategy", "defaults"),
        ("PASSED", "test_it_is_declared_as_a_strategy", "limit=0.0"),
        ("FAILED", "test_it_is_declared_as_a_strategy", "limt=1.0"),
        ("PASSED", "test_it_can_be_pickled", "defaults"),
        ("PASSED", "test_it_can_be_pickled", "limit=0.0"),
        ("FAILED", "test_it_can_be_pickled", "limt=1.0"),
        ("PASSED", "test_it_survives_missing_metrics", "defaults"),
        ("FAILED", "test_it_survives_missing_metrics", "limit=0.0"),
        ("FAILED", "test_it_survives_missing_metrics", "limt=1.0"),
    }
    assert "AssertionError: threshold failed in on_log at step 5: ZeroDivisionError: float division by zero; " in told
    assert "AssertionError: Threshold.options: unknown option 'limt', did you mean 'limit'?" in told


def test_every_check_is_a_test():
    """The contract has a test for each check, and no other."""
    tests = [name for name in vars(StrategyContract) if name.startswith("test_")]
    used = {name for test in tests for name in getattr(StrategyContract, test).__code__.co_names}
    assert len(tests) == len(CHECKS)
    assert {check.__name__ for check in CHECKS} <= used


FAULTY = """
from steersman.testing import StrategyContract


class TestNothing(StrategyContract):
    pass


class TestNamed(StrategyContract):
    strategy = 'eval-loss'


class TestEmpty(StrategyContract):
    strategy = dict
    options = ()
"""


def test_a_contract_that_would_try_nothing_says_so(pytest_over):
    """A class that forgets its strategy is told what to add; a name for one, and no set of options, what they are."""
    told = pytest_over(FAULTY)
    assert "TestNothing names no strategy; add `strategy = MyThing` to it" in told
    assert "`strategy` of TestNamed is 'eval-loss'; give the class, or a static method that makes one" in told
    assert "`options` of TestEmpty is empty, so nothing would be tried; leave it out" in told


def test_a_class_without_options():
    """A class that is no attrs class is made as it is, so that the check of the class can say what it lacks."""

    class Plain:
        pass

    assert isinstance(made_with(Plain, {}), Plain)
