"""Replays every run of some trees: in this process, over all cores, or on a cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from attrs import frozen

from steersman.asking import Asking, one_or_several
from steersman.config.reading import Source
from steersman.readers import UnreadableRun, find
from steersman.readers.identity import each_once
from steersman.readers.locating import located
from steersman.results.comparing import Accumulator, Total
from steersman.results.run import ReplayedRun
from steersman.scale.cluster import over_dask, over_ray
from steersman.scale.local import cores, in_this_process, over_cores
from steersman.scale.results_file import ResultsFile
from steersman.scale.work import Work

if TYPE_CHECKING:
    from pandas import DataFrame

Engine = Literal["local", "dask", "ray"]
_WORTH_A_PROCESS = 32
"""Runs from which on other processes are begun: each takes half a second to begin."""
_PIECE = 8
"""Runs in one piece of work."""


@frozen
class Where:
    """Where runs are replayed: on `workers` processes of this machine, or by an engine whose cluster is at `address`.

    `workers` None is one for each core where there are many runs, and this process where there are few.
    """

    engine: Engine = "local"
    workers: int | None = None
    address: str | None = None

    def results(self, work: Work, paths: Sequence[str]) -> Iterator[ReplayedRun]:
        """Yield what is told of each run, as it is done."""
        pieces = _pieces(paths)
        if self.engine == "dask":
            made = over_dask(work, pieces, self.address)
        elif self.engine == "ray":
            made = over_ray(work, pieces, self.address)
        else:
            few = len(paths) < _WORTH_A_PROCESS
            workers = self.workers or (1 if few else min(cores(), len(paths)))
            made = in_this_process(work, pieces) if workers == 1 else over_cores(work, pieces, workers)
        for runs in made:
            yield from runs


@frozen
class Replays:
    """What the strategies would have said of many runs: each run, in the order of their paths, and all together."""

    runs: tuple[ReplayedRun, ...]
    total: Total

    def to_pandas(self, table: str = "choices") -> DataFrame:
        """Return a table as a DataFrame: `choices`, `runs`, `scores`, `findings` or `proposals`.

        Raises ImportError where pandas is not installed, ValueError for another table.
        """
        from steersman.results.frames import frame

        return frame(self.runs, table)


def replay_many(
    paths: str | Path | Iterable[str | Path],
    config: Source = None,
    *,
    use: str | Sequence[object] = (),
    values: Mapping[str, float] | None = None,
    task_metrics: Mapping[str, bool] | None = None,
    effects: bool = False,
    workers: int = 1,
    engine: Engine = "local",
    address: str | None = None,
    output: str | Path | None = None,
) -> Replays:
    """Return what the strategies of `config`, or those of `use`, say of every run in `paths`: files, folders, trees.

    A run that cannot be read has its `error`; the others go on. `task_metrics` are metrics of the task by name, with
    whether higher is better, beside those known by their names. `workers` are processes of this machine; a script that
    asks for more than one must be importable (`if __name__ == "__main__":`). `output` is a file of JSON lines that the
    results are streamed to, and that a second call takes up where the first was cut. For the rest see `replay`.

    Raises ConfigError, ValueError for another engine or no worker.
    """
    if engine not in get_args(Engine) or workers < 1:
        raise ValueError(f"expected an engine of {', '.join(get_args(Engine))} and at least one worker")
    asking = Asking(config, one_or_several(use), values or {}, effects=effects, afresh=True)
    asking.prepare()
    work, total = Work(asking, task_metrics), Accumulator()
    runs = tuple(found(paths))
    kept = dict[str, ReplayedRun]()
    for run in stream(work, runs, Where(engine, workers, address), Path(output) if output is not None else None):
        total.add(run)
        kept[run.path] = run
    return Replays(tuple(kept[path] for path in runs if path in kept), total.total())


def stream(
    work: Work,
    paths: Sequence[str],
    where: Where = Where(),
    output: Path | None = None,
    watch: Callable[[Iterator[ReplayedRun], int], Iterable[ReplayedRun]] = lambda runs, _: runs,
) -> Iterator[ReplayedRun]:
    """Yield what is told of each of `paths`, as it is done; with `output`, those that it holds already come first.

    `watch` yields the runs it is given, of which there are so many, and may show how far it is.
    Raises OtherResults where the file holds something else.
    """
    file = ResultsFile(output, work.asking.mark()) if output is not None else None
    try:
        wanted = dict.fromkeys(paths)
        for run in file.taken_up() if file is not None else ():
            if run.path in wanted:
                del wanted[run.path]
                yield run
        for run in watch(where.results(work, list(wanted)), len(wanted)):
            if file is not None:
                file.add(run)
            yield run
    finally:
        if file is not None:
            file.close()


def found(paths: str | Path | Iterable[str | Path]) -> Iterator[str]:
    """Yield every run in `paths`, each once; a path that holds none is yielded itself, and cannot be read."""
    return each_once(_named(paths))


def _named(paths: str | Path | Iterable[str | Path]) -> Iterator[str]:
    for path in [paths] if isinstance(paths, str | Path) else paths:
        try:
            here = (str(run) for run in find(located(path)))
            yield from itertools.chain([next(here, str(path))], here)
        except UnreadableRun:
            yield str(path)


def _pieces(paths: Sequence[str]) -> Iterator[tuple[str, ...]]:
    size = max(1, min(_PIECE, len(paths) // (4 * cores())))
    for begin in range(0, len(paths), size):
        yield tuple(paths[begin : begin + size])
