"""What a run of a torch trainer watches beside its logs: steps that are not finite, and what a person says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from steersman.control import Control, Files, Nobody
from steersman.integrations.torch.begin import Begin
from steersman.integrations.torch.nonfinite import NonFinite
from steersman.journal import Journal
from steersman.ranks import Ranks
from steersman.snapshots import Recovery


def watch_for_nan(begin: Begin, recovery: Recovery, journal: Journal, held: ExitStack) -> NonFinite | None:
    """Return what looks at each step for NaN, where there are snapshots to go back to; `held` gives both back."""
    if not recovery.is_on:
        return None
    watch = NonFinite(begin.model, begin.optimizer, sync=recovery.settings.sync)
    held.callback(watch.release)
    journal.subscribers.append(lambda entry: watch.forget() if entry.kind == "rollback" else None)
    if recovery.snapshots is not None:
        held.callback(recovery.snapshots.release)
    return watch


def control_of(folder: Path, saved: Mapping[str, Any], ranks: Ranks, complain: Callable[[str], None]) -> Control:
    """Return where a person's requests are read: files in the folder of the run, on rank 0."""
    if not ranks.is_main:
        return Nobody()
    files = Files(folder, complain)
    if not saved:
        files.begin()
    return files
