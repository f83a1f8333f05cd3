"""`steersman bench`: the two benchmarks as subcommands, imported when they are run."""

from __future__ import annotations

from collections.abc import Mapping

import click

from steersman.cli import LazyGroup


class _Benchmarks(LazyGroup):
    lazy: Mapping[str, tuple[str, str]] = {
        "select": ("steersman_bench.select.command:select", "Measure which checkpoints strategies keep."),
        "steer": ("steersman_bench.steer.command:steer", "Measure what strategies do to sick and healthy runs."),
    }


@click.group(cls=_Benchmarks, short_help="Measure whether a strategy helps.")
def bench() -> None:
    """Measure whether a strategy helps, and what it costs runs that were well.

    \b
    Examples:
      steersman bench select --use eval-loss --use multi-metric
      steersman bench steer --use trend-health"""
