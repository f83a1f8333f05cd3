"""The mean of what LoRA adapters add to the weights: the mean of BA is neither the mean of A nor that of B.

An adapter adds s B A, with s = alpha / r, or alpha / sqrt(r) with rslora. The mean over n of them is s / n times the
product of the B side by side and the A one above the other: an adapter of rank n r, exactly, without any rounding.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from steersman.averaging.layouts import ADAPTER_CONFIG, Layout, NotAveraged
from steersman.averaging.means import Sources
from steersman.averaging.tensor_files import Header, Tensor

_PLAIN = ("PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "IA3", "LN_TUNING")
"""Kinds whose weights are what is applied, so that their plain mean is the mean of what is applied."""
_NO_MATTER = frozenset({"inference_mode", "revision", "peft_version", "auto_mapping", "base_model_name_or_path"})
_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
_NO_STACK = {
    "use_dora": "DoRA scales each column anew, so that a sum of its adapters is none",
    "use_bdlora": "block-diagonal LoRA has no adapter of a larger rank",
    "target_parameters": "LoRA of single parameters keeps several experts in a matrix",
}


def config_of(layouts: Sequence[Layout]) -> dict[str, Any] | None:
    """Return the adapter_config.json of the average; None where its weights are averaged plainly and it stays.

    Raises NotAveraged where the configs differ, or no mean of what is applied is an adapter of this kind.
    """
    configs = [_read(layout.place) for layout in layouts]
    for layout, config in zip(layouts[1:], configs[1:], strict=True):
        for key in sorted({*configs[0], *config} - _NO_MATTER):
            if _sorted(configs[0].get(key)) != _sorted(config.get(key)):
                raise NotAveraged(f"{layout.place} and {layouts[0].place} differ in {key!r} of {ADAPTER_CONFIG}")
    config, place, count = configs[0], layouts[0].place, len(layouts)
    kind = str(config.get("peft_type"))
    if kind in _PLAIN:
        return None
    if kind != "LORA":
        raise NotAveraged(f"{place} is an adapter of the kind {kind}, whose mean is none that can be written")
    for key, why in _NO_STACK.items():
        if config.get(key):
            raise NotAveraged(f"{place} has {key}: {why}")
    begins = config.get("init_lora_weights")
    if config.get("loftq_config") or str(begins).lower().startswith(_CHANGES_BASE):
        raise NotAveraged(f"{place} has init_lora_weights {begins!r}, which changes the base weights by the rank")
    stacked = {**config, "r": config["r"] * count}
    ranks: Mapping[str, int] = config.get("rank_pattern") or {}
    stacked["rank_pattern"] = {name: rank * count for name, rank in ranks.items()}
    if config.get("use_rslora"):  # s is alpha / sqrt(r), and must become s / n at rank n r
        stacked["lora_alpha"] = config["lora_alpha"] / math.sqrt(count)
        alphas: Mapping[str, float] = config.get("alpha_pattern") or {}
        stacked["alpha_pattern"] = {name: alpha / math.sqrt(count) for name, alpha in alphas.items()}
    return stacked


def stacked(header: Header, count: int) -> Header:
    """Return the header of an adapter of `count` times the rank."""
    return Header({name: _stacked(name, tensor, count) for name, tensor in header.tensors.items()}, header.metadata)


def pieces_of(sources: Sources, name: str, tensor: Tensor) -> Iterator[Any]:
    """Yield a tensor of the stacked adapter; what is no part of a LoRA is the plain mean.

    The bias of a B is scaled by s as well, so that its sum over all is what s / n wants.
    """
    import torch

    if _is_a(name):
        yield from sources.whole(name)
    elif _is_b(name):
        yield torch.cat(sources.whole(name), dim=1)
    elif name.endswith("lora_B.bias"):
        every = sources.whole(name)
        yield torch.stack([bias.float() for bias in every]).sum(0).to(every[0].dtype)
    else:
        yield from sources.mean(name, tensor)


def _stacked(name: str, tensor: Tensor, count: int) -> Tensor:
    shape = tensor.shape
    if _is_a(name):
        return tensor.reshaped((shape[0] * count, *shape[1:]), count)
    return tensor.reshaped((shape[0], shape[1] * count, *shape[2:]), count) if _is_b(name) else tensor


def _is_a(name: str) -> bool:
    return name.endswith((".lora_A.weight", ".lora_embedding_A"))


def _is_b(name: str) -> bool:
    return name.endswith((".lora_B.weight", ".lora_embedding_B"))


def _read(place: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((place / ADAPTER_CONFIG).read_bytes())
        return told
    except (OSError, ValueError) as error:
        raise NotAveraged(f"{place / ADAPTER_CONFIG} cannot be read: {error}") from None


def _sorted(value: Any) -> Any:
    return sorted(map(str, cast("list[object]", value))) if isinstance(value, list) else value
