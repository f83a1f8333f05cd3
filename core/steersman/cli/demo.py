"""`steersman demo`."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import click

from steersman.cli import LazyGroup

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="The same seed gives the same decisions.",
)
"""What numpy takes as a seed."""


class _Demos(LazyGroup):
    lazy: Mapping[str, tuple[str, str]] = {
        "rlaif": (
            "steersman.cli.demo_rlaif:rlaif",
            "Let a teacher behind an API score what a tiny student writes: GRPO, a real drift.",
        ),
    }


@click.group(
    cls=_Demos,
    invoke_without_command=True,
    short_help="Train a tiny GPT-2 under supervision: a real fault, a real correction.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Where the run is written (default: ./steersman-demo).")
@seed_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.pass_context
def demo(context: click.Context, output: Path | None, seed: int, as_json: bool) -> None:
    """Train a tiny GPT-2 under supervision: a real fault, a real correction.

    \b
    Example:
      steersman demo --output my-demo
      steersman explain my-demo
    """
    if context.invoked_subcommand is not None:
        if output is not None or seed or as_json:
            raise click.UsageError(f"--output, --seed and --json belong behind {context.invoked_subcommand!r}")
        return
    require(("torch", "transformers", "accelerate"), "hf")
    from steersman.demo.training import CONFIG

    with begun(output, "steersman-demo", CONFIG) as (folder, config), others_aside(as_json):
        told = _train(folder, config, seed, as_json)
    if as_json:
        print_told(told)
    else:
        _show(told)


def _train(folder: Path, config: Path, seed: int, as_json: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from steersman.config import read
    from steersman.demo.report import facts
    from steersman.demo.training import CONFIG, FAULT_AT, FAULT_FACTOR, STEPS, build
    from steersman.readers.journal import current

    if not as_json:
        click.echo("A GPT-2 of 100,000 parameters learns 96 sequences of Python's own documentation by heart.")
        click.echo(f"At step {FAULT_AT} its schedule multiplies the learning rate by {FAULT_FACTOR:g}, for good.")
        click.echo(f"Supervised with {config}, which uses the preset `seed`:\n")
        click.echo("\n".join(f"    {line}" for line in CONFIG.splitlines()) + "\n")
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        task = progress.add_task("starting torch and transformers", total=None)
        trainer = build(folder, seed, lambda step: progress.update(task, completed=step))
        import steersman

        settings: Any = config
        if as_json:
            settings = {**read(config, environment={}).raw, "console": False}
        steersman.supervise(trainer, settings)
        progress.update(task, description="training", total=STEPS)
        trainer.train()
        trainer.save_state()
    return facts(current(folder / "steersman" / "journal.jsonl"), folder, seed)


def _show(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from steersman.demo.report import by_hyperparameter, story

    console = Console(highlight=False)
    console.print()
    console.print(story(told), markup=False)
    table = Table("rank", "step", "score", "eval loss", "train loss", "checkpoint", title="Ranking (lower is better)")
    for rank, row in enumerate(told["ranking"][:5], 1):
        figures = [f"{row[name]:.4f}" for name in ("score", "eval_loss", "train_loss")]
        table.add_row(str(rank), str(row["step"]), *figures, Path(row["path"]).name if row["exists"] else "never saved")
    console.print(table)
    console.print(changes_table(by_hyperparameter(told)))
    if told["disagree"]:
        best, lowest = told["best"], told["lowest_eval_loss"]
        console.print(
            f"The scorers disagree: multi-metric keeps step {best['step']}, the lowest eval loss is at step "
            f"{lowest['step']}; its overfitting gap costs {lowest['terms']['gap'] - best['terms']['gap']:+.4f}.",
            markup=False,
        )
    tokens = told["tokens"]
    console.print(
        f"{tokens['backpropagation_tokens']:,} tokens trained on in {told['duration_seconds']:.1f} seconds. "
        f"Every decision with its reason: {told['journal']}",
        markup=False,
    )
    output = told["output"]
    console.print(
        "\nWhat to try next:", f"  steersman explain {output}", f"  steersman replay {output}", sep="\n", markup=False
    )


def changes_table(changes: Mapping[str, list[dict[str, Any]]]) -> Any:
    """Return a table of the changes: of each hyperparameter how many, the first and the last."""
    from rich.table import Table

    table = Table("hyperparameter", "changes", "first", "last", title="Changes")
    for name, made in changes.items():
        first_and_last = (f"{c['old']:.4g} -> {c['new']:.4g} at step {c['step']}" for c in (made[0], made[-1]))
        table.add_row(name, str(len(made)), *first_and_last)
    return table


@contextmanager
def begun(output: Path | None, default: str, config: str) -> Generator[tuple[Path, Path]]:
    """Give the folder of a demo, made where it was not there, and the path of the config written into it.

    Both are removed again where the demo fails before it wrote anything else.
    Raises ClickException where the folder is in use or cannot be written.
    """
    folder = _folder(output, default)
    was_there = folder.is_dir()
    path = folder / "steersman.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(config, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}; choose another --output") from None
    try:
        yield folder, path
    except BaseException:
        if [*folder.iterdir()] == [path]:
            path.unlink()
            if not was_there:
                folder.rmdir()
        raise


def _folder(output: Path | None, default: str) -> Path:
    if output is None:
        output, number = Path(default), 2
        while output.exists():
            output, number = Path(f"{default}-{number}"), number + 1
        return output
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise click.ClickException(f"{output} exists and is not an empty folder; choose another --output or remove it")
    return output


def others_aside(as_json: bool) -> AbstractContextManager[object]:
    """Have what libraries print go to stderr, so that stdout holds one JSON object; without `as_json` nothing."""
    return redirect_stdout(sys.stderr) if as_json else nullcontext()


def require(packages: Iterable[str], extra: str) -> None:
    """Raise ClickException with the pip command where one of the packages is missing."""
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise click.ClickException(f"the demo needs {', '.join(missing)}: pip install 'steersman[{extra}]'")


def print_told(told: Mapping[str, Any]) -> None:
    """Print what a demo tells as one line of strict JSON."""
    from steersman.journal import to_json

    click.echo(json.dumps(to_json(told), allow_nan=False))
