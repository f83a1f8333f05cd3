"""`steersman demo` and `steersman demo rlaif`: their options, and what is said before anything is trained."""

from __future__ import annotations

import importlib.util

import pytest


def test_a_subcommand_beside_a_command(command):
    """`demo --help` has the options of before and names `rlaif`; `demo rlaif --help` has its own and examples."""
    text = command("demo", "--help").stdout
    assert all(option in text for option in ("--output", "--seed", "--json", "\n  rlaif "))
    text = command("demo", "rlaif", "--help").stdout
    assert all(option in text for option in ("--output", "--seed", "--teacher-url", "--teacher-model", "--json"))
    assert "\n    steersman demo rlaif --output" in text


@pytest.mark.parametrize("options", [["--json"], ["--seed", "3"], ["--output", "x"]])
def test_options_of_the_first_demo_are_not_lost(command, options):
    """An option before `rlaif` would do nothing there: it is an error that says where it belongs."""
    result = command("demo", *options, "rlaif")
    assert result.exit_code == 2
    assert "belong behind 'rlaif'" in result.stderr


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
@pytest.mark.parametrize("demo", [["demo"], ["demo", "rlaif"]])
def test_a_seed_that_is_none(command, tmp_path, demo, seed):
    """A seed below 0 or over 4294967295 is an error in words, and no folder is made."""
    result = command(*demo, "--seed", seed, "--output", tmp_path / "run")
    assert result.exit_code == 2
    assert f"{seed} is not in the range 0<=x<=4294967295" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [["--teacher-url", "http://127.0.0.1:1/v1"], ["--teacher-model", "m"]])
def test_a_teacher_needs_both(command, options):
    """An address without a model, or a model without an address, is an error."""
    result = command("demo", "rlaif", *options)
    assert result.exit_code == 2
    assert "--teacher-url and --teacher-model go together" in result.stderr


def test_a_misspelt_demo_names_the_nearest(command):
    """`demo rlaf` is answered with `rlaif`."""
    assert "did you mean 'rlaif'?" in command("demo", "rlaf").stderr


@pytest.mark.parametrize("missing", ["trl", "openai"])
def test_a_missing_package_is_one_line(command, monkeypatch, missing):
    """Without trl or openai one line says so, with the pip command."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    result = command("demo", "rlaif")
    assert result.exit_code == 1
    assert result.stderr == f"Error: the demo needs {missing}: pip install 'steersman[rlaif]'\n"


def test_a_teacher_that_is_not_there_is_one_line(command, tmp_path, monkeypatch):
    """An address where nobody listens ends the demo before the training, with no word of the key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789abcdef")
    url = "http://127.0.0.1:9/v1"
    result = command("demo", "rlaif", "--teacher-url", url, "--teacher-model", "m", "--output", tmp_path / "run")
    assert result.exit_code == 1
    assert f"Error: {url}: the teacher cannot be asked (APIConnectionError)" in result.stderr
    assert "sk-planted" not in result.output


@pytest.mark.parametrize("was_there", [False, True])
def test_a_failed_start_does_not_block_the_next(command, tmp_path, was_there):
    """Where the teacher cannot be asked the folder is as before, so that the same command says the same again."""
    run = tmp_path / "run"
    if was_there:
        run.mkdir()
    for _ in range(2):
        result = command(
            "demo", "rlaif", "--teacher-url", "http://127.0.0.1:9/v1", "--teacher-model", "m", "--output", run
        )
        assert "the teacher cannot be asked" in result.stderr
        assert (run.is_dir(), [*tmp_path.rglob("*.yaml")]) == (was_there, [])


def test_a_url_with_secrets_is_shown_without(command, tmp_path):
    """User info and query of the teacher's URL are neither in the introduction nor in the error."""
    url = "http://user:pa55word@127.0.0.1:9/v1?key=sk-INURL"
    result = command("demo", "rlaif", "--teacher-url", url, "--teacher-model", "m", "--output", tmp_path / "run")
    assert result.exit_code == 1
    assert "m at http://127.0.0.1:9/v1, asked" in result.stdout
    assert "Error: http://127.0.0.1:9/v1: the teacher cannot be asked" in result.stderr
    assert "pa55word" not in result.output
    assert "INURL" not in result.output


@pytest.mark.parametrize(
    "url", ["http://user:pa55/word@h/v1", "pa55word", "ftp://pa55word/v1", "http://h:pa55word/", ""]
)
def test_a_url_that_is_none(command, tmp_path, url):
    """What is no HTTP address is an error that does not quote it, and no folder is made."""
    result = command("demo", "rlaif", "--teacher-url", url, "--teacher-model", "m", "--output", tmp_path / "run")
    assert result.exit_code == 2
    assert "expected the base URL of an API" in result.stderr
    assert "pa55" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_left_alone(command, tmp_path):
    """A folder with something in it is an error that says what to do."""
    (tmp_path / "mine.txt").write_text("precious")
    result = command("demo", "rlaif", "--output", tmp_path)
    assert result.exit_code == 1
    assert "is not an empty folder; choose another --output" in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]
