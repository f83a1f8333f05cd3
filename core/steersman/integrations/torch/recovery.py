"""Whether and where a run keeps the healthy states that a rollback returns to."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from steersman.config import Config
from steersman.integrations.torch.snapshots import Snapshot, finite, size_of, why_unsupported
from steersman.loaded import Loaded
from steersman.ranks import Ranks
from steersman.snapshots import Recovery

_GB = 1e9


class TorchSnapshots:
    """The newest finite state of a model and its optimizer; on several ranks every rank keeps its own or none does."""

    def __init__(self, model: Any, optimizer: Any, scaler: Any, folder: Path | None, ranks: Ranks) -> None:
        self.size = size_of(model, optimizer)
        self._model, self._ranks, self._folder = model, ranks, folder
        self._snapshot = Snapshot(model, optimizer, scaler=scaler, folder=folder)

    def take(self) -> bool:
        is_finite = finite(self._model)
        if not self._ranks.same(is_finite) or not is_finite:
            return False
        self._snapshot.take()
        return True

    def restore(self) -> None:
        self._snapshot.restore()

    def release(self) -> None:
        self._snapshot.release()
        if self._folder is not None:
            with contextlib.suppress(OSError):  # another rank may keep its own there
                self._folder.rmdir()


def recovery_of(
    config: Config,
    strategies: tuple[Loaded, ...],
    model: Any,
    optimizer: Any,
    scaler: Any,
    folder: Path,
    ranks: Ranks,
) -> Recovery:
    """Return the recovery of a run: with snapshots, or with the reason why there are none."""
    settings, place = config.recovery, config.recovery.snapshots
    asked = place in ("memory", "disk") or any(s.needs_snapshots for s in strategies)
    if place == "off":
        return Recovery(settings, why_not="`recovery.snapshots` is off", is_asked_for=asked)
    if not asked:
        return Recovery(settings)
    if config.mode not in ("ask", "act"):
        return Recovery(settings, why_not=f"the mode is {config.mode}")
    if model is None or optimizer is None:
        return Recovery(settings, why_not="the model was not handed over", is_asked_for=True)
    reason = why_unsupported(model, optimizer)
    if reason:
        return Recovery(settings, why_not=reason, is_sharded=True, is_asked_for=True)
    size = size_of(model, optimizer)
    if place == "auto" and size > settings.largest * _GB:
        why = f"a snapshot would take {size / _GB:.1f} GB, more than recovery.largest ({settings.largest:g}); set"
        return Recovery(
            settings, why_not=f"{why} recovery.snapshots to memory or disk to keep them all the same", is_asked_for=True
        )
    on_disk = folder / "snapshot" if place == "disk" else None
    return Recovery(settings, TorchSnapshots(model, optimizer, scaler, on_disk, ranks), why_not="")


def told(recovery: Recovery) -> str:
    """Return what a person should know of the snapshots at train begin, or nothing where nobody asked for any."""
    if recovery.snapshots is not None:
        place = "on disk" if recovery.settings.snapshots == "disk" else "in host memory"
        return (
            f"snapshots for rollbacks: {recovery.snapshots.size / 1e6:,.1f} MB {place} at each healthy check; "
            f"rollbacks left: {recovery.left}"
        )
    return f"no rollbacks: {recovery.why_not}" if recovery.is_asked_for else ""
