"""Sees a loss or a gradient that is not finite in its very step, whatever the trainer's log makes of it.

The Trainer's `logging_nan_inf_filter` leaves NaN out of the logged loss. Here nothing is left out, and on a GPU nothing
is waited for: what step k found travels to the host while step k + 1 is computed, and is told at the end of k + 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist

from steersman.integrations.torch.learning_rate import innermost

if TYPE_CHECKING:
    from steersman.integrations.torch.guarded_steps import GuardedSteps

NAMES = ("loss", "grad_norm")


def nonfinite(tensors: Iterable[Any], device: Any) -> torch.Tensor:
    """Return whether the norm of any of the tensors is NaN or infinite: a boolean on the device, not waited for.

    Of a sharded tensor only the shard of this process is looked at.
    """
    groups: dict[tuple[Any, Any], list[Any]] = {}
    for tensor in tensors:
        local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
        values = local._values() if local.is_sparse else local
        if values.numel():  # beside an empty tensor torch 2.5 computes wrong norms on a GPU
            groups.setdefault((values.device, values.dtype), []).append(values)
    found = torch.zeros((), dtype=torch.bool, device=device)
    with torch.no_grad():
        for (_, dtype), group in groups.items():
            wide = torch.promote_types(dtype, torch.float32)  # the norm of finite float16 values may not fit float16
            norms: Any = torch._foreach_norm(group, 2, dtype=wide)  # pyright: ignore  (torch 2.6 has a public one)
            found |= moved((torch.stack(norms) < math.inf).all().logical_not(), device)
    return found


def moved(flag: torch.Tensor, device: Any) -> torch.Tensor:
    """Return the flag on the device; only a copy to the host is waited for, as it would be read before it arrives."""
    return flag.to(device, non_blocking=flag.device.type == "cpu")


class NonFinite:
    """Whether the steps of an optimizer with step hooks had a finite loss and finite gradients, on any rank.

    The loss is that of the model's training forwards: `output.loss`, `output["loss"]`, or the output itself where it is
    a single number. A step that a gradient scaler skips is no step. With `sync` a GPU is waited for at each step, and
    each step is told at its own end, as it is on every other device. `guard`, where set, has skipped steps: their NaN
    is not told, unless it comes after too many in a row.
    """

    def __init__(self, model: Any, optimizer: Any, *, sync: bool = False) -> None:
        inner = innermost(optimizer)
        self.guard: GuardedSteps | None = None
        self._device = inner.param_groups[0]["params"][0].device
        self._deferred = self._device.type == "cuda" and not sync
        self._loss = torch.zeros((), dtype=torch.int32, device=self._device)
        self._found: Any = torch.zeros(len(NAMES), dtype=torch.int32, device=self._device)
        self._host: Any = torch.zeros(len(NAMES), dtype=torch.int32, pin_memory=self._deferred)
        self._sent = torch.cuda.Event() if self._found.is_cuda else None
        after = inner.register_step_post_hook(self._look_at_gradients)
        inner._optimizer_step_post_hooks.move_to_end(after.id, last=False)  # before whoever asks what was seen
        self._handles = [model.register_forward_hook(self._look_at_loss), after]

    def seen(self) -> str | None:
        """Return what was not finite in a step not yet told: `loss`, else `grad_norm`, else nothing.

        Every rank must call this once at the end of each step, and may call it once more after the last.
        """
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            dist.all_reduce(self._found, op=dist.ReduceOp.MAX)  # pyright: ignore[reportUnknownMemberType]
        counts: list[int] = self._exchange() if self._deferred else self._found.tolist()
        self._found.zero_()
        self._loss.zero_()
        return next((name for name, count in zip(NAMES, counts, strict=True) if count), None)

    def forget(self) -> None:
        """Forget what was not told yet: a rollback has undone it."""
        if self._sent is not None:
            self._sent.synchronize()
        for flag in (self._host, self._found, self._loss):
            flag.zero_()

    def release(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _exchange(self) -> list[int]:
        """Return what was sent a step ago, and send what this step found."""
        if self._sent is not None:
            self._sent.synchronize()
        before: list[int] = self._host.tolist()
        self._host.copy_(self._found, non_blocking=True)
        if self._sent is not None:
            self._sent.record(torch.cuda.current_stream(self._device))
        return before

    def _look_at_loss(self, module: Any, args: Any, output: Any) -> None:
        if not (module.training and torch.is_grad_enabled()):
            return
        loss: Any = cast("Any", output).get("loss") if isinstance(output, Mapping) else getattr(output, "loss", output)
        if isinstance(loss, torch.Tensor) and (loss is not output or loss.dim() == 0):
            self._loss += moved(loss.detach().isfinite().all().logical_not(), self._device)

    def _look_at_gradients(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """After the step: a step with a closure has its gradients only then, and nothing has zeroed them yet."""
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        bad = nonfinite((p.grad for p in parameters if p.grad is not None), self._device)
        ruled = self.guard.ruled if self.guard is not None else None
        found = torch.stack((self._loss > 0, bad if ruled is None else bad | ruled.is_lost))
        if ruled is not None:
            found &= ruled.is_excused.logical_not()
        overflow = getattr(optimizer, "found_inf", None)  # how a scaler tells a fused optimizer to skip
        if isinstance(overflow, torch.Tensor):
            found &= moved(overflow, self._device) == 0
        self._found += found
