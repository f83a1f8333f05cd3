"""A file with the log of a run, in whatever format its content is of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steersman.readers import content, events, journal, json_rows, tables, trainer_state
from steersman.readers.no_log import why_no_log
from steersman.readers.recognition import recognised
from steersman.readers.recording import Recording, UnreadableRun
from steersman.readers.sources import JOURNAL, STATE, WANDB_SUMMARY

_LOOKED_AT = 2**20
NO_LOG = (
    "it is no log that is known: expected a trainer_state.json, TensorBoard events, a Lightning metrics.csv, an "
    "Ultralytics results.csv, a W&B history, a Steersman journal, or steps and metrics as JSON lines or CSV"
)


def read(path: Path, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a file. Raises UnreadableRun where it is no log, or one that cannot be read."""
    start = content.head(path)
    if start.startswith(content.LFS):
        raise UnreadableRun(path, content.IS_LFS)
    found = recognised(start)
    if found is None and len(start) == content.HEAD:
        found = recognised(content.head(path, _LOOKED_AT), _LOOKED_AT)
    if path.name == WANDB_SUMMARY or (found is None and start.lstrip()[:1] == b"{"):
        reason = why_no_log(content.head(path, _LOOKED_AT))
        if reason is not None:
            raise UnreadableRun(path, reason)
    if found is None and (path.name == STATE or _is_short_json(path, start)):
        return trainer_state.read(path)  # which says what is wrong with it
    if found is None and path.name == JOURNAL.name:
        return journal.read(path)
    if not start.strip():
        raise UnreadableRun(path, "it is empty")
    if found is None:
        raise UnreadableRun(path, NO_LOG)
    match found.shape:
        case "object":
            return trainer_state.read(path)
        case "events":
            return events.read(path, [path], own)
        case "table":
            return tables.read(path, found.format, own)
        case "array":
            return json_rows.read_array(path, found.format, own)
        case "lines":
            is_ours = found.format == "journal"
            return journal.read(path) if is_ours else json_rows.read_lines(path, found.format, own)


def _is_short_json(path: Path, start: bytes) -> bool:
    is_json = path.suffix == ".json" and start.lstrip().startswith((b"{", b"["))
    return is_json and (len(start) < content.HEAD or len(content.head(path, _LOOKED_AT)) < _LOOKED_AT)
