"""`steersman average`: the mean of saved checkpoints of a run, as one more candidate for the best."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from steersman.averaging.offline import Averages
from steersman.averaging.offline import average as averages_of
from steersman.checkpoints import Checkpoint, averaged_name
from steersman.cli import Problem, as_json
from steersman.cli.record import parsed
from steersman.cli.terminal import bar_of_bytes, print_json, printable
from steersman.config.use_text import parsed as use_of
from steersman.hindsight import begun, figure


def _steps(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter(f"expected steps such as 100,120,140, got {text!r}") from None


@click.command(short_help="Average checkpoints of a run as one more candidate for the best.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--steps", callback=_steps, metavar="N,N,...", help="Average the checkpoints of these steps.")
@click.option(
    "--use", multiple=True, metavar="NAME[:key=value,...]", help="Ask this strategy which; repeat for several."
)
@click.option("--evaluate", metavar="FILE.py:FUNCTION", help="Evaluate each with this function, or MODULE:FUNCTION.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME=VALUE", help="What was found of the average of --steps."
)
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Write them there, not into the run.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def average(
    run: Path, steps: tuple[int, ...], use: tuple[str, ...], evaluate: str | None, metrics: tuple[str, ...],
    output: Path | None, as_object: bool,
) -> None:  # fmt: skip
    """Write the mean of the weights of saved checkpoints of RUN, a run directory: of those of --steps, of what --use
    proposes, or of what was proposed when the run ended. The function of --evaluate is given the folder of an average,
    or its state dict where checkpoints are files of torch.save; it returns the eval loss or metrics by name. The run's
    own strategies score what it returns; the best is kept if it beats every checkpoint, and `steersman best` knows it.

    \b
    Examples:
      steersman average out
      steersman average out --steps 100,120,140 --evaluate ./evaluate.py:evaluate
      steersman average out --steps 100,120,140 --metric eval_loss=2.31
    """
    found = dict(parsed(text) for text in metrics)
    if found and (evaluate or not steps):
        raise click.UsageError("--metric says what was found of the average of --steps, without --evaluate")
    try:
        asked = [use_of(text) for text in use]
        function = _function(evaluate) if evaluate else None
        with bar_of_bytes("Averaging") as heard:
            told = averages_of(run, function, steps=steps, use=asked, output=output, metrics=found or None, heard=heard)
    except FileNotFoundError:
        raise
    except ValueError as error:
        raise Problem(str(error)) from None
    if as_object:
        print_json(_object(run, told))
        return
    for sentence in _sentences(run, told, evaluated=bool(evaluate or found)):
        click.echo(printable(sentence))


def _sentences(run: Path, told: Averages, *, evaluated: bool) -> list[str]:
    said = [f"{begun(averaged_name(steps))} lies in {path}." for steps, path in told.written.items()]
    if not evaluated:
        steps = ",".join(map(str, next(iter(told.written))))
        said.append(f"Say what you find of one: steersman average {run} --steps {steps} --metric eval_loss=...")
    averages = [c for c in told.ranked if c.averaged]
    said += [f"{begun(c.name)} is number {_rank(told, c)} of {len(told.ranked)}{_loss(c)}." for c in averages]
    if evaluated and told.best is not None:
        said.append(f"The best is {told.best.name}{_loss(told.best)}.")
    return [*said, *told.said]


def _rank(told: Averages, checkpoint: Checkpoint) -> int:
    return next(i for i, c in enumerate(told.ranked, 1) if c.key == checkpoint.key)


def _loss(checkpoint: Checkpoint) -> str:
    loss = checkpoint.metrics.get("eval_loss")
    return f" (eval loss {figure(loss)})" if loss is not None else ""


def _object(run: Path, told: Averages) -> Mapping[str, Any]:
    return {
        "version": as_json.VERSION,
        "run": run,
        "written": [{"steps": steps, "path": path} for steps, path in told.written.items()],
        "ranked": [{"step": c.step, "averaged": c.averaged, "metrics": c.metrics, "path": c.path} for c in told.ranked],
        "said": told.said,
    }


def _function(text: str) -> Callable[[Any], Any]:
    """Return the function that `FILE.py:FUNCTION` or `MODULE:FUNCTION` names. Raises ValueError where there is none."""
    module_name, _, name = text.rpartition(":")
    if not module_name:
        raise ValueError(f"--evaluate takes FILE.py:FUNCTION or MODULE:FUNCTION, got {text!r}")
    if module_name.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module_name).stem, module_name)
        if spec is None or spec.loader is None or not Path(module_name).is_file():
            raise ValueError(f"--evaluate: there is no file {module_name}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, "")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            raise ValueError(f"--evaluate: {module_name} cannot be imported: {error}") from None
    function: Any = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"--evaluate: {module_name} has no function {name!r}")
    found: Callable[[Any], Any] = function
    return found
