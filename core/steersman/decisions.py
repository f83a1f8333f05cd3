"""What hooks return. Values only: a strategy never acts, which is what makes it replayable and testable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Literal, cast, get_args

from attrs import evolve, field, frozen

from steersman.records import number

Severity = Literal["info", "warning", "critical"]
_WARNING: Severity = "warning"


def _a_number(value: object) -> float:
    if type(value) is float:
        return value
    as_number = number(value)
    if as_number is None:
        raise TypeError(f"expected a number, got {type(value).__name__} {value!r}")
    return as_number


def _optional_number(value: object) -> float | None:
    return None if value is None else _a_number(value)


def _is_a_bound(_: object, attribute: Any, value: float | None) -> None:
    if value is not None and math.isnan(value):
        raise ValueError(f"`{attribute.name}` must be a number, got NaN")


def _terms(value: object) -> Mapping[str, float]:
    if type(value) is dict:
        for name, term in (given := cast("dict[str, float]", value)).items():
            if type(name) is not str or type(term) is not float:
                break
        else:
            return given.copy()
    if not isinstance(value, Mapping):
        raise TypeError(f"`terms` must be a table of numbers, got {type(value).__name__}")
    terms = cast("Mapping[object, object]", value)
    return {str(name): _a_number(term) for name, term in terms.items()}


@frozen
class Score:
    """How good a checkpoint is: lower is better, always.

    `terms` are the summands a person wants to see; `because` is a sentence. Use `Score.higher(x)` for a quantity
    that is better when higher, and `Score.reject(reason)` for a checkpoint that must never be best.
    """

    value: float = field(converter=_a_number)
    terms: Mapping[str, float] = field(factory=dict[str, float], converter=_terms)
    because: str = ""
    rejected: str | None = None

    @classmethod
    def higher(cls, value: float, terms: Mapping[str, float] | None = None, because: str = "") -> Score:
        """Return the score of a quantity that is better when higher."""
        return cls(-_a_number(value), terms or {}, because)

    @classmethod
    def reject(cls, reason: str) -> Score:
        """Return a score that is never best, with the reason."""
        return cls(math.inf, {}, reason, rejected=reason)


def _is_severity(_: object, __: object, value: Any) -> None:
    if value not in get_args(Severity):
        raise ValueError(f"severity must be one of {', '.join(map(repr, get_args(Severity)))}, got {value!r}")


def _is_text(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"`{attribute.name}` must be text, got {type(value).__name__}")


def _is_table(_: object, attribute: Any, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"`{attribute.name}` must be a table of figures, got {type(value).__name__}")


@frozen
class Finding:
    """Something noticed. `evidence` holds the figures that show it."""

    name: str = field(validator=_is_text)
    message: str = field(validator=_is_text)
    severity: Severity = field(default=_WARNING, validator=_is_severity)  # pyright: ignore[reportAssignmentType]
    evidence: Mapping[str, float | str | None] = field(factory=dict[str, float | str | None], validator=_is_table)


def _scale_is_positive(_: object, __: object, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise ValueError(f"scale must be a finite number above 0, got {value}")


def _add_is_finite(_: object, __: object, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"add must be finite, got {value}")


def _one_line(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`because` must be text, got {type(value).__name__} {value!r}")
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


def _a_name(_: object, __: object, value: Any) -> None:
    if value == "" or not isinstance(value, str):
        raise TypeError(f"expected the name of a hyperparameter, got {type(value).__name__} {value!r}")


@frozen
class Adjust:
    """Propose to change a hyperparameter by a factor or a summand, applied once to the value in force.

    `at_least` and `at_most` are the bounds of the rule that proposes it. A bound never reverses a change: where the
    value is already beyond it, the proposal is refused. A cut is released by itself once the run is healthy again
    (`outcomes.release_after`), unless it is `lasting`: that of a schedule or a controller, no remedy.

    Raises ValueError unless exactly one of `scale` (above 0) and `add` is given and both are finite.
    """

    hyperparameter: str = field(validator=_a_name)
    scale: float | None = field(default=None, converter=_optional_number, validator=_scale_is_positive, kw_only=True)
    add: float | None = field(default=None, converter=_optional_number, validator=_add_is_finite, kw_only=True)
    at_least: float | None = field(default=None, converter=_optional_number, validator=_is_a_bound, kw_only=True)
    at_most: float | None = field(default=None, converter=_optional_number, validator=_is_a_bound, kw_only=True)
    because: str = field(default="", converter=_one_line, kw_only=True)
    lasting: bool = field(default=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (self.scale is None) == (self.add is None):
            raise ValueError("an Adjust takes either scale= or add=")

    @property
    def change(self) -> str:
        """The change in words, such as `x0.8` or `+0.02`."""
        return f"x{self.scale:g}" if self.scale is not None else f"{self.add:+g}"

    def undone(self) -> Adjust:
        """Return the change that undoes this one: a scale divides, a summand is taken away."""
        undo = f"undo: {self.because}"
        if self.scale is not None:
            return evolve(self, scale=1 / self.scale, at_least=None, at_most=None, because=undo)
        return evolve(self, add=-(self.add or 0.0), at_least=None, at_most=None, because=undo)


@frozen
class Stop:
    """End the run at the next step, with a checkpoint first."""

    because: str = field(converter=_one_line)


@frozen
class Save:
    """Save a checkpoint at the next step."""

    because: str = field(converter=_one_line)


def _is_a_cut(_: object, __: object, value: float | None) -> None:
    if value is not None and not 0 < value <= 1:
        raise ValueError(f"factor must be above 0 and at most 1, got {value}")


@frozen
class Rollback:
    """Return weights and optimizer to the last healthy snapshot, with a lower learning rate; the steps stay spent.

    `factor` is what the learning rate is multiplied by, above 0 and at most 1; without one it is `recovery.factor`.
    A strategy that proposes it sets `needs_snapshots: ClassVar[bool] = True`, so that some are taken.
    """

    because: str = field(converter=_one_line)
    factor: float | None = field(default=None, converter=_optional_number, validator=_is_a_cut)


def _steps(value: object) -> tuple[int, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"`steps` must be the steps of saved checkpoints, got {type(value).__name__} {value!r}")
    steps = tuple(cast("Iterable[object]", value))
    for step in steps:
        if isinstance(step, bool) or not isinstance(step, Integral) or step < 0:
            raise TypeError(f"`steps` must be whole numbers of optimizer steps, got {type(step).__name__} {step!r}")
    return tuple(sorted({int(cast("int", step)) for step in steps}))


def _are_several(_: object, __: object, value: tuple[int, ...]) -> None:
    if len(value) < 2:
        raise ValueError(f"an average takes the steps of at least two checkpoints, got {list(value)}")


def _is_a_leeway(_: object, attribute: Any, value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"`{attribute.name}` must be 0 or more standard errors, got {value}")


@frozen
class Average:
    """Propose the mean of the weights of saved checkpoints as one more candidate for the best.

    `steps` are theirs; they are put in order, each once. With a `leeway` it may be best where its eval loss is less
    than so many standard errors above that of the best checkpoint, paired by example: where the eval loss decides, and
    the losses of single examples are known. Else its score must be lower. Raises ValueError for fewer than two steps.
    """

    steps: tuple[int, ...] = field(converter=_steps, validator=_are_several)
    leeway: float = field(default=0.0, converter=_a_number, validator=_is_a_leeway)


Proposal = Adjust | Stop | Save | Rollback
