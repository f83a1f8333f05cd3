"""An average on disk: a checkpoint like those it is made of, whole or not there at all."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steersman.averaging import adapters
from steersman.averaging.layouts import ADAPTER_CONFIG, Layout, NotAveraged, layout_of
from steersman.averaging.means import Sources
from steersman.averaging.tensor_files import Header, Tensor, write
from steersman.averaging.torch_files import mean_state
from steersman.weights import is_state, is_weights

NOTE = "steersman-average.json"
"""The file that says what an average was made of."""
Heard = Callable[[int, int], None]
"""Is told how many bytes are written, and how many there will be."""


def name_of(steps: Sequence[int]) -> str:
    """Return what the folder of an average is called."""
    return f"averaged-{steps[0]}-{steps[-1]}-of-{len(steps)}"


def write_average(
    places: Sequence[Path], goal: Path, steps: Sequence[int] = (), heard: Heard = lambda done, all: None
) -> Path:
    """Write the mean of the checkpoints at `places`, in order of step, to `goal`; return where it lies.

    Folders make a folder that loads as they do, without optimizer or trainer state; other files come from the one in
    the middle. Files of torch.save make a file of the same name. An average that lies at `goal` is replaced. Whatever
    goes wrong, Ctrl-C too, leaves nothing half made.
    Raises NotAveraged with a sentence; FileExistsError where something else is at `goal`.
    """
    layouts = [layout_of(place) for place in places]
    if len({layout.kind for layout in layouts}) > 1 or len({layout.place.is_dir() for layout in layouts}) > 1:
        said = ", ".join(f"{layout.place} ({layout.kind})" for layout in layouts)
        raise NotAveraged(f"these are not saved alike: {said}")
    centre = layouts[len(layouts) // 2]
    is_folder = centre.place.is_dir()
    if not is_folder:
        goal = goal.with_name(goal.name + centre.place.suffix)
    if goal.exists() and not (goal / NOTE).is_file() and is_folder:
        raise FileExistsError(17, "it is there and is no average, so it is left alone", str(goal))
    making = goal.with_name(f"{goal.name}.making")
    _remove(making)
    making.mkdir(parents=True)
    try:
        _make(layouts, centre, making, steps, heard)
        _remove(goal)
        if is_folder:
            making.rename(goal)
        else:
            (making / centre.files[0]).rename(goal)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise NotAveraged(f"no average could be written to {goal}: the disk is full") from None
    finally:
        _remove(making)
    return goal


def _make(layouts: Sequence[Layout], centre: Layout, making: Path, steps: Sequence[int], heard: Heard) -> None:
    if centre.place.is_dir():
        _copy_companions(centre.place, making)
        note = {"steps": list(steps), "of": [str(layout.place) for layout in layouts]}
        (making / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
        if centre.kind != "adapter":
            _refuse_quantized(centre.place)
    if centre.kind == "torch":
        _make_torch(layouts, making / centre.files[0])
        return
    config = adapters.config_of(layouts) if centre.kind == "adapter" else None
    if config is not None:
        (making / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    with Sources(layouts) as sources:
        total = sources.size * (len(layouts) if config is not None else 1)
        done = 0

        def told(written: int) -> None:
            nonlocal done
            done += written
            heard(done, max(total, done))

        for path, header in sources.headers[sources.centre].items():
            _write_file(sources, header, making / path, told, stacks=config is not None)


def _write_file(sources: Sources, header: Header, path: Path, told: Callable[[int], None], *, stacks: bool) -> None:
    def pieces(name: str) -> Any:
        tensor: Tensor = header.tensors[name]
        return adapters.pieces_of(sources, name, tensor) if stacks else sources.mean(name, tensor)

    write(path, adapters.stacked(header, len(sources.layouts)) if stacks else header, pieces, told)


def _make_torch(layouts: Sequence[Layout], goal: Path) -> None:
    import torch

    mean, part = mean_state([layout.paths()[0] for layout in layouts])
    torch.save({part: mean} if part else mean, goal)


def _copy_companions(place: Path, making: Path) -> None:
    for file in sorted(place.iterdir()):
        name = Path(file.name)
        if file.is_file() and not is_weights(name) and not is_state(name) and file.name not in (NOTE, "steersman.json"):
            shutil.copy2(file, making / name)


def _refuse_quantized(place: Path) -> None:
    try:
        told: dict[str, Any] = json.loads((place / "config.json").read_bytes())
        is_quantized = bool(told.get("quantization_config"))
    except (OSError, ValueError, AttributeError):
        return
    if is_quantized:
        raise NotAveraged(
            f"{place} is quantized, and a mean of quantized weights is none of the weights they stand for"
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
