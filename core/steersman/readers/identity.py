"""Which paths are one run: however it is spelled, whichever link leads to it, and by whichever of its files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from attrs import frozen

from steersman.readers.locating import is_url
from steersman.readers.sources import CHECKPOINT, EVENTS, JOURNAL, LOGS, STATE


@frozen
class Named:
    """A run as it was named. `place` is where it lies, `of` the folders whose run it is a part of if they are one."""

    path: str
    place: str
    of: tuple[str, ...] = ()


def each_once(paths: Iterable[str]) -> Iterator[str]:
    """Yield each run once, by the first of its names.

    A checkpoint, a state, a log or a journal is its run where the run's own folder is among the paths too.
    """
    named = [_named(path) for path in paths]
    places = {run.place for run in named}
    seen: set[str] = set()
    for run in named:
        if run.place not in seen and places.isdisjoint(run.of):
            seen.add(run.place)
            yield run.path


def _named(path: str) -> Named:
    if is_url(path):
        return Named(path, path)
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    above, folder_name = os.path.split(folder)
    if CHECKPOINT.fullmatch(name) or name in LOGS or EVENTS in name:
        return Named(path, real, (folder,))
    if name == STATE:
        return Named(path, real, (folder, above) if CHECKPOINT.fullmatch(folder_name) else (folder,))
    if (folder_name, name) == JOURNAL.parts:
        return Named(path, real, (above,))
    return Named(path, real)
