"""TensorBoard event files: the files of one folder are one run, and so are folders named after their stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from steersman.readers import lightning, scalars
from steersman.readers.assembling import Assembly
from steersman.readers.layouts import Layout, layout_of
from steersman.readers.recording import Recording, plan_of
from steersman.readers.scalars import WALL
from steersman.readers.sources import STAGED
from steersman.records import Record
from steersman.stages import stage_of

_LIGHTNING = "hparams.yaml"
_KERAS = "epoch_"


def read(path: Path, files: Sequence[Path], own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of the run whose event files these are; one that is cut short is read up to there.

    Raises UnreadableRun where none of them can be read.
    """
    found = scalars.read(path, files)
    is_lightning = "epoch" in found.tags and (files[0].parent / _LIGHTNING).exists()
    records = _assembled(found.steps, lightning.layout_of if is_lightning else layout_of, own)
    records = lightning.with_epochs(records) if is_lightning else records
    return Recording(path, "tensorboard", records, plan_of(records, None), notes=found.notes)


def read_staged(path: Path, folders: Mapping[str, Sequence[Path]], own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a run with a folder of event files for each stage, such as `train` and `validation`.

    A tag without a stage is of that of its folder. Where Keras logged epochs, an epoch is the step and what was
    logged by batches is left out.
    Raises UnreadableRun where a folder cannot be read.
    """
    read = {name: scalars.read(path, files) for name, files in folders.items()}
    by_epoch = any(tag.startswith(_KERAS) for found in read.values() for tag in found.tags)
    steps: dict[int, dict[str, float]] = {}
    for name, found in read.items():
        for step, row in found.steps.items():
            whole = steps.setdefault(step + by_epoch, {})
            for tag, value in row.items():
                if tag.startswith(_KERAS) or not by_epoch or tag == WALL:
                    plain = tag.removeprefix(_KERAS)
                    whole.setdefault(plain if tag == WALL or stage_of(plain) else f"{STAGED[name]}/{plain}", value)
    records = _assembled(steps, layout_of, own)
    notes = tuple(note for found in read.values() for note in found.notes)
    return Recording(path, "tensorboard", records, plan_of(records, None), notes=notes)


def _assembled(
    steps: Mapping[int, Mapping[str, float]], layout: Callable[..., Layout], own: Mapping[str, str] | None
) -> tuple[Record, ...]:
    assembly = Assembly(partial(layout, own=own))
    for step in sorted(steps):
        row: dict[str, object] = {**steps[step], "step": step}
        assembly.add(row, assembly.layout(tuple(row)))
    return assembly.records()
