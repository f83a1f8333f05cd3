"""Safetensors files: what a header tells, and a file written tensor by tensor, piece by piece.

The format is 8 bytes with the length of the header, the header as JSON, then the tensors one after another. The library
reads single tensors, and writes only what is whole in memory; so a file is written here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from steersman.averaging.layouts import NotAveraged


@frozen
class Tensor:
    """What a header tells of a tensor: its dtype as safetensors names it, its shape, its bytes."""

    dtype: str
    shape: tuple[int, ...]
    size: int

    def reshaped(self, shape: tuple[int, ...], times: int) -> Tensor:
        """Return one of another shape, `times` as large."""
        return Tensor(self.dtype, shape, self.size * times)


@frozen
class Header:
    """The tensors of a file in the order in which they lie, and its metadata."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def header_of(path: Path) -> Header:
    """Return the header of a safetensors file. Raises NotAveraged where it cannot be read."""
    try:
        with path.open("rb") as file:
            told: Any = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        metadata: Mapping[str, str] = told.pop("__metadata__", {})
        by_place = sorted(told.items(), key=lambda item: tuple(item[1]["data_offsets"]))
        return Header(
            {
                name: Tensor(t["dtype"], tuple(t["shape"]), t["data_offsets"][1] - t["data_offsets"][0])
                for name, t in by_place
            },
            metadata,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise NotAveraged(f"{path} cannot be read as safetensors: {type(error).__name__}: {error}") from None


def write(
    path: Path,
    header: Header,
    pieces: Callable[[str], Iterable[Any]],
    heard: Callable[[int], None] = lambda written: None,
) -> None:
    """Write a file with the tensors of `header`; `pieces` yields each as torch tensors that follow each other.

    `heard` is told the bytes of each piece once it is written.
    """
    table: dict[str, Any] = {"__metadata__": dict(header.metadata)} if header.metadata else {}
    at = 0
    for name, tensor in header.tensors.items():
        table[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, at + tensor.size]}
        at += tensor.size
    text = json.dumps(table, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in header.tensors:
            for piece in pieces(name):
                written = _bytes_of(piece)
                file.write(written)
                heard(len(written))


def _bytes_of(piece: Any) -> memoryview:
    import torch

    view: memoryview = piece.contiguous().reshape(-1).view(torch.uint8).numpy().data
    return view
