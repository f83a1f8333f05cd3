"""Averages of a run that is over: made, evaluated by whoever can, and ranked with its checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from attrs import evolve, frozen

from steersman.averaging.candidates import Candidate
from steersman.averaging.judges import Judged, judged
from steersman.averaging.layouts import NotAveraged
from steersman.averaging.writing import NOTE, Heard, write_average
from steersman.checkpoints import Checkpoint
from steersman.decisions import Average
from steersman.hindsight import begun
from steersman.records import number

Evaluate = Callable[[Any], Any]
"""Is given an average as it is loaded, and returns its eval loss, or its metrics by name."""


@frozen
class Averages:
    """What came of averages: `ranked` are all checkpoints of the run that may be best and they, best first.

    `written` says where averages lie, by their steps; `said` what there is to say.
    """

    ranked: tuple[Checkpoint, ...]
    written: Mapping[tuple[int, ...], Path]
    said: tuple[str, ...] = ()

    @property
    def best(self) -> Checkpoint | None:
        """The best of all, an average or not; its `path` is where it lies."""
        return self.ranked[0] if self.ranked else None


def average(
    run: str | Path,
    evaluate: Evaluate | None = None,
    *,
    steps: Sequence[int] = (),
    use: Sequence[object] = (),
    output: str | Path | None = None,
    metrics: Mapping[str, float] | None = None,
    heard: Heard = lambda done, total: None,
) -> Averages:
    """Average saved checkpoints of a run that is over, and rank them with the rest.

    `run` is a run directory. Averaged are those of `steps`; without them what the strategies of `use` propose, else
    what was proposed when the run ended, else what `averaged` proposes. `evaluate` is given the state dict where the
    checkpoints are files of torch.save, else the folder of the average, and returns the eval loss or a mapping of
    metrics; where it calls `steersman.example_losses`, that pairs an average with the best checkpoint. What it says is
    scored by the run's own strategies and journaled; of those it evaluates only the best stays on disk, and only if it
    ranks before every checkpoint that is there. Without it all are written, into `output` or the run.
    `metrics` are those that another job found of the average of `steps`, which is looked for there.
    Raises NotAveraged with a sentence, UnreadableRun, ConfigError; what `evaluate` raises.
    """
    judge = judged(Path(run))
    folder = Path(output) if output is not None else judge.folder
    candidates = judge.candidates([Average(steps)] if steps else [], use)
    written: dict[tuple[int, ...], Path] = {}
    bar, kept, said = judge.bar(), None, list[str]()
    for candidate in candidates:
        goal, steps_of = folder / candidate.folder, candidate.average.steps
        if metrics is not None:
            said += _unscored(judge, candidate, judge.judge(candidate, metrics, _found(goal)))
            continue
        goal = written[steps_of] = write_average(judge.places(candidate), goal, steps_of, heard)
        if evaluate is None:
            continue
        ends = judge.scoring.examples.open(resumed=True)
        try:
            made = judge.judge(candidate, _evaluated(evaluate, goal), goal)
        finally:
            ends()
        said += _unscored(judge, candidate, made)
        if not judge.can_score(made):
            continue
        score = candidate.ranks_by(made)
        if score is None or (bar is not None and score >= bar):
            _remove(goal)
        else:
            _remove(kept)
            bar, kept = score, goal
    left = {of: path for of, path in written.items() if path.exists()}
    gone = [c for c in candidates if evaluate is not None and metrics is None and c.average.steps not in left]
    said += [f"{begun(c.name)} was deleted: {_why_deleted(judge, c)}." for c in gone]
    ranked = tuple(evolve(c, path=None) if _is_deleted(c) else c for c in judge.ranked())
    return Averages(ranked, left, (*said, *judge.said, *judge.failures()))


def _why_deleted(judge: Judged, candidate: Candidate) -> str:
    ranks = any(c.averaged == candidate.average.steps for c in judge.ranked())
    return "what is better is there" if ranks else "it does not meet what a best checkpoint must, so it does not rank"


def _is_deleted(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.averaged and checkpoint.path) and not Path(checkpoint.path or "").exists()


def _unscored(judge: Judged, candidate: Candidate, made: Checkpoint) -> list[str]:
    """Return a sentence where an average has no score, so that it does not rank."""
    if judge.can_score(made):
        return []
    leader, had = judge.scoring.ranking.leader or "any strategy of this run", ", ".join(made.metrics) or "none"
    return [f"{begun(candidate.name)} has no score by {leader}, and does not rank; its metrics: {had}."]


def _found(goal: Path) -> Path:
    """Return where an average was written. Raises NotAveraged where it was not."""
    found = [goal] if goal.exists() else sorted(goal.parent.glob(f"{goal.name}.*"))
    if not found:
        raise NotAveraged(f"{goal} is not there; write the average first, and then say what was found of it")
    return found[0]


def _evaluated(evaluate: Evaluate, goal: Path) -> dict[str, float]:
    """Return the metrics of an average. What `evaluate` raises is raised, and the average is gone."""
    try:
        told: object = evaluate(_loaded(goal))
    except BaseException:
        _remove(goal)
        raise
    table = cast("Mapping[str, object]", told) if isinstance(told, Mapping) else {"eval_loss": told}
    found: dict[str, float] = {}
    for name, value in table.items():
        plain: Any = value
        as_number = number(plain.item() if hasattr(plain, "item") else plain)
        if as_number is not None:
            found[name if name.startswith("eval_") else f"eval_{name}"] = as_number
    if not found:
        _remove(goal)
        raise ValueError(f"`evaluate` must return the eval loss or a mapping of metrics, got {told!r:.80}")
    return found


def _loaded(goal: Path) -> Any:
    if goal.is_dir():
        return goal
    from steersman.averaging.torch_files import state_of

    return state_of(goal)


def _remove(goal: Path | None) -> None:
    if goal is None:
        return
    if goal.is_dir() and (goal / NOTE).is_file():
        shutil.rmtree(goal)
    elif goal.is_file():
        goal.unlink()
