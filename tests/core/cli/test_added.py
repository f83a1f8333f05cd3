"""Commands that other distributions add, found as an installed distribution tells of them."""

from __future__ import annotations

import sys

GOOD = """
import click


@click.command()
@click.option("--times", default=1)
def greet(times):
    \"\"\"Say hello.\"\"\"
    click.echo("hello " * times)
"""


def test_an_installed_command_is_listed_with_the_summary_and_runs(command, distribution):
    """`steersman --help` has the line of the distribution without importing it; called, it is imported and runs."""
    distribution(
        "greeter", {"greet": "greeter_mod:greet"}, {"greeter_mod": GOOD}, group="steersman.commands",
        summary="Greets whoever trains.",
    )  # fmt: skip
    helped = command("--help")
    assert "greet Greets whoever trains." in " ".join(helped.stdout.split())
    assert "greeter_mod" not in sys.modules
    ran = command("greet", "--times", "2")
    assert (ran.exit_code, ran.stdout) == (0, "hello hello \n")
    assert "did you mean 'greet'?" in command("gret").stderr


def test_a_broken_command_is_a_sentence_and_all_others_work(command, distribution):
    """One whose module cannot be imported, one that is no command: each says so when it is called, and only then."""
    distribution(
        "breaker", {"broken": "breaker_mod:it", "number": "number_mod:it"},
        {"breaker_mod": "raise RuntimeError('on a\\nbad day')", "number_mod": "it = 3"}, group="steersman.commands",
    )  # fmt: skip
    assert "broken Added by breaker." in " ".join(command("--help").stdout.split())
    assert command("replay", "--help").exit_code == 0
    broken, number = command("broken"), command("number")
    assert broken.exit_code == number.exit_code == 1
    assert broken.stderr == (
        "Error: the command 'broken' of breaker 1.0 (breaker_mod:it) cannot be loaded: "
        "RuntimeError: on a bad day\n"
    )  # fmt: skip
    assert number.stderr.endswith("adds 'number', which is no command of click but a int\n")


def test_a_name_belongs_to_one(command, distribution):
    """Nobody replaces a command of ours; a name that two distributions claim is run by neither, and said of both."""
    for name in ("first", "second"):
        distribution(
            name, {"twice": f"{name}_mod:greet", "best": f"{name}_mod:greet"}, {f"{name}_mod": GOOD},
            group="steersman.commands",
        )  # fmt: skip
    assert "Say hello" not in command("best", "--help").stdout
    assert "first 1.0 both add a command 'twice'; uninstall one of them" in command("twice").stderr
    assert "both add a command 'twice'" in " ".join(command("--help").stdout.split())
