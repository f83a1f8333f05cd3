"""What is told of runs side by side, as plain values and sentences: nothing here prints."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, frozen

from steersman.hindsight import count, listed
from steersman.results.run import LAST, LOWEST_EVAL_LOSS, Choice, ReplayedRun
from steersman.results.totals import Comparison, Total

_METRICS_OF_A_RUN, _METRICS_OF_ALL = 4, 8
_OF_A_RUN = (
    "path", "format", "records", "evaluations", "last_step", "error", "choices", "lowest_eval_loss", "last_evaluation",
    "task_metrics",
)  # fmt: skip
"""What `--json` holds of each run; `steersman replay --json` has the rest."""
Row = tuple[str, ...]


@frozen
class Figure:
    """One line of a run: what it is, and its figure at the checkpoint of each chooser."""

    what: str
    at: Mapping[str, str]
    is_run: bool = False


def figures(runs: Sequence[ReplayedRun], choosers: Sequence[str]) -> Iterator[Figure]:
    """Yield the lines of each run: the step that each chooser keeps, its eval loss, and each task metric there."""
    names = short([run.path for run in runs])
    for run, name in zip(runs, names, strict=True):
        kept: dict[str, Choice | None] = {chooser: run.choices.get(chooser) for chooser in choosers}
        kept |= {LOWEST_EVAL_LOSS: run.lowest_eval_loss, LAST: run.last_evaluation}
        yield Figure(name, {who: str(c.step) if c else "none" for who, c in kept.items()}, is_run=True)
        if any(choice is not None for choice in kept.values()):
            yield Figure("eval loss", {who: figure(c.eval_loss if c else None) for who, c in kept.items()})
        for metric in run.task_metrics[:_METRICS_OF_A_RUN]:
            yield Figure(metric.name, {who: figure(metric.at.get(who)) for who in kept})
        more = len(run.task_metrics) - _METRICS_OF_A_RUN
        if more > 0:
            yield Figure(f"and {count(more, 'more metric')}: --json", {})


def choosers_of(named: Sequence[str], runs: Sequence[ReplayedRun], total: Total) -> tuple[str, ...]:
    """Return those who keep a checkpoint in any run: the strategies named in their order, then any other."""
    kept = {name for run in runs for name in run.choices} | {made.chooser for made in total.agreements}
    return (*(name for name in named if name in kept), *sorted(kept - {*named}))


def what_was_read(total: Total, named: Sequence[str], choosers: Sequence[str], *, config: str) -> tuple[str, ...]:
    """Return how many runs were read and who was asked."""
    read = f"{count(total.read, 'run')}: {count(total.evaluations, 'evaluation')} in {count(total.steps, 'step')}."
    failed = f" {count(total.failed, 'run')} could not be read." if total.failed else ""
    said = [
        read + failed,
        f"Config: {config}. Asked in this order: {listed([*named]) or 'no strategy'}.",
    ]
    silent = [name for name in named if name not in choosers]
    if silent and total.read:
        verb = "keeps" if len(silent) == 1 else "keep"
        said.append(f"{listed(silent)} scored nothing here and {verb} no checkpoint, so there is no column.")
    return tuple(said)


def comparison_rows(total: Total) -> Iterator[Row]:
    """Yield a row for each metric, then one for each chooser against each baseline."""
    for name in _told_apart(total)[:_METRICS_OF_ALL]:
        of = [made for made in total.comparisons if made.metric == name]
        yield (name, "higher is better" if of[0].higher_is_better else "lower is better", *[""] * 4)
        yield from (_row(made) for made in of)


def _told_apart(total: Total) -> list[str]:
    """Return the metrics in which not all choices tie in every run, those of the most runs first; else all."""
    apart = dict.fromkeys(made.metric for made in total.comparisons if made.wins + made.losses)
    return [*(apart or dict.fromkeys(made.metric for made in total.comparisons))]


def _row(made: Comparison) -> Row:
    told = f"{made.interval[0]:+.4f} to {made.interval[1]:+.4f}" if made.interval else "none"
    each = f"{made.wins} / {made.ties} / {made.losses}"
    return f"  {made.chooser}", made.against, str(made.runs), each, f"{made.mean_difference:+.4f}", told


def on_the_task(total: Total) -> tuple[str, ...]:
    """Return what is to be known to read the comparisons, or why there is none."""
    said: list[str] = []
    if total.comparisons:
        said.append(
            "The mean gain is in the metric's own unit, + is better. The interval is a 95 % bootstrap over runs: "
            "where it holds 0, these runs do not tell the two apart."
            + (" Under ten runs it is too narrow." if any(made.runs < 10 for made in total.comparisons) else "")
        )
        if any(made.interval is None for made in total.comparisons):
            said.append("No interval where a single run has the metric: one run says nothing of how runs differ.")
        metrics, apart = {made.metric for made in total.comparisons}, _told_apart(total)
        if len(apart) > _METRICS_OF_ALL:
            said.append(f"{count(len(apart) - _METRICS_OF_ALL, 'more metric')} of fewer runs: --json has them.")
        if len(apart) < len(metrics):
            said.append(f"Left out, because every choice ties: {count(len(metrics) - len(apart), 'metric')}.")
    elif total.read:
        said.append("No run has a metric of the task whose direction is known, so which choice did better is unknown.")
    unknown = [*total.unknown_direction][:5]
    if unknown:
        more = len(total.unknown_direction) - len(unknown)
        names = listed([*unknown, *([f"{more} more"] if more else [])])
        said.append(f"Direction not known, so left out: {names}. Give --task-metric {unknown[0]}:higher or :lower.")
    return tuple(said)


def agreements(total: Total) -> tuple[str, ...]:
    """Return in how many runs each chooser keeps the lowest eval loss."""
    return tuple(
        f"{made.chooser} keeps the lowest eval loss in {made.same} of {count(made.runs, 'run')}."
        for made in total.agreements
    )


def alarm_rows(total: Total, named: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each strategy, silent ones included, then one for each finding it made."""
    loud = (rate.strategy for rate in total.alarms)
    for strategy in dict.fromkeys((*named, *loud)):
        own = sorted((r for r in total.alarms if r.strategy == strategy), key=lambda r: -r.alarms)
        rate = total.alarms_per_thousand_steps(strategy)
        critical = sum(r.critical for r in own)
        yield strategy, str(total.alarms_of(strategy)), str(critical), figure(rate, 2), ""
        for r in own:
            yield f"  {r.name}", str(r.alarms), str(r.critical), figure(r.per_thousand_steps, 2), str(r.runs)


def alarms(total: Total) -> tuple[str, ...]:
    """Return in how many runs there was any alarm."""
    if not total.read:
        return ()
    share = f"{total.share_with_alarm:.0%}" if total.share_with_alarm is not None else "none"
    return (f"{count(total.runs_with_alarm, 'run')} of {total.read} had an alarm ({share}).",)


def proposals(total: Total) -> tuple[str, ...]:
    """Return how many proposals of each strategy came to which verdict, and what its stops would have saved."""
    said: list[str] = []
    for strategy in dict.fromkeys(made.strategy for made in total.proposals):
        own = sorted((made for made in total.proposals if made.strategy == strategy), key=lambda made: -made.proposals)
        said.append(f"{strategy}: {listed([f'{made.proposals} {made.verdict}' for made in own])}.")
    for stop in total.stops:
        what = f"{count(stop.runs, 'run')} and saved {count(stop.steps_saved, 'step')}"
        said.append(
            f"{stop.strategy} would have stopped {what}; in {stop.gave_up_better} a better checkpoint came after."
        )
    return tuple(said) or (("Nothing.",) if total.read else ())


def notes(total: Total) -> tuple[str, ...]:
    """Return in how many runs a source or a line was passed over, with the first."""
    if not total.runs_with_notes:
        return ()
    of = count(total.runs_with_notes, "run")
    return (f"Of {of} something could not be read; `replay --json` tells it. The first: {total.first_note}",)


def failures(total: Total) -> tuple[str, ...]:
    """Return which strategies failed where, with what they said first."""
    return tuple(f"{f.strategy} failed in {f.hook}, in {count(f.runs, 'run')}: {f.error}." for f in total.failures)


def figure(value: float | None, digits: int = 4) -> str:
    """Return a figure as a cell shows it; `none` where there is none."""
    if value is None:
        return "none"
    return f"{value:.{digits}f}" if abs(value) < 10_000 else f"{value:.4g}"


def short(paths: Sequence[str]) -> list[str]:
    """Return the paths without the folders that all have in common."""
    if len(paths) < 2:
        return [*paths]
    try:
        common = os.path.commonpath(paths)
    except ValueError:  # some are absolute, or on another drive
        return [*paths]
    return [os.path.relpath(path, common) if common else path for path in paths]


def object_of(run: ReplayedRun) -> dict[str, Any]:
    """Return what `--json` holds of one run."""
    told = asdict(evolve(run, scores=(), findings=(), proposals=()))
    rate = run.alarms_per_thousand_steps
    return {**{name: told[name] for name in _OF_A_RUN}, "alarms": run.alarms, "alarms_per_thousand_steps": rate}
