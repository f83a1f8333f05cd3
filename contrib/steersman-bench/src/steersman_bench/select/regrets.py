"""How good what was kept is: the share of the untrained-to-best gain that it gives away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

import numpy as np
from attrs import frozen

from steersman_bench.select.candidates import RAW
from steersman_bench.select.curves import Curves
from steersman_bench.statistics import Mean, Tally, mean_of, tally

Key = tuple[int, int]
"""The number of a run, and a validation size."""
_LEAST_TASK_GAIN = 0.02


def regret(run: Curves, kept: int) -> float:
    """Return the percentage of the gain in test loss that a candidate gives away.

    The gain is from the untrained model to the lowest test loss of all candidates, raw and averaged alike.
    """
    return float(100 * (run.test[kept] - run.test.min()) / run.gain)


def task_regret(run: Curves, kept: int) -> float | None:
    """Return the same of the task's metric; None where it gains less than 0.02, in which shares say nothing."""
    task = run.task if run.higher_is_better else -run.task
    gain = float(task.max() - task[0])
    return None if gain < _LEAST_TASK_GAIN else float(100 * (task.max() - task[kept]) / gain)


def lowest(run: Curves, size: int) -> int:
    """Return the checkpoint with the lowest eval loss, the earliest of equals."""
    return 1 + int(np.argmin(run.means(size)[1:RAW]))


@frozen
class Figures:
    """What a choice comes to over runs. Each run is the mean over its validation sizes, and counts once.

    `difference` is the regret less that of the lowest eval loss in the same runs and sizes: below zero is better.
    """

    regret: Mean
    task_regret: Mean | None
    difference: Mean
    task_difference: Mean | None
    tally: Tally
    plays: int


def figures(runs: Sequence[Curves], kept: Mapping[Key, int]) -> Figures | None:
    """Return what was kept comes to; None where nothing was."""
    if not kept:
        return None
    base = {key: lowest(runs[key[0]], key[1]) for key in kept}
    regrets = {key: regret(runs[key[0]], candidate) for key, candidate in kept.items()}
    differences = {key: regrets[key] - regret(runs[key[0]], base[key]) for key in kept}
    tasks = _known(kept, lambda key: task_regret(runs[key[0]], kept[key]))
    gaps = {key: task - (task_regret(runs[key[0]], base[key]) or 0.0) for key, task in tasks.items()}
    shares = tally([*differences.values()])
    over, apart = mean_of(_by_run(regrets)), mean_of(_by_run(differences))
    assert shares is not None and over is not None and apart is not None
    return Figures(over, mean_of(_by_run(tasks)), apart, mean_of(_by_run(gaps)), shares, len(kept))


def parts(runs: Sequence[Curves], kept: Mapping[Key, int], part_of: Callable[[Key], str]) -> Mapping[str, Figures]:
    """Return the figures of each part that the runs and sizes fall into, by its name."""
    names = dict.fromkeys(part_of(key) for key in kept)
    found = {name: figures(runs, {key: c for key, c in kept.items() if part_of(key) == name}) for name in names}
    return {name: made for name, made in found.items() if made is not None}


def _known(keys: Iterable[Key], value: Callable[[Key], float | None]) -> dict[Key, float]:
    found = {key: value(key) for key in keys}
    return {key: one for key, one in found.items() if one is not None}


def _by_run(values: Mapping[Key, float]) -> list[float]:
    """Return the mean over the sizes of each run."""
    runs: dict[int, list[float]] = {}
    for (run, _), value in values.items():
        runs.setdefault(run, []).append(value)
    return [fmean(of) for of in runs.values()]
