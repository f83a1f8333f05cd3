"""`steersman demo rlaif`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from steersman.cli.demo import begun, changes_table, others_aside, print_told, require, seed_option

if TYPE_CHECKING:
    from steersman.demo.rlaif.running import Source

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "trl", "openai")


def _url(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return the value; one that is no HTTP address is an error that does not quote it, as it may hold a secret."""
    try:
        parts = urlsplit("http://none" if value is None else value)
        is_sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 80) > 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise click.BadParameter("expected the base URL of an API, as http://localhost:8000/v1")
    return value


@click.command()
@click.option(
    "--output", type=click.Path(path_type=Path), help="Where the run is written (default: ./steersman-demo-rlaif)."
)
@seed_option
@click.option(
    "--teacher-url",
    callback=_url,
    help="Ask this teacher, not the demo's own: base URL of an OpenAI-compatible API, key in OPENAI_API_KEY.",
)
@click.option("--teacher-model", help="The model to ask for there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def rlaif(output: Path | None, seed: int, teacher_url: str | None, teacher_model: str | None, as_json: bool) -> None:
    """Let a teacher behind an API score what a tiny student writes: GRPO, a real drift.

    A small server on this machine is the teacher, unless --teacher-url names another; each is asked through the openai
    package, once for each completion: some 3,000 times.

    \b
    Examples:
      steersman demo rlaif --output my-rlaif
      steersman explain my-rlaif
      steersman demo rlaif --teacher-url http://localhost:8000/v1 --teacher-model my-model
    """
    if (teacher_url is None) != (teacher_model is None):
        raise click.UsageError("--teacher-url and --teacher-model go together")
    require(_PACKAGES, "rlaif")
    from steersman.demo.rlaif.reward import TeacherUnusable
    from steersman.demo.rlaif.running import source
    from steersman.demo.rlaif.training import CONFIG
    from steersman.secrets import address

    try:
        with (
            begun(output, "steersman-demo-rlaif", CONFIG) as (folder, config),
            source(teacher_url, teacher_model) as asked,
            others_aside(as_json),
        ):
            told = _train(folder, config, seed, asked, as_json=as_json)
    except TeacherUnusable as error:
        raise click.ClickException(f"{address(teacher_url or '')}: {error}") from None
    if as_json:
        print_told(told)
    else:
        _show(told)


def _train(folder: Path, config: Path, seed: int, asked: Source, *, as_json: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from steersman.config import read
    from steersman.demo.rlaif.running import run
    from steersman.demo.rlaif.training import STEPS

    if not as_json:
        _introduce(asked, config)
    settings: Any = {**read(config, environment={}).raw, "console": False} if as_json else config
    bar = Progress(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty())
    with warnings.catch_warnings(), bar as progress:
        warnings.simplefilter("ignore", FutureWarning)  # those of TRL's own settings
        task = progress.add_task("starting torch, transformers and trl", total=None)

        def advance(step: int) -> None:
            progress.update(task, description="training", completed=step, total=STEPS)

        return run(folder, settings, seed, asked, say=lambda line: click.echo(line, err=True), on_step=advance)


def _introduce(asked: Source, config: Path) -> None:
    from steersman.demo.rlaif.rule import RULE
    from steersman.demo.rlaif.training import CONFIG, DRIFT_FACTOR, DRIFT_FROM, DRIFT_TO

    click.echo("A tiny GPT-2 that has read Python's documentation goes on with sentences from it.")
    click.echo(f"A teacher scores each completion: {asked.model} at {asked.address}, asked through the openai package.")
    if asked.server is not None:
        click.echo(RULE)
    drift = f"From step {DRIFT_FROM + 1} to {DRIFT_TO} the schedule multiplies the learning rate by {DRIFT_FACTOR:g}."
    click.echo(f"The student learns from the scores by GRPO. {drift}")
    click.echo(f"Supervised with {config}, which uses the preset `seed`:\n")
    click.echo("\n".join(f"    {line}" for line in CONFIG.splitlines()) + "\n")


def _show(told: dict[str, Any]) -> None:
    from rich.console import Console

    from steersman.demo.rlaif.report import by_hyperparameter, story

    console = Console(highlight=False)
    console.print()
    console.print(story(told), markup=False)
    console.print(changes_table(by_hyperparameter(told)))
    teacher = told["teacher"]
    unscored = sum(teacher["unscored"].values())
    console.print(
        f"The teacher was asked {teacher['asked']:,} times and gave no score {unscored:,} times.", markup=False
    )
    console.print(f"Every decision with its reason: {told['journal']}", markup=False)
    output = told["output"]
    console.print(
        "\nWhat to try next:", f"  steersman explain {output}", f"  steersman replay {output}", sep="\n", markup=False
    )
