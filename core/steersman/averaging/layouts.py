"""How the weights of a checkpoint lie on disk: one file of safetensors, shards with an index, an adapter, torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from steersman.weights import is_state

INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
_ADAPTER = "adapter_model.safetensors"
_TORCH = (".pt", ".pth", ".bin", ".ckpt")
_SHARDED_STATE = ("pytorch_model_fsdp*", "global_step*", "*.distcp", "pytorch_model-*-of-*.bin")


class NotAveraged(ValueError):
    """No average can be made of these checkpoints; the text is a sentence that says why."""


@frozen
class Layout:
    """The weights of a checkpoint: their files, relative to `place`; `place` is itself the file where it is no folder.

    `index` is the file that says which tensor lies in which shard.
    """

    place: Path
    kind: Literal["safetensors", "adapter", "torch"]
    files: tuple[Path, ...]
    index: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """Return the paths of the files."""
        return tuple(self.place / file for file in self.files) if self.place.is_dir() else (self.place,)


def layout_of(place: Path) -> Layout:
    """Return how the weights of the checkpoint at `place`, a folder or a file, lie there.

    Raises NotAveraged where there are none that can be averaged.
    """
    if not place.exists():
        raise NotAveraged(f"{place} is not there; only checkpoints that still exist can be averaged")
    if not place.is_dir():
        return Layout(place, "safetensors" if place.suffix == ".safetensors" else "torch", (Path(place.name),))
    for pattern in _SHARDED_STATE:
        if any(place.glob(pattern)):
            raise NotAveraged(
                f"{place} is a sharded state (FSDP, DeepSpeed or shards of .bin); merge it into whole weights first"
            )
    if (place / ADAPTER_CONFIG).is_file():
        if not (place / _ADAPTER).is_file():
            raise NotAveraged(f"{place} is an adapter without {_ADAPTER}; save it with safetensors")
        return Layout(place, "adapter", (Path(_ADAPTER),))
    if (place / INDEX).is_file():
        return Layout(place, "safetensors", _shards(place / INDEX), Path(INDEX))
    found = sorted(Path(file.name) for file in place.iterdir() if file.is_file() and not is_state(Path(file.name)))
    tensors = [file for file in found if file.suffix == ".safetensors"]
    if len(tensors) == 1:
        return Layout(place, "safetensors", (tensors[0],))
    files = tensors or [file for file in found if file.suffix in _TORCH]
    if len(files) != 1:
        seen = f"several files of weights ({', '.join(map(str, files))})" if files else "no weights"
        raise NotAveraged(f"{place} holds {seen}; name one file, or a folder with one")
    return Layout(place, "torch", (files[0],))


def _shards(index: Path) -> tuple[Path, ...]:
    try:
        told: Any = json.loads(index.read_bytes())
        return tuple(sorted({Path(str(name)) for name in told["weight_map"].values()}))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise NotAveraged(f"{index} cannot be read: {error}") from None
