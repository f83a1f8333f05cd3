import pytest

from steersman import ConfigError, hookimpl
from steersman.config import read


class Mine:
    @hookimpl
    def on_log(self, run, log):
        pass


BASE = {
    "mode": "advise",
    "metrics": {"train/ce": "loss"},
    "score": {"eval_a_loss": 0.7},
    "hyperparameters": {"learning_rate": {"max": 1.0}, "My-Own": {}},
    "rails": {"budget": 5, "cooldown": 2},
    "use": ["eval-loss", {"multi-metric as plain-Score": {"gap_weight": 0.1, "improvement": "best"}}, Mine()],
}


def config(**environment):
    return read(BASE, environment={f"STEERSMAN__{name}": text for name, text in environment.items()})


def problems_of(**environment):
    with pytest.raises(ConfigError) as caught:
        config(**environment)
    return list(caught.value.problems)


def test_one_value():
    """A variable sets the one value that its name spells, and all else stays."""
    rails = config(RAILS__BUDGET="3").rails
    assert (rails.budget, rails.cooldown, rails.largest_change) == (3, 2, 0.5)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MODE", "act", "act"),
        ("CHECK_EVERY", "50 steps", 50),
        ("TIME_BUDGET", "null", None),
        ("TIME_BUDGET", "1e-1", 0.1),
        ("CONSOLE", "false", False),
        ("JOURNAL", "'3'", "3"),
        ("METRICS", "{train/l1: reward}", {"train/ce": "loss", "train/l1": "reward"}),
    ],
)
def test_a_value_at_the_top(name, text, value):
    """A value is read by the rules of a config's YAML; a table is laid over the one that is there."""
    assert getattr(config(**{name: text}), name.lower()) == value


def test_a_hyperparameter():
    """A hyperparameter is spelled as the config or Steersman calls it, and may be new."""
    held = config(
        HYPERPARAMETERS__LEARNING_RATE__MIN="1e-7",
        HYPERPARAMETERS__MY_OWN__BUDGET="2",
        HYPERPARAMETERS__KL_PENALTY="{}",
    ).hyperparameters
    assert (held["learning_rate"].min, held["learning_rate"].max) == (1e-7, 1.0)
    assert (held["My-Own"].budget, sorted(held)) == (2, ["My-Own", "kl_penalty", "learning_rate"])


def test_an_option_of_a_strategy():
    """A strategy is spelled by its name in the run, in any case and with `_` for `-`; its other options stay."""
    [plain] = [use for use in config(USE__PLAIN_SCORE__GAP_WEIGHT="0").use if use.name == "plain-Score"]
    assert plain.options == {"gap_weight": 0, "improvement": "best"}


def test_options_of_a_strategy_without_any():
    """A strategy that the config only names takes options as well, Steersman's own keys among them."""
    use = {u.name: u for u in config(USE__EVAL_LOSS="{weight: 2}", USE__EVAL_LOSS__ON_ERROR="stop").use}
    assert (use["eval-loss"].options, use["eval-loss"].on_error) == ({"weight": 2}, "stop")


def test_a_table_in_an_option():
    """A path goes as deep as tables do."""
    environment = {"STEERSMAN__USE__TREND_HEALTH__GUARDED__FACTOR": "0.5"}
    [trend] = [use for use in read(None, environment=environment).use if use.name == "trend-health"]
    assert trend.options == {"preset": "guarded", "guarded": {"factor": 0.5}}


def test_the_whole_list_and_an_option_in_it():
    """The list of strategies is one value; options of a deeper variable lie over it."""
    use = config(USE="[eval-loss, trend-health]", USE__TREND_HEALTH__PRESET="seed").use
    assert [(u.name, dict(u.options)) for u in use[1:]] == [("eval-loss", {}), ("trend-health", {"preset": "seed"})]


def test_without_from_the_environment():
    """`without` switches a strategy off for one run."""
    assert [use.name for use in config(WITHOUT="[eval-loss, score]").use] == ["plain-Score", "mine"]


def test_a_weight_of_the_score():
    """A metric of the score is a key like any other."""
    assert config(SCORE__EVAL_A_LOSS="0.1").use[0].options == {"metrics": {"eval_a_loss": 0.1}}


def test_it_lies_over_all_else(write):
    """The environment is the uppermost layer: over the file and all it extends."""
    write("base.yaml", "mode: act\n")
    path = write("steersman.yaml", "extends: base.yaml\nmode: ask\n")
    assert read(path, environment={"STEERSMAN__MODE": "observe"}).mode == "observe"
    assert read(path, environment={}).mode == "ask"


def test_the_environment_of_the_process(monkeypatch):
    """Without an environment it is that of the process."""
    monkeypatch.setenv("STEERSMAN__MODE", "observe")
    assert read(None).mode == "observe"
    assert read(None, environment={}).mode == "advise"


def test_what_is_journaled_holds_it():
    """What the journal keeps has the values of the environment in it, so that a replay needs none."""
    raw = config(RAILS__BUDGET="3", USE__PLAIN_SCORE__GAP_WEIGHT="0").raw
    assert raw["rails"] == {"budget": 3, "cooldown": 2}
    assert raw["use"][1] == {"multi-metric as plain-Score": {"gap_weight": 0, "improvement": "best"}}


@pytest.mark.parametrize("name", ["STEERSMAN_DISABLED", "STEERSMAN_AUTO", "STEERSMAN_MODE", "STEERSMANMODE"])
def test_variables_that_are_none(name):
    """A single underscore is not a path: those variables are somebody else's."""
    assert len(read(None, environment={name: "[1"}).layers) == 1


def test_an_empty_variable():
    """A variable that holds nothing is as if it were not set."""
    assert config(MODE="", RAILS__BUDGET=" ").mode == "advise"


WHO = "environment variable STEERSMAN__"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("RIALS__BUDGET", "3", "there is no key 'rials', did you mean 'rails'?"),
        ("RAILS__BUDGT", "3", "$.rails: there is no key 'budgt', did you mean 'budget'?"),
        ("HYPERPARAMETERS__LEARNING_RATE__MNI", "3",
         "$.hyperparameters.learning_rate: there is no key 'mni', did you mean 'min'?"),
        ("RAILS__BUDGET__NOW", "3", "$.rails.budget: it is no table, so there is no 'now' in it"),
        ("MODE__X", "3", "$.mode: it is no table, so there is no 'x' in it"),
        ("SCORE__EVAL_A_LOSS__WEIGHT", "3", "$.score.eval_a_loss: it is no table, so there is no 'weight' in it"),
        ("USE__PLAIN_SCORE__IMPROVEMENT__BY", "3",
         "$.use[1].plain-Score.improvement: it is no table, so there is no 'by' in it"),
        ("USE__PLAIN_SCOR__GAP_WEIGHT", "3", "`use` names no strategy 'plain_scor', did you mean 'plain-Score'?"),
        ("USE__ZZZ__X", "3", "`use` names no strategy 'zzz'; it names eval-loss, plain-Score, mine"),
        ("USE__MINE__X", "3", "$.use[2].mine: it was given as an object, which has its options already"),
        ("USE__EVAL_LOSS", "3", "$.use[0].eval-loss: expected a table of options, got 3"),
        ("USE", "eval-loss", "$.use: expected a list of strategies, got 'eval-loss'"),
        ("USE", "{eval-loss: {}}", "$.use: expected a list of strategies, got {'eval-loss': {}}"),
        ("USE", "[3]", "$.use[0]: expected the name of a strategy, got 3"),
        ("USE__EVAL_LOSS__ON_ERROR", "explode",
         "$.use[0].eval-loss.on_error: expected one of 'quarantine', 'raise', 'stop', got 'explode'"),
        ("USE__EVAL_LOSS__TIME_BUDGET", "-1", "$.use[0].eval-loss.time_budget: must be above 0, got -1.0"),
        ("RAILS__BUDGET", "many", "$.rails.budget: expected a whole number, got 'many'"),
        ("CONSOLE", "no", "$.console: expected true or false, got 'no'"),
        ("WITHOUT", "[nobody]",
         "$.without[0]: no config that this one extends names a strategy 'nobody'; "
         "there are eval-loss, trend-health, rl-health, recovery, step-guard, averaged, "
         "token-accounting, score, plain-Score, mine"),
        ("MODE", "[act", "it does not parse: line 1, column 5: expected ',' or ']', but got '<stream end>'"),
        ("EXTENDS", "origin",
         "a variable lies over the whole config, so it extends nothing; write `extends` into a file"),
        ("", "3", "expected STEERSMAN__KEY or STEERSMAN__KEY__KEY, with a name on each side of `__`"),
        ("RAILS__", "3", "expected STEERSMAN__KEY or STEERSMAN__KEY__KEY, with a name on each side of `__`"),
    ],
)  # fmt: skip
def test_each_fault_names_its_variable(name, text, expected):
    """Each way in which a variable can be wrong is one sentence with its name."""
    assert problems_of(**{name: text}) == [f"{WHO}{name}: {expected}"]


def test_every_fault_of_the_environment_at_once():
    """Faults of several variables come together, beside those of the config itself."""
    with pytest.raises(ConfigError) as caught:
        read({"mode": "atc"}, environment={"STEERSMAN__RAILS__X": "1", "STEERSMAN__JOURNAL": "3"})
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "$.mode", f"{WHO}JOURNAL", f"{WHO}RAILS__X",
    ]  # fmt: skip
