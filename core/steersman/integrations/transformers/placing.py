"""Where the callback stands among the Trainer's: after its flow callback, before the reporters."""

from __future__ import annotations

from typing import Any, cast

from transformers.trainer_callback import CallbackHandler, DefaultFlowCallback, TrainerCallback

_REPORTERS = ("transformers.integrations",)


def place(handler: CallbackHandler, callback: TrainerCallback) -> str:
    """Move `callback` to just behind the flow callback; return why that failed, or nothing where it did not.

    Before the flow callback, a forced log is forgotten; behind the reporters, they have written before the score is
    there. Calling it again changes nothing.
    """
    present = cast("list[Any]", handler.callbacks)  # pyright: ignore[reportUnknownMemberType]
    others = [other for other in present if other is not callback]
    flow = [i for i, other in enumerate(others) if isinstance(other, DefaultFlowCallback)]
    if not flow:
        handler.callbacks = [*others, callback]
        return "the Trainer has no DefaultFlowCallback, so Steersman stands last among the callbacks"
    place_at = flow[-1] + 1
    handler.callbacks = [*others[:place_at], callback, *others[place_at:]]
    early = [type(other).__name__ for other in others[:place_at] if is_reporter(other)]
    return f"{', '.join(early)} stands before the flow callback and reports before the score is there" if early else ""


def is_reporter(callback: object) -> bool:
    """Whether a callback reports logs to a tracker."""
    return type(callback).__module__.startswith(_REPORTERS)
