"""Which strategies are installed, as their source tells: nothing is imported, and one that is broken hides no other."""

from __future__ import annotations

import importlib
import importlib.abc
import py_compile
import subprocess
import sys
import zipfile
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location

import pytest

from steersman.catalogue.discovering import Found, in_house, installed
from steersman.catalogue.entry_points import entry_points

GOOD = '''
from attrs import define
from steersman import Score, hookimpl


@define(eq=False)
class Good:
    """
    Score by nothing at all.

    The second paragraph is not said.
    """

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(0.0)

    def helper(self):
        return None
'''
MARKER = "steersman_test_imported"
LOUD = f"import sys\nsys.modules[{MARKER!r}] = sys\nraise RuntimeError('imported')\n"


def the(name: str) -> Found:
    """Return the one strategy of that name."""
    [found] = [found for found in installed() if found.name == name]
    return found


@pytest.fixture
def outlined(distribution):
    """Return a maker of an installed module, and what is found of its class `It`."""

    def build(source: str, **others: str) -> Found:
        distribution("outlined", {"outlined": "outlined_mod:It"}, {"outlined_mod": source, **others})
        return the("outlined")

    return build


def test_the_shipped_strategies_are_found():
    """The six shipped ones are there under their names, with what the first line of their docstring says."""
    shipped = {found.name: found for found in installed() if found.distribution == "steersman"}
    assert {"eval-loss", "multi-metric", "recovery", "score", "token-accounting", "trend-health"} <= set(shipped)
    recovery = shipped["recovery"]
    assert recovery.target == "steersman_plugins.recovery:Recovery"
    assert recovery.version == metadata.version("steersman")
    assert recovery.summary == "Propose a rollback on non-finite losses or gradients, and on a confirmed divergence."
    assert recovery.hooks == ("on_rolled_back", "diagnose", "propose_adjustments")
    assert (recovery.effects, recovery.problem) == (False, "")


def test_what_is_said_of_one(distribution):
    """A strategy is told with its distribution, its version, the first line of its docstring and its hooks."""
    distribution("good-package", {"good": "good_mod:Good"}, {"good_mod": GOOD}, version="2.1")
    expected = Found(
        "good", "good_mod:Good", "good-package", "2.1", "Score by nothing at all.", ("score_checkpoint",), False, ""
    )
    assert the("good") == expected


def test_listing_imports_no_strategy(distribution, write):
    """Modules that raise when imported, and the packages above them, are read and not run: no marker is left."""
    write("site-loud/loud_package/__init__.py", LOUD + "from .inner import Good\n")
    write("site-loud/loud_package/inner.py", LOUD + GOOD)
    write("site-loud/loud_package/deep/__init__.py", LOUD)
    write("site-loud/loud_package/deep/rule.py", LOUD + GOOD)
    points = {
        "loud": "loud_mod:Good",
        "loud-re-exported": "loud_package:Good",
        "loud-deep": "loud_package.deep.rule:Good",
    }
    distribution("loud", points, {"loud_mod": LOUD + GOOD})
    found = {found.name: found for found in installed()}
    for name in points:
        assert (found[name].summary, found[name].problem) == ("Score by nothing at all.", "")
    assert MARKER not in sys.modules
    assert not [name for name in sys.modules if name.startswith("loud_")]


def test_finding_needs_the_standard_library_only():
    """In a fresh interpreter neither the module nor its work imports a library, or a shipped strategy."""
    libraries = ("attrs", "attr", "cattrs", "click", "orjson", "pluggy", "rich", "yaml", "steersman_plugins")
    code = (
        "import sys; from steersman.catalogue.discovering import installed; found = installed(); "
        f"print(len(found) >= 6, [name for name in {libraries} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "True []"


@pytest.mark.parametrize(
    ("lines", "decorator"),
    [
        ("from steersman import hookimpl", "hookimpl"),
        ("from steersman import hookimpl", "hookimpl(tryfirst=True)"),
        ("from steersman import hookimpl as hook", "hook"),
        ("import steersman", "steersman.hookimpl"),
        ("import steersman as s", "s.hookimpl"),
        ("import steersman.strategies", "steersman.strategies.hookimpl"),
        ("from steersman import strategies", "strategies.hookimpl"),
        ("from steersman.strategies import hookimpl", "hookimpl"),
        ("from steersman import *", "hookimpl"),
        ("import steersman\nmark = steersman.hookimpl", "mark"),
        ("import pluggy\nmine = pluggy.HookimplMarker('steersman')", "mine"),
        ("from outlined_marks import mark", "mark"),
        ("try:\n    from steersman import hookimpl\nexcept ImportError:\n    hookimpl = None", "hookimpl"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from steersman import hookimpl", "hookimpl"),
    ],
)
def test_every_spelling_of_the_marker(outlined, lines, decorator):
    """However `hookimpl` is imported or renamed, a method marked with it is a hook, and one that is not is none."""
    source = f"{lines}\nclass It:\n    @{decorator}\n    def on_log(self, run, log): ...\n    def on_eval(self): ...\n"
    marks = "from steersman import hookimpl as mark\n"
    assert outlined(source, outlined_marks=marks).hooks == ("on_log",)


@pytest.mark.parametrize(
    ("lines", "decorator"),
    [
        ("from functools import cache", "cache"),
        ("from pytest import hookimpl", "hookimpl"),
        ("import pluggy\nhookimpl = pluggy.HookimplMarker('pytest')", "hookimpl"),
        ("from steersman import hookspec", "hookspec"),
        ("from nowhere_at_all import hookimpl", "hookimpl"),
        ("", "registry['hookimpl']"),
    ],
)
def test_what_is_no_marker(outlined, lines, decorator):
    """A decorator of something else makes no hook, whatever it is called; a class without a hook is a problem."""
    source = f"{lines}\nclass It:\n    @{decorator}\n    def on_log(self, run, log): ...\n"
    found = outlined(source)
    assert found.hooks == ()
    assert found.problem == "outlined_mod:It has no hook: no method is marked with @hookimpl"


BASE = """
from steersman import hookimpl
class Base:
    '''What the base says.'''
    effects = True
    @hookimpl
    def on_log(self, run, log): ...
    @hookimpl
    def on_eval(self, run, evaluation): ...
"""


@pytest.mark.parametrize(
    ("source", "hooks"),
    [
        (BASE + "class It(Base): ...", ("on_log", "on_eval")),
        ("from outlined_base import Base\nclass It(Base): ...", ("on_log", "on_eval")),
        ("import outlined_base\nclass It(outlined_base.Base): ...", ("on_log", "on_eval")),
        ("from outlined_base import Base as Other\nBase = Other\nclass It(Base): ...", ("on_log", "on_eval")),
        ("from outlined_again import Base\nclass It(Base): ...", ("on_log", "on_eval")),
        ("from outlined_stars import *\nclass It(Base): ...", ("on_log", "on_eval")),
        ("from typing import Generic\nfrom outlined_base import Base\nclass It(Base[int], Generic[int]): ...", ("on_log", "on_eval")),
        (BASE + "class It(Base):\n    def on_log(self, run, log): ...", ("on_eval",)),
        (BASE + "class It(Base):\n    on_log = None", ("on_eval",)),
        (BASE + "class It(Base):\n    @hookimpl\n    def diagnose(self, run, check): ...", ("diagnose", "on_log", "on_eval")),
        (
            BASE + "class Left(Base): ...\nclass Right(Base):\n    def on_eval(self): ...\nclass It(Left, Right): ...",
            ("on_log",),
        ),
    ],
)  # fmt: skip
def test_inherited_hooks(outlined, source, hooks):
    """Hooks come from bases too, here or in other modules, in Python's order; what hides one in a subclass hides it."""
    others = {
        "outlined_base": BASE,
        "outlined_again": "from outlined_base import Base",
        "outlined_stars": "from outlined_base import *",
    }
    found = outlined(source, **others)
    assert found.hooks == hooks
    assert (found.summary, found.effects, found.problem) == ("What the base says.", True, "")


@pytest.mark.parametrize(
    ("line", "effects"),
    [
        ("effects = True", True),
        ("effects: ClassVar[bool] = True", True),
        ("effects = False", False),
        ("effects: ClassVar[bool]", False),
        ("effects = bool(1)", False),
        ("", False),
    ],
)
def test_effects_are_declared(outlined, line, effects):
    """A strategy has effects where it says so by the constant True; nothing is computed to find out."""
    found = outlined(
        f"from steersman import hookimpl\nclass It:\n    {line}\n    @hookimpl\n    def on_log(self): ...\n"
    )
    assert found.effects is effects


def test_a_subclass_takes_effects_back(outlined):
    """Where a subclass says that it has no effects, its base's word is not asked."""
    assert outlined(BASE + "class It(Base):\n    effects = False").effects is False


NO_CLASS = "x = 1\nclass Grood: ...\ndef function(): ...\ninstance = object()\nit = 3\n"


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("gone_mod:Good", "there is no module 'gone_mod'"),
        ("broken_mod.inner:Good", "there is no module 'broken_mod.inner'"),
        ("broken_mod:Grod", "broken_mod has no class 'Grod', did you mean 'Grood'?; it has Grood"),
        ("broken_mod:Wholly", "broken_mod has no class 'Wholly'; it has Grood"),
        ("broken_mod", "broken_mod is a module; an entry point must name a class"),
        ("broken_mod:function", "broken_mod:function is a function; expected a class"),
        ("broken_mod:instance", "broken_mod:instance is no class that is written there; expected a class"),
        ("broken_mod:Grood.Inner", "the class Grood of broken_mod has no class 'Inner'"),
        ("broken_empty:Good", "broken_empty has no class 'Good'"),
        ("broken_lazy:Good", "broken_lazy makes 'Good' only when it is asked for it, so it cannot be read"),
        ("broken_circle:Good", "broken_circle leads on through more than 8 imports"),
        ("broken_follows:Good", "there is no module 'gone_too'"),
        ("broken_follows:part", "broken_follows:part is a module; expected a class"),
        ("json:decoder", "json.decoder is a module; expected a class"),
        ("broken mod:Good", "its entry point 'broken mod:Good' does not read as module:Class"),
        ("broken_mod:a:b", "its entry point 'broken_mod:a:b' does not read as module:Class"),
        ("", "its entry point '' does not read as module:Class"),
        ("..mod:Good", "its entry point '..mod:Good' does not read as module:Class"),
    ],
)
def test_what_cannot_be_read_has_a_problem(distribution, target, problem):
    """Each way in which an entry point leads to no class is one sentence, and the strategy beside it is found."""
    modules = {
        "good_mod": GOOD,
        "broken_mod": NO_CLASS,
        "broken_empty": "",
        "broken_lazy": "def __getattr__(name): ...",
        "broken_circle": "from broken_back import Good",
        "broken_back": "from broken_circle import Good",
        "broken_follows": "from gone_too import Good\nimport broken_mod as part",
    }
    distribution("mixed", {"good": "good_mod:Good", "broken": target}, modules)
    assert the("broken").problem == problem
    assert the("broken").hooks == ()
    assert (the("good").problem, the("good").hooks) == ("", ("score_checkpoint",))


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [("class Good:\n  x = (\n", 2, "'(' was never closed"), ("\nclass Good\n    pass\n", 2, "expected ':'")],
)
def test_a_syntax_error_is_told_with_its_line(distribution, tmp_path, source, line, reason):
    """A module that does not parse is named by its file and line."""
    distribution("torn", {"torn": "torn_mod:Good"}, {"torn_mod": source})
    assert the("torn").problem == f"{tmp_path}/site-torn/torn_mod.py, line {line}: {reason}"


def test_a_syntax_error_within_a_hook_is_told(outlined, tmp_path):
    """A fault in the body of a hook, which is not looked at, is found all the same: the module cannot be imported."""
    source = GOOD.replace("Good", "It").replace("Score(0.0)", "Score(0.0")
    assert f"{tmp_path}/site-outlined/outlined_mod.py, line 1" in outlined(source).problem


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"class Good:\n  '''\xff\xfe'''\n", "(unicode error) 'utf-8' codec can't decode byte 0xff"),
        (b"# coding: klingon\nclass Good: ...\n", "unknown encoding: klingon"),
    ],
)
def test_a_source_that_is_no_text(distribution, tmp_path, source, reason):
    """A module that is not in the encoding it says, or says one that nobody knows, is named with the reason."""
    distribution("bytes", {"bytes": "bytes_mod:Good"}, {"bytes_mod": ""})
    file = tmp_path / "site-bytes" / "bytes_mod.py"
    file.write_bytes(source)
    assert the("bytes").problem.startswith(f"{file}")
    assert reason in the("bytes").problem


def test_a_source_that_is_gone(distribution, tmp_path, monkeypatch):
    """A module whose finder, of an editable install, points where no file is any more, is told with the reason."""

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            return spec_from_file_location(fullname, tmp_path / "moved.py") if fullname == "moved_mod" else None

    distribution("moved", {"moved": "moved_mod:Good"})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    file = tmp_path / "moved.py"
    expected = f"the source of moved_mod cannot be read: [Errno 2] No such file or directory: '{file}'"
    assert the("moved").problem == expected


def test_a_compiled_module_has_no_source(distribution, tmp_path):
    """A C extension and a module of bytecode alone are said to have no source; neither is loaded."""
    distribution("compiled", {"native": "native_mod:Good", "bytecode": "bytecode_mod:Good"}, {"bytecode_mod": GOOD})
    site = tmp_path / "site-compiled"
    (site / f"native_mod{EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")
    py_compile.compile(str(site / "bytecode_mod.py"), cfile=str(site / "bytecode_mod.pyc"))
    (site / "bytecode_mod.py").unlink()
    importlib.invalidate_caches()
    for name in ("native", "bytecode"):
        assert the(name).problem == f"{name}_mod has no Python source, so what it holds cannot be read"


def test_a_base_that_cannot_be_read_is_told(outlined):
    """What a class has itself is told, and that its base may hold more."""
    found = outlined(
        "from steersman import hookimpl\nfrom gone_base import Base\nclass It(Base):\n    '''One.'''\n    @hookimpl\n    def on_log(self): ...\n"
    )
    assert (found.summary, found.hooks) == ("One.", ("on_log",))
    assert found.problem == "its base class Base cannot be read: there is no module 'gone_base'"


def test_bases_of_python_are_no_problem(outlined):
    """Bases of Python itself hold no hooks, and are not looked for."""
    lines = "import abc\nfrom typing import Protocol, Generic, TypeVar\nfrom steersman import hookimpl\n"
    found = outlined(lines + "class It(abc.ABC, Protocol, dict):\n    @hookimpl\n    def on_log(self): ...\n")
    assert (found.hooks, found.problem) == (("on_log",), "")


def test_two_distributions_claim_one_name(distribution):
    """Both are listed, each with the other named; the rest of what is wrong with one is said too."""
    distribution("first", {"claimed": "first_mod:Good"}, {"first_mod": GOOD})
    distribution("second", {"claimed": "gone_mod:Good"}, version="3")
    first, second = (found for found in installed() if found.name == "claimed")
    assert first.distribution == "first"
    assert first.problem == "second 3 (gone_mod:Good) provides 'claimed' too; uninstall one of them"
    assert first.hooks == ("score_checkpoint",)
    assert second.problem == (
        "first 1.0 (first_mod:Good) provides 'claimed' too; uninstall one of them; there is no module 'gone_mod'"
    )


def test_packages_without_init(distribution, write):
    """A strategy in a namespace package, and in one inside that, is found though nobody has imported either."""
    write("site-spaces/outer_space/inner_space/rule.py", GOOD)
    write("site-spaces/outer_space/rule.py", GOOD)
    points = {
        "outer": "outer_space.rule:Good",
        "inner": "outer_space.inner_space.rule:Good",
        "itself": "outer_space:Good",
    }
    distribution("spaces", points)
    assert the("outer").problem == ""
    assert the("inner").problem == ""
    assert the("itself").problem == "outer_space is a folder without code, so what it holds cannot be read"


def test_relative_imports_and_nested_classes(distribution, write):
    """Re-exports by relative imports, `from . import`, a submodule named as attribute, a class within a class."""
    write("site-shapes/shapes/__init__.py", "from ._rule import Good\nfrom . import deep\nfrom .deep import *\n")
    write("site-shapes/shapes/_rule.py", GOOD)
    write("site-shapes/shapes/deep/__init__.py", "from .._rule import Good as Better\n")
    write(
        "site-shapes/shapes/deep/nest.py",
        "from steersman import hookimpl\n\nclass Outer:" + GOOD.partition("hookimpl\n")[2].replace("\n", "\n    "),
    )
    points = {
        "re-exported": "shapes:Good",
        "of-a-part": "shapes:deep.Better",
        "starred": "shapes:Better",
        "nested": "shapes.deep.nest:Outer.Good",
        "spaced": " shapes : Good [extra] ",
    }
    distribution("shapes", points)
    for name in points:
        assert (the(name).summary, the(name).problem) == ("Score by nothing at all.", "")


def test_a_relative_import_above_the_top_is_a_problem(distribution, write):
    """An import that leaves its package leads nowhere, and says so."""
    write("site-above/above/__init__.py", "from ...elsewhere import Good\n")
    distribution("above", {"above": "above:Good"})
    assert the("above").problem == "there is no module 'elsewhere'"


def test_editable_installs_by_finder(distribution, write, monkeypatch):
    """A module that only a finder of an editable install knows is found through that finder."""
    file = write("elsewhere/editable_source.py", GOOD)
    distribution("editable", {"editable": "editable_mod:Good"})

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            return spec_from_file_location(fullname, file) if fullname == "editable_mod" else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert (the("editable").summary, the("editable").problem) == ("Score by nothing at all.", "")


def test_a_finder_that_fails_is_told(distribution, monkeypatch):
    """A finder that raises is no end of the list."""

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            if fullname == "unfindable":
                raise RuntimeError("no network")
            return None

    distribution("lost", {"lost": "unfindable:Good", "good": "good_mod:Good"}, {"good_mod": GOOD})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert the("lost").problem == "'unfindable' cannot be looked for: RuntimeError: no network"
    assert the("good").problem == ""


def test_a_loader_that_makes_modules_of_nothing(distribution, monkeypatch):
    """A module whose loader has no source is said to have none."""

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, fullname, path, target=None):
            return ModuleSpec(fullname, object(), origin="nothing") if fullname == "made_up" else None

    distribution("magic", {"magic": "made_up:Good"})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert the("magic").problem == "made_up has no Python source, so what it holds cannot be read"


def all_of(group: str) -> set[tuple[str, str, str, str]]:
    """Return what the library finds, which is what counts."""
    return {(p.name, p.value, p.dist.name, p.dist.version) for p in metadata.entry_points(group=group) if p.dist}


@pytest.mark.parametrize("group", ["steersman.strategies", "console_scripts", "pytest11", "no.such.group"])
def test_entry_points_are_those_of_the_library(distribution, group):
    """In this environment, and with a distribution more, the same points are found as by importlib.metadata."""
    distribution("one-more", {"one-more": "one:More"}, group=group)
    found = entry_points(group)
    assert ("one-more", "one:More", "one-more", "1.0") in found
    assert len(found) == len(set(found))
    assert set(found) == all_of(group)


def test_the_first_on_the_path_shadows(distribution):
    """Of two installs of one distribution the first on the path counts, even where it has no strategy any more."""
    distribution("Shadow.Package", {"old": "shadow:Old"})
    distribution("shadow_package", {"x": "y:Z"}, group="another.group", version="2.0")
    assert [found for found in installed() if found.name == "old"] == []
    assert all_of("steersman.strategies") == set(entry_points("steersman.strategies"))


EGG = "[steersman.strategies]\negged = egged_mod:Good\n"


def test_egg_info_folders(write, tmp_path, monkeypatch):
    """The older kind of metadata folder is read as well, its version from PKG-INFO."""
    write("site/egged.egg-info/entry_points.txt", EGG)
    write("site/egged.egg-info/PKG-INFO", "Metadata-Version: 1.0\nName: Egged\nVersion: 0.9\n\nVersion: 7\n")
    write("site/egged_mod.py", GOOD)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert the("egged")[1:5] == ("egged_mod:Good", "Egged", "0.9", "Score by nothing at all.")


@pytest.mark.parametrize("kind", ["folder.egg", "file.egg", "zipped.zip"])
def test_eggs_and_zips(write, tmp_path, monkeypatch, kind):
    """An egg, as a folder or a file, and a zip on the path are left to the library, and their source is read too."""
    info = "EGG-INFO" if kind.endswith(".egg") else "egged-0.9.dist-info"
    files = {
        f"{info}/entry_points.txt": EGG,
        f"{info}/{'PKG-INFO' if kind.endswith('.egg') else 'METADATA'}": "Name: egged\nVersion: 0.9\n",
        "egged_mod.py": GOOD,
    }
    if kind == "folder.egg":
        for name, text in files.items():
            write(f"{kind}/{name}", text)
    else:
        with zipfile.ZipFile(tmp_path / kind, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    monkeypatch.syspath_prepend(tmp_path / kind)
    assert the("egged") == Found(
        "egged", "egged_mod:Good", "egged", "0.9", "Score by nothing at all.", ("score_checkpoint",)
    )


def test_another_finder_of_distributions(distribution, monkeypatch):
    """Where something else finds distributions too, the library is asked for all of them."""

    class Point:
        name, value, group = "virtual", "virtual_mod:Good", "steersman.strategies"

    class Virtual:
        name, version, entry_points = "virtual", "4.2", (Point,)

    class Finder(metadata.DistributionFinder):
        def find_spec(self, fullname, path, target=None):
            return None

        def find_distributions(self, context=metadata.DistributionFinder.Context()):  # noqa: B008
            return [Virtual]

    distribution("real", {"real": "real_mod:Good"}, {"real_mod": GOOD})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert the("virtual").origin == "virtual 4.2"
    assert the("real").hooks == ("score_checkpoint",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[steersman.strategies]\n# a comment\n\n odd = odd_mod:Good ; no\nnoequals\n[other]\nx = y:Z\n",
            [("noequals", ""), ("odd", "odd_mod:Good ; no")],
        ),
        ("no section\n", []),
        ("[steersman.strategies", []),
    ],
)
def test_a_file_of_entry_points_that_is_odd(write, tmp_path, monkeypatch, text, expected):
    """Lines that are no entry points are told as such, and end nothing."""
    write("site/odd_package-1.5.dist-info/entry_points.txt", text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = [found for found in installed() if found.distribution == "odd_package"]
    assert [(each.name, each.target) for each in found] == expected
    assert all(each.version == "1.5" and "does not read as module:Class" in each.problem for each in found)


def test_metadata_that_cannot_be_read(write, tmp_path, monkeypatch):
    """A folder without metadata, and a file where a folder should be, end nothing; a path that is gone neither."""
    write("site/bare-2.0.dist-info/entry_points.txt", "[steersman.strategies]\nbare = bare_mod:Good\n")
    write("site/old-1.0-py3.11.egg-info", "Name: old")
    write("site/bare_mod.py", GOOD)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "gone")
    assert the("bare")[:4] == ("bare", "bare_mod:Good", "bare", "2.0")


def test_in_house(write, tmp_path):
    """A file beside a config is read like an installed module, from the folder given, and not run."""
    write("hooks/mine.py", LOUD + GOOD)
    found = in_house("./hooks/mine.py:Good", tmp_path)
    assert found == Found(
        "./hooks/mine.py:Good", "./hooks/mine.py:Good", "", "", "Score by nothing at all.", ("score_checkpoint",)
    )
    assert found.origin == ""
    assert MARKER not in sys.modules


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("gone.py:Good", "there is no file {}/gone.py"),
        ("mine.py:Goood", "{}/mine.py has no class 'Goood', did you mean 'Good'?; it has Good"),
        ("mine.py:", "{}/mine.py has no class ''; it has Good"),
        ("torn.py:Good", "{}/torn.py, line 1: invalid syntax"),
        ("nul.py:Good", "{}/nul.py: source code string cannot contain null bytes"),
        ("relative.py:Good", "there is no module ''"),
        ("folder.py:Good", "there is no file {}/folder.py"),
    ],
)
def test_an_in_house_file_that_cannot_be_read(write, tmp_path, target, problem):
    """What is wrong with a file of one's own is a sentence with its path."""
    write("mine.py", GOOD)
    write("torn.py", "class = 1")
    write("nul.py", "x = 1\0")
    write("relative.py", "from . import Good")
    (tmp_path / "folder.py").mkdir()
    assert in_house(target, tmp_path).problem == problem.format(tmp_path)


def test_the_backport_of_the_library_changes_nothing(write, tmp_path, monkeypatch):
    """Where somebody imported `importlib_metadata`, which adds a finder of its own, the same is found, bare ones too."""
    backport = pytest.importorskip("importlib_metadata")
    monkeypatch.setattr("sys.meta_path", [*sys.meta_path, backport.MetadataPathFinder()])
    write("site/bare-2.0.dist-info/entry_points.txt", "[steersman.strategies]\nbare = bare_mod:Good\n")
    write("site/bare_mod.py", GOOD)
    monkeypatch.syspath_prepend(tmp_path / "site")

    assert the("bare")[:4] == ("bare", "bare_mod:Good", "bare", "2.0")
