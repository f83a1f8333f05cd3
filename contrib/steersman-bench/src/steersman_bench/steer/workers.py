"""Runs work in processes that can be killed: one piece that hangs or dies costs its own row, not the table."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from attrs import define, frozen

Piece = TypeVar("Piece")
_LOOKS_EVERY = 0.5


@frozen
class Done:
    """What became of a piece: its value, or the sentence that says why it has none. `hung` where time ran out."""

    value: Any = None
    problem: str = ""
    hung: bool = False


@define(eq=False)
class _Worker(Generic[Piece]):
    process: Any
    pipe: Connection
    piece: Piece | None = None
    since: float | None = None
    """Since when it works on it; None while it still starts, or has nothing to do."""


def in_processes(
    pieces: Sequence[Piece], work: Callable[[Piece], Any], *, workers: int, timeout: float,
    skipped: Callable[[Piece], bool] = lambda piece: False, prepare: Callable[[], object] | None = None,
) -> Generator[tuple[Piece, Done]]:  # fmt: skip
    """Yield each piece with what became of it, in the order in which they are done.

    `work` is a function of a module; what that imports, and `prepare`, is not part of the time. A piece that takes
    longer than `timeout` seconds is given up, with its process. A piece of which `skipped` says so when its turn comes
    is not begun. Whoever stops iterating ends every process.
    """
    waiting, running = deque(pieces), list[_Worker[Piece]]()
    try:
        running += [_started(work, prepare) for _ in range(min(workers, len(pieces)))]
        while waiting or any(worker.piece is not None for worker in running):
            for worker in running:
                while worker.piece is None and waiting:
                    piece = waiting.popleft()
                    if not skipped(piece):
                        worker.piece, worker.since = piece, None
                        worker.pipe.send(piece)
            wait([worker.pipe for worker in running if worker.piece is not None], _LOOKS_EVERY)
            for place, worker in enumerate(running):
                given = worker.piece
                if given is None or (done := _done(worker, timeout)) is None:
                    continue
                worker.piece = None
                if done.problem and not worker.process.is_alive():
                    running[place] = _started(work, prepare)
                yield given, done
    finally:
        for worker in running:
            _end(worker)


def _done(worker: _Worker[Any], timeout: float) -> Done | None:
    """Return what became of the piece of a worker, None while it still runs."""
    if worker.pipe.poll():
        try:
            said: Done | None = worker.pipe.recv()
            worker.since = time.monotonic()  # nothing yet: it begins now, what it needs being imported
            return said
        except EOFError:
            worker.process.join(5)
            return Done(problem=f"its process died with exit code {worker.process.exitcode}")
    if worker.since is not None and time.monotonic() - worker.since > timeout:
        _end(worker)
        return Done(problem=f"it gave no answer within {timeout:g} seconds", hung=True)
    return None


def _started(work: Callable[[Any], Any], prepare: Callable[[], object] | None) -> _Worker[Any]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, prepare, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _end(worker: _Worker[Any]) -> None:
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join(5)
    worker.pipe.close()


def _serve(work: Callable[[Any], Any], prepare: Callable[[], object] | None, pipe: Connection) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    if prepare is not None:
        prepare()
    with suppress(EOFError, BrokenPipeError):  # the parent is gone
        while True:
            piece = pipe.recv()
            pipe.send(None)
            try:
                done = Done(work(piece))
            except Exception as error:
                done = Done(problem=" ".join(f"{type(error).__name__}: {error}".split()))
            pipe.send(done)
