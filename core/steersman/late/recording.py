"""Record what was found out later about the weights of a step: a safety score, a task score from another job."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from pathlib import Path

from steersman.journal import Journal, locked
from steersman.late.entries import LateScore
from steersman.records import number

_NEVER_LATE = ("loss", "eval_loss")
_OTHER_NAME = "record what another job found under a name of its own"


def record(run: str | Path, step: int, *, by: str = "", **metrics: float) -> LateScore:
    """Record metrics of the weights of `step`, such as `steersman.record("out", 500, safety=0.93)`.

    `run` is a run directory or its journal; `by` says who found them. A run that trains hears it at its next check;
    `steersman best` and `explain` know it at once. A metric recorded again replaces the older.
    Raises ValueError for what is no metric, no finite number, a metric that the evaluation of the step itself gave,
    or a step that was neither evaluated nor saved;
    `readers.UnreadableRun` where there is no run; OSError where the journal cannot be written, a TimeoutError where
    another process keeps its lock.
    """
    found = _checked(metrics)
    if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
        raise ValueError(f"`step` must be a whole number of optimizer steps, got {step!r}")
    from steersman.late.runs import journal_and_steps  # readers are read when first used

    path, known = journal_and_steps(Path(run))
    if step not in known:
        raise ValueError(f"{run}: {_unknown(step, known)}")
    if taken := [f"{name} ({known[step][name]:.6g})" for name in found if name in known[step]]:
        raise ValueError(f"{run}: the evaluation of step {step} gave {', '.join(taken)} itself; {_OTHER_NAME}")
    late = LateScore(int(step), found, by)
    append(path, lambda journal: journal.write("late_score", late.step, metrics=late.metrics, by=late.by))
    return late


def _checked(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the metrics as numbers. Raises ValueError with a sentence for every one that is none."""
    problems = [] if metrics else ["name at least one metric, such as safety=0.93"]
    found: dict[str, float] = {}
    for name, value in metrics.items():
        as_number = None if isinstance(value, bool) else number(value)
        if not name.strip() or not name.isprintable() or name != name.strip() or name == "require":
            problems.append(f"{name!r} cannot be the name of a metric")
        elif name in _NEVER_LATE:
            problems.append(f"{name} never comes late, it is what the run itself measured; {_OTHER_NAME}")
        elif as_number is None:
            problems.append(f"{name} must be a number, got {type(value).__name__} {value!r}")
        elif not math.isfinite(as_number):
            problems.append(f"{name} must be a finite number, got {as_number}; leave it out where it is not known")
        else:
            found[name] = as_number
    if problems:
        raise ValueError("; ".join(problems))
    return found


def _unknown(step: int, steps: Iterable[int]) -> str:
    below = max((known for known in steps if known < step), default=None)
    above = min((known for known in steps if known > step), default=None)
    near = [str(known) for known in (below, above) if known is not None]
    if not near:
        return f"step {step} was neither evaluated nor saved; no step of this run was"
    verb = "is" if len(near) == 1 else "are"
    return f"step {step} was neither evaluated nor saved; the nearest {verb} {' and '.join(near)}"


def append(path: Path, write: Callable[[Journal], None]) -> None:
    """Append a line under the lock of the journal, in one write, so that it tears nobody's and nobody tears it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    journal = Journal(path, said.append)
    with locked(path):
        journal.open(cuts=False)
        write(journal)
        journal.close()
    if said:
        raise OSError(5, said[0].removesuffix("; training goes on"), str(path))
