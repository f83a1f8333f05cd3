"""The processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import cast

from steersman.results.run import ReplayedRun
from steersman.results.telling import unreadable

Function = Callable[[tuple[str, ...]], list[ReplayedRun]]
_AHEAD = 4
"""Pieces of work handed out for each process: enough that none waits, few enough that memory stays flat."""


def cores() -> int:
    """Return how many processes may run at once here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_this_process(function: Function, pieces: Iterable[tuple[str, ...]]) -> Iterator[list[ReplayedRun]]:
    """Yield what `function` makes of each piece, one run after the other."""
    for piece in pieces:
        for path in piece:
            yield function((path,))


def over_cores(function: Function, pieces: Iterable[tuple[str, ...]], workers: int) -> Iterator[list[ReplayedRun]]:
    """Yield what `function` makes of each piece as it is done, in `workers` processes.

    Where a process is killed, its pieces are done again one run at a time, and the run that kills it is told.
    """
    waiting = iter(pieces)
    while True:
        under_way: dict[Future[list[ReplayedRun]], tuple[str, ...]] = {}
        pool = _pool(workers)
        try:
            for piece in waiting:
                under_way[pool.submit(function, piece)] = piece
                if len(under_way) >= workers * _AHEAD:
                    yield from _done(under_way)
            while under_way:
                yield from _done(under_way)
            pool.shutdown()
            return
        except BrokenProcessPool:
            suspects = [path for piece in under_way.values() for path in piece]
        except BaseException:  # Ctrl-C, or the caller asks for no more
            _end(pool)
            raise
        _end(pool)
        yield from ([run] for run in _one_by_one(function, suspects))


def _done(under_way: dict[Future[list[ReplayedRun]], tuple[str, ...]]) -> Iterator[list[ReplayedRun]]:
    """Yield what is ready; wait until something is."""
    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
        result = future.result()
        del under_way[future]
        yield result


def _one_by_one(function: Function, paths: Iterable[str]) -> Iterator[ReplayedRun]:
    """Yield each run, replayed in a process in which no other is under way."""
    pool = _pool(1)
    try:
        for path in paths:
            try:
                yield from pool.submit(function, (path,)).result()
            except BrokenProcessPool:
                _end(pool)
                pool = _pool(1)
                yield unreadable(path, f"{path}: the process that replayed it was killed, perhaps for want of memory")
    finally:
        _end(pool)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Return processes that begin anew: a fork would copy threads and locks of the caller."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_begin)


def _begin() -> None:
    """Begin a process: Ctrl-C is the caller's to hear, and where the caller is killed the process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    caller = multiprocessing.parent_process()
    if caller is not None:
        threading.Thread(target=_end_with, args=(caller,), daemon=True).start()


def _end_with(caller: BaseProcess) -> None:
    caller.join()
    os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    """End the processes now, whatever they are at."""
    known = cast("Mapping[int, BaseProcess] | None", getattr(pool, "_processes", None))  # public from Python 3.14 on
    mine = list((known or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in mine:
        process.terminate()
