"""What a batch tells of its tokens: by shapes at once, by sums that stay on its device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import define, field

IGNORED = -100
"""The label of a token without loss, as everywhere in torch and transformers."""

NO_IDS = "a batch without input_ids or inputs_embeds: its tokens are not counted; the number of these is in `unknown`"
NO_LABELS = "a batch without labels: which of its tokens bear loss is not known; they are missing from `loss_tokens`"
MANY_DIMS = "an attention mask that is no matrix: padding cannot be told in it; tokens are counted with padding"
MEDIA = "a batch with images or sound: they count by the places they take in input_ids"

_MEDIA = ("pixel_values", "pixel_values_videos", "input_features", "input_values", "audio_values")


@define
class Told:
    """What one batch adds to which count: `known` on the host, `sums` as single numbers still on a device.

    `notes` are sentences on what is not known.
    """

    known: dict[str, int] = field(factory=dict[str, int])
    sums: list[tuple[str, torch.Tensor]] = field(factory=list[tuple[str, torch.Tensor]])
    notes: list[str] = field(factory=list[str])


def told(batch: Mapping[str, Any], *, shifts_labels: bool) -> Told:
    """Return what a batch adds to `tokens`, `input_tokens`, `loss_tokens`, `samples` and `unknown`.

    Nothing is read from a device. `shifts_labels` where the model leaves out the first label of each row.
    """
    ids, mask = _tensor(batch, "input_ids"), _tensor(batch, "attention_mask")
    shape = ids.shape if ids is not None else _shape_of_embeddings(batch)
    if shape is None:
        return Told({"samples": _rows(batch), "unknown": 1}, notes=[NO_IDS])
    places = shape.numel()
    found = Told({"input_tokens": places})
    if mask is not None and mask.dim() == 2:
        mask = mask[:, -shape[-1] :] if mask.shape[1] > shape[-1] else mask  # it covers what was cached before, too
        found.sums.append(("tokens", torch.count_nonzero(mask)))  # some masks number the sequences from 1
        found.known["samples"] = shape[0]
    else:
        found.known["tokens"] = places
        _sequences(batch, shape, found)
        if mask is not None:
            found.notes.append(MANY_DIMS)
    _loss(batch, mask, found, shifts_labels)
    if any(batch.get(name) is not None for name in _MEDIA):
        found.notes.append(MEDIA)
    return found


def _sequences(batch: Mapping[str, Any], shape: torch.Size, found: Told) -> None:
    """Count sequences where rows may hold several: each begins where a position is not above the one before."""
    bounds, positions = _tensor(batch, "cu_seq_lens_q"), _tensor(batch, "position_ids")
    rows = shape[0] if len(shape) > 1 else 1
    if bounds is not None:
        found.known["samples"] = bounds.numel() - 1
        return
    found.known["samples"] = rows
    if positions is not None and positions.shape == shape:
        found.sums.append(("samples", _how_many(positions[..., 1:] <= positions[..., :-1])))


def _loss(batch: Mapping[str, Any], mask: torch.Tensor | None, found: Told, shifts_labels: bool) -> None:
    shifted, labels, keeps = _tensor(batch, "shift_labels"), _tensor(batch, "labels"), batch.get("logits_to_keep")
    if shifted is not None:
        labels = shifted
    elif labels is not None and labels.dim() > 1 and shifts_labels:
        labels = labels[..., 1:]
    if labels is not None and labels.is_floating_point():
        found.known["loss_tokens"] = labels.shape[0]  # of a regression, or of many labels at once: examples
    elif labels is not None:
        found.sums.append(("loss_tokens", _how_many(labels.ne(IGNORED))))
    elif type(keeps) is int and mask is not None and mask.dim() == 2:
        # each of the last `keeps` logits (0: all) foretells the token after it; after the last logit there is none
        first = max(1, mask.shape[1] + 1 - keeps) if keeps else 1
        found.sums.append(("loss_tokens", torch.count_nonzero(mask[:, first:])))
    else:
        found.notes.append(NO_LABELS)


def _how_many(flags: torch.Tensor) -> torch.Tensor:
    """Count what is true: on the CPU this is the fastest way, on an accelerator a sum is one kernel less."""
    return torch.count_nonzero(flags) if flags.device.type == "cpu" else flags.sum()


def _shape_of_embeddings(batch: Mapping[str, Any]) -> torch.Size | None:
    embeddings = _tensor(batch, "inputs_embeds")
    return embeddings.shape[:-1] if embeddings is not None else None


def _rows(batch: Mapping[str, Any]) -> int:
    """Return the rows of the first tensor that has any."""
    return next((v.shape[0] for v in batch.values() if isinstance(v, torch.Tensor) and v.dim() > 0), 0)


def _tensor(batch: Mapping[str, Any], name: str) -> torch.Tensor | None:
    value = batch.get(name)
    return value if isinstance(value, torch.Tensor) else None
