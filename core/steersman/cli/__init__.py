"""The command line. A subcommand is imported when it is run or its help is asked, not before."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from steersman.cli.added import Added, added, loaded
from steersman.spelling import nearest

_COMMANDS = {
    "init": ("steersman.cli.init:init", "Write a first config, with a comment on each key, for your trainer."),
    "demo": ("steersman.cli.demo:demo", "Train a tiny GPT-2 under supervision: a real fault, a real correction."),
    "replay": ("steersman.cli.replay:replay", "Say what the strategies would have decided in finished runs."),
    "compare": (
        "steersman.cli.compare:compare",
        "Show side by side which checkpoints strategies keep in finished runs, and how those did.",
    ),
    "check": ("steersman.cli.check:check", "Exit with 1 where a run shows ill health: for CI pipelines."),
    "explain": (
        "steersman.cli.explain:explain",
        "Tell why the best checkpoint is the best and why each value changed.",
    ),
    "best": ("steersman.cli.best:best", "Print only the path of the checkpoint to use."),
    "average": (
        "steersman.cli.average:average",
        "Average checkpoints of a run as one more candidate for the best.",
    ),
    "tokens": ("steersman.cli.tokens:tokens", "Tell what a run took: tokens, seconds, costs, of each ledger."),
    "record": ("steersman.cli.record:record", "Add a score that came late to a checkpoint of a run."),
    "strategies": ("steersman.cli.strategies:strategies", "List, show, begin or check strategies."),
    "config": ("steersman.cli.config:config", "Check a config, show what is in force, print its schema."),
    "approve": ("steersman.cli.control:approve", "Say yes to a proposal of a run in mode ask."),
    "revert": ("steersman.cli.control:revert", "Undo every change of a running run at its next check."),
    "off": ("steersman.cli.control:off", "Let a run go on without any further change."),
    "on": ("steersman.cli.control:on", "Let a run that was switched off be changed again."),
    "resume": ("steersman.cli.control:resume", "Let a run that a strategy stopped go on."),
}
"""Each subcommand: where it is and what it does, so that `steersman --help` imports none."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
_EXTRA = frozenset({"torch", "transformers", "accelerate"})


class Problem(click.ClickException):
    """What went wrong, as a sentence for the user; exit code 2."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose subcommands are imported when needed, and whose expected errors are sentences."""

    lazy: Mapping[str, tuple[str, str]] = _COMMANDS

    def added(self) -> Mapping[str, Added]:
        """Return the commands that others add; they are looked for only where ours do not answer."""
        return {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            others = self.added()
            return loaded(others[cmd_name]) if cmd_name in others else None
        module, _, name = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in self.lazy.items()])
        if others := self.added():
            with formatter.section("Commands of other distributions"):
                formatter.write_dl([(name, command.says) for name, command in others.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            if args[0] not in names:
                near = nearest(args[0], names)
                hint = f"did you mean {near!r}?" if near else f"there are {', '.join(names)}."
                ctx.fail(f"No such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(130)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _explain_or_raise(error)


class _Main(LazyGroup):
    """Our commands, and those that installed distributions add."""

    def added(self) -> Mapping[str, Added]:
        return added(self.lazy)


def _explain_or_raise(error: Exception) -> NoReturn:
    """Raise a Problem for an error that a user can cause; any other is a fault of ours and keeps its traceback."""
    from steersman.config import ConfigError
    from steersman.failing import StrategyError
    from steersman.readers import UnreadableRun
    from steersman.scale.cluster import NoEngine
    from steersman.scale.results_file import OtherResults

    if isinstance(error, ConfigError | UnreadableRun | StrategyError | NoEngine | OtherResults):
        raise Problem(str(error)) from None
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _EXTRA:
        raise Problem(f"this needs {error.name}, which is not installed: pip install 'steersman[hf]'") from None
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and error.filename:
        raise Problem(f"{error.filename}: {error.strerror}") from None
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and error.errno in _NO_ROOM:
        raise Problem(f"what there is to say cannot be written: {error.strerror}") from None
    raise error


@click.group(
    cls=_Main,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  steersman replay out/checkpoint-500/trainer_state.json   a run you already have
  steersman demo                                           a run made for you, in a minute
  steersman explain out                                    a run that Steersman supervised""",
)
@click.version_option(package_name="steersman", message="%(prog)s %(version)s")
def main() -> None:
    """Steersman supervises training runs: scores checkpoints, notices ill health, changes hyperparameters within
    bounds, and writes down every decision with its reason."""
