"""What `require:` says is read whole, and compared as it says."""

from __future__ import annotations

import math

import pytest

from steersman import ConfigError
from steersman.config import read
from steersman.config.json_schema import schema
from steersman.requirements import Barrier, Requirement, barrier, requirements_of

SAFE = Requirement("safety", ">=", 0.92)


@pytest.mark.parametrize(
    ("text", "below", "at", "above"),
    [
        (">= 0.92", False, True, True),
        (">0.92", False, False, True),
        ("<= 0.92", True, True, False),
        (" < .92 ", True, False, False),
        ("== 9.2e-1", False, True, False),
    ],
)
def test_each_comparison(text, below, at, above):
    """0.91, 0.92 and 0.93 against 0.92 by each operator; NaN meets none."""
    [requirement] = requirements_of({"require": {"safety": text}}, [])

    assert [requirement.is_met(value) for value in (0.91, 0.92, 0.93)] == [below, at, above]
    assert not requirement.is_met(math.nan)


def test_what_is_missing_waits_and_what_fails_is_rejected():
    """One missing: it waits. One failed: it is rejected with the figure, whatever else is missing. All met: no barrier."""
    both = (SAFE, Requirement("harm", "<", 0.05))

    assert barrier(both, {"eval_loss": 1.0}) == Barrier("waiting for safety, harm", waits=True)
    assert barrier(both, {"safety": 0.95}) == Barrier("waiting for harm", waits=True)
    assert barrier(both, {"safety": 0.89}) == Barrier("safety 0.89 is not >= 0.92", waits=False)
    assert barrier(both, {"safety": math.nan, "harm": 0.05}) == Barrier(
        "safety nan is not >= 0.92, harm 0.05 is not < 0.05", waits=False
    )
    assert barrier(both, {"safety": 0.92, "harm": 0.04}) is None
    assert barrier((), {}) is None


def test_every_fault_is_told_with_its_path():
    """A comparison that is none, a number without operator, a bound that is none: each is named where it stands."""
    with pytest.raises(ConfigError) as refused:
        read({"score": {"require": {"safety": "at least 0.9", "harm": 0.1, "kl": ">= much", "f1": ">= 0.5"}}})

    assert list(refused.value.problems) == [
        "$.score.require.safety: expected a comparison such as \">= 0.92\", got 'at least 0.9'",
        '$.score.require.harm: expected a comparison such as ">= 0.92", got 0.1',
        "$.score.require.kl: expected a comparison such as \">= 0.92\", got '>= much'",
    ]


def test_a_require_that_is_no_table():
    """A text where a table belongs is told with an example."""
    problems: list[str] = []

    assert requirements_of({"require": ">= 0.9"}, problems) == ()
    assert problems == ["$.score.require: expected a table such as {safety: \">= 0.92\"}, got '>= 0.9'"]


def test_require_alone_makes_no_scorer():
    """Without weights there is only the gate; with weights the scorer does not hear of `require`."""
    alone = read({"extends": [], "score": {"require": {"safety": ">= 0.92"}}})
    both = read({"extends": [], "score": {"eval_loss": 1.0, "require": {"safety": ">= 0.92"}}})

    assert (alone.use, alone.require) == ((), (SAFE,))
    assert [(use.name, use.options) for use in both.use] == [("score", {"metrics": {"eval_loss": 1.0}})]
    assert both.require == (SAFE,)


def test_a_layer_above_adds_and_takes_back():
    """Tables are merged: one requirement is added, `null` takes one back, and `without: [score]` leaves them alone."""
    below = {"extends": [], "score": {"eval_loss": 1.0, "require": {"safety": ">= 0.92", "harm": "< 0.05"}}}
    environment = {"STEERSMAN__SCORE__REQUIRE__F1": "> 0.5", "STEERSMAN__SCORE__REQUIRE__HARM": "null"}
    merged = read(below, environment=environment)

    assert merged.require == (SAFE, Requirement("f1", ">", 0.5))


def test_without_score_keeps_what_is_required(tmp_path):
    """The weights go with the strategy; a requirement is no strategy and stays."""
    (tmp_path / "base.yaml").write_text('extends: []\nscore: {eval_loss: 1.0, require: {safety: ">= 0.92"}}\n')
    own = tmp_path / "own.yaml"
    own.write_text("extends: base.yaml\nwithout: [score]\nuse: [eval-loss]\n")

    config = read(own)

    assert [use.name for use in config.use] == ["eval-loss"]
    assert config.require == (SAFE,)


def test_a_comparison_without_quotes_is_told_to_need_them(tmp_path):
    """YAML takes a `>` for folded text; the error says what to do."""
    path = tmp_path / "steersman.yaml"
    path.write_text("score:\n  require:\n    safety: >= 0.92\n")

    with pytest.raises(ConfigError, match="a text that begins with > goes into quotes"):
        read(path)


def test_the_schema_knows_require():
    """An editor accepts what the config accepts, and refuses what it refuses."""
    jsonschema = pytest.importorskip("jsonschema")
    whole = schema()

    def is_valid(require):
        return jsonschema.Draft7Validator(whole).is_valid({"score": {"eval_loss": 1.0, "require": require}})

    assert is_valid({"safety": ">= 0.92", "harm": None})
    assert not is_valid({"safety": "0.92"})
    assert not is_valid({"safety": 0.92})
    assert not is_valid(">= 0.92")
