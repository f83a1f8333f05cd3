"""Carries out a step guard: it looks at the gradients just before each optimizer step, and nothing waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from attrs import evolve

from steersman.integrations.torch.gradient_health import EVERY, GradientHealth, told
from steersman.integrations.torch.gradients import keep_or_zero, norms, scale, values_of
from steersman.integrations.torch.largest_move import norm_that_moves
from steersman.integrations.torch.nonfinite import moved
from steersman.integrations.torch.norm_memory import NormMemory, Ruling
from steersman.records import Record
from steersman.step_guard import EXCUSED, IN_A_ROW, StepGuard, without_excused

_linalg: Any = torch.linalg
_CLOSURE = "a step that is given a closure makes its gradients inside, where none can look: such steps are not guarded"


class GuardedSteps:
    """The optimizer's steps under a guard. It changes gradients where it `acts`; else it counts what it would do.

    `before_step` is called with the gradients in place, by the optimizer's own hook with `hooks`. On a skipped step all
    gradients are 0; torch's fused optimizers are told to skip it, and change nothing. An error is told by `tell`, and
    the steps after it are not guarded: it never ends a training. `ruled` is the ruling on the step made last, where
    that has changed it.
    """

    def __init__(
        self,
        guard: StepGuard,
        optimizer: Any,
        parameters: Iterable[Any],
        tell: Callable[[str], None],
        *,
        acts: bool,
        hooks: bool,
    ) -> None:
        self._guard, self._optimizer, self._acts, self._tell = guard, optimizer, acts, tell
        self._device = optimizer.param_groups[0]["params"][0].device
        self._may_look = self._device.type == "cpu"  # there a look at a ruling waits for nothing
        self._memory = NormMemory(guard, self._device)
        self._health = GradientHealth(parameters, self._device)
        self._steps = self._unread = 0
        self._is_on, self._told_of_closure, self._went_back = True, False, False
        self.ruled: Ruling | None = None
        self._made: tuple[Ruling, Any, Any] | None = None
        self._flag: Any = None
        self._overflow: Any = None
        after = optimizer.register_step_post_hook(self._after_step)
        optimizer._optimizer_step_post_hooks.move_to_end(after.id, last=False)  # before who asks what was `ruled`
        self._handles = [after]
        if hooks:
            self._handles.append(optimizer.register_step_pre_hook(self.before_hook))

    def before_hook(self, optimizer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Look at the step that is about to be made, as a hook of the optimizer is told of it."""
        if (args[1:] or (None,))[0] is None and kwargs.get("closure") is None:
            self.before_step()
        elif not self._told_of_closure:
            self._told_of_closure = True
            self._tell(_CLOSURE)

    def before_step(self) -> None:
        """Look at the gradients, which are all there, and see to them."""
        self._made = self.ruled = None
        self._take_back()
        if not self._is_on:
            return
        try:
            with torch.no_grad():
                self._look()
        except Exception as error:
            self._is_on, self._made = False, None
            self._tell(f"the step guard failed ({type(error).__name__}: {error}): steps are not guarded any more")

    def hear_rollback(self) -> None:
        """Bound what a step moves from here on: this run has shown that its steps can be too large."""
        self._went_back = True

    def take(self) -> dict[str, float]:
        """Return the metrics of the steps since the last call, and begin at zero: one read from the device."""
        if not self._unread:
            return {}
        self._unread = 0
        memory, health = self._memory, self._health
        told_by: Any = torch.cat((memory.sums, memory.rows, health.sums))
        values: list[float] = told_by.tolist()
        memory.sums, health.sums = torch.zeros_like(memory.sums), torch.zeros_like(health.sums)
        skipped, clipped, excused, _, bad_row = values[:5]
        metrics = {"steps_skipped": skipped, "steps_clipped": clipped, **told(values[5:])}
        return metrics | ({EXCUSED: excused} if self._acts and excused and bad_row <= IN_A_ROW else {})

    def heard(self, record: Record) -> Record:
        """Return a training log with the metrics of its steps; a metric of the trainer's own of that name stands."""
        return without_excused(evolve(record, metrics={**self.take(), **record.metrics}))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold for the steps after it to be guarded as they are here: two reads."""
        health: list[float] = self._health.sums.tolist()
        return {
            **self._memory.state(),
            "health": health,
            "steps": self._steps,
            "unread": self._unread,
            "went_back": self._went_back,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self._memory.restore(saved)
        self._health.restore(saved.get("health", ()))
        self._steps, self._unread = int(saved.get("steps", 0)), int(saved.get("unread", 0))
        self._went_back = bool(saved.get("went_back", False))

    def release(self) -> None:
        """Take the hooks off."""
        self._is_on, self._made, self.ruled = False, None, None
        self._take_back()
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _look(self) -> None:
        optimizer = self._optimizer
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        moving = [p for p in parameters if p.grad is not None and p.grad.numel()]
        values = [values_of(p.grad) for p in moving]
        if not values:
            return
        norm: Any = _linalg.vector_norm(norms(values, self._device))
        scaled = getattr(optimizer, "grad_scale", None)  # a scaler that leaves it to a fused optimizer to divide by it
        if isinstance(scaled, torch.Tensor):
            norm = norm / moved(scaled, self._device).reshape(())
        found = getattr(optimizer, "found_inf", None)  # how it tells such an optimizer to skip
        overflow: Any = moved(found, self._device).reshape(()) if isinstance(found, torch.Tensor) else None
        share = self._guard.largest_move
        most = None if share is None or not self._went_back else norm_that_moves(share, optimizer, moving, self._device)
        ruling = self._memory.rule(norm, most)
        health = self._health.sample() if (self._steps + 1) % EVERY == 0 else None
        if self._acts:
            has_limit = self._guard.clip is not None or self._guard.clip_multiple is not None
            if (has_limit or most is not None) and not (self._may_look and ruling.factor == 1):
                scale(values, ruling.factor)
            if not (self._may_look and ruling.keep):
                keep_or_zero(values, ruling.keep)
            if _can_be_told_to_skip(optimizer):
                skip = ruling.keep.logical_not().float()
                self._flag = skip if overflow is None else torch.maximum(skip, overflow.float())
                self._overflow, optimizer.found_inf = found, self._flag
        self._made = ruling, health, None if overflow is None else overflow == 0

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._take_back()
        if self._made is None:
            return
        ruling, health, happened = self._made
        self._made, self.ruled = None, ruling if self._acts else None
        self._steps += 1
        self._unread += 1
        self._memory.accept(ruling, happened)
        if health is not None:
            sums = self._health.sums + health
            self._health.sums = sums if happened is None else torch.where(happened, sums, self._health.sums)

    def _take_back(self) -> None:
        """Take the flag that was for one step off the optimizer again, unless somebody has set another since."""
        if self._flag is not None and getattr(self._optimizer, "found_inf", None) is self._flag:
            if self._overflow is None:
                del self._optimizer.found_inf
            else:
                self._optimizer.found_inf = self._overflow
        self._flag = self._overflow = None


def _can_be_told_to_skip(optimizer: Any) -> bool:
    """Whether a step can be skipped without a wait: torch's fused kernels look at a flag on the device."""
    is_torch = type(optimizer).__module__.startswith("torch.optim.")
    return is_torch and all(group.get("fused") for group in optimizer.param_groups)
