"""`steersman bench select`: measure which checkpoints strategies keep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steersman_bench.select.families import FAMILIES

if TYPE_CHECKING:
    from steersman_bench.select.measuring import Report

_OUT = Path("recorded.npz")


@click.command(short_help="Measure which checkpoints strategies keep.")
@click.option(
    "--use", "uses", multiple=True, metavar="NAME",
    help="A strategy: its name, MODULE:Class or ./FILE.py:Class; options as in 'NAME: {key: value}'. May be repeated.",
)  # fmt: skip
@click.option("--families", multiple=True, type=click.Choice([*FAMILIES]), help="Only these. May be repeated.")
@click.option("--quick", is_flag=True, help="Play every sixth run.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True,
              help="Seconds that a strategy may take over one run.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Processes at a time; by default one for each core.")
@click.option("--recording", type=click.Path(path_type=Path), help="Other recorded runs than those that ship.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
@click.option("--record", is_flag=True, help="Keep what ships as what the quick runs are held against.")
@click.option("--remake", is_flag=True, help="Make the recorded runs again, from their seeds; needs torch.")
@click.option("--development", is_flag=True, help="With --remake: twice as many runs, from the development seeds.")
@click.option("--out", type=click.Path(path_type=Path), help=f"With --remake: where to write.  [default: {_OUT}]")
def select(
    uses: tuple[str, ...],
    families: tuple[str, ...],
    recording: Path | None,
    workers: int | None,
    out: Path | None,
    *,
    quick: bool,
    timeout: float,
    as_object: bool,
    record: bool,
    remake: bool,
    development: bool,
) -> None:
    """Play recorded runs to strategies and measure how good the checkpoints are that they keep, beside the lowest eval
    loss and the last checkpoint. Without --use all strategies are measured that ship and choose or stop.

    \b
    Examples:
      steersman bench select
      steersman bench select --quick --use 'multi-metric: {gap_weight: 0.1}'
      steersman bench select --use ./mine.py:MyScore --families regressions"""
    if remake:
        _remake(out or _OUT, development=development)
        return
    if development or out:
        raise click.UsageError("--development and --out say what --remake makes; add --remake")
    if record and (uses or families or recording):
        raise click.UsageError("--record keeps what ships on the runs that ship; leave out --use and the like")
    report = _measured(uses, families, recording, timeout, workers, quick=quick or record)
    if record:
        from steersman_bench import expected
        from steersman_bench.select.expecting import FILE, came_to

        expected.record(FILE, came_to(report))
    _print(report, as_object=as_object)


def _remake(out: Path, *, development: bool) -> None:
    from steersman_bench.select.recording import remake

    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="'--out'")
    told = remake(out, development=development)
    seeds = " and ".join(map(str, told["seeds"]))
    click.echo(f"{told['runs']} runs from seed {seeds} are in {out}; {len(told['left_out'])} learned too little")


def _measured(
    uses: tuple[str, ...],
    families: tuple[str, ...],
    path: Path | None,
    timeout: float,
    workers: int | None,
    *,
    quick: bool,
) -> Report:
    from steersman.cli import Problem
    from steersman_bench.select.curves import SHIPPED, NoRecording, read
    from steersman_bench.select.measuring import measure
    from steersman_bench.select.naming import planned
    from steersman_bench.select.strategies import asked

    rows = asked(uses)
    for use in rows.values():
        planned(use)
    try:
        recording = read(path or SHIPPED)
    except NoRecording as error:
        raise Problem(str(error)) from None
    recording = recording.of(families) if families else recording
    recording = recording.quick() if quick else recording
    return measure(rows, recording, timeout=timeout, workers=workers or os.cpu_count() or 1)


def _print(report: Report, *, as_object: bool) -> None:
    from steersman.cli.terminal import console, print_json
    from steersman_bench.select.page import page

    if as_object:
        print_json(report.as_object())
    else:
        page(report, console())
