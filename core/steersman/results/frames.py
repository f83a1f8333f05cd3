"""Tables of replayed runs, for pandas where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from steersman.results.run import LAST, LOWEST_EVAL_LOSS, Choice, FindingMade, ProposalMade, ReplayedRun

if TYPE_CHECKING:
    from pandas import DataFrame


_OF_A_RUN = ("format", "records", "evaluations", "last_step", "error", "alarms", "alarms_per_thousand_steps")


def frame(runs: Sequence[ReplayedRun], table: str = "choices") -> DataFrame:
    """Return one table of all runs.

    `choices` has a row per run and chooser, with the task metrics where there are some; `runs` one per run; `scores`,
    `findings` and `proposals` one for each, with the terms and the evidence as columns `term_...` and `evidence_...`.

    Raises ImportError where pandas is not installed, ValueError for another table.
    """
    if table not in _TABLES:
        raise ValueError(f"there is no table {table!r}; there are {', '.join(_TABLES)}")
    try:
        import pandas
    except ImportError:
        raise ImportError("to_pandas() needs pandas, which is not installed: pip install pandas") from None
    rows = [{"run": run.path, **row} for run in runs for row in _TABLES[table](run)]
    return pandas.DataFrame(rows, columns=None if rows else ["run", *_COLUMNS[table]])


def _choices(run: ReplayedRun) -> Iterator[Mapping[str, Any]]:
    kept = {**run.choices, LOWEST_EVAL_LOSS: run.lowest_eval_loss, LAST: run.last_evaluation}
    for who, choice in kept.items():
        if choice is not None:
            yield {"kept_by": who, **attrs.asdict(choice), **{m.name: m.at.get(who) for m in run.task_metrics}}


def _runs(run: ReplayedRun) -> Iterator[Mapping[str, Any]]:
    yield {name: getattr(run, name) for name in _OF_A_RUN}


def _scores(run: ReplayedRun) -> Iterator[Mapping[str, Any]]:
    for score in run.scores:
        loss = score.train_loss
        terms = {f"term_{name}": value for name, value in score.terms.items()}
        known = {"train_loss": loss.value if loss else None, "train_loss_age_steps": loss.age_steps if loss else None}
        yield {"step": score.step, "strategy": score.strategy, "value": score.value, **known, **terms}


def _findings(run: ReplayedRun) -> Iterator[Mapping[str, Any]]:
    for finding in run.findings:
        row = attrs.asdict(finding)
        evidence = row.pop("evidence")
        yield {**row, **{f"evidence_{name}": value for name, value in evidence.items()}}


def _proposals(run: ReplayedRun) -> Iterable[Mapping[str, Any]]:
    return (attrs.asdict(proposal) for proposal in run.proposals)


_TABLES: Mapping[str, Callable[[ReplayedRun], Iterable[Mapping[str, Any]]]] = {
    "choices": _choices,
    "runs": _runs,
    "scores": _scores,
    "findings": _findings,
    "proposals": _proposals,
}
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "choices": ("kept_by", *(a.name for a in attrs.fields(Choice))),
    "runs": _OF_A_RUN,
    "scores": ("step", "strategy", "value", "train_loss", "train_loss_age_steps"),
    "findings": tuple(a.name for a in attrs.fields(FindingMade) if a.name != "evidence"),
    "proposals": tuple(a.name for a in attrs.fields(ProposalMade)),
}
"""What every row of a table has, for one without rows."""
