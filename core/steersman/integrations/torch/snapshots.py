"""What a rollback returns to, bit for bit: what training changes in the model, the optimizer's moments, the scaler.

The options of the parameter groups (the learning rate above all), the scheduler, the step count and the position in the
data are not kept: the run goes on where it is, from the earlier weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import define, field, frozen

from steersman.integrations.torch.learning_rate import innermost
from steersman.integrations.torch.nonfinite import moved, nonfinite
from steersman.integrations.torch.tensor_stores import InFile, InMemory, Key, alike


def why_sharded(model: Any, optimizer: Any) -> str:
    """Return why each rank holds only a part of the parameters or of the optimizer's state; nothing where it does not.

    Without the model the parameters of the optimizer tell.
    """
    inner = innermost(optimizer)
    modules = list(model.modules()) if model is not None else []
    groups: list[Any] = getattr(inner, "param_groups", [])
    parameters = model.parameters() if model is not None else (p for group in groups for p in group["params"])
    known = list(parameters)
    if "DeepSpeed" in f"{type(model).__name__} {_wrappers(optimizer)}" or any(hasattr(p, "ds_id") for p in known):
        return "DeepSpeed keeps parameters and moments in partitions of its own"
    if any(hasattr(p, "device_mesh") or getattr(p, "_fsdp_flattened", False) for p in known) or any(
        type(module).__name__ == "FullyShardedDataParallel" for module in modules
    ):
        return "the parameters are sharded over the ranks"
    if type(inner).__name__ == "ZeroRedundancyOptimizer":
        return "the optimizer's state is sharded over the ranks"
    return ""


def why_unsupported(model: Any, optimizer: Any) -> str:
    """Return why no snapshot of these can be taken, or nothing where one can."""
    inner = innermost(optimizer)
    name = type(inner).__name__
    if reason := why_sharded(model, optimizer):
        return reason
    if not isinstance(inner, torch.optim.Optimizer):
        return f"the optimizer {name} is no torch optimizer, so its state cannot be read"
    if "Lomo" in name or name == "LayerWiseDummyOptimizer":
        return f"the optimizer {name} steps inside the backward pass and does not hold its state"
    if getattr(inner, "is_paged", False):
        return f"the optimizer {name} keeps its state in paged memory"
    if any(tensor.is_meta for _, tensor in _named(model, inner)):
        return "some parameters or buffers are on the meta device and have no values"
    return ""


def size_of(model: Any, optimizer: Any) -> int:
    """Return the bytes that a snapshot takes.

    Before the first step there is no optimizer state to measure: two moments of each parameter are assumed, as Adam
    keeps them (three with `amsgrad`), which is more than SGD and Adafactor keep.
    """
    inner = innermost(optimizer)
    size: int = sum(tensor.nbytes for tensor in _changing(model, inner).values())
    for _, held in _state(inner):
        size += sum(value.nbytes for value in held.values() if isinstance(value, torch.Tensor))
    if not inner.state:
        for group in inner.param_groups:
            moments = 3 if group.get("amsgrad") else 2
            size += moments * sum(parameter.nbytes for parameter in group["params"] if parameter.requires_grad)
    return size


def finite(model: Any) -> bool:
    """Return whether the trainable parameters and the buffers are finite: one wait for the device.

    A buffer may hold minus infinity, as an attention mask does.
    """
    device = next(model.parameters()).device
    bad = nonfinite((parameter for parameter in model.parameters() if parameter.requires_grad), device)
    for buffer in model.buffers():
        if buffer.is_floating_point() and buffer.numel():
            bad |= moved((buffer.max() < torch.inf).logical_not(), device)
    return not bad.item()


@frozen
class _Stored:
    key: Key
    device: Any


@define(eq=False)
class Snapshot:
    """One state of a training: in host memory, or in a file under `folder` with one tensor at a time in memory.

    Each rank keeps its own. What an optimizer keeps anywhere but in the `state` of its parameters is not part of it.
    """

    model: Any
    optimizer: Any
    scaler: Any = field(default=None, kw_only=True)
    folder: Path | None = field(default=None, kw_only=True)
    taken: bool = field(default=False, init=False)
    _tensors: InMemory | InFile = field(init=False)
    _state: list[tuple[Any, dict[str, Any]]] = field(factory=list[tuple[Any, dict[str, Any]]], init=False)
    _scaling: dict[str, Any] = field(factory=dict[str, Any], init=False)

    def __attrs_post_init__(self) -> None:
        self.optimizer = innermost(self.optimizer)
        self._tensors = InMemory() if self.folder is None else InFile(self.folder)

    def take(self) -> None:
        """Copy the state as it is now, in place of the one taken before.

        Where a file cannot be written, the snapshot before it stands, and torch's error is raised.
        """
        changing = _changing(self.model, self.optimizer)
        tensors: dict[Key, Any] = {("model", name): tensor for name, tensor in changing.items()}
        state: list[tuple[Any, dict[str, Any]]] = []
        for number, (parameter, held) in enumerate(_state(self.optimizer)):
            kept = {name: value for name, value in held.items() if not isinstance(value, torch.Tensor)}
            kept = copy.deepcopy(kept)
            for name in held.keys() - kept.keys():
                tensors[number, name] = held[name]
                kept[name] = _Stored((number, name), held[name].device)
            state.append((parameter, kept))
        scaling: dict[str, Any] = {} if self.scaler is None else self.scaler.state_dict()
        self.taken = self.taken and self.folder is not None  # memory is written over
        self._tensors.write(tensors)
        self._state, self._scaling, self.taken = state, scaling, True

    def restore(self) -> None:
        """Put the state back in place, and drop the gradients.

        The optimizer's tensors stay the same objects; what it holds that is younger than the snapshot is removed.
        Raises RuntimeError where no snapshot was taken.
        """
        if not self.taken:
            raise RuntimeError("no snapshot was taken")
        tensors = self._tensors.read()
        live = dict(_named(self.model, self.optimizer))
        pairs = [(live[name], saved) for (owner, name), saved in tensors.items() if owner == "model"]
        for tensor, saved in pairs:
            tensor.data.copy_(saved, non_blocking=tensor.is_cuda)
        self._restore_optimizer(tensors)
        for tensor in live.values():
            if tensor.requires_grad:
                tensor.grad = None
        if self._scaling:
            self.scaler.load_state_dict(self._scaling)

    def release(self) -> None:
        """Give the memory back, or delete the file."""
        self._tensors.release()
        self._state, self._scaling, self.taken = [], {}, False

    def _restore_optimizer(self, tensors: Mapping[Key, torch.Tensor]) -> None:
        state = self.optimizer.state
        known = {id(parameter) for parameter, _ in self._state}
        for parameter in [parameter for parameter, _ in _state(self.optimizer) if id(parameter) not in known]:
            del state[parameter]
        for parameter, kept in self._state:
            held = state.setdefault(parameter, {})
            for name in held.keys() - kept.keys():
                del held[name]
            for name, value in kept.items():
                if isinstance(value, _Stored):
                    held[name] = _put_back(held.get(name), tensors[value.key], value.device)
                else:
                    held[name] = copy.deepcopy(value)


def _put_back(now: Any, saved: torch.Tensor, device: Any) -> torch.Tensor:
    if isinstance(now, torch.Tensor) and alike(now, saved):
        now.data.copy_(saved, non_blocking=now.is_cuda)
        return now
    return saved.to(device, copy=True)


def _wrappers(optimizer: Any) -> str:
    names = type(optimizer).__name__
    return f"{names} {_wrappers(optimizer.optimizer)}" if hasattr(optimizer, "optimizer") else names


def _state(optimizer: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Return what the optimizer holds for each parameter."""
    return [(parameter, held) for parameter, held in optimizer.state.items() if isinstance(held, dict)]


def _named(model: Any, optimizer: Any) -> Iterator[tuple[str, Any]]:
    """Yield each parameter and buffer once, a tied one under its first name; then what only the optimizer knows."""
    yield from model.named_parameters()
    yield from model.named_buffers()
    known = {id(parameter) for parameter in model.parameters()}
    stepped = (parameter for group in optimizer.param_groups for parameter in group["params"])
    yield from ((f"optimizer/{n}", parameter) for n, parameter in enumerate(stepped) if id(parameter) not in known)


def _changing(model: Any, optimizer: Any) -> dict[str, Any]:
    """Return what training changes: trainable parameters, and buffers of floating point or of a single count."""
    return {
        name: tensor
        for name, tensor in _named(model, optimizer)
        if tensor.requires_grad
        or (not isinstance(tensor, torch.nn.Parameter) and (tensor.is_floating_point() or tensor.dim() == 0))
    }
