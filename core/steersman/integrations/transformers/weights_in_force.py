"""Puts an average into a model to be evaluated, and what was there back."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from steersman.averaging.layouts import NotAveraged, layout_of
from steersman.ranks import Ranks

_NAME = "steersman-average"
_dist: Any = dist  # its collectives are typed in part


class WeightsInForce:
    """The weights of a whole model. A copy of them waits in the memory of the host, on each rank its own.

    Every rank must call every method; rank 0 alone reads the files, and the others receive.
    """

    def __init__(self, model: Any, ranks: Ranks) -> None:
        self._model, self._ranks = model, ranks
        self._before: dict[str, Any] | None = None

    def load(self, place: Path) -> None:
        """Put the weights at `place` in force. Raises NotAveraged where they are not those of the model."""
        state = self._model.state_dict()
        if self._before is None:
            self._before = {n: t.detach().to("cpu", copy=True) for n, t in state.items() if torch.is_tensor(t)}
        self._ranks.agree(lambda: self._read(place, state))
        if self._ranks.size > 1:
            for tensor in state.values():
                if torch.is_tensor(tensor):
                    _dist.broadcast(tensor, 0)

    def restore(self) -> None:
        """Put back what was in force before the first load."""
        if self._before is not None:
            with torch.no_grad():
                for name, tensor in self._model.state_dict().items():
                    if name in self._before:
                        tensor.copy_(self._before[name])

    def _read(self, place: Path, state: dict[str, Any]) -> None:
        tensors_of: Any = import_module("safetensors.torch").load_file  # typed in part
        layout = layout_of(place)
        if layout.kind == "torch":
            raise NotAveraged(f"{place} holds no safetensors, as a Trainer saves them")
        loaded: set[int] = set()
        with torch.no_grad():
            for path in layout.paths():
                for name, tensor in tensors_of(path).items():
                    if name not in state:
                        raise NotAveraged(f"{path} has a tensor {name!r}, which the model has not under that name")
                    state[name].copy_(tensor)
                    loaded.add(state[name].data_ptr())
        for name, tensor in state.items():  # one that is tied to another has its memory
            if torch.is_tensor(tensor) and tensor.numel() and tensor.data_ptr() not in loaded:
                raise NotAveraged(f"{place} has no tensor {name!r}, which the model has")


class AdapterInForce:
    """The adapter of a PEFT model: an average is another one beside it, for its rank is another."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._before = list(model.active_adapters)
        self._gradients = {name: parameter.requires_grad for name, parameter in model.named_parameters()}

    def load(self, place: Path) -> None:
        """Put the adapter at `place` in force. Raises NotAveraged where the model cannot take a second one."""
        if len(self._before) != 1:
            raise NotAveraged(f"the model has {len(self._before)} active adapters; one can be averaged")
        if getattr(self._model.peft_config[self._before[0]], "bias", "none") != "none":
            raise NotAveraged("an adapter that trains biases of the base cannot stand beside another")
        self._drop()
        self._model.load_adapter(str(place), _NAME)
        self._model.set_adapter(_NAME)

    def restore(self) -> None:
        """Put the adapter back in force that was there before."""
        self._drop()
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(self._gradients.get(name, parameter.requires_grad))

    def _drop(self) -> None:
        if _NAME in self._model.peft_config:
            self._model.set_adapter(self._before[0])
            self._model.delete_adapter(_NAME)
