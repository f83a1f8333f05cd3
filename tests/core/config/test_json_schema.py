"""The JSON Schema of a config: it lets pass what a run would take, refuses what a run would refuse, and says why."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from steersman.config import read
from steersman.config.json_schema import schema
from steersman.config.yaml_text import loads
from steersman.loading import load

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shipped() -> jsonschema.Draft7Validator:
    """The schema with the strategies that are installed here."""
    return jsonschema.Draft7Validator(schema())


def is_sound(text: str, folder: Path) -> bool:
    """Whether a run would take a config, strategies and all."""
    file = folder / "steersman.yaml"
    file.write_text(text)
    problems: list[str] = []
    load(read(file, problems, environment={}), problems)
    return not problems


def test_it_is_a_schema(shipped):
    """It keeps to the metaschema of draft-07, says so, and is JSON."""
    jsonschema.Draft7Validator.check_schema(shipped.schema)
    assert shipped.schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert json.loads(json.dumps(shipped.schema, allow_nan=False)) == shipped.schema


def test_every_reference_leads_somewhere(shipped):
    """Each definition is referred to and each reference is defined."""
    text = json.dumps(shipped.schema)
    referred = set(re.findall(r'"#/\$defs/([^"]+)"', text))
    assert referred == set(shipped.schema["$defs"])


@pytest.mark.parametrize(
    "page", ["README.md", "docs/how-to/configure.md", "docs/reference/strategies.md", "docs/how-to/recover.md"]
)
def test_every_config_of_the_documentation_is_sound(shipped, page):
    """Each YAML block of the page validates, read as an editor reads it and as a run does."""
    blocks = _BLOCK.findall((ROOT / page).read_text())
    assert blocks
    for block in blocks:
        for config in (yaml.safe_load(block), loads(block)):
            assert [error.message for error in shipped.iter_errors(config)] == [], block


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode: observe",
        "check_every: 50",
        "check_every: 50 steps",
        "check_every: epoch",
        "use: [eval-loss]",
        "use: []",
        "use: [multi-metric: {gap_weight: 0}]",
        "use: ['multi-metric as plain', multi-metric as other: {gap_weight: 1e-4}]",
        "use: [multi-metric:]",
        "use: [multi-metric: {gap_weight: '0.25'}]",
        "use: [multi-metric: {gap_weight: 1e-4}]",
        "use: [multi-metric: {gap_weight: .5}]",
        "use: [trend-health: {loss_rules: on}]",
        "use: [trend-health: {seed: {high_loss: 4}, guarded: {windows_needed: 3.0}}]",
        "use: [eval-loss: {on_error: stop, time_budget: 2.5}]",
        "use: [eval-loss: {time_budget: null}]",
        "use: [score: {metrics: {eval_a: 1, eval_b: {weight: 2, direction: higher}}}]",
        "score: {eval_loss: 0.5, eval_accuracy: {direction: higher}}",
        "extends: origin",
        "extends: [default, no-rails]",
        "extends: []",
        "without: [token-accounting]",
        "rails: {largest_change: null, cooldown: 0, budget: null, last_share: 0}",
        "hyperparameters: {learning_rate: {min: 1e-7}, 'reward_weight[a]': {max: 3, owner: eval-loss}}",
        "time_budget: null",
        "journal: null",
        "metrics: {train/ce: loss}",
        "logging: {epoch_health_check_enabled: false}",
    ],
)
def test_what_a_run_takes_validates(shipped, tmp_path, text):
    """What is sound for a run is sound for the schema."""
    assert is_sound(text, tmp_path)
    assert [error.message for error in shipped.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "mdoe: act",
        "mode: atc",
        "mode: [act]",
        "check_every: 0",
        "check_every: often",
        "check_every: 50 epochs",
        "check_every: true",
        "use: eval-loss",
        "use: [eval-los]",
        "use: [3]",
        "use: [eval-loss as ]",
        "use: [eval-loss: {window: 3}]",
        "use: [multi-metric: {gap_wieght: 0}]",
        "use: [multi-metric: {gap_weight: much}]",
        "use: [multi-metric: {gap_weight: true}]",
        "use: [multi-metric: {improvement: worst}]",
        "use: [multi-metric: [1]]",
        "use: [{multi-metric: {}, eval-loss: {}}]",
        "use: [trend-health: {guarded: {windows_needed: 2.5}}]",
        "use: [trend-health: {seed: {hihg_loss: 4}}]",
        "use: [eval-loss: {on_error: ignore}]",
        "use: [eval-loss: {time_budget: 0}]",
        "score: {eval_loss: {wieght: 1}}",
        "score: {eval_loss: heavy}",
        "extends: orign",
        "extends: 3",
        "without: token-accounting",
        "without: [3]",
        "rails: {largest_change: 0}",
        "rails: {last_share: 1.5}",
        "rails: {cooldown: -1}",
        "rails: {budgt: 3}",
        "rails: null",
        "hyperparameters: [learning_rate]",
        "hyperparameters: {learning_rate: {mn: 1}}",
        "hyperparameters: {learning_rate: 3}",
        "recovery: {snapshots: tape}",
        "recovery: {factor: 0}",
        "outcomes: {judge_after: 0}",
        "quarantine_after: 0",
        "console: 1",
        "keep_both_bests: maybe",
        "journal: 3",
    ],
)
def test_what_a_run_refuses_does_not_validate(shipped, tmp_path, text):
    """A misspelt key, a wrong choice, a wrong type, a number out of bounds: the schema refuses what a run refuses."""
    if text != "[]":
        assert not is_sound(text, tmp_path)
    assert not shipped.is_valid(yaml.safe_load(text))


def test_what_it_says_of_an_option(shipped):
    """An option has its meaning, its default and its choices; a bound that its validator tells is there."""
    option = shipped.schema["$defs"]["use.multi-metric"]["properties"]["improvement"]
    assert option["enum"] == ["previous", "best"]
    assert option["default"] == "previous"
    assert option["description"].startswith("What must be beaten for that bonus: the `previous` evaluation")
    assert shipped.schema["$defs"]["steersman.rails.Limits"]["properties"]["last_share"]["maximum"] == 1.0


STRATEGY = '''
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NewType

from attrs import define, field, frozen, validators
from steersman import Secret, hookimpl

Steps = NewType("Steps", int)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Branch:
    """A table that holds itself."""

    depth: int = 0
    below: "Branch | None" = None


@define(eq=False)
class Typed:
    """Takes one option of each type."""

    needed: int = field(validator=validators.gt(2))
    """What it cannot do without."""
    token: Secret | None = None
    names: list[str] = field(factory=list, validator=validators.min_len(0))
    pair: tuple[int, str] = (1, "a")
    many: tuple[float, ...] = ()
    unique: frozenset[int] = frozenset()
    choice: Literal["on", "off", "auto"] | None = "auto"
    colour: Colour = Colour.RED
    path: Path = Path("x")
    share: float = field(default=0.5, validator=[validators.ge(0), validators.lt(1)])
    word: str = field(default="abc", validator=validators.and_(validators.max_len(3), validators.matches_re("[a-c]+")))
    limit: float | None = field(default=None, validator=validators.optional(validators.le(9)))
    size: Annotated[Steps, "steps"] = 3
    one: int = field(default=1, validator=validators.in_([1, 2, 4]))
    counts: Mapping[str, int] = field(factory=dict)
    tree: Branch = field(factory=Branch)
    anything: Any = None
    endless: float = float("inf")

    renamed_options: ClassVar[Mapping[str, str]] = {"long_needed": "needed"}

    @hookimpl
    def on_log(self, run, log): ...
'''


@pytest.fixture
def typed(distribution):
    """Return a validator of the schema where a strategy `typed` is installed."""
    distribution("typed-package", {"typed": "typed_mod:Typed"}, {"typed_mod": STRATEGY})
    problems: list[str] = []
    made = schema(problems)
    assert problems == []
    jsonschema.Draft7Validator.check_schema(made)
    json.dumps(made, allow_nan=False)
    return jsonschema.Draft7Validator(made)


OPTIONS = [
    ("needed: 3", True),
    ("needed: 2", False),
    ("long_needed: 3", True),
    ("token: {env: NAME}", True),
    ("token: null", True),
    ("token: sk-12345", False),
    ("token: {env: NAME, value: x}", False),
    ("token: {}", False),
    ("names: [a, b]", True),
    ("names: [1]", False),
    ("pair: [1, b]", True),
    ("pair: [1]", False),
    ("pair: [b, 1]", False),
    ("many: [1, 2.5, '3']", True),
    ("many: [a]", False),
    ("unique: [1, 2]", True),
    ("choice: on", True),
    ("choice: null", True),
    ("choice: never", False),
    ("colour: blue", True),
    ("colour: green", False),
    ("path: a/b", True),
    ("path: 3", False),
    ("share: 0", True),
    ("share: 1", False),
    ("share: '0.5'", True),
    ("word: abc", True),
    ("word: abcd", False),
    ("word: xyz", False),
    ("limit: 9", True),
    ("limit: 9.5", False),
    ("limit: null", True),
    ("size: 4", True),
    ("size: large", False),
    ("one: 4", True),
    ("one: 3", False),
    ("counts: {a: 1}", True),
    ("counts: {a: b}", False),
    ("tree: {depth: 1, below: {depth: 2, below: null}}", True),
    ("tree: {below: {dpeth: 2}}", False),
    ("anything: [{a: 1}]", True),
    ("endless: .inf", True),
    ("unknown: 1", False),
    ("on_error: raise", True),
]


@pytest.mark.filterwarnings("ignore::steersman.SteersmanDeprecationWarning")
def test_every_type_of_option(typed, monkeypatch):
    """Each type that a config can give is checked as a run checks it: choices, bounds, lengths, lists and tables."""
    monkeypatch.setenv("NAME", "value")
    by_a_run, by_the_schema = [], []
    for options, _ in OPTIONS:
        given = yaml.safe_load(options)
        table = given if "needed" in given or "long_needed" in given else {"needed": 3, **given}
        config = {"use": [{"typed": table}]}
        problems: list[str] = []
        load(read(config, problems, environment={}), problems)
        by_a_run.append((options, not problems))
        by_the_schema.append((options, typed.is_valid(config)))
    assert by_a_run == OPTIONS
    assert by_the_schema == OPTIONS


def test_a_bare_name_needs_no_options_to_be_listed(typed):
    """A required option is required in a table of options; the old name of a renamed one is there and deprecated."""
    table = typed.schema["$defs"]["use.typed"]
    assert "required" not in table
    assert table["properties"]["long_needed"]["deprecated"] is True
    assert table["properties"]["needed"]["description"] == "What it cannot do without."
    assert "default" not in table["properties"]["endless"]


def test_a_required_option_is_required(distribution):
    """Where an option has no default and no older name, a table without it does not validate."""
    source = STRATEGY.replace('= {"long_needed": "needed"}', "= {}")
    distribution("strict-package", {"strict": "strict_mod:Typed"}, {"strict_mod": source})
    validator = jsonschema.Draft7Validator(schema())
    assert validator.is_valid({"use": [{"strict": {"needed": 3}}]})
    assert not validator.is_valid({"use": [{"strict": {"one": 1}}]})


def test_a_broken_strategy_takes_anything_and_is_named(distribution, capsys):
    """One that cannot be imported is in the schema with any options, and a sentence says why; the others are whole."""
    modules = {"broken_mod": "print('loud')\nraise RuntimeError('no GPU')"}
    distribution("broken-package", {"broken": "broken_mod:It"}, modules, version="2.0")
    problems: list[str] = []
    validator = jsonschema.Draft7Validator(schema(problems))
    assert problems == [
        "strategy 'broken' from broken-package 2.0 (broken_mod:It) cannot be imported: RuntimeError: no GPU"
    ]
    assert validator.is_valid({"use": ["broken", {"broken as other": {"whatever": [1]}}]})
    assert not validator.is_valid({"use": [{"multi-metric": {"whatever": 1}}]})
    assert capsys.readouterr().out == ""


def test_options_that_cannot_be_told_are_open(distribution):
    """A strategy whose annotations cannot be resolved is listed all the same, with options of any type."""
    source = STRATEGY.replace("needed: int", 'needed: "Nowhere"')
    distribution("odd-package", {"odd": "odd_mod:Typed"}, {"odd_mod": source})
    validator = jsonschema.Draft7Validator(schema([]))
    assert validator.is_valid({"use": [{"odd": {"needed": ["anything"]}}]})
    assert not validator.is_valid({"use": [{"odd": {"unknown": 1}}]})


def test_names_with_odd_characters(distribution):
    """A name is matched as it is, not as a pattern."""
    points = {"a.b+c": "dotted_mod:Typed"}
    distribution("dotted-package", points, {"dotted_mod": STRATEGY})
    validator = jsonschema.Draft7Validator(schema())
    assert validator.is_valid({"use": [{"a.b+c": {"needed": 3}}, "a.b+c as x"]})
    assert not validator.is_valid({"use": [{"a-bbc": {"needed": 3}}]})
    assert not validator.is_valid({"use": [{"a.b+c": {"needed": 1}}]})


def test_in_house_strategies_take_anything(shipped):
    """A file of one's own may stand anywhere a name may; its options are not known here."""
    assert shipped.is_valid({"use": ["./hooks/a.py:Mine", {"b.py:Mine as other": {"x": 1}}, {"c.py:Mine": None}]})
    assert not shipped.is_valid({"use": ["./hooks/a.py"]})


def test_every_key_says_what_it_means(shipped):
    """Each key of a config, of its tables and of Steersman's own beside a strategy's options has a description."""
    tables = {name: table for name, table in shipped.schema["$defs"].items() if name.startswith("steersman.")}
    assert set(tables) == {
        "steersman.config.schema.HyperparameterConfig",
        "steersman.config.schema.LoggingConfig",
        "steersman.rails.Limits",
        "steersman.outcomes.Settings",
        "steersman.snapshots.RecoverySettings",
        "steersman.accounting.budgets.Budget",
        "steersman.accounting.ledgers.Prices",
    }
    for name, table in {**tables, "top": shipped.schema, "eval-loss": shipped.schema["$defs"]["use.eval-loss"]}.items():
        silent = [key for key, value in table["properties"].items() if not value.get("description")]
        assert silent == [], name
