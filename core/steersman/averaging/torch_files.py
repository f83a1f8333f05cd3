"""The mean of state dicts that torch.save wrote: of a loop of one's own, alone or among other parts of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from steersman.averaging.layouts import NotAveraged
from steersman.averaging.means import mean_of, same_tensors

_PARTS = ("model", "model_state_dict", "state_dict", "module", "model_state", "net")
"""Under which names loops keep the weights beside the optimizer."""


def mean_state(paths: Sequence[Path]) -> tuple[dict[str, Any], str | None]:
    """Return the mean state dict of files, and the name it has in them; None where it is the whole file.

    The files are mapped into memory; the mean is held whole. What shares its memory with another tensor does so in the
    mean. Raises NotAveraged where they do not hold the same tensors.
    """
    import torch

    read = [_state(path) for path in paths]
    states = [state for state, _ in read]
    kinds = [{n: (tuple(t.shape), str(t.dtype)) for n, t in s.items() if torch.is_tensor(t)} for s in states]
    for path, kind in zip(paths[1:], kinds[1:], strict=True):
        same_tensors(kinds[0], kind, paths[0], path)
    centre, mean = states[len(states) // 2], dict[str, Any]()
    shared: dict[tuple[Any, ...], Any] = {}
    for name, middle in centre.items():
        if not torch.is_tensor(middle):
            mean[name] = middle
            continue
        key = (middle.data_ptr(), middle.shape, middle.stride()) if middle.numel() else (name,)
        if key not in shared:
            is_mean = middle.is_floating_point() or middle.is_complex()
            each = (state[name] for state in states)
            shared[key] = mean_of(each, len(states), middle) if is_mean else middle.clone()
        mean[name] = shared[key]
    return mean, read[0][1]


def state_of(path: Path) -> Mapping[str, Any]:
    """Return the state dict of the model in a file."""
    return _state(path)[0]


def _state(path: Path) -> tuple[Mapping[str, Any], str | None]:
    import torch

    try:
        held: object = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else ""
        raise NotAveraged(f"{path} cannot be read: {type(error).__name__}: {why}") from None
    if isinstance(held, Mapping):
        table = cast("Mapping[str, Any]", held)
        if _is_state(table):
            return table, None
        parts = [name for name in _PARTS if isinstance(table.get(name), Mapping) and _is_state(table[name])]
        if len(parts) == 1:
            return table[parts[0]], parts[0]
    raise NotAveraged(f"{path} holds no state dict of a model, alone or as one of {', '.join(map(repr, _PARTS))}")


def _is_state(table: Mapping[str, Any]) -> bool:
    import torch

    return any(torch.is_tensor(value) for value in table.values())
