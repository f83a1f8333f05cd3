"""`steersman config`: what it says of sound and of faulty configs, and that what it shows can be pasted."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from steersman.cli import main
from steersman.config import read
from steersman.config.yaml_text import loads
from steersman.loading import load

HOUSE = """
from typing import Literal

from attrs import define, field, frozen

from steersman import hookimpl


@frozen
class Rule:
    factor: float = 0.5
    a: int = 1
    b: int = 2
    c: int = 3
    d: int = 4
    e: int = 5


@define(eq=False)
class Quota:
    hours: float = 24.0
    unit: Literal["on", "off", "no"] = "no"
    names: list[str] = field(factory=lambda: ["1e-4", "yes"])
    rule: Rule = field(factory=Rule)
    limit: float | None = None

    @hookimpl
    def on_log(self, run, log):
        pass


@define(eq=False)
class Needs:
    field: str

    @hookimpl
    def on_log(self, run, log):
        pass
"""


def shown_lines(text):
    """Each line of YAML as its words and its comment."""
    return {line.partition("  # ")[0].strip(): line.partition("  # ")[2] for line in text.splitlines()}


def test_a_sound_config(command, write):
    """A sound config is one line: where it is, what may be done, who is asked."""
    path = write("steersman.yaml", "mode: act\nwithout: [token-accounting]\n")
    result = command("config", "check", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        result.stdout
        == f"{path}: sound; mode act; asks eval-loss, trend-health, rl-health, recovery, step-guard, averaged\n"
    )


def test_a_sound_config_as_an_object(printed_json, write):
    """With --json a sound config has no problems."""
    path = write("steersman.yaml", "use: [eval-loss]\n")
    assert printed_json("config", "check", path) == {
        "version": 1, "source": str(path), "problems": [], "mode": "advise", "asks": ["eval-loss"], "notes": [],
    }  # fmt: skip


def test_a_config_that_asks_nobody(command, write):
    """That no strategy is asked is said."""
    path = write("steersman.yaml", "extends: []\n")
    assert command("config", "check", path).stdout == f"{path}: sound; mode advise; asks nobody\n"


def test_a_hyperparameter_that_no_trainer_has(command, write):
    """A name that only a script can make known is no fault; a note says so, with the nearest known name."""
    path = write("steersman.yaml", "hyperparameters: {learning_rat: {}, learning_rate: {}}\n")
    result = command("config", "check", path)
    assert result.exit_code == 0
    assert result.stderr == (
        "Note: $.hyperparameters.learning_rat: no trainer has it by itself, did you mean 'learning_rate'?; "
        "a script must hand it over\n"
    )


BAD = {
    "extends: [base.yaml\n": "it does not parse: line 2, column 1: ",
    "- act\n": "expected a table of options, got list",
    "mode: no\n": "$.mode: expected one of 'observe', 'advise', 'ask', 'act', got 'no'",
    "time_budget: soon\n": "$.time_budget: expected a number, got 'soon'",
    "without: [nobody]\n": "$.without[0]: no config that this one extends names a strategy 'nobody'; there are ",
    "use: [eval-loss: {}, trend-health: {}]\nuse: []\n": "it does not parse: line 1, column 1: the key 'use' is there",
    "use: [{eval-loss: {}, trend-health: {}}]\n": "$.use[0]: expected one strategy with its options, got 2 names",
    "use: [eval-los]\n": "$.use[0]: no strategy named 'eval-los', did you mean 'eval-loss'?",
    "use: [eval-loss: {on_error: explode}]\n": "$.use[0].eval-loss.on_error: expected one of ",
    "use: [multi-metric: {gap_weigth: 1}]\n": "$.use[0].multi-metric: unknown option 'gap_weigth', did you mean 'gap_w",
    "use: [multi-metric: {gap_weight: much}]\n": "$.use[0].multi-metric.gap_weight: expected a number, got 'much'",
    "use: [./house.py:Needs as x]\n": "$.use[0].x.field: is required",
    "use: [./house.py:Needs as x: {field: no, time_budget: -1}]\n": "$.use[0].x.time_budget: must be above 0, got -1",
    "use: [./gone.py:Quota]\n": "$.use[0]: './gone.py:Quota': there is no file ",
    "use: [./house.py:Quotas]\n": "house.py has no class 'Quotas', did you mean 'Quota'?",
    "use: [./broken.py:Quota]\n": "broken.py, line 2 cannot be imported: SyntaxError: ",
    "use: [./house.py:Quota: {rule: {factor: x}}]\n": "$.use[0].Quota.rule.factor: expected a number, got 'x'",
    "use: [./house.py:Quota: {rule: 3}]\n": "$.use[0].Quota.rule: expected a table of options, got 3",
    "extends: steersman.yaml\n": "$.extends: 'steersman.yaml' extends itself",
}


@pytest.mark.parametrize(("text", "expected"), BAD.items())
def test_a_faulty_config(command, write, text, expected):
    """A fault of a config or of a strategy in it is a sentence, with exit code 2."""
    write("house.py", HOUSE)
    write("broken.py", "import math\nclass Quota(:\n")
    path = write("steersman.yaml", text)
    result = command("config", "check", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: {path}: 1 problem\n  ")
    assert expected in result.stderr


def test_numbers_and_words(command, write):
    """`1e-4` is a number and `no` a word where an option wants one."""
    write("house.py", HOUSE)
    path = write("steersman.yaml", "use: [./house.py:Quota: {hours: 1e-4, unit: no}]\n")
    assert command("config", "check", path).exit_code == 0


def test_every_fault_as_an_object(command, write):
    """With --json every fault is in a list, beside the sentences and exit code 2."""
    path = write("steersman.yaml", "mode: atc\nuse: [eval-los]\n")
    result = command("config", "check", path, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (told["version"], told["source"]) == (1, str(path))
    assert [problem.partition(": ")[0] for problem in told["problems"]] == ["$.mode", "$.use[0]"]
    assert "2 problems" in result.stderr


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("STEERSMAN__USE__MULTI_METRIC__GAP_WEIGHT", "x", "$.use[0].multi-metric.gap_weight: expected a number, got 'x'"),
        ("STEERSMAN__USE__MULTI_METRIC__GAP_WIEGHT", "1",
         "$.use[0].multi-metric: unknown option 'gap_wieght', did you mean 'gap_weight'?"),
        ("STEERSMAN__USE__TREND_HEALTH__GUARDED__FACTORR", "1", "$.use[2].trend-health.guarded: unknown option 'factorr'"),
        ("STEERSMAN__USE__TREND_HEALTH", "{preset: sed}",
         "$.use[2].trend-health.preset: expected one of 'guarded', 'seed', got 'sed', did you mean 'seed'?"),
    ],
)  # fmt: skip
def test_an_option_from_the_environment_that_is_wrong(command, write, monkeypatch, variable, text, expected):
    """A fault of a strategy's option names the variable that it came from."""
    monkeypatch.setenv(variable, text)
    result = command("config", "check", write("steersman.yaml", "extends: origin\n"))
    assert f"  environment variable {variable}: {expected}" in result.stderr


def test_a_fault_that_the_environment_did_not_cause(command, write, monkeypatch):
    """A fault of another option is not laid at the door of a variable."""
    monkeypatch.setenv("STEERSMAN__USE__MULTI_METRIC__GAP_WEIGHT", "1")
    path = write("steersman.yaml", "use: [multi-metric: {improvement: bes}, multi-metric as b: {gap_weight: x}]\n")
    result = command("config", "check", path)
    assert "\n  $.use[0].multi-metric.improvement: expected one of" in result.stderr
    assert "\n  $.use[1].b.gap_weight: expected a number" in result.stderr


def test_where_each_value_came_from(command, write, monkeypatch):
    """Each value is shown with the layer it came from, or with whose default it is."""
    monkeypatch.setenv("STEERSMAN__RAILS__BUDGET", "3")
    monkeypatch.setenv("STEERSMAN__USE__SECOND__GAP_WEIGHT", "0")
    base = write("base.yaml", "rails: {cooldown: 2}\nuse: [eval-loss, multi-metric as second: {improvement: best}]\n")
    path = write("steersman.yaml", "extends: base.yaml\nmode: act\nhyperparameters: {kl_penalty: {max: 1}}\n")
    result = command("config", "show", path)
    assert result.exit_code == 0
    lines = shown_lines(result.stdout)
    assert {text: lines[text] for text in (
        "mode: act", "check_every: auto", "max: 1.0", "cooldown: 2", "budget: 3", "last_share: 0.2", "- eval-loss",
        "- multi-metric as second:", "improvement: best", "gap_weight: 0", "perplexity_weight: 0.1",
    )} == {
        "mode: act": str(path),
        "check_every: auto": "default",
        "max: 1.0": str(path),
        "cooldown: 2": str(base),
        "budget: 3": "environment variable STEERSMAN__RAILS__BUDGET",
        "last_share: 0.2": "default",
        "- eval-loss": str(base),
        "- multi-metric as second:": str(base),
        "improvement: best": str(base),
        "gap_weight: 0": "environment variable STEERSMAN__USE__SECOND__GAP_WEIGHT",
        "perplexity_weight: 0.1": "default of multi-metric",
    }  # fmt: skip


def test_the_order_in_which_strategies_are_asked(command, write):
    """The order is shown above, `score` first, and the entries are in it."""
    path = write("steersman.yaml", "use: [trend-health, eval-loss]\nscore: {eval_a_loss: 2}\n")
    lines = command("config", "show", path).stdout.splitlines()
    assert lines[:3] == [
        f"# {path} over default (shipped)", "# asked in this order: score, trend-health, eval-loss", "extends: []",
    ]  # fmt: skip
    assert [line.split("#")[0].strip() for line in lines if line.startswith("  - ")] == [
        "- trend-health:",
        "- eval-loss",
    ]


SHOWN = {
    "nothing": "",
    "origin": "extends: origin\n",
    "no strategy": "extends: []\n",
    "no rails": "extends: [default, no-rails]\nmode: ask\n",
    "in-house": "use: [./house.py:Quota: {hours: '1e-4', unit: no, rule: {factor: 2}, on_error: stop, time_budget: 3}]\n",
    "no limit": "use: [./house.py:Quota as odd name: {time_budget: }, eval-loss]\ntime_budget: null\n",
    "score": "score: {eval_a_loss: 0.7, eval_b: {weight: 2, direction: higher}}\nuse: []\n",
    "names": "metrics: {'a: b': loss, '1': reward}\nhyperparameters: {'learning_rate[1]': {min: 1e-7}, kl_penalty: {}}\n",
    "presets": "use: [trend-health: {guarded: {}, loss_rules: on}]\njournal: 'a # b.jsonl'\ncheck_every: 5 steps\n",
}


@pytest.mark.parametrize("every", [[], ["--all"]], ids=["changed", "all"])
@pytest.mark.parametrize("text", SHOWN.values(), ids=list(SHOWN))
def test_what_is_shown_can_be_pasted(command, write, monkeypatch, tmp_path, text, every):
    """What is shown reads back as the same config, its strategies with the same options."""
    write("house.py", HOUSE)
    path = write("steersman.yaml", text)
    monkeypatch.chdir(tmp_path)
    result = command("config", "show", path, *every)
    assert result.exit_code == 0
    asked = read(path, environment={})
    problems = []
    made = load(asked, problems)
    pasted = read(write("pasted.yaml", result.stdout), environment={})
    again = load(pasted, problems)
    assert problems == []
    for name in ("mode", "check_every", "rails", "outcomes", "metrics", "hyperparameters", "journal", "time_budget"):
        assert getattr(pasted, name) == getattr(asked, name)
    for ours, theirs in zip(made, again, strict=True):
        assert (ours.name, ours.target, repr(ours.strategy)) == (theirs.name, theirs.target, repr(theirs.strategy))
    assert [(use.on_error, use.time_budget) for use in asked.use] == [(u.on_error, u.time_budget) for u in pasted.use]


def test_long_tables_that_nobody_changed(command, write):
    """A long table of options is named and left out, shown as far as it was changed, and whole with --all."""
    write("house.py", HOUSE)
    untouched = write("a.yaml", "use: [./house.py:Quota]\n")
    changed = write("b.yaml", "use: [./house.py:Quota: {rule: {d: 9}}]\n")
    assert "# and, at their defaults: rule (--all)" in command("config", "show", untouched).stdout
    shown = command("config", "show", changed).stdout
    assert shown_lines(shown)["d: 9"] == str(changed)
    assert "# and, at their defaults: factor, a, b, c, e (--all)\n" in shown
    whole = shown_lines(command("config", "show", changed, "--all").stdout)
    assert (whole["d: 9"], whole["factor: 0.5"], whole["e: 5"]) == (str(changed), *["default of Quota"] * 2)


def test_without_a_file(command, monkeypatch, tmp_path):
    """Without FILE it is ./steersman.yaml where there is one, else what a run without a config has."""
    monkeypatch.chdir(tmp_path)
    assert "# default (shipped)\n" in command("config", "show").stdout
    (tmp_path / "steersman.yaml").write_text("mode: act\n")
    assert shown_lines(command("config", "show").stdout)["mode: act"] == "steersman.yaml"


def test_shown_as_an_object(printed_json, write):
    """With --json the whole config is there as plain values, with the origin of each by its path."""
    path = write("steersman.yaml", "mode: act\nwithout: [token-accounting]\n")
    told = printed_json("config", "show", path)
    assert (told["version"], told["source"]) == (1, str(path))
    assert told["layers"] == ["default (shipped)", str(path)]
    assert told["asks"] == ["eval-loss", "trend-health", "rl-health", "recovery", "step-guard", "averaged"]
    assert (told["config"]["mode"], told["origins"]["$.mode"]) == ("act", str(path))
    assert (told["config"]["rails"]["budget"], told["origins"]["$.rails.budget"]) == (20, "default")
    assert told["config"]["use"][1]["trend-health"]["preset"] == "guarded"
    assert told["origins"]["$.use[1]"] == "default (shipped)"
    assert told["origins"]["$.use[1].trend-health.preset"] == "default (shipped)"
    assert read(told["config"], environment={}).mode == "act"


SECRETIVE = """
from attrs import define, field
from steersman import Secret, hookimpl


@define(eq=False)
class Hook:
    token: Secret
    other: Secret = field(factory=lambda: Secret("STEERSMAN_TEST_OTHER"))

    @hookimpl
    def on_log(self, run, log):
        pass
"""


def test_a_secret_is_never_shown(command, write, monkeypatch):
    """A secret is shown as the variable that holds it, and what was given in place of one is not told either."""
    pytest.importorskip("steersman.secrets")
    for name in ("TOKEN", "OTHER"):
        monkeypatch.setenv(f"STEERSMAN_TEST_{name}", "hunter2")
    write("hook.py", SECRETIVE)
    path = write("steersman.yaml", "use: [./hook.py:Hook: {token: {env: STEERSMAN_TEST_TOKEN}}]\n")
    shown = command("config", "show", path)
    as_object = command("config", "show", path, "--json")
    assert shown_lines(shown.stdout)["env: STEERSMAN_TEST_TOKEN"] == str(path)
    assert shown_lines(shown.stdout)["env: STEERSMAN_TEST_OTHER"] == "default of Hook"
    assert loads(shown.stdout)["use"][0]["./hook.py:Hook"]["token"] == {"env": "STEERSMAN_TEST_TOKEN"}
    monkeypatch.setenv("STEERSMAN__USE__HOOK__TOKEN", "hunter2")
    wrong = command("config", "check", path)
    assert "environment variable STEERSMAN__USE__HOOK__TOKEN: $.use[0].Hook.token: " in wrong.stderr
    assert not any("hunter2" in text for text in (shown.output, as_object.output, wrong.output))


def test_a_config_that_holds_an_object(command, distribution, write):
    """A config of a distribution may hold an object: it is named, as it has no form in YAML."""
    source = HOUSE + "\nOWN = {'use': ['eval-loss', Quota(hours=2)]}\n"
    distribution("own", {"own": "own_config:OWN"}, {"own_config": source}, group="steersman.configs")
    result = command("config", "show", write("steersman.yaml", "extends: own\n"))
    assert result.exit_code == 0
    lines = shown_lines(result.stdout)
    assert lines["- eval-loss"] == "own (own 1.0)"
    assert "  # an object of Python, Quota, has no form in YAML" in result.stdout
    assert loads(result.stdout)["use"] == ["eval-loss"]


def test_a_faulty_config_is_not_shown(command, write):
    """What is wrong with a config is told instead of showing half of it."""
    result = command("config", "show", write("steersman.yaml", "mode: atc\n"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'act'?" in result.stderr


def test_the_schema_is_draft_07(command, tmp_path):
    """The schema says by which draft it is to be read, and is the same on standard output as in a file."""
    pytest.importorskip("steersman.config.json_schema")
    result = command("config", "schema")
    written = command("config", "schema", "--output", tmp_path / "schema.json")
    assert json.loads(result.stdout)["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert written.stdout == f"written to {tmp_path / 'schema.json'}\n"
    assert (tmp_path / "schema.json").read_text() == result.stdout


def test_a_schema_that_cannot_be_written(command, tmp_path):
    """A file that cannot be written is a sentence."""
    pytest.importorskip("steersman.config.json_schema")
    result = command("config", "schema", "--output", tmp_path / "no" / "schema.json")
    assert (result.exit_code, result.stderr) == (2, f"Error: {tmp_path}/no/schema.json: No such file or directory\n")


def test_the_schema_names_a_strategy_that_cannot_be_imported(command, distribution):
    """A broken strategy is a note on standard error; the schema of all else is printed, and the exit code is 0."""
    distribution("torn", {"torn": "torn_mod:It"}, {"torn_mod": "raise RuntimeError('no GPU')"})
    result = command("config", "schema")
    assert (result.exit_code, json.loads(result.stdout)["title"]) == (0, "A config of Steersman")
    reason = "strategy 'torn' from torn 1.0 (torn_mod:It) cannot be imported: RuntimeError: no GPU"
    assert result.stderr == f"Note: {reason}; the schema lets any options of it pass\n"


@pytest.mark.parametrize("name", ["check", "show", "schema"])
def test_each_command_has_an_example_and_its_short_help(command, name):
    """Each command ends its help with a line that can be pasted, and says of itself what the group says of it."""
    group = main.get_command(click.Context(main), "config")
    result = command("config", name, "--help")
    assert result.exit_code == 0
    assert f"\n    steersman config {name}" in result.stdout
    found = group.get_command(click.Context(group), name)
    assert found.get_short_help_str(200) == group.lazy[name][1]


def test_the_group_says_of_itself_what_the_help_says():
    """What `steersman --help` says without importing the group is what it says of itself."""
    group = main.get_command(click.Context(main), "config")
    formatter = click.HelpFormatter(width=200)
    main.format_commands(click.Context(main), formatter)
    told = [line.split(maxsplit=1) for line in formatter.getvalue().splitlines()]
    assert ["config", group.get_short_help_str(200)] in told


def test_a_misspelt_command(command):
    """A misspelt command of the group is answered with the nearest one."""
    result = command("config", "chek")
    assert result.exit_code == 2
    assert "No such command 'chek'; did you mean 'check'?" in result.stderr


def test_help_imports_nothing_heavy():
    """The help of the group imports none of the libraries that a config needs."""
    code = (
        "import sys; from steersman.cli import main; main(['config', '--help'], standalone_mode=False); "
        "print('imported:', [n for n in ('attrs', 'cattrs', 'pluggy', 'rich', 'torch', 'yaml') if n in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("imported: []\n")


PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "configure.md"


@pytest.mark.parametrize("block", re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S))
def test_the_page_shows_what_is_printed(command, monkeypatch, tmp_path, block):
    """The page on configs shows what its commands print, in that order, but for the lines it leaves out as `...`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steersman.yaml").write_text("mode: act\nwithout: [token-accounting]\n")
    typed, *shown = block.splitlines()
    words = typed.removeprefix("$ ").split()
    for name, value in (word.split("=") for word in words if "=" in word):
        monkeypatch.setenv(name, value)
    printed = iter(command(*[word for word in words if "=" not in word][1:]).stdout.splitlines())
    assert [line for line in shown if line != "..." and line not in printed] == []
