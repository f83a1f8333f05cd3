import math

import pytest

from steersman import ConfigError, hookimpl
from steersman.config import read
from steersman.config.schema import Use


class Mine:
    @hookimpl
    def on_log(self, run, log):
        pass


def problems_of(*entries):
    with pytest.raises(ConfigError) as caught:
        read({"use": list(entries)}, environment={})
    return list(caught.value.problems)


def used(*entries):
    return read({"use": list(entries)}, environment={}).use


def test_keys_of_steersmans_own():
    """`on_error` and `time_budget` stand beside a strategy's options and are not among them."""
    [use] = used({"safety-guard as guard": {"threshold": 3, "on_error": "stop", "time_budget": 2}})
    assert use == Use("safety-guard", "guard", {"threshold": 3}, index=0, on_error="stop", time_budget=2.0)


def test_an_entry_that_says_neither():
    """Without either key an entry leaves both to what holds for all."""
    [use] = used({"eval-loss": {}})
    assert (use.on_error, use.time_budget) == (None, None)


def test_no_limit_for_one():
    """`time_budget: null` of an entry is no limit, which leaving it out is not."""
    [use] = used({"eval-loss": {"time_budget": None}})
    assert use.time_budget == math.inf


def test_the_entry_is_kept_as_written():
    """What is kept for the journal has both keys, so that it reads back as the same entry."""
    entry = {"eval-loss": {"on_error": "raise", "time_budget": 0.5}}
    assert read({"use": [entry]}, environment={}).raw["use"] == [entry]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"on_error": "explode"},
            "$.use[0].guard.on_error: expected one of 'quarantine', 'raise', 'stop', got 'explode'",
        ),
        (
            {"on_error": "stopp"},
            "$.use[0].guard.on_error: expected one of 'quarantine', 'raise', 'stop', got 'stopp', did you mean 'stop'?",
        ),
        ({"time_budget": -1}, "$.use[0].guard.time_budget: must be above 0, got -1.0"),
        ({"time_budget": 0}, "$.use[0].guard.time_budget: must be above 0, got 0.0"),
        ({"time_budget": "soon"}, "$.use[0].guard.time_budget: expected a number, got 'soon'"),
        ({"time_budget": True}, "$.use[0].guard.time_budget: expected a number, got True"),
        ({"time_budget": math.nan}, "$.use[0].guard.time_budget: must be above 0, got nan"),
    ],
)
def test_a_key_of_steersmans_own_that_is_wrong(options, expected):
    """Each is checked before a strategy is loaded, and told with the path of its entry."""
    assert problems_of({"safety-guard as guard": options}) == [expected]


def test_both_keys_of_two_entries_at_once():
    """Faults of several entries come together."""
    problems = problems_of({"a": {"on_error": "x", "time_budget": -1}}, {"b": {"time_budget": -2}})
    assert [problem.split(": ")[0] for problem in problems] == [
        "$.use[0].a.on_error", "$.use[0].a.time_budget", "$.use[1].b.time_budget",
    ]  # fmt: skip


def test_an_object_with_options():
    """Options beside an object would be lost without a word: they are refused."""
    assert problems_of({Mine(): {"window": 3}}) == [
        "$.use[0]: an object takes no options here; give them to Mine itself"
    ]


def test_a_name_given_twice_by_two_layers(write):
    """A `score` of a parent and a strategy of that name above it are two of one name."""
    write("base.yaml", "score: {eval_a_loss: 1}\n")
    path = write("steersman.yaml", "extends: base.yaml\nuse: [eval-loss as score]\n")
    with pytest.raises(ConfigError, match="'score' is named twice"):
        read(path, environment={})


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), (0.5, 0.5), ("1e-1", 0.1), (None, None)])
def test_the_time_budget_of_all(value, expected):
    """The time budget at the top holds for all: seconds, or `null` for no limit; 10 without a word."""
    assert read({"time_budget": value}, environment={}).time_budget == expected
    assert read({}, environment={}).time_budget == 10.0


@pytest.mark.parametrize(("value", "got"), [(0, "0.0"), (-1, "-1.0"), (math.nan, "nan")])
def test_a_time_budget_that_cannot_be_kept(value, got):
    """No hook takes no time at all: the time budget is above 0."""
    with pytest.raises(ConfigError) as caught:
        read({"time_budget": value}, environment={})
    assert caught.value.problems == (f"$.time_budget: must be above 0, got {got}",)
