"""`steersman strategies`: the list, which imports no strategy, and `show`, which imports one."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from steersman.config import read

GOOD = '''
from attrs import define
from steersman import Score, hookimpl


@define(eq=False)
class Good:
    """Score by nothing at all."""

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(0.0)
'''


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """No test sees a steersman.yaml but its own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def the(printed, name):
    """Return the one strategy of that name in what `--json` printed."""
    [found] = [each for each in printed["strategies"] if each["name"] == name]
    return found


def test_the_list_names_what_ships(command):
    """Each shipped strategy is there with its summary, its hooks and its distribution; there is no column `active`."""
    result = command("strategies")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    row = f"score Score a checkpoint by a weighted sum of metrics. steersman {version('steersman')} score_checkpoint"
    assert row in said
    assert "diagnose, propose_adjustments" in said
    assert "active" not in said.lower()
    assert "not known" not in said


def test_the_list_as_json(printed_json):
    """`--json` has one object a strategy; without a config `active` is null."""
    printed = printed_json("strategies")
    assert printed["config"] is None
    assert the(printed, "token-accounting") == {
        "name": "token-accounting",
        "summary": "Report the three ledgers when the run ends: what the run itself counted, over resumes.",
        "hooks": ["diagnose"],
        "effects": False,
        "distribution": "steersman",
        "distribution_version": version("steersman"),
        "target": "steersman_plugins.token_accounting:TokenAccounting",
        "active": None,
        "problem": None,
    }


def test_the_list_imports_nothing_heavy():
    """The whole command, in a fresh interpreter, loads neither a strategy nor what strategies and configs need."""
    heavy = ("attrs", "attr", "cattrs", "orjson", "pluggy", "yaml", "steersman_plugins", "email", "importlib.metadata")
    code = (
        "import sys; from steersman.cli import main; main(['strategies'], standalone_mode=False); "
        f"print('imported:', [name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("imported: []\n")
    assert "trend-health" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--config", "steersman.yaml"), ("--json",)])
def test_no_strategy_is_imported(command, distribution, write, arguments):
    """With a config or without, modules that raise when imported and leave a marker are told of and not run."""
    loud = "import sys\nsys.modules['steersman_test_loud'] = sys\nraise RuntimeError('imported')\n" + GOOD
    distribution("loud", {"loud": "loud_mod:Good"}, {"loud_mod": loud})
    write("work/steersman.yaml", "use: [loud, ./mine.py:Good]")
    write("work/mine.py", loud)
    result = command("strategies", *arguments)
    assert result.exit_code == 0
    assert result.stdout.count("Score by nothing at all.") == 2
    assert "steersman_test_loud" not in sys.modules
    assert "loud_mod" not in sys.modules


def test_what_a_config_uses_is_active(printed_json, write):
    """Active is what `use` names, under whatever name, and `score` where there is a section of it; no other is."""
    config = write("run.yaml", "score: {eval_loss: 1.0}\nuse: [eval-loss, multi-metric as plain: {gap_weight: 0}]")
    printed = printed_json("strategies", "--config", config)
    active = {each["name"] for each in printed["strategies"] if each["active"]}
    assert active == {"score", "eval-loss", "multi-metric"}
    assert {each["active"] for each in printed["strategies"]} == {True, False}
    assert printed["config"] == str(config)


def test_what_a_config_extends_is_active(printed_json, write):
    """A config that says nothing of strategies uses those of the shipped default."""
    printed = printed_json("strategies", "--config", write("run.yaml", "mode: act"))
    active = {each["name"] for each in printed["strategies"] if each["active"]}
    assert active == {use.name for use in read(None).use}


def test_the_config_that_lies_here_is_said(command, write):
    """A ./steersman.yaml is read without being asked for, and named; `yes` stands behind what it uses."""
    write("work/steersman.yaml", "use: [eval-loss]")
    result = command("strategies")
    assert "Active is what steersman.yaml uses. What is installed and not used does not run." in result.stdout
    ends = {line.split()[0]: line.split()[-1] for line in result.stdout.splitlines() if line.strip().endswith("yes")}
    assert ends == {"eval-loss": "yes"}


def test_in_house_strategies_are_listed(printed_json, write):
    """A file that the config names is listed with what its source says; its path counts from the config's folder."""
    write("elsewhere/hooks/mine.py", GOOD)
    config = write("elsewhere/run.yaml", "use: [./hooks/mine.py:Good, eval-loss]")
    mine = the(printed_json("strategies", "--config", config), "./hooks/mine.py:Good")
    assert mine["summary"] == "Score by nothing at all."
    assert (mine["active"], mine["distribution"], mine["problem"]) == (True, None, None)


def test_a_name_that_nobody_has_is_told(command, printed_json, write):
    """A config that uses what is not installed is told so, with the nearest name; the list is there."""
    config = write("run.yaml", "use: [eval-los]")
    problem = f"{config} uses it, and no installed strategy has that name, did you mean 'eval-loss'?"
    missing = the(printed_json("strategies", "--config", config), "eval-los")
    assert (missing["active"], missing["target"], missing["problem"]) == (True, None, problem)
    said = " ".join(command("strategies", "--config", config).stdout.split())
    assert "no installed strategy has that name, did you mean 'eval-loss'?" in said


def test_one_that_is_broken_hides_no_other(command, printed_json, distribution):
    """A package that cannot be read is a row and a sentence; the others are told as ever, and the exit code is 0."""
    distribution("broken-package", {"broken": "broken_mod:Good"}, {"broken_mod": "class"}, version="2.0")
    broken = the(printed_json("strategies"), "broken")
    assert broken["problem"].endswith("broken_mod.py, line 1: invalid syntax")
    result = command("strategies")
    assert result.exit_code == 0
    assert "broken (broken-package 2.0): " in result.stdout
    assert "trend-health" in result.stdout


def test_two_that_claim_a_name_are_both_listed(command, printed_json, distribution):
    """Both rows are there, each with the other named."""
    distribution("first", {"claimed": "first_mod:Good"}, {"first_mod": GOOD})
    distribution("second", {"claimed": "second_mod:Good"}, {"second_mod": GOOD})
    claimed = [each for each in printed_json("strategies")["strategies"] if each["name"] == "claimed"]
    assert [each["distribution"] for each in claimed] == ["first", "second"]
    said = " ".join(command("strategies").stdout.split())
    assert "claimed (first 1.0): second 1.0 (second_mod:Good) provides 'claimed' too; uninstall one of them" in said


def test_nothing_that_steers_a_terminal_is_printed(command, distribution):
    """What a package says of itself is printed without its control characters."""
    source = GOOD.replace("nothing at all", "\\x1b[31mred\\x1b[0m")
    distribution("rude", {"rude\x1b[2J": "rude_mod:Good"}, {"rude_mod": source})
    assert "\x1b" not in command("strategies").stdout


def test_a_config_that_is_wrong_is_an_error_where_asked_for(command, write):
    """With --config every fault of it is told and nothing is listed; the one that lies here costs a note only."""
    write("work/steersman.yaml", "mode: atc")
    asked = command("strategies", "--config", "steersman.yaml")
    assert (asked.exit_code, asked.stdout) == (2, "")
    assert "$.mode: expected one of" in asked.stderr
    found = command("strategies")
    assert found.exit_code == 0
    assert found.stderr.startswith("Note: which are active is not known. steersman.yaml: 1 problem")
    assert "eval-loss" in found.stdout
    assert "Active is" not in found.stdout


def test_a_config_that_is_gone_is_an_error(command):
    """A path that is not there is named."""
    result = command("strategies", "--config", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_options_before_a_subcommand_are_refused(command):
    """`strategies --json show` would leave the option unheard, so it is refused with where it belongs."""
    result = command("strategies", "--json", "show", "eval-loss")
    assert result.exit_code == 2
    assert "--config and --json belong behind 'show'" in result.stderr


def test_the_help_names_what_can_be_done(command):
    """The help has the subcommands and command lines to paste; a misspelt subcommand is answered with the nearest."""
    result = command("strategies", "--help")
    assert result.exit_code == 0
    for name in ("show", "new", "check"):
        assert f"\n  {name} " in result.stdout
    assert "\n    steersman strategies show trend-health" in result.stdout
    assert "No such command 'shw'; did you mean 'show'?" in command("strategies", "shw").stderr


TOLD = '''
from typing import ClassVar, Literal

from attrs import define, field, frozen
from steersman import Score, hookimpl

print("noise of an import")


@frozen
class Rules:
    """Thresholds."""

    high: float = 1e-7
    """What is high."""


@define(eq=False)
class Told:
    """Say much.

    In two paragraphs.
    """

    window: int
    """Evaluations that count."""
    preset: Literal["mild", "harsh"] = "mild"
    """Which rules: [bold]not markup[/bold]."""
    rules: Rules = field(factory=Rules)

    effects: ClassVar[bool] = True
    needs_snapshots: ClassVar[bool] = True

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(0.0)

    @hookimpl
    def on_log(self, run, log): ...
'''
CONFIG = """use:
  - told:
      window: 1
      preset: mild
      # rules:
      #   high: 1.0e-07
"""


@pytest.fixture
def told(distribution, tmp_path):
    """Install a strategy `told`, and one that must not be imported beside it; return the file of the first."""
    loud = "import sys\nsys.modules['steersman_test_loud'] = sys\n" + GOOD
    distribution("loud", {"loud": "loud_mod:Good"}, {"loud_mod": loud})
    distribution("told-package", {"told": "told_mod:Told"}, {"told_mod": TOLD}, version="2.1")
    return tmp_path / "site-told-package" / "told_mod.py"


def test_show_as_json(printed_json, told):
    """Everything of one strategy is one object; what it prints while it is imported is not in it, and no other runs."""
    assert printed_json("strategies", "show", "told") == {
        "version": 1,
        "name": "told",
        "docstring": "Say much.\n\nIn two paragraphs.",
        "options": [
            {
                "name": "window",
                "type": "whole number",
                "default": None,
                "required": True,
                "meaning": "Evaluations that count.",
            },
            {
                "name": "preset",
                "type": "mild or harsh",
                "default": "mild",
                "required": False,
                "meaning": "Which rules: [bold]not markup[/bold].",
            },
            {"name": "rules.high", "type": "number", "default": 1e-07, "required": False, "meaning": "What is high."},
        ],
        "hooks": ["on_log", "score_checkpoint"],
        "effects": True,
        "needs_snapshots": True,
        "scores_late": False,
        "logs_with_usage_only": False,
        "distribution": "told-package",
        "distribution_version": "2.1",
        "file": str(told),
        "config": CONFIG,
        "config_problems": [],
    }
    assert "steersman_test_loud" not in sys.modules


def test_show_as_a_page(command, told):
    """The page has the docstring, where it is, what it declares, a row an option, and the config with nothing before it."""
    result = command("strategies", "show", "told")
    assert result.exit_code == 0
    assert result.stdout.startswith("told\n  Say much.\n\n  In two paragraphs.\n")
    assert "noise" not in result.stdout
    said = " ".join(result.stdout.split())
    for part in (
        "From: told-package 2.1 (told_mod:Told)",
        "Hooks: on_log, score_checkpoint",
        "It acts outside the run, so replay leaves it out unless asked with --effects.",
        "It may roll the run back, so a run that uses it keeps snapshots.",
        "window whole number required Evaluations that count.",
        "preset mild or harsh mild Which rules: [bold]not markup[/bold].",
        "rules.high number 1.0e-07 What is high.",
    ):
        assert part in said
    assert str(told) in result.stdout.replace("\n", "")
    assert result.stdout.endswith(f"\n{CONFIG}")


def test_what_show_gives_to_paste_is_a_config(command, printed_json, told, write):
    """The config it prints is sound as it is, for each shipped strategy and for a stranger's."""
    names = [each["name"] for each in printed_json("strategies")["strategies"] if each["distribution"] == "steersman"]
    for name in (*names, "told"):
        config = write(f"{name}.yaml", printed_json("strategies", "show", name)["config"])
        assert command("config", "check", config).exit_code == 0, config.read_text()


def test_show_of_a_file(printed_json, write):
    """A file of one's own is shown by FILE:CLASS from where one stands; it is of no distribution."""
    file = write("work/hooks/mine.py", GOOD)
    shown = printed_json("strategies", "show", "./hooks/mine.py:Good")
    assert (shown["name"], shown["file"], shown["distribution"]) == ("./hooks/mine.py:Good", str(file), None)
    assert shown["options"] == []
    assert shown["config"] == "use:\n  - ./hooks/mine.py:Good\n"


def test_show_of_one_without_options(command):
    """A strategy that takes nothing says so."""
    assert "Options\n  It has none.\n" in command("strategies", "show", "eval-loss").stdout


def test_show_says_what_must_be_filled_in(command, write, monkeypatch):
    """Where no value can be made up, such as a secret, what is missing stands above the config."""
    monkeypatch.delenv("NAME", raising=False)
    source = GOOD.replace("import Score,", "import Score, Secret,").replace('all."""', 'all."""\n\n    token: Secret')
    write("work/mine.py", source)
    result = command("strategies", "show", "mine.py:Good")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "Before it loads: mine.py:Good.token: the environment variable NAME is not set" in said
    assert "token secret, as {env: NAME} required" in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("trend-helth", "no strategy named 'trend-helth', did you mean 'trend-health'? Installed: "),
        ("broken", "strategy 'broken' from broken-package 2.0 (broken_mod:It) cannot be imported: RuntimeError: no GPU"),
        ("gone", "strategy 'gone' from broken-package 2.0 (gone_mod:It) cannot be imported: ModuleNotFoundError"),
        ("module", "strategy 'module' from broken-package 2.0 (hookless_mod) is a module; an entry point must name a class"),
        ("number", "strategy 'number' from broken-package 2.0 (hookless_mod:x) is a int; an entry point must name a class"),
        ("hookless", "HOOKLESS has no hook; mark one of"),
        ("./mine.py:Goood", "mine.py has no class 'Goood', did you mean 'Good'?; it has Good"),
        ("./gone.py:Good", "there is no file"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_shown_is_a_sentence(command, distribution, write, name, sentence):
    """Exit code 2, nothing on standard output, and one sentence that says what is wrong and where."""
    points = {
        "broken": "broken_mod:It",
        "gone": "gone_mod:It",
        "module": "hookless_mod",
        "number": "hookless_mod:x",
        "hookless": "hookless_mod:HOOKLESS",
    }
    modules = {"broken_mod": "raise RuntimeError('no GPU')", "hookless_mod": "x = 1\nclass HOOKLESS: ..."}
    distribution("broken-package", points, modules, version="2.0")
    write("work/mine.py", GOOD)
    result = command("strategies", "show", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.stderr


def test_one_that_two_provide_cannot_be_shown(command, distribution):
    """Where two distributions claim a name, both are named."""
    distribution("first", {"claimed": "first_mod:Good"}, {"first_mod": GOOD})
    distribution("second", {"claimed": "second_mod:Good"}, {"second_mod": GOOD})
    result = command("strategies", "show", "claimed")
    assert result.exit_code == 2
    assert "strategy 'claimed' is provided by " in result.stderr
    assert "first 1.0 (first_mod:Good)" in result.stderr
    assert "second 1.0 (second_mod:Good)" in result.stderr


def test_what_a_strategy_declares_is_shown(command, tmp_path):
    """`strategies show` says that a weighted score is made again when a metric comes late, and who hears tokens only."""
    file = tmp_path / "mine.py"
    file.write_text(f"from typing import ClassVar\n{GOOD}    logs_with_usage_only: ClassVar[bool] = True\n")
    assert "again when one of them comes late" in " ".join(command("strategies", "show", "score").stdout.split())
    shown = command("strategies", "show", f"{file}:Good")
    assert "only those that tell of tokens" in " ".join(shown.stdout.split())
