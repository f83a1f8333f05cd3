from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import steersman
from steersman.cli import strategies_new
from steersman.testing import a_run

ROOT = Path(steersman.__file__).parents[2]
TEMPLATE = ROOT / "contrib" / "_template"
FILES = (
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "src/steersman_gradient_watch/__init__.py",
    "src/steersman_gradient_watch/gradient_watch.py",
    "src/steersman_gradient_watch/py.typed",
    "tests/test_gradient_watch.py",
    "tests/test_gradient_watch_contract.py",
)


def files_in(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))


def test_a_distribution_is_written(command, tmp_path):
    """Every file of the template is there under the new name, and no spelling of the old one is left in any."""
    result = command("strategies", "new", "gradient-watch", "--into", tmp_path)
    made = tmp_path / "steersman-gradient-watch"
    assert result.exit_code == 0, result.stderr
    assert files_in(made) == FILES
    assert list(tmp_path.iterdir()) == [made]
    for path in made.rglob("*"):
        if path.is_file():
            assert not re.search(r"my.?thing", path.read_text() + path.name, re.IGNORECASE)
    project = (made / "pyproject.toml").read_text()
    assert 'name = "steersman-gradient-watch"' in project
    assert 'gradient-watch = "steersman_gradient_watch:GradientWatch"' in project


def test_what_to_do_next(command, tmp_path):
    """After a distribution is written it is said how to try it, and the line for the config."""
    result = command("strategies", "new", "gradient-watch", "--into", tmp_path)
    assert result.stdout.splitlines() == [
        f"Wrote {tmp_path}/steersman-gradient-watch, 8 files.",
        "",
        "Try it:",
        f"  cd {tmp_path}/steersman-gradient-watch",
        "  pip install -e '.[test]'",
        "  pytest",
        "",
        "Use it, in a config:",
        "",
        "use:",
        "  - gradient-watch",
    ]


def test_an_in_house_strategy_is_one_file(command, tmp_path, monkeypatch, write):
    """With --in-house one file is written, beside others that are there, and the line to paste loads it."""
    monkeypatch.chdir(tmp_path)
    write("hooks/other.py", "")
    result = command("strategies", "new", "gradient-watch", "--in-house")
    assert result.exit_code == 0, result.stderr
    assert files_in(tmp_path) == ("hooks/gradient_watch.py", "hooks/other.py")
    lines = result.stdout.splitlines()
    assert lines[0] == "Wrote hooks/gradient_watch.py."
    assert "  steersman strategies check hooks/gradient_watch.py:GradientWatch" in lines
    config = write("steersman.yaml", "extends: []\n" + "\n".join(lines[-2:]) + "\n")
    state = {"log_history": [{"step": 1, "loss": 1.0}], "max_steps": 1}
    run = write("trainer_state.json", json.dumps(state))
    replayed = command("replay", run, "--config", config)
    assert replayed.exit_code == 0, replayed.stderr
    assert "Asked in this order: GradientWatch." in replayed.stdout


def test_the_strategy_of_the_template_is_the_same_in_both(command, tmp_path):
    """The file in-house and the module of the distribution are the same text."""
    command("strategies", "new", "gradient-watch", "--into", tmp_path)
    command("strategies", "new", "gradient-watch", "--into", tmp_path, "--in-house")
    module = tmp_path / "steersman-gradient-watch" / "src" / "steersman_gradient_watch" / "gradient_watch.py"
    assert module.read_text() == (tmp_path / "hooks" / "gradient_watch.py").read_text()


@pytest.mark.parametrize("in_house", [False, True])
def test_as_json(printed_json, tmp_path, in_house):
    """With --json the files, the entry of `use` and the commands to go on with are one object."""
    extra = ["--in-house"] if in_house else []
    told = printed_json("strategies", "new", "gradient-watch", "--into", tmp_path, *extra)
    assert (told["name"], told["class"]) == ("gradient-watch", "GradientWatch")
    assert all(Path(file).is_file() for file in told["files"])
    assert len(told["files"]) == (1 if in_house else 8)
    assert told["use"] == ("./hooks/gradient_watch.py:GradientWatch" if in_house else "gradient-watch")
    assert len(told["next"]) == (1 if in_house else 3)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("GradientWatch", "at most 60 small letters, digits and single hyphens, .* did you mean 'gradient-watch'"),
        ("gradient_watch", "did you mean 'gradient-watch'"),
        ("gradient--watch", "did you mean 'gradient-watch'"),
        ("2nd", "beginning with a letter"),
        ("../watch", "did you mean 'watch'"),
        ("", "is no name for a strategy"),
        ("watch\n", "is no name for a strategy"),
        ("w" * 61, "at most 60 small letters"),
        ("class", "class is a word of Python itself"),
        ("none", "None is a word of Python itself"),
        ("test-loss", "pytest would take its class TestLoss for tests"),
        ("finding", "its class would hide the Finding that its module imports"),
        ("strategy-contract", "its class would hide the StrategyContract that its module imports"),
        ("steersman-watch", "leave out steersman-, it comes by itself: steersman strategies new watch"),
    ],
)
@pytest.mark.parametrize("extra", [[], ["--in-house"]], ids=["distribution", "in-house"])
def test_a_name_that_is_none(command, tmp_path, name, sentence, extra):
    """A name that cannot be one is refused with the rule, and with the nearest that can; nothing is written."""
    result = command("strategies", "new", "--into", tmp_path, *extra, "--", name)
    assert result.exit_code == 2
    assert re.search(sentence, result.stderr), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken(command, tmp_path):
    """A distribution cannot have the name of an installed strategy; in a file of one's own it may stand beside it."""
    result = command("strategies", "new", "recovery", "--into", tmp_path)
    assert result.exit_code == 2
    assert "a strategy named 'recovery' is installed already: steersman strategies show recovery" in result.stderr
    assert list(tmp_path.iterdir()) == []
    assert command("strategies", "new", "recovery", "--into", tmp_path, "--in-house").exit_code == 0


def test_nothing_is_written_over(command, tmp_path, write):
    """A folder or file of that name, or a link to nowhere, is left as it is."""
    write("steersman-watch/mine.txt", "mine")
    write("hooks/watch.py", "mine")
    (tmp_path / "steersman-link").symlink_to(tmp_path / "nowhere")
    before = files_in(tmp_path)
    for arguments in (["watch"], ["watch", "--in-house"], ["link"]):
        result = command("strategies", "new", *arguments, "--into", tmp_path)
        assert result.exit_code == 2
        assert "is there already, and is left as it is" in result.stderr
    assert files_in(tmp_path) == before
    assert (tmp_path / "hooks" / "watch.py").read_text() == "mine"


def test_a_folder_that_is_not_there(command, tmp_path):
    """`--into` names a folder that exists."""
    result = command("strategies", "new", "watch", "--into", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere: there is no such folder" in result.stderr


@pytest.mark.parametrize("in_house", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device", "py.typed")])
def test_nothing_half_made_stays(command, tmp_path, monkeypatch, in_house, error):
    """Where writing is interrupted or fails, what was written so far is taken away."""
    written = Path.write_text
    whole = iter(range(0 if in_house else 4))

    def fails(self, text, **options):
        if next(whole, None) is None:
            written(self, text[: len(text) // 2], **options)
            raise error
        return written(self, text, **options)

    monkeypatch.setattr(Path, "write_text", fails)
    result = command("strategies", "new", "watch", "--into", tmp_path, *(["--in-house"] if in_house else []))
    assert result.exit_code == (130 if error is KeyboardInterrupt else 2)
    assert result.stderr.strip() == (
        "Stopped." if error is KeyboardInterrupt else "Error: py.typed: No space left on device"
    )
    assert list(tmp_path.iterdir()) == []


def test_caches_of_the_template_are_left_out(command, tmp_path, monkeypatch, write):
    """What a test run leaves in a checkout's template is not copied."""
    for name in (
        "src/steersman_my_thing/my_thing.py",
        ".pytest_cache/x",
        "src/__pycache__/y.pyc",
        "src/z.egg-info/PKG",
    ):
        write(f"template/{name}", "")
    monkeypatch.setattr(strategies_new, "template", lambda: tmp_path / "template")
    (tmp_path / "out").mkdir()
    command("strategies", "new", "watch", "--into", tmp_path / "out")
    assert files_in(tmp_path / "out") == ("steersman-watch/src/steersman_watch/watch.py",)


def test_the_template_is_for_this_version():
    """What is written asks for the Steersman that wrote it, up to the next that may break it."""
    major, minor, *_ = steersman.__version__.split(".")
    wanted = f'"steersman>={major}.{minor},<{major}.{int(minor) + 1}"'
    assert wanted in (TEMPLATE / "pyproject.toml").read_text()


def test_the_strategy_of_the_template_does_what_its_readme_says():
    """The template, as an author first meets it, finds a jump to eight times the median and halves the rate."""
    found = strategies_new.template() / "src"
    sys.path.insert(0, str(found))
    try:
        from steersman_my_thing import MyThing
    finally:
        sys.path.remove(str(found))
    story = a_run(learning_rate=1.0).epoch(logs=10, grad_norm=1.0).log(grad_norm=8.0)
    played = story.play(MyThing, check_every=1)
    assert [(finding.step, finding.name) for finding in played.findings] == [(11, "gradient-jump")]
    assert played.values == {"learning_rate": 0.5}


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """An environment of its own that sees the packages of this one."""
    folder = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    paths = [path for path in sys.path if path.endswith("site-packages")]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in paths)
    (site / "these.pth").write_text(lines)
    return folder / "bin" / "python"


def run(python: Path, *arguments: str, cwd: Path) -> str:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    command = [str(python), "-m", *arguments]
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_what_is_written_works(command, tmp_path, venv):
    """A distribution, as it is written, installs, passes its own test, and is clean for ruff and strict mypy.

    The contract is kept by the template, whose tests run beside these; here one check shows that it is found.
    """
    pytest.importorskip("mypy", reason="needs the lint extra")
    command("strategies", "new", "gradient-watch", "--into", tmp_path)
    made = tmp_path / "steersman-gradient-watch"
    run(venv, "pip", "install", "-q", "--no-deps", "-e", ".", cwd=made)
    only = "test_gradient_watch.py or declared"
    assert re.search(r"^\d+ passed", run(venv, "pytest", "-q", "-k", only, cwd=made), re.MULTILINE)
    run(venv, "ruff", "check", ".", cwd=made)
    run(venv, "ruff", "format", "--check", ".", cwd=made)
    run(venv, "mypy", "--strict", "src", cwd=made)
    listed = json.loads(run(venv, "steersman.cli", "strategies", "--json", cwd=tmp_path))
    (row,) = (row for row in listed["strategies"] if row["name"] == "gradient-watch")
    assert row["distribution"] == "steersman-gradient-watch"
    told = json.loads(run(venv, "steersman.cli", "strategies", "check", "gradient-watch", "--json", cwd=tmp_path))
    assert told["passed"] is True


@pytest.mark.slow
def test_a_wheel_has_the_template(tmp_path, venv):
    """The wheel holds every file of the template and nothing a test run left there, and writes from it."""
    run(venv, "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT), cwd=tmp_path)
    (wheel,) = tmp_path.glob("steersman-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("steersman/_template/")}
        archive.extractall(tmp_path / "site")
    tracked = (
        "LICENSE",
        "README.md",
        "pyproject.toml",
        *(f"src/steersman_my_thing/{n}" for n in ("__init__.py", "my_thing.py", "py.typed")),
    )
    assert names == {
        f"steersman/_template/{n}" for n in (*tracked, "tests/test_my_thing.py", "tests/test_my_thing_contract.py")
    }
    code = (
        "import sys; sys.path.insert(0, 'site'); import steersman.cli.strategies_new as new; "
        "print(new.template()); new.new(['other-watch'], prog_name='new')"
    )
    told = subprocess.run([str(venv), "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[0] == str(tmp_path / "site" / "steersman" / "_template")
    assert files_in(tmp_path / "steersman-other-watch") == tuple(n.replace("gradient_", "other_") for n in FILES)
