"""What was renamed still works under its old name, and warns whoever uses it at their own line."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import ClassVar

import pytest
from attrs import define, field

import steersman
from steersman import SteersmanDeprecationWarning, deprecations, hookimpl
from steersman.config import read
from steersman.deprecations import CONFIG_KEYS, HOOK_ARGUMENTS, Renamed
from steersman.hookspecs import HOOKS
from steersman.loading import load

RENAMED = Renamed("record", "log", "0.2", "0.4")


@define(eq=False)
class Old:
    """Written when the argument of on_log was called `record` and its option `windows`."""

    window: int = 3
    seen: list[object] = field(init=False, factory=list)
    renamed_options: ClassVar[Mapping[str, str]] = {"windows": "window"}

    @hookimpl
    def on_log(self, record, run):
        self.seen.append((record.step, run.step))


@pytest.fixture
def renamed(monkeypatch):
    monkeypatch.setitem(HOOK_ARGUMENTS, "on_log", (RENAMED,))


def test_a_renamed_argument_still_works(renamed, supervise):
    """A hook that asks by the old name gets the value, and a warning at its own file and line says the new."""
    strategy = Old()
    with pytest.warns(SteersmanDeprecationWarning) as caught:
        run = supervise(strategy)
    run.train(7, loss=1.0)
    assert strategy.seen == [(7, 7)]
    (warned,) = caught
    assert str(warned.message) == (
        "the argument of the hook on_log 'record' is called 'log' since 0.2; the old name is gone in 0.4"
    )
    # Python's own count of a decorated function begins at its decorator
    assert (warned.filename, warned.lineno) == (__file__, inspect.getsourcelines(Old.on_log)[1])


def test_without_the_rename_it_is_a_fault(supervise):
    """The same strategy is refused by a release that knows no such argument any more."""
    problems = []
    load(read({"use": [Old()]}), problems)
    assert problems == [
        "$.use[0]: the strategy Old: on_log asks for an argument 'record' that it will not get; it may take run and log"
    ]


def test_a_renamed_option_still_works(renamed):
    """An old option name sets the new option, and warns at the class that renamed it."""
    config = read({"use": [{f"{__file__}:Old": {"windows": 5}}]})
    problems = []
    with pytest.warns(SteersmanDeprecationWarning) as caught:
        (loaded,) = load(config, problems)
    assert str(caught[0].message) == "$.use[0].Old.windows: this option of Old is called 'window' now"
    assert (caught[0].filename, caught[0].lineno) == (__file__, inspect.getsourcelines(Old)[1])
    assert (problems, loaded.strategy.window, loaded.options) == ([], 5, {"window": 5})


def test_both_names_at_once_is_a_fault(renamed):
    """Whoever gives the old and the new option is told that the old one is unknown: nothing is guessed."""
    problems = []
    load(read({"use": [{f"{__file__}:Old": {"windows": 5, "window": 4}}]}), problems)
    assert problems == ["$.use[0].Old: unknown option 'windows', did you mean 'window'?"]


def test_a_renamed_key_of_a_config_still_works(monkeypatch, write):
    """An old key at the top of a config is taken under its new name, and the warning names the config."""
    monkeypatch.setattr(deprecations, "CONFIG_KEYS", (Renamed("manner", "mode", "0.2", "0.4"),))
    path = write("steersman.yaml", "manner: observe")
    with pytest.warns(SteersmanDeprecationWarning) as caught:
        config = read(path)
    assert config.mode == "observe"
    assert str(caught[0].message) == (
        f"{path}: the key 'manner' is called 'mode' since 0.2; the old name is gone in 0.4"
    )
    assert caught[0].filename == str(path)


def version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def test_no_deprecation_outlives_its_time():
    """Each names its hook's argument of today, lasts two minor releases, and is not due for removal."""
    for hook, renamed in HOOK_ARGUMENTS.items():
        assert all(r.new in HOOKS[hook] and r.old not in HOOKS[hook] for r in renamed)
    for renamed in (*CONFIG_KEYS, *(r for several in HOOK_ARGUMENTS.values() for r in several), RENAMED):
        since, until = version(renamed.since), version(renamed.until)
        assert until >= (since[0], since[1] + 2) or until[0] > since[0]
        assert version(steersman.__version__) < until
