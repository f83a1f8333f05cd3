"""The scalars of event files, read with TensorBoard's own reader; TensorFlow is not needed and not imported.

A later file goes on where a restart began, and what the restart did again is superseded. Text, histograms, images and
hyperparameters are left out.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from steersman.readers import content
from steersman.readers.listing import is_local
from steersman.readers.names import STEPS
from steersman.readers.recognition import recognised
from steersman.readers.recording import UnreadableRun

MISSING = "TensorBoard event files are read with TensorBoard: pip install 'steersman[tensorboard]'"
WALL = "_runtime"


@frozen
class Scalars:
    """What each step has, by tag, and the seconds of training under `_runtime`; `tags` are all that were logged."""

    steps: Mapping[int, Mapping[str, float]]
    tags: frozenset[str]
    notes: tuple[str, ...]


def read(path: Path, files: Sequence[Path]) -> Scalars:
    """Return the scalars of event files that are one run; one that is cut short is read up to there.

    Raises UnreadableRun where none of them can be read.
    """
    steps: dict[int, dict[str, float]] = {}
    latest: dict[str, int] = {}
    failures: list[UnreadableRun] = []
    notes: list[str] = []
    before = 0.0
    for file in files:
        try:
            before = _add(file, steps, latest, before, notes)
        except UnreadableRun as error:
            failures.append(error)
    if failures and len(failures) == len(files):
        raise UnreadableRun.of(path, failures)
    notes += [f"Passed over: {error}." for error in failures]
    return Scalars(steps, frozenset(latest), tuple(notes))


def _add(
    file: Path, steps: dict[int, dict[str, float]], latest: dict[str, int], before: float, notes: list[str]
) -> float:
    """Add the scalars of one file to those before it, and return the seconds of training at its end."""
    start: float | None = None
    elapsed = before
    for event in _events(file, notes):
        start = event.wall_time if start is None else start
        step = int(event.step)
        for value in event.summary.value:
            scalar = _scalar(value)
            if scalar is None or value.tag in STEPS:
                continue
            if step < latest.get(value.tag, -1):
                for later in [known for known in steps if known >= step]:
                    del steps[later]
                latest.update({tag: -1 for tag, at in latest.items() if at > step})
            elapsed = before + event.wall_time - start
            latest[value.tag] = step
            row = steps.setdefault(step, {})
            row[value.tag], row[WALL] = scalar, elapsed
    return elapsed


def _events(file: Path, notes: list[str]) -> Iterator[Any]:
    """Yield the events of a file, up to where it is cut short."""
    with _here(file) as local:
        try:
            from google.protobuf.message import DecodeError
            from tensorboard.compat.proto import event_pb2
            from tensorboard.compat.tensorflow_stub import errors
            from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New
        except ImportError:
            raise UnreadableRun(file, MISSING) from None
        parsed: Any = cast("Any", event_pb2).Event.FromString
        reader: Any = PyRecordReader_New(str(local))
        try:
            while True:
                reader.GetNext()
                yield parsed(reader.record())
        except errors.OutOfRangeError:
            return
        except (errors.DataLossError, DecodeError):
            notes.append(f"{file} is cut short or damaged, so it was read up to there.")  # by a kill, or while written
        finally:
            reader.file_handle.close()


@contextmanager
def _here(file: Path) -> Generator[Path]:
    """Give the file as one of this machine's disks. Raises UnreadableRun where it is no event file."""
    start = content.head(file, 64)
    if start.startswith(content.LFS):
        raise UnreadableRun(file, content.IS_LFS)
    if start and not recognised(start):
        raise UnreadableRun(file, "it is no TensorBoard event file: it does not begin with a version of events")
    if is_local(file):
        yield file
        return
    with tempfile.NamedTemporaryFile() as copy:
        with content.opened(file) as source:
            shutil.copyfileobj(source, copy)
        copy.flush()
        yield Path(copy.name)


def _scalar(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in ("scalars", ""):
        return None
    if len(value.tensor.float_val) == 1:
        return float(value.tensor.float_val[0])
    from tensorboard.util import tensor_util

    array = cast("Any", tensor_util).make_ndarray(value.tensor)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
