"""The mean of one tensor over several safetensors files, a piece of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import define, field

from steersman.averaging.layouts import Layout, NotAveraged
from steersman.averaging.tensor_files import Header, Tensor, header_of

_PIECE = 1 << 22
"""How many numbers are in memory at a time, of each of the files."""


@define(eq=False)
class Sources:
    """The same weights at several steps, opened; use it in a `with`. `centre` is the one in the middle."""

    layouts: Sequence[Layout]
    _held: ExitStack = field(factory=ExitStack, init=False)
    _files: list[dict[str, Any]] = field(factory=list[dict[str, Any]], init=False)
    headers: list[dict[Path, Header]] = field(factory=list[dict[Path, Header]], init=False)

    def __enter__(self) -> Sources:
        import safetensors

        safe_open: Any = safetensors.safe_open  # typed in part
        try:
            for layout in self.layouts:
                headers = {Path(path.name): header_of(path) for path in layout.paths()}
                tensors: dict[str, Any] = {}
                for path, header in zip(layout.paths(), headers.values(), strict=True):
                    opened = self._held.enter_context(safe_open(path, framework="pt"))
                    tensors |= dict.fromkeys(header.tensors, opened)
                self.headers.append(headers)
                self._files.append(tensors)
            self._compare()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def centre(self) -> int:
        return len(self.layouts) // 2

    @property
    def size(self) -> int:
        """The bytes of the weights of one."""
        return sum(t.size for header in self.headers[self.centre].values() for t in header.tensors.values())

    def whole(self, name: str) -> list[Any]:
        """Return a tensor of each of the files, whole: for small ones."""
        return [files[name].get_tensor(name) for files in self._files]

    def mean(self, name: str, tensor: Tensor) -> Iterator[Any]:
        """Yield the mean of a tensor in pieces, in its own dtype; it is summed in float32, or float64 where it is that.

        Whole numbers and truth values are those of the centre.
        """
        centre = self._files[self.centre][name]
        for rows in _rows(tensor.shape):
            middle = _read(centre, name, rows)
            if not (middle.is_floating_point() or middle.is_complex()):
                yield middle
                continue
            yield mean_of((_read(files[name], name, rows) for files in self._files), len(self._files), middle)

    def _compare(self) -> None:
        """Raise NotAveraged where the files do not hold the same tensors."""
        first = {n: t for header in self.headers[0].values() for n, t in header.tensors.items()}
        for layout, headers in zip(self.layouts[1:], self.headers[1:], strict=True):
            other = {n: t for header in headers.values() for n, t in header.tensors.items()}
            same_tensors(
                {n: (t.shape, t.dtype) for n, t in first.items()},
                {n: (t.shape, t.dtype) for n, t in other.items()},
                self.layouts[0].place,
                layout.place,
            )


def same_tensors(first: dict[str, Any], other: dict[str, Any], here: Path, there: Path) -> None:
    """Raise NotAveraged where two tables of (shape, dtype) by name differ, naming the place and the tensor."""
    if missing := first.keys() - other.keys():
        raise NotAveraged(f"{there} has no tensor {min(missing)!r}, which {here} has")
    if added := other.keys() - first.keys():
        raise NotAveraged(f"{here} has no tensor {min(added)!r}, which {there} has")
    for name, (shape, dtype) in first.items():
        if other[name] != (shape, dtype):
            theirs, kind = other[name]
            raise NotAveraged(
                f"the tensor {name!r} is {kind} {list(theirs)} in {there} and {dtype} {list(shape)} in {here}"
            )


def mean_of(tensors: Iterator[Any], count: int, like: Any) -> Any:
    """Return the mean of tensors in the dtype of `like`, summed in at least float32."""
    import torch

    wide = like.dtype if like.dtype in (torch.float64, torch.complex64, torch.complex128) else torch.float32
    total = None
    for tensor in tensors:
        total = tensor.to(wide, copy=True) if total is None else total.add_(tensor.to(wide))
    return total.div_(count).to(like.dtype) if total is not None else like


def _rows(shape: tuple[int, ...]) -> Iterator[slice | None]:
    if not shape or math.prod(shape) <= _PIECE:
        yield None
        return
    step = max(_PIECE // math.prod(shape[1:]), 1)
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))


def _read(opened: Any, name: str, rows: slice | None) -> Any:
    return opened.get_tensor(name) if rows is None else opened.get_slice(name)[rows]
