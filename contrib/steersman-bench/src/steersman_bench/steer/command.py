"""`steersman bench steer`: the command."""

from __future__ import annotations

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
@click.option("--quick", is_flag=True, help="A few cases and one seed: what CI runs.")
@click.option(
    "--policies", metavar="TEXT,...", help="Only the policies whose names hold one of these, and the baselines."
)
@click.option("--cases", "only", metavar="TEXT,...", help="Only the cases whose names hold one of these.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes of this machine.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds that one run may take.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def steer(**options: Any) -> None:
    """Train small models that are sick, each beside a healthy twin, and models that are well, with each strategy at the
    wheel, and show what it mends and what it costs, beside no strategy at all, clipping, ReduceLROnPlateau and early
    stopping.

    \b
    Examples:
      steersman bench steer --use trend-health
      steersman bench steer --use ./hooks/mine.py:Mine:patience=3 --config steersman.yaml --json
      steersman bench steer --development --use trend-health --policies guarded --cases spike,burst"""
    from steersman.cli.terminal import console, print_json
    from steersman_bench.steer.benchmark import Wanted, measured
    from steersman_bench.steer.page import object_of, page

    as_object = options.pop("as_object")
    table = measured(Wanted(**options))
    if as_object:
        print_json(object_of(table))
    else:
        page(table, console())
