"""`steersman bench steer`: the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click


@click.command(short_help="Measure what strategies do to sick and healthy runs.")
@click.option(
    "--use",
    "uses",
    multiple=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="A strategy to put to the test, alone and allowed to act. May be repeated.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="FILE",
    help="A whole config to put to the test, or the name of a shipped one. May be repeated.",
)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each case.")
@click.option("--development", is_flag=True, help="Seeds to tune on, which are not those of the published table.")
@click.option("--quick", is_flag=True, help="A few cases, one seed to tune on: what CI runs.")
@click.option(
    "--policies", metavar="TEXT,...", help="Only the policies whose names hold one of these, and the baselines."
)
@click.option("--cases", "only", metavar="TEXT,...", help="Only the cases whose names hold one of these.")
@click.option(
    "--trainers",
    is_flag=True,
    help="Drive the Trainer of Hugging Face and TRL's GRPO as well: a table of its own, of two seeds at most.",
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes of this machine.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that one run may take.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON object to this file too."
)
@click.option("--record", is_flag=True, help="Keep what ships as what the quick runs are held against.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def steer(**options: Any) -> None:
    """Train small models that are sick, each beside a healthy twin, and models that are well, with each strategy at the
    wheel, and show what it mends and what it costs, beside no strategy at all, clipping, ReduceLROnPlateau and early
    stopping.

    \b
    Examples:
      steersman bench steer --use trend-health
      steersman bench steer --use ./hooks/mine.py:Mine:patience=3 --config steersman.yaml --json
      steersman bench steer --development --use trend-health --policies recommended --cases spike,burst
      steersman bench steer --trainers --cases Trainer,GRPO"""
    from steersman.cli.terminal import console, print_json
    from steersman.journal import to_json
    from steersman_bench.steer.benchmark import Wanted, measured
    from steersman_bench.steer.page import object_of, page

    as_object, output, record = (options.pop(name) for name in ("as_object", "output", "record"))
    if record and (
        options["uses"] or options["configs"] or options["only"] or options["policies"] or options["trainers"]
    ):
        raise click.UsageError("--record keeps what ships on the quick cases; leave out --use and the like")
    if output is not None and not output.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {output.parent} to write it to", param_hint="'--output'")
    table = measured(Wanted(**{**options, "quick": options["quick"] or record}))
    if record:
        from steersman_bench import expected
        from steersman_bench.steer.expecting import FILE, came_to

        expected.record(FILE, came_to(table))
    if output is not None:
        output.write_text(json.dumps(to_json(object_of(table)), allow_nan=False) + "\n", encoding="utf-8")
    if as_object:
        print_json(object_of(table))
    else:
        page(table, console())
