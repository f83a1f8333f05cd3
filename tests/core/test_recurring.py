"""What says the same at several steps is told once."""

from __future__ import annotations

import pytest

from steersman.journal import JournalEntry
from steersman.recurring import accounts, errors, findings, proposals_told


def found(step, name="loss-high", message="too high", severity="warning", **evidence):
    """A `finding` entry as the journal holds it."""
    data = {"strategy": "health", "name": name, "severity": severity, "message": message, "evidence": evidence}
    return JournalEntry("finding", step, data)


def proposed(step, verdict, reason, change="x0.8"):
    """A `proposal` entry as the journal holds it."""
    data = {"strategy": "health", "action": "adjust", "hyperparameter": "learning_rate", "change": change}
    return JournalEntry("proposal", step, {**data, "because": "loss-high", "verdict": verdict, "reason": reason})


@pytest.mark.parametrize(
    ("steps", "where"),
    [((40,), "step 40"), ((40, 80), "steps 40 and 80"), ((40, 60, 80), "3 times, steps 40 to 80")],
)
def test_where(steps, where):
    """One step, two steps, and many are each told in the shortest way."""
    (group,) = findings(found(step) for step in steps)
    assert group.where == where


def test_what_differs_is_told_at_its_first_and_last():
    """Messages that differ are told as the first and the last; equal ones once."""
    (same,) = findings([found(10), found(20)])
    (other,) = findings([found(10, message="a"), found(20, message="b"), found(30, message="c")])
    assert same.of("message") == "too high"
    assert other.of("message") == "at step 10: a … at step 30: c"


def test_proposals_with_different_verdicts_are_apart():
    """A proposal that was applied and the same one refused are two sentences."""
    entries = [proposed(10, "applied", "2 -> 1.6"), proposed(20, "refused", "bound"), proposed(30, "refused", "bound")]
    assert proposals_told(entries, ("refused", "applied")) == (
        "learning_rate x0.8 by health because of loss-high: applied, step 10: 2 -> 1.6.",
        "learning_rate x0.8 by health because of loss-high: refused, steps 20 and 30: bound.",
    )
    assert proposals_told(entries, ("advised",)) == ()


def test_a_proposal_to_stop():
    """A proposal that changes no value is told by what it asks for."""
    data = {"strategy": "health", "action": "stop", "because": "diverged", "verdict": "accepted", "reason": "at once"}
    (said,) = proposals_told([JournalEntry("proposal", 10, data)], ("accepted",))
    assert said == "stop by health because of diverged: accepted, step 10: at once."


def test_accounts_are_only_what_is_known():
    """An informing finding counts as an account where it holds a figure; warnings never do."""
    known = found(10, "ledger", "Duration: 5s\nTokens: 3", "info", seconds=5.0, tokens=None)
    unknown = found(10, "ledger", "Duration: not in this log", "info", seconds=None)
    assert accounts([known, unknown, found(10, evidence=1.0)]) == ("Duration: 5s", "Tokens: 3")


def test_errors_of_one_hook_are_one():
    """The same error of the same hook is grouped; another hook's is apart."""
    data = {"strategy": "mine", "hook": "on_log", "error": "E: no"}
    entries = [JournalEntry("error", step, data) for step in (1, 2)]
    entries.append(JournalEntry("error", 3, {**data, "hook": "on_eval"}))
    assert [len(group.entries) for group in errors(entries)] == [2, 1]


def test_an_info_finding_without_figures_is_told_once():
    """What a strategy says without a figure is told with its name, its strategy and where; an empty ledger is not."""
    fixed = [found(step, "fixed", "beta is 0", "info") for step in (10, 20)]
    entries = [*fixed, found(30, "ledger", "none", "info", tokens=None)]
    assert accounts(entries) == ("fixed by health, steps 10 and 20: beta is 0",)


def test_what_is_informed_of_again_and_again_is_told_once():
    """One line with a figure at many checks is told by its name; accounts of several lines each keep all of them."""
    slow = [found(step, "too-slow", "it crawls", "info", loss=2.0) for step in (10, 20, 30)]
    ledgers = [found(step, "ledger", f"Duration: {step}s\nTokens: 3", "info", seconds=5.0) for step in (30, 60)]
    assert accounts(slow) == ("too-slow by health, 3 times, steps 10 to 30: it crawls",)
    assert accounts(ledgers) == ("Duration: 30s", "Tokens: 3", "Duration: 60s", "Tokens: 3")
