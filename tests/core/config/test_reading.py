import math
import re

import pytest

from steersman import ConfigError, Score, hookimpl
from steersman.arbiter import Bounds
from steersman.config import read
from steersman.config.schema import Use


def problems_of(source):
    with pytest.raises(ConfigError) as caught:
        read(source)
    return list(caught.value.problems)


def names(config):
    return [use.name for use in config.use]


class Mine:
    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(1.0)


def test_no_config():
    """Without a config its source says so; what it holds is in tests/plugins/test_configs.py."""
    assert read(None).source == "no config"


def test_a_config_that_says_nothing_is_no_config(write):
    """An empty file means the same as no file."""
    config = read(write("steersman.yaml", "# nothing yet\n"))
    assert (names(config), config.mode) == (names(read(None)), "advise")


def test_origin():
    """`extends: origin` is the origin's system: act, preset seed, its six hyperparameters with its bounds."""
    config = read({"extends": "origin"})
    assert config.mode == "act"
    assert config.allowed == {
        "learning_rate": Bounds(min=1e-7),
        "kl_penalty": Bounds(min=0.05, max=0.3),
        "max_grad_norm": Bounds(min=0.1),
        "reward_weight": Bounds(max=3.0),
        "reward_threshold": Bounds(max=0.3),
        "temperature": Bounds(max=1.5),
    }
    assert {use.target: dict(use.options) for use in config.use}["trend-health"] == {"preset": "seed"}


WHOLE = """
mode: act
check_every: 50
metrics: {val_loss: eval_loss}
hyperparameters:
  learning_rate: {min: 1e-7, max: 0.01, min_factor: 0.1, max_factor: 1, owner: eval-loss}
  kl_penalty: {}
on_error: stop
quarantine_after: 5
force_logs: never
keep_both_bests: true
journal: logs/journal.jsonl
console: false
logging: {epoch_health_check_enabled: false}
use: [eval-loss, multi-metric as second: {gap_weight: 0}]
"""

TOML = """
mode = "act"
check_every = 50
on_error = "stop"
quarantine_after = 5
force_logs = "never"
keep_both_bests = true
journal = "logs/journal.jsonl"
console = false
use = ["eval-loss", {"multi-metric as second" = {gap_weight = 0}}]
metrics = {val_loss = "eval_loss"}
logging = {epoch_health_check_enabled = false}
[HERE.hyperparameters]
learning_rate = {min = 1e-7, max = 0.01, min_factor = 0.1, max_factor = 1, owner = "eval-loss"}
kl_penalty = {}
"""

SECTION = "[tool.steersman]" + TOML.replace("HERE", "tool.steersman") + '[tool.other]\nmode = "no business of ours"\n'

INDENTED = "output_dir: out\nsteersman:" + WHOLE.replace("\n", "\n  ") + "\nlr: 1\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steersman.yaml", WHOLE),
        ("steersman.toml", TOML.replace("HERE.", "")),
        ("pyproject.toml", SECTION),
        ("training.yaml", INDENTED),
    ],
)
def test_every_format_says_the_same(write, name, text):
    """YAML, TOML, `[tool.steersman]` of a pyproject.toml and a section of another YAML are read alike."""
    path = write(name, text)
    config = read(path)
    assert (config.mode, config.check_every, config.on_error, config.quarantine_after) == ("act", 50, "stop", 5)
    assert (config.force_logs, config.keep_both_bests, config.console) == ("never", True, False)
    assert (config.journal, dict(config.metrics)) == ("logs/journal.jsonl", {"val_loss": "eval_loss"})
    assert config.allowed == {
        "learning_rate": Bounds(1e-7, 0.01, 0.1, 1.0, "eval-loss"),
        "kl_penalty": Bounds(-math.inf, math.inf, 0.0, math.inf, None),
    }
    assert not config.logging.epoch_health_check_enabled
    assert config.use == (
        Use("eval-loss", "eval-loss", {}, index=0),
        Use("multi-metric", "second", {"gap_weight": 0}, index=1),
    )
    assert (config.source, config.folder) == (str(path), path.parent)


def test_a_mapping():
    """A Mapping with a section of ours is read as that section."""
    assert read({"steersman": {"mode": "observe"}, "lr": 1}).mode == "observe"
    assert read({"mode": "observe"}).source == "the config given in Python"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E-4", 1e-4),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("7", 7.0),
        ("'1e-4'", 1e-4),
        (".inf", math.inf),
    ],
)
def test_numbers_of_yaml(write, text, value):
    """A number is one however it is written; PyYAML alone would make text of `1e-4`."""
    config = read(write("steersman.yaml", f"hyperparameters: {{learning_rate: {{max: {text}}}}}\n"))
    assert config.allowed["learning_rate"].max == value


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "n", "y", "12:30", "2024-01-01", "0x10", "1_000"])
def test_words_of_yaml(write, word):
    """A word stays a word: neither a truth value, nor a time, nor a date, nor a number in disguise."""
    path = write("steersman.yaml", f"mode: {word}\nconsole: {word}\n")
    assert problems_of(path) == [
        f"$.mode: expected one of 'observe', 'advise', 'ask', 'act', got {word!r}",
        f"$.console: expected true or false, got {word!r}",
    ]


def test_on_is_a_choice(write):
    """`loss_rules: on` is the choice `on`, written bare in YAML or as a truth value."""
    config = read(write("steersman.yaml", "use: [trend-health: {loss_rules: on}]\n"))
    assert config.use[0].options == {"loss_rules": "on"}


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_truth_values_of_yaml(write, text):
    """The truth values of YAML 1.2 are truth values."""
    assert read(write("steersman.yaml", f"keep_both_bests: {text}\n")).keep_both_bests is True


def test_a_missing_file(tmp_path):
    """A file that is not there is a config error with its path and the reason."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "steersman.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'steersman.yaml'}: 1 problem\n")
    assert caught.value.problems == ("it cannot be read: No such file or directory",)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("steersman.yaml", b"mode: [act\n", "it does not parse: "),
        ("steersman.toml", b"mode = act\n", "it does not parse: "),
        ("steersman.yaml", b"- act\n", "expected a table of options, got list"),
        ("steersman.yaml", b"act\n", "expected a table of options, got str"),
        ("steersman.yaml", b"\xff\xfe\xff", "it cannot be read: "),
        ("steersman.yaml", b"mode: !!python/object:os.system {}\n", "it does not parse: "),
        ("pyproject.toml", b"[tool.black]\n", "it has no section [tool.steersman]"),
    ],
)
def test_an_unreadable_file(tmp_path, name, content, expected):
    """A file that does not parse, is no table, is no text or holds no section of ours is one sentence."""
    path = tmp_path / name
    path.write_bytes(content)
    (problem,) = problems_of(path)
    assert problem.startswith(expected)
    assert "\n" not in problem


def test_a_directory_is_no_config(tmp_path):
    """A directory in place of a file is a config error."""
    assert problems_of(tmp_path) == ["it cannot be read: Is a directory"]


def test_unknown_keys():
    """An unknown key is told with the nearest that there is."""
    assert problems_of({"chek_every": 3, "hyperparameter": {}, "zzz": 1}) == [
        "$: unknown key 'chek_every', did you mean 'check_every'?",
        "$: unknown key 'hyperparameter', did you mean 'hyperparameters'?",
        "$: unknown key 'zzz'",
    ]


def test_all_errors_at_once():
    """Every fault is told at once, each with its path, and the message is a list of them."""
    with pytest.raises(ConfigError) as caught:
        read({
            "mode": "atc", "check_every": 0, "on_error": "explode", "wat": 1, "use": [3, "a", "a"],
            "hyperparameters": {"learning_rate": {"min": "low", "maxx": 1}},
        })  # fmt: skip
    paths = sorted(problem.split(": ")[0] for problem in caught.value.problems)
    assert paths == [
        "$", "$.check_every", "$.hyperparameters.learning_rate", "$.hyperparameters.learning_rate.min", "$.mode",
        "$.on_error", "$.use", "$.use[0]",
    ]  # fmt: skip
    assert str(caught.value).splitlines()[0] == "the config given in Python: 8 problems"


def test_problems_may_be_collected():
    """Given a list, faults go into it and what is sound is returned."""
    problems = []
    config = read({"mode": "act", "wat": 1, "use": ["eval-loss", 3]}, problems)
    assert (config.mode, names(config)) == ("act", ["eval-loss"])
    assert len(problems) == 2


NEAREST = "did you mean 'epoch_health_check_enabled'?"
NO_CADENCE = "$.check_every: expected one of 'auto', 'epoch', 'eval' or expected a whole number, got "


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("check_every", 0, "$.check_every: must be at least 1, got 0"),
        ("check_every", "daily", NO_CADENCE + "'daily'"),
        ("check_every", True, NO_CADENCE + "True"),
        ("quarantine_after", 0, "$.quarantine_after: must be at least 1, got 0"),
        ("journal", 3, "$.journal: expected text, got 3"),
        ("metrics", {"a": 3}, "$.metrics.a: expected text, got 3"),
        ("metrics", {1: "a"}, "$.metrics: the name 1 is not text"),
        ("logging", {"epoch_health": False}, "$.logging: unknown option 'epoch_health', " + NEAREST),
        ("hyperparameters", ["learning_rate"], "$.hyperparameters: expected a table of names, got ['learning_rate']"),
        ("hyperparameters", {"kl_penalty": 1}, "$.hyperparameters.kl_penalty: expected a table of options, got 1"),
        ("use", "eval-loss", "$.use: expected a list of strategies, got 'eval-loss'"),
        ("use", [None], "$.use[0]: expected the name of a strategy, got None"),
        ("use", [{"a": 1}], "$.use[0].a: expected a table of options, got 1"),
        ("use", [{"a": {}, "b": {}}], "$.use[0]: expected one strategy with its options, got 2 names"),
        ("use", [{3: {}}], "$.use[0]: expected the name of a strategy, got 3"),
        ("use", ["a", {"b as a": {}}], "$.use: 'a' is named twice; give one a name of its own: `a as other-name`"),
        ("extends", 3, "$.extends: expected a name or a path, got 3"),
    ],
)  # fmt: skip
def test_each_fault(key, value, expected):
    """Each way in which a key can be wrong is one sentence with its path and what was expected."""
    assert problems_of({key: value}) == [expected]


def test_use():
    """`use` is in the order of the file; an entry may rename a strategy, give options, or be an object."""
    mine = Mine()
    config = read({"use": ["eval-loss", {"multi-metric  as  one": None}, "./hooks/quota.py:Quota", mine]})
    assert config.use == (
        Use("eval-loss", "eval-loss", {}, index=0),
        Use("multi-metric", "one", {}, index=1),
        Use("./hooks/quota.py:Quota", "Quota", {}, index=2),
        Use("Mine", "mine", {}, mine, index=3),
    )


def test_score_comes_first():
    """`score:` is a strategy of its own that is asked before all others."""
    config = read({"use": ["eval-loss"], "score": {"eval_chat_loss": 0.7, "eval_code_loss": 0.3}})
    assert config.use[0] == Use("score", "score", {"metrics": {"eval_chat_loss": 0.7, "eval_code_loss": 0.3}}, index=-1)
    assert config.use[1].index == 0


def test_extends_a_path(write):
    """A config extends another file relative to itself: tables are merged, all else is replaced."""
    write("base.yaml", "mode: observe\nuse: [eval-loss]\nhyperparameters: {learning_rate: {min: 1e-6, max: 1}}\n")
    child = write(
        "sub/steersman.yaml",
        "extends: ../base.yaml\nmode: act\nhyperparameters: {learning_rate: {max: 2}, kl_penalty: {}}\n",
    )
    config = read(child)
    assert (config.mode, names(config)) == ("act", ["eval-loss"])
    assert config.allowed == {"learning_rate": Bounds(1e-6, 2.0), "kl_penalty": Bounds()}


def test_extends_several(write):
    """Of several parents the later is over the earlier, and the config itself over all."""
    write("a.yaml", "mode: act\non_error: stop\nconsole: false\n")
    write("b.toml", 'mode = "observe"\non_error = "raise"\n')
    config = read(write("steersman.yaml", "extends: [a.yaml, b.toml]\nmode: advise\n"))
    assert (config.mode, config.on_error, config.console) == ("advise", "raise", False)


def test_extends_nothing():
    """`extends: []` starts from nothing: no strategy is active."""
    assert names(read({"extends": []})) == []


def test_extends_in_circles(write):
    """Files that extend each other are told, with the way round, and reading ends."""
    other = write("b.yaml", "extends: steersman.yaml\n")
    (problem,) = problems_of(write("steersman.yaml", "extends: b.yaml\n"))
    assert problem == f"{other}: $.extends: 'steersman.yaml' extends itself through 'b.yaml'"


def test_extends_the_unknown(tmp_path):
    """An unknown name is told with the nearest; a path that cannot be read with its reason."""
    assert problems_of({"extends": "orign"}) == [
        "$.extends: no config named 'orign', did you mean 'origin'? Installed: default, no-rails, origin, recommended."
    ]
    gone = tmp_path / "gone.yaml"
    assert problems_of({"extends": str(gone)}) == [f"$.extends: {gone}: it cannot be read: No such file or directory"]


def test_extends_an_installed_config(distribution):
    """A distribution may ship configs under names of their own."""
    distribution(
        "fleet", {"fleet": "fleet_configs:FLEET"}, {"fleet_configs": "FLEET = {'mode': 'observe', 'use': []}"},
        group="steersman.configs",
    )  # fmt: skip
    config = read({"extends": "fleet"})
    assert (config.mode, names(config)) == ("observe", [])


def test_the_raw_config_is_what_all_layers_come_to(write):
    """What is kept for the journal stands alone: it extends nothing, so a changed parent changes no replay."""
    base = write("base.yaml", "mode: act\nrails: {budget: 3, cooldown: 2}\nuse: [eval-loss]\n")
    path = write("steersman.yaml", "extends: base.yaml\nrails: {budget: 5}\ncheck_every: 50 steps\n")
    config = read(path)
    base.unlink()
    assert config.raw == {
        "extends": [],
        "mode": "act",
        "rails": {"budget": 5, "cooldown": 2},
        "use": ["eval-loss"],
        "check_every": "50 steps",
    }
    again = read(config.raw)
    assert (again.mode, again.rails, again.use, again.check_every) == ("act", config.rails, config.use, 50)


def test_what_is_read_is_not_changed():
    """A mapping that is read stays as it was."""
    raw = {"extends": "origin", "mode": "advise", "without": ["eval-loss"]}
    read(raw, environment={"STEERSMAN__USE__TREND_HEALTH__PRESET": "guarded"})
    assert raw == {"extends": "origin", "mode": "advise", "without": ["eval-loss"]}
    origin = {use.name: dict(use.options) for use in read({"extends": "origin"}).use}
    assert origin == {"multi-metric": {}, "eval-loss": {}, "trend-health": {"preset": "seed"}, "token-accounting": {}}


@pytest.mark.parametrize("written", ["50 steps", 50])
def test_a_number_of_steps(written):
    """`check_every: 50 steps` is what `check_every: 50` is."""
    assert read({"check_every": written}).check_every == 50


def test_an_owner_that_is_not_asked():
    """An `owner` that `use` does not name would lock the hyperparameter for good; the nearest name is offered."""
    with pytest.raises(ConfigError, match="names no strategy 'trend-helth', did you mean 'trend-health'"):
        read({"hyperparameters": {"learning_rate": {"owner": "trend-helth"}}})


def test_bounds_that_exclude_everything():
    """A least value above the greatest is a fault, of the value and of the factor."""
    with pytest.raises(ConfigError) as raised:
        read({"hyperparameters": {"a": {"min": 2, "max": 1}, "b": {"min_factor": 1.5, "max_factor": 1.0}}})
    assert raised.value.problems == (
        "$.hyperparameters.a: its least value is above its greatest",
        "$.hyperparameters.b: its least value is above its greatest",
    )


def test_an_empty_section(write):
    """An empty `steersman:` section says nothing; the rest of the document is somebody else's."""
    path = write("train.yaml", "steersman:\nlearning_rate: 0.1\n")
    assert read(path).use == read(None).use


def test_a_file_of_the_parent_lies_beside_the_parent(write, tmp_path):
    """An in-house file that a parent config names is found from the parent's folder."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text("use: [./quota.py:Quota, {./quota.py:Quota as more: {}}]\n")
    path = write("steersman.yaml", "extends: shared/base.yaml\n")
    assert [use.target for use in read(path).use] == [f"{tmp_path / 'shared'}/quota.py:Quota"] * 2


def test_faults_of_two_tables_at_once():
    """A fault in one hyperparameter hides neither an unknown name nor the faults of the others."""
    problems: list[str] = []
    config = read({"hyperparameters": {"a": 3, "b": {"min": 2, "max": 1}, "c": {}}, "mode": "atc"}, problems)
    assert len(problems) == 3
    assert any(line.startswith("$.mode: ") for line in problems)
    assert any(line.startswith("$.hyperparameters.a: ") for line in problems)
    assert "$.hyperparameters.b: its least value is above its greatest" in problems
    assert set(config.hyperparameters) == {"a", "b", "c"}


def test_a_key_that_is_there_twice(write):
    """A key written twice is a fault: consent may hang on the one that would have been dropped."""
    path = write("steersman.yaml", "mode: act\ncheck_every: 5\nmode: observe\n")
    with pytest.raises(ConfigError, match="the key 'mode' is there twice"):
        read(path)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"my_loss": "los"}, "$.metrics.my_loss: no strategy of ours looks at 'los', did you mean 'loss'?"),
        ({"a": "loss", "b": "loss"}, "$.metrics.b: another metric is called 'loss' already"),
    ],
)
def test_metrics_that_lead_nowhere(metrics, expected):
    """A misspelt name of ours, or two metrics under one name, is a fault."""
    with pytest.raises(ConfigError) as raised:
        read({"metrics": metrics})
    assert expected in raised.value.problems


def test_as_without_a_name():
    """`as` without a name is a fault."""
    with pytest.raises(ConfigError, match="gives no name after `as`"):
        read({"use": ["eval-loss as "]})


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"recovery": {"factor": 2}}, "$.recovery.factor"),
        ({"recovery": {"factor": 0}}, "$.recovery.factor"),
        ({"recovery": {"max_rollbacks": -1}}, "$.recovery.max_rollbacks"),
        ({"rails": {"largest_change": 0}}, "$.rails.largest_change"),
        ({"rails": {"last_share": float("nan")}}, "$.rails.last_share"),
        ({"rails": {"cooldown": -3}}, "$.rails.cooldown"),
        ({"outcomes": {"judge_after": 0}}, "$.outcomes.judge_after"),
        ({"hyperparameters": {"learning_rate": {"min": float("nan")}}}, "$.hyperparameters.learning_rate.min"),
        ({"hyperparameters": {"learning_rate": {"min_factor": -1}}}, "$.hyperparameters.learning_rate.min_factor"),
    ],
)
def test_a_number_that_cannot_be_meant(raw, path):
    """A number no rail or rollback can work with is a sentence with its path."""
    with pytest.raises(ConfigError, match=re.escape(f"{path}: must be")):
        read(raw)


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        ("AdaptiveKL", "adaptive-kl"),
        ("LayerwiseLR", "layerwise-lr"),
        ("KLWatch", "kl-watch"),
        ("Quota", "quota"),
        ("Top2Loss", "top2-loss"),
    ],
)
def test_the_name_of_an_object(cls, name):
    """An object given in Python is called by its class in small letters, with an acronym kept whole."""
    made = type(cls, (), {})()
    assert [use.name for use in read({"use": [made]}).use] == [name]
