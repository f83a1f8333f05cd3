"""Which gradient norm is too large for a run: ruled on the device, from the norms of its newest steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from attrs import define, field, frozen

from steersman.step_guard import FROM, IN_A_ROW, StepGuard

_OF_TAILS = 2.0
"""How many times the median the limit is where large norms are no exception."""


@frozen(eq=False)
class Ruling:
    """What is to be done with a gradient, and what is known after its step; tensors of one number on the device.

    `keep` is 0 where the step is skipped, else 1; `factor` is what the gradient is multiplied by. `is_excused` tells of
    a skipped step whose NaN is no alarm, `is_lost` of one that comes after too many in a row.
    """

    keep: Any
    factor: Any
    is_excused: Any
    is_lost: Any
    norms: Any
    sums: Any
    rows: Any


def limit_of(norms: Any, multiple: float, deviations: float, tail_share: float | None = None) -> Any:
    """Return max(multiple x median, median + deviations x MAD) of the norms that are not NaN; infinite for few or 0.

    Where more than `tail_share` of them are beyond that, it is twice the median.
    """
    known = norms.isnan().logical_not().sum()
    middle = torch.stack(((known - 1).clamp(min=0) // 2, known // 2)).clamp(max=norms.numel() - 1)
    median = norms.sort().values.index_select(0, middle).mean()
    deviation = (norms - median).abs().sort().values.index_select(0, middle).mean()
    limit = torch.maximum(multiple * median, median + deviations * deviation)
    if tail_share is not None:
        limit = torch.where((norms > limit).sum() > tail_share * known, _OF_TAILS * median, limit)
    return torch.where((known >= FROM) & (limit > 0), limit, math.inf)


@define(eq=False)
class NormMemory:
    """Rules on each norm by those before it; a ruling takes effect when its step was made.

    `norms` are the newest of steps that were not skipped, NaN where there are none yet; `sums` how many steps were
    skipped, clipped and excused; `rows` how many in a row were far beyond the limit, and not finite.
    """

    guard: StepGuard
    device: Any
    norms: Any = field(init=False)
    sums: Any = field(init=False)
    rows: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restore({})

    def rule(self, norm: Any, most: Any = None) -> Ruling:
        """Return the ruling on a step whose gradient has this norm; it may be `most` for what the step would move."""
        guard = self.guard
        is_finite = norm < math.inf
        own = limit = far = torch.full_like(norm, math.inf)
        if guard.clip_multiple is not None:
            own = limit = far = limit_of(self.norms, guard.clip_multiple, guard.clip_deviations, guard.tail_share)
        if guard.clip is not None:
            limit, far = own.clamp(max=guard.clip), torch.where(own < math.inf, own, guard.clip)
        is_far = is_finite & (norm > guard.skip_multiple * far) if guard.skip_multiple is not None else norm < 0
        far_row = torch.where(is_finite, (self.rows[0] + 1) * is_far, self.rows[0])
        bad_row = (self.rows[1] + 1) * is_finite.logical_not()
        is_bad = is_finite.logical_not() if guard.skip_nonfinite else norm < 0
        skips = is_bad | (is_far & (far_row <= IN_A_ROW))
        is_kept = is_finite & skips.logical_not()
        factor = torch.where(norm > limit, (limit / norm) ** (2 if guard.fade else 1), 1.0)
        if most is not None:
            factor = torch.minimum(factor, most / norm)
        clips = is_kept & (factor < 1)
        is_excused = is_bad & (bad_row <= IN_A_ROW)
        newer = torch.cat((self.norms[1:], norm.reshape(1)))
        return Ruling(
            skips.logical_not(),
            torch.where(clips, factor, 1.0),
            is_excused,
            is_bad & (bad_row > IN_A_ROW),
            torch.where(is_kept, newer, self.norms),
            self.sums + torch.stack((skips, clips, is_excused)),
            torch.stack((far_row, bad_row)),
        )

    def accept(self, ruling: Ruling, happened: Any = None) -> None:
        """Hear that the step of a ruling was made; where `happened` is given, only if it is true."""
        for name in ("norms", "sums", "rows"):
            new = getattr(ruling, name)
            setattr(self, name, new if happened is None else torch.where(happened, new, getattr(self, name)))

    def state(self) -> dict[str, list[float]]:
        """Return what a checkpoint must hold: one read from the device."""
        held: Any = torch.cat((self.sums, self.rows, self.norms))
        values: list[float] = held.tolist()
        return {"sums": values[:3], "rows": values[3:5], "norms": [v for v in values[5:] if not math.isnan(v)]}

    def restore(self, saved: Mapping[str, Sequence[float]]) -> None:
        """Take back what `state` returned, or begin."""
        size = self.guard.remembered
        known = list(saved.get("norms", ()))[-size:]
        norms = [math.nan] * (size - len(known)) + known
        self.norms, self.sums, self.rows = (
            torch.tensor(values, dtype=torch.float32, device=self.device)
            for values in (norms, saved.get("sums", [0.0] * 3), saved.get("rows", [0.0] * 2))
        )
