"""The contract is its own reference: each hook's docstring says what a user needs, and its example works."""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import define, frozen

import steersman
from steersman import Adjust, Average, Hyperparameter, JournalEntry, Record, RunPlan, Score, Supervisor, hookimpl
from steersman.config import read
from steersman.hookspecs import HOOKS, Hooks
from steersman.hyperparameters import Entry
from steersman.journal import Journal
from steersman.loading import load
from steersman.registry import Registry
from steersman.testing import a_run

ROOT = Path(__file__).parents[2]
NAMES = ("Score", "Finding", "Adjust", "Stop", "Save", "Rollback", "Average", "hookimpl", "state")


def docstring(hook: str) -> str:
    return inspect.getdoc(getattr(Hooks, hook)) or ""


def example_of(hook: str) -> Any:
    """The strategy that the docstring of a hook shows, made from its text alone."""
    code = textwrap.dedent(docstring(hook).partition("Example:\n")[2])
    namespace: dict[str, Any] = {"define": define, **{name: getattr(steersman, name) for name in NAMES}}
    before = set(namespace)
    exec(compile(code, f"example of {hook}", "exec"), namespace)
    [cls] = [value for name, value in namespace.items() if name not in before and inspect.isclass(value)]
    return cls()


@define(eq=False)
class Companion:
    """A strategy that gives the others work: it scores by eval loss and wants the clip lower at every check."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Any) -> Score:
        return Score(checkpoint.metrics["eval_loss"])

    @hookimpl
    def propose_adjustments(self, check: Any) -> Adjust:
        return Adjust("max_grad_norm", scale=0.5, at_least=0.25, because="tighter")


STORY = (
    Record(2, "train", {"loss": 3.0, "grad_norm": 3.5}, 0.5),
    Record(4, "train", {"loss": 2.0, "grad_norm": 1.5}, 1.0),
    Record(4, "eval", {"eval_loss": 2.5, "eval_accuracy": 0.75}, 1.0),
    Record(6, "train", {"loss": math.nan, "grad_norm": math.nan}, 1.5),
    Record(8, "train", {"loss": math.nan, "grad_norm": 2.5}, 2.0),
    Record(8, "eval", {"eval_loss": 2.75, "eval_accuracy": 0.5}, 2.0),
    Record(9, "train", {"loss": 1.0, "grad_norm": 1.0}, 2.25),
)
"""Two epochs of 4 steps and a step of the third: the best is step 4, all losses of the second epoch are NaN."""


@frozen
class Told:
    strategy: Any
    entries: tuple[JournalEntry, ...]
    user: dict[str, float]

    def of(self, kind: str, **fields: Any) -> list[JournalEntry]:
        found = [entry for entry in self.entries if entry.kind == kind]
        return [entry for entry in found if all(entry.data.get(k) == v for k, v in fields.items())]


def tell(strategy: Any) -> Told:
    """Run the story with this strategy before the other one; the user's rate and clip may be changed."""
    user = {"learning_rate": 0.5, "max_grad_norm": 1.0}
    config = read(
        {
            "extends": "no-rails",
            "mode": "act",
            "check_every": "epoch",
            "use": [strategy, Companion()],
            "hyperparameters": {name: {} for name in user},
        }
    )
    problems: list[str] = []
    strategies = load(config, problems)
    assert problems == []
    registry = Registry(
        Entry(name, Hyperparameter(name, lambda n=name: user[n], lambda v, n=name: user.update({n: v})), "live")
        for name in user
    )
    entries: list[JournalEntry] = []
    journal = Journal(None)
    journal.subscribers.append(entries.append)
    supervisor = Supervisor(config, strategies, plan=RunPlan(total_steps=12), registry=registry, journal=journal)
    supervisor.begin()
    for record in STORY:
        supervisor.feed(record)
        if record.kind == "eval":
            supervisor.saved(record.step, f"out/checkpoint-{record.step}")
    supervisor.end()
    return Told(strategy, tuple(entries), user)


STATES: dict[str, dict[str, Any]] = {
    "on_train_begin": {"total": 12},
    "on_train_end": {"step": 9},
    "on_log": {"largest": 3.5},
    "on_eval": {"seen": 2},
    "on_epoch_end": {"losses": [2.5, 0.0]},
    "on_checkpoint_scored": {"step": 4},
    "on_checkpoint_saved": {"path": "out/checkpoint-8"},
    "on_adjusted": {"changes": 2},
    "on_rolled_back": {"rollbacks": 0},
    "on_journaled": {
        "kinds": ["adjustment", "check", "checkpoint_saved", "end", "proposal", "record", "score"],
    },
}
"""What each example's state must be after the story, by hand."""


@pytest.mark.parametrize("hook", STATES)
def test_the_example_of_a_hook_that_returns_nothing(hook: str) -> None:
    """The example hears of everything in the story that its hook is called for, and of nothing else."""
    told = tell(example_of(hook))

    assert attrs.asdict(told.strategy) == STATES[hook]
    assert told.of("error") == []


def test_the_example_of_score_checkpoint() -> None:
    """An accuracy of 0.75 becomes the score -0.75, so that the higher accuracy is the best checkpoint."""
    told = tell(example_of("score_checkpoint"))

    assert [(entry.step, entry.data["value"]) for entry in told.of("score", decides=True)] == [(4, -0.75), (8, -0.5)]
    assert told.of("end")[0].data["best"]["step"] == 4
    assert told.of("error") == []


def test_the_example_of_diagnose() -> None:
    """The epoch whose losses are all NaN, and no other, is found."""
    told = tell(example_of("diagnose"))

    scheduled = {entry.step for entry in told.of("check", reason="scheduled")}
    assert [e.step for e in told.of("finding", name="loss-is-nan", severity="critical") if e.step in scheduled] == [8]
    assert told.of("error") == []


def test_the_example_of_propose_adjustments() -> None:
    """The NaN gradient at step 6 halves the rate from 0.5; it is proposed by nobody before."""
    told = tell(example_of("propose_adjustments"))

    changes = [e for e in told.of("adjustment") if e.data["hyperparameter"] == "learning_rate"]
    assert (changes[0].step, changes[0].data["old"], changes[0].data["new"]) == (6, 0.5, 0.25)
    assert changes[0].data["because"] == "a gradient norm is NaN"
    assert told.of("error") == []


def test_the_example_of_veto_adjustment() -> None:
    """Every change of the clip is vetoed with the example's reason, and none is made."""
    told = tell(example_of("veto_adjustment"))

    offers = told.of("proposal", hyperparameter="max_grad_norm")
    assert offers
    assert {(e.data["verdict"], e.data["reason"]) for e in offers} == {
        ("vetoed", "hands-off-clip: our clip is a matter of policy")
    }
    assert (told.of("adjustment"), told.of("error")) == ([], [])


def test_the_example_of_propose_averages(tmp_path: Path) -> None:
    """Of four checkpoints that are there the last three are proposed; nothing of two."""
    played = a_run().log(4).saved().log(4).saved().play(example_of("propose_averages"))
    assert played.averages == ()

    played = a_run().log(4).saved().log(4).saved().log(4).saved().log(4).saved().play(example_of("propose_averages"))
    assert (played.averages, played.errors) == ((Average((8, 12, 16)),), ())


def test_the_user_has_the_values_back_after_the_run() -> None:
    """What the strategies of the story changed is put back when it ends."""
    told = tell(example_of("propose_adjustments"))

    assert len(told.of("adjustment")) > 2
    assert told.user == {"learning_rate": 0.5, "max_grad_norm": 1.0}


def test_no_hook_is_left_without_a_tried_example() -> None:
    """The tests above run the example of each hook there is."""
    tried = {*STATES, "score_checkpoint", "diagnose", "propose_adjustments", "veto_adjustment", "propose_averages"}

    assert tried == set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_docstring_says_when_what_and_what_for(hook: str) -> None:
    """Each docstring says when the hook is called, what it receives and what it returns, and ends in an example."""
    text, _, code = docstring(hook).partition("Example:\n")

    assert re.search(r"\b[Cc]alled\b", text)
    assert re.search(r"^Receives ", text, re.MULTILINE)
    assert re.search(r"\bReturns? ", text)
    assert f"def {hook}(self" in code


@pytest.mark.parametrize("hook", HOOKS)
def test_a_docstring_begins_with_one_sentence(hook: str) -> None:
    """The first paragraph is one line that ends as a sentence does."""
    first, blank, *_ = docstring(hook).splitlines()

    assert (first[-1], blank) == (".", "")


@pytest.mark.parametrize(("hook", "arguments"), HOOKS.items())
def test_a_hook_takes_run_and_at_most_one_value(hook: str, arguments: tuple[str, ...]) -> None:
    """Every hook takes `run` and at most one value, so that a new field never breaks an old strategy."""
    assert arguments[0] == "run"
    assert len(arguments) <= 2
    assert list(inspect.signature(getattr(Hooks, hook)).parameters) == ["self", *arguments]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_reference_has_a_section_with_the_exact_signature(hook: str) -> None:
    """docs/reference/hooks.md has one section for the hook, with its signature as it is in the source."""
    page = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    [section] = [part for part in page.split("\n## ")[1:] if part.splitlines()[0].strip("`") == hook]

    source = inspect.getsource(getattr(Hooks, hook)).splitlines()
    declared = next(line.strip() for line in source if "def " in line)
    assert declared.rstrip(":") in section


def test_every_hook_has_a_test_of_its_own() -> None:
    """Somewhere under tests/ each hook has a `test_hook_NAME`, and no other name has one."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]

    assert {name for text in texts for name in re.findall(r"^def test_hook_(\w+)\(", text, re.M)} == set(HOOKS)
