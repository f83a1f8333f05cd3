import hashlib
import sys

import pytest
from attrs import define

from steersman import Score, hookimpl
from steersman.config import read
from steersman.hookspecs import HOOKS
from steersman.loading import installed, load, register

SOUND = """
from attrs import define, field
from steersman import Score, hookimpl

@define(eq=False)
class Sound:
    window: int = 3
    rate: float = 0.5

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(float(self.window))

class Undecorated:
    def diagnose(self, run, check):
        return None

class Hookless:
    def helper(self):
        return None

class Misspelt:
    @hookimpl
    def on_lag(self, run, log):
        return None

class MisspeltArgument:
    @hookimpl
    def on_log(self, run, lgo):
        return None

class StrangeArgument:
    @hookimpl
    def on_log(self, run, trainer):
        return None

class Async:
    @hookimpl
    async def on_log(self, run, log):
        return None

class Greedy:
    @hookimpl
    def on_log(self, *everything):
        return None

@define
class ByValue:
    @hookimpl
    def on_log(self, run, log):
        return None

class NeedsArguments:
    def __init__(self, path):
        self.path = path

    @hookimpl
    def on_log(self, run, log):
        return None

@define(eq=False)
class Required:
    path: str

    @hookimpl
    def on_log(self, run, log):
        return None

@define(eq=False)
class Refuses:
    window: int = 0

    def __attrs_post_init__(self):
        raise ValueError("the window must be odd")

    @hookimpl
    def on_log(self, run, log):
        return None

def function(run, log):
    return None

instance = Sound()
"""


def problems_of(*use, **config):
    problems = []
    load(read({"extends": [], "use": list(use), **config}, problems), problems)
    return problems


@pytest.fixture
def shop(distribution):
    """Install the distribution `shop` with every class of the module above under its own name."""
    names = ["Sound", "Undecorated", "Hookless", "Misspelt", "MisspeltArgument", "StrangeArgument", "Async", "Greedy"]
    names += ["ByValue", "NeedsArguments", "Required", "Refuses", "function", "instance", "absent"]
    points = {name.lower(): f"shop_strategies:{name}" for name in names}
    points |= {"module": "shop_strategies", "broken": "shop_broken:Broken", "gone": "shop_gone:Gone"}
    distribution("shop", points, {"shop_strategies": SOUND, "shop_broken": "raise RuntimeError('no GPU here')"})


def test_discovery_imports_nothing(shop):
    """Installed strategies are listed by name and distribution, and not one of their modules is imported."""
    (point,) = installed()["sound"]
    assert point == ("sound", "shop_strategies:Sound", "shop", "1.0")
    assert "broken" in installed()
    assert not {"shop_strategies", "shop_broken"} & set(sys.modules)


def test_installed_is_not_active(shop):
    """Only what the config names is imported and loaded, in its order, with its options and its origin."""
    problems = []
    config = read({"extends": [], "use": ["eval-loss", {"sound as short": {"window": 2}}]}, problems)
    fallback, short = load(config, problems)
    assert problems == []
    assert (fallback.name, fallback.target) == ("eval-loss", "eval-loss")
    assert (short.name, short.target, short.options) == ("short", "sound", {"window": 2})
    assert short.origin == "shop 1.0 (shop_strategies:Sound)"
    assert (short.strategy.window, short.strategy.rate) == (2, 0.5)
    assert "shop_broken" not in sys.modules


def test_an_unknown_name(shop):
    """An unknown name is told with the nearest one and all that are installed."""
    (problem,) = problems_of("sounds")
    assert problem.startswith("$.use[0]: no strategy named 'sounds', did you mean 'sound'? Installed: absent, async,")
    assert "eval-loss" in problem


def test_a_name_unlike_any(shop):
    """A name unlike every other gets no guess."""
    (problem,) = problems_of("qqqqqq")
    assert problem.startswith("$.use[0]: no strategy named 'qqqqqq'. Installed: ")


def test_two_distributions_with_one_name(shop, distribution):
    """A name that two distributions provide is refused and names both with their versions."""
    distribution("stall", {"sound": "stall_strategies:Sound"}, {"stall_strategies": SOUND}, version="2.5")
    (problem,) = problems_of("sound")
    assert problem.startswith("$.use[0]: strategy 'sound' is provided by ")
    assert "shop 1.0 (shop_strategies:Sound)" in problem
    assert "stall 2.5 (stall_strategies:Sound)" in problem
    assert problem.endswith("; uninstall one of them")


def test_twins_that_are_not_named_harm_nobody(shop, distribution):
    """Two distributions with one name are no matter to a config that names neither."""
    distribution("stall", {"sound": "stall_strategies:Sound"}, {"stall_strategies": SOUND})
    assert problems_of("eval-loss") == []


WHO = "from shop 1.0 (shop_strategies:{})"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("broken", "from shop 1.0 (shop_broken:Broken) cannot be imported: RuntimeError: no GPU here"),
        ("gone", "cannot be imported: ModuleNotFoundError: No module named 'shop_gone'"),
        ("absent", "cannot be imported: AttributeError: module 'shop_strategies' has no attribute 'absent'"),
        ("module", "strategy 'module' from shop 1.0 (shop_strategies) is a module; an entry point must name a class"),
        ("function", f"strategy 'function' {WHO.format('function')} is a function; an entry point must name a class"),
        ("instance", f"strategy 'instance' {WHO.format('instance')} is a Sound; an entry point must name a class"),
        ("hookless", f"{WHO.format('Hookless')}: Hookless has no hook; mark one of on_train_begin, "),
        ("undecorated", "its method diagnose lacks the decorator @hookimpl, so it would never be called"),
        ("misspelt", "there is no hook 'on_lag', did you mean 'on_log'?"),
        ("misspeltargument", "on_log asks for an argument 'lgo' that it will not get, did you mean 'log'?"),
        ("strangeargument", "on_log asks for an argument 'trainer' that it will not get; it may take run and log"),
        ("async", "on_log is async; hooks are called, not awaited: make it a plain method"),
        ("greedy", "on_log takes *everything; it may take run and log"),
        ("byvalue", "ByValue compares by value; declare it with @define(eq=False)"),
        ("needsarguments", "cannot be made: TypeError: NeedsArguments.__init__() missing 1 required"),
        ("required", "$.use[0].required.path: is required"),
        ("refuses", "$.use[0].refuses: the window must be odd"),
    ],
)  # fmt: skip
def test_each_fault_is_a_sentence(shop, name, expected):
    """Each way in which a strategy can be wrong is one sentence with its path and what was expected."""
    (problem,) = problems_of(name)
    assert problem.startswith("$.use[0]")
    assert expected in problem


def test_a_wrong_option(shop):
    """An unknown option is told with the nearest; a value of the wrong type with what was expected."""
    assert problems_of({"sound": {"windw": 2}}) == [
        "$.use[0].sound: unknown option 'windw', did you mean 'window'?",
    ]
    assert problems_of({"sound as s": {"window": "two"}}) == ["$.use[0].s.window: expected a whole number, got 'two'"]


def test_numeric_text_is_a_number(shop):
    """Text that reads as a number is one where a float belongs, so that `1e-4` works in every format."""
    problems = []
    (loaded,) = load(read({"extends": [], "use": [{"sound": {"rate": "1e-4"}}]}, problems), problems)
    assert problems == []
    assert loaded.strategy.rate == 1e-4


def test_options_for_what_takes_none(shop):
    """A class that is no attrs class takes no options."""
    (problem,) = problems_of({"needsarguments": {"path": "x"}})
    assert problem.startswith("$.use[0].needsarguments: ")
    assert problem.endswith("is no attrs class, so it takes no options")


def test_every_fault_at_once(shop):
    """Faults of several strategies and of the config itself come all at once, each with its own path."""
    problems = problems_of(
        "misspelt", {"sound": {"window": "x", "windw": 1}}, "sounds", "hookless", mode="acting", on_eror="raise"
    )  # fmt: skip
    paths = sorted(problem.split(":")[0] for problem in problems)
    assert paths == [
        "$", "$.mode", "$.use[0]", "$.use[1].sound", "$.use[1].sound.window", "$.use[2]", "$.use[3]",
    ]  # fmt: skip


def test_several_faults_of_one_class():
    """A class with several faults has a sentence for each."""

    class Twice:
        @hookimpl
        def on_lag(self, run, log):
            return None

        @hookimpl
        def diagnose(self, run, chek):
            return None

        def veto_adjustment(self, run, adjustment):
            return None

    problems = problems_of(Twice())
    assert len(problems) == 3
    assert all(problem.startswith("$.use[0]: the strategy ") for problem in problems)
    assert any("on_lag" in p for p in problems)
    assert any("'chek' that it will not get, did you mean 'check'?" in p for p in problems)
    assert any("veto_adjustment lacks the decorator" in p for p in problems)


@define(eq=False)
class MedianLoss:
    """A strategy handed over in Python."""

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(1.0)


def test_an_object_given_in_python():
    """An object is used as it is, under the name of its class in kebab case."""
    mine, problems = MedianLoss(), []
    (loaded,) = load(read({"extends": [], "use": [mine]}, problems), problems)
    assert problems == []
    assert loaded.strategy is mine
    assert loaded.name == "median-loss"
    assert loaded.origin == f"given in Python ({__name__})"


def test_a_class_given_in_python():
    """A class in place of an object is told how to make one."""
    (problem,) = problems_of(MedianLoss)
    assert problem == "$.use[0]: MedianLoss is a class; give an instance, MedianLoss()"


def test_a_file_beside_the_config(write):
    """`path.py:Class` is found beside the config file, whatever the current directory, and takes options."""
    write("project/hooks/quota.py", SOUND)
    config = write("project/steersman.yaml", "extends: []\nuse:\n  - ./hooks/quota.py:Sound: {window: 7}\n")
    problems = []
    (loaded,) = load(read(config, problems), problems)
    assert problems == []
    assert (loaded.name, loaded.strategy.window) == ("Sound", 7)
    assert loaded.origin == f"the file {config.parent / 'hooks' / 'quota.py'}"


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (None, "hooks.py:Sound", "'./hooks.py:Sound': there is no file"),
        (SOUND, "hooks.py:Sond", "has no class 'Sond', did you mean 'Sound'?; it has Async, ByValue,"),
        ("x = 1\ny = = 2\n", "hooks.py:Sound", "hooks.py, line 2 cannot be imported: SyntaxError: "),
        ("import steersman_no_such_thing\n", "hooks.py:Sound", "cannot be imported: ModuleNotFoundError: "),
        ("", "hooks.py:Sound", "has no class 'Sound'"),
        (SOUND, "hooks.py:Hookless", "Hookless has no hook"),
    ],
)
def test_a_file_with_a_fault(write, source, target, expected):
    """A file that is missing, does not import, or lacks the class is a sentence with its path."""
    if source is not None:
        write("hooks.py", source)
    config = write("steersman.yaml", f"extends: []\nuse: [./{target}]\n")
    problems = []
    load(read(config, problems), problems)
    (problem,) = problems
    assert problem.startswith("$.use[0]: ")
    assert expected in problem


def test_two_files_of_one_name(write):
    """Two files called the same in different folders are two modules."""
    write("a/hooks.py", SOUND)
    write("b/hooks.py", SOUND.replace("window: int = 3", "window: int = 4"))
    config = write("steersman.yaml", "extends: []\nuse: [./a/hooks.py:Sound, './b/hooks.py:Sound as other']\n")
    problems = []
    first, second = load(read(config, problems), problems)
    assert problems == []
    assert (first.strategy.window, second.strategy.window) == (3, 4)


def test_the_same_strategy_twice(shop):
    """One strategy may run twice under names of its own, each with its options."""
    problems = []
    config = read({"extends": [], "use": [{"sound": {"window": 5}}, {"sound as short": {"window": 2}}]}, problems)
    loaded = load(config, problems)
    manager = register(loaded)
    assert problems == []
    assert [(one.name, one.strategy.window) for one in loaded] == [("sound", 5), ("short", 2)]
    assert manager.get_plugin("short") is loaded[1].strategy


def test_the_score_section_names_its_strategy():
    """A fault in `score:` is told under that key, not under an index of `use`."""
    (problem,) = problems_of(score={"eval_chat_loss": {"weight": "heavy"}})
    assert problem.startswith("$.score")
    assert problem.endswith("eval_chat_loss.weight: expected a number, got 'heavy'")


def test_the_contract_is_registered():
    """Every hook of the contract is known to pluggy, with the arguments the contract names."""
    manager = register(())
    for name, arguments in HOOKS.items():
        assert getattr(manager.hook, name).spec.argnames == arguments


def test_a_notification_hook_that_yields():
    """A generator as `on_log` would never run its body, which is said before training."""

    class Yields:
        @hookimpl
        def on_log(self, run, log):
            yield log

    problems: list[str] = []
    load(read({"use": [Yields()]}), problems)
    assert "on_log is a generator, so its body would never run" in problems[0]


def test_a_relative_file_outside_the_project(tmp_path, write):
    """A path that climbs out of the project is refused, with the absolute path that would say it is meant."""
    write("shared/quota.py", SOURCE)
    write("project/pyproject.toml", "")
    path = write("project/runs/steersman.yaml", "use: ['../../shared/quota.py:Quota']")
    problems = []

    assert load(read(path, problems), problems) == ()

    assert problems == [
        f"$.use[0]: '../../shared/quota.py:Quota' lies outside the project {tmp_path / 'project'}; copy it there, make "
        f"it a package, or name it by its absolute path, {tmp_path / 'shared' / 'quota.py'}"
    ]


@pytest.mark.parametrize("name", ["../hooks/quota.py", "{absolute}"])
def test_a_file_elsewhere_in_the_project_or_named_whole(tmp_path, write, name):
    """What lies beside the config's folder in one project is found, and what is named by its absolute path."""
    write("project/pyproject.toml", "")
    file = write("project/hooks/quota.py", SOURCE) if name.startswith("..") else write("elsewhere/quota.py", SOURCE)
    path = write("project/runs/steersman.yaml", f"use: ['{name.format(absolute=file)}:Quota']")

    (loaded,) = load(read(path), [])

    assert (loaded.source.file, loaded.source.distribution) == (str(file), None)
    assert loaded.source.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_a_class_declares(write):
    """Effects, snapshots and the answer to a failure are declared by the class; a config's own answer wins."""
    path = write("guard.py", GUARD)
    own = {"use": [f"{path}:Guard", {f"{path}:Guard as lenient": {"on_error": "quarantine", "time_budget": 2}}]}
    problems = []

    strict, lenient = load(read(own, problems), problems)

    assert problems == []
    assert (strict.on_error, strict.effects, strict.needs_snapshots, strict.time_budget) == ("stop", True, True, 10.0)
    assert (lenient.on_error, lenient.time_budget) == ("quarantine", 2.0)
    assert strict.hooks == {"diagnose"}


@pytest.mark.parametrize("declared", ["on_error: str = 'stop'", "time_budget: float = 1.0"])
def test_an_option_with_a_name_of_ours(write, declared):
    """An option called like a key that stands beside all options is refused."""
    path = write("bad.py", GUARD.replace('on_error: ClassVar[str] = "stop"', declared))
    problems = []
    load(read({"use": [f"{path}:Guard"]}), problems)
    (problem,) = problems
    name = declared.partition(":")[0]
    assert f"its option {name!r} has the name of a key that stands beside every strategy's options" in problem


def test_a_declaration_that_is_none(write):
    """An `on_error` that is none of the three is refused with the three."""
    path = write("bad.py", GUARD.replace('"stop"', '"explode"'))
    problems = []
    load(read({"use": [f"{path}:Guard"]}), problems)
    assert problems[0].endswith("its `on_error` is 'explode'; expected one of 'quarantine', 'raise', 'stop'")


def test_effects_are_not_even_made(write):
    """Without effects a class that has some is not instantiated; with them it is."""
    path = write("guard.py", GUARD)
    config = read({"use": [f"{path}:Guard", "eval-loss"]})
    assert [loaded.name for loaded in load(config, [], effects=False)] == ["eval-loss"]
    assert not (path.parent / "made").exists()
    assert [loaded.name for loaded in load(config, [])] == ["Guard", "eval-loss"]
    assert (path.parent / "made").exists()


SOURCE = """
from attrs import define
from steersman import hookimpl

@define(eq=False)
class Quota:
    @hookimpl
    def on_log(self):
        pass
"""

GUARD = """
from pathlib import Path
from typing import ClassVar
from attrs import define
from steersman import hookimpl

@define(eq=False)
class Guard:
    on_error: ClassVar[str] = "stop"
    effects: ClassVar[bool] = True
    needs_snapshots: ClassVar[bool] = True

    def __attrs_post_init__(self):
        (Path(__file__).parent / "made").touch()

    @hookimpl
    def diagnose(self):
        pass
"""


@pytest.mark.parametrize("declared", ["best: float = state(None)", "seen: int = state('x')"])
def test_a_state_that_cannot_be_restored(write, declared):
    """A state whose first value does not fit its type is a fault of the config, before it can end a run's supervision."""
    path = write(
        "best.py",
        SOURCE.replace("import hookimpl", "import hookimpl, state").replace(
            "class Quota:\n", f"class Quota:\n    {declared}\n\n"
        ),
    )
    problems = []
    assert load(read({"use": [f"{path}:Quota", "eval-loss"]}), problems)[0].name == "eval-loss"
    (problem,) = problems
    assert problem.startswith("$.use[0]: ")
    assert "its state cannot be restored from a checkpoint, not even as it begins: expected a " in problem
