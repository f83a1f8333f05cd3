"""What a strategy may ask for: a guard of each optimizer step, on the gradient it is about to use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import evolve, field, frozen

from steersman.records import Record, number

FROM = 5
"""From how many remembered norms on a limit is made of them."""
MOST = 1000
"""How many norms may be remembered."""
IN_A_ROW = 5
"""How many steps in a row are skipped for a norm far beyond the limit; the next ones are clipped and remembered."""
EXCUSED = "steps_excused"
"""The metric that counts the skipped steps whose NaN is no alarm: it reached no weight."""
_MAY_BE_EXCUSED = ("loss", "grad_norm")


def _number(value: object) -> float:
    as_number = number(value)
    if as_number is None:
        raise TypeError(f"expected a number, got {type(value).__name__} {value!r}")
    return as_number


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _from(least: float, *, open_below: bool = False) -> Callable[[Any, Any, float | None], None]:
    """Return a validator of finite numbers from `least` on, that names the field."""

    def check(_: object, attribute: Any, value: float | None) -> None:
        if value is None or (math.isfinite(value) and (value > least if open_below else value >= least)):
            return
        word = "above" if open_below else "at least"
        raise ValueError(f"`{attribute.name}` must be a finite number {word} {least:g}, got {value}")

    return check


def _a_switch(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"`{attribute.name}` must be True or False, got {value!r}")


def _a_size(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not FROM <= value <= MOST:
        raise ValueError(f"`{attribute.name}` must be a whole number from {FROM} to {MOST}, got {value!r}")


@frozen
class StepGuard:
    """What is done just before an optimizer step whose gradient is too large or not finite.

    The norm is that of all gradients together. It may be at most `clip`, and at most the larger of `clip_multiple` x
    median and median + `clip_deviations` x MAD of the newest `remembered` norms of steps that were not skipped (MAD is
    the median absolute deviation), from the fifth of them on; of two limits the lower holds. A gradient with a larger
    norm is scaled to the limit; with `fade` to limit x limit / norm, so that the further it is beyond the less of it is
    left, as of an outlier in robust statistics. Where more than `tail_share` of the remembered norms are beyond the
    limit that they make, outliers are no exception, and twice the median is the limit. A step is skipped whose
    gradient is not finite, or whose norm is beyond `skip_multiple` x the limit that the run's own norms make, or `clip`
    where they make none: five in a row, and the next ones are clipped, so that a run whose gradients have grown for
    good goes on.

    With `largest_move`, once a run has gone back (a rollback), a step of plain SGD moves the weights by at most that
    share of their own norm: a gradient that asks for more is scaled down to it. What a step moves is taken as learning
    rate x norm x (1 - dampening) / (1 - momentum), with the highest learning rate of all groups that have a gradient
    (You et al. 2017, LARS, bound each layer by such a ratio). An optimizer that divides by the size of the
    gradients moves by its learning rate whatever they are, and is left alone. None leaves a rule out.

    Raises ValueError or TypeError for what makes no sense, a `skip_multiple` without a limit too.
    """

    skip_nonfinite: bool = field(default=True, validator=_a_switch)
    clip: float | None = field(default=None, converter=_number_or_none, validator=_from(0, open_below=True))
    clip_multiple: float | None = field(default=None, converter=_number_or_none, validator=_from(1))
    clip_deviations: float = field(default=10.0, converter=_number, validator=_from(0))
    skip_multiple: float | None = field(default=None, converter=_number_or_none, validator=_from(1))
    remembered: int = field(default=50, validator=_a_size)
    fade: bool = field(default=False, validator=_a_switch)
    tail_share: float | None = field(default=None, converter=_number_or_none, validator=_from(0))
    largest_move: float | None = field(default=None, converter=_number_or_none, validator=_from(0, open_below=True))

    def __attrs_post_init__(self) -> None:
        if self.skip_multiple is not None and self.clip is None and self.clip_multiple is None:
            raise ValueError("`skip_multiple` is a multiple of a limit: set `clip` or `clip_multiple` too")

    @property
    def told(self) -> str:
        """What it does, in words."""
        does: list[str] = []
        limits = [f"{self.clip:g}"] if self.clip is not None else []
        if self.clip_multiple is not None:
            own = f"{self.clip_multiple:g} x median"
            own = f"max({own}, median + {self.clip_deviations:g} x MAD)" if self.clip_deviations else own
            tails = f", to twice the median where more than {self.tail_share:.0%} are beyond" if self.tail_share else ""
            limits.append(f"{own} of the newest {self.remembered} norms{tails}")
        if limits:
            further = ", and the more the further they are beyond" if self.fade else ""
            does.append(f"gradients are clipped to {' and to '.join(limits)}{further}")
        if self.largest_move is not None:
            does.append(f"after a rollback a step of SGD moves weights by at most {self.largest_move:g} of their norm")
        skips = ["whose gradient is not finite"] if self.skip_nonfinite else []
        skips += [f"beyond {self.skip_multiple:g} x that"] if self.skip_multiple is not None else []
        if skips:
            does.append(f"steps {' or '.join(skips)} are skipped")
        return "; ".join(does) or "it does nothing"


def without_excused(record: Record) -> Record:
    """Return a record without the NaN of a loss or gradient norm that its steps skipped: it reached no weight."""
    if not record.metrics.get(EXCUSED):
        return record
    left_out = {name for name in _MAY_BE_EXCUSED if not math.isfinite(record.metrics.get(name, 0.0))}
    return evolve(record, metrics={n: v for n, v in record.metrics.items() if n not in left_out})
