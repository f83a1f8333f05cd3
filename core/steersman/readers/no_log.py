"""What a JSON file is that was taken for a log and is none, as far as its content shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from steersman.readers.json_numbers import loads

_SUMMARY = (
    "it is the summary of a W&B run, the last value of each metric, and no history; export that: "
    'run.history().to_json(PATH, orient="records")'
)
_COLUMNS = (
    "it is a table that is written column by column, which is read row by row: "
    'df.to_json(PATH, orient="records", lines=True)'
)


def why_no_log(text: bytes) -> str | None:
    """Return a sentence about a whole JSON text that is one object without a log, or None where nothing is known."""
    try:
        value = loads(text).value
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not value or "log_history" in value:
        return None
    found = cast("Mapping[str, object]", value)
    if "_wandb" in found or ("_step" in found and ("_runtime" in found or "_timestamp" in found)):
        return _SUMMARY
    kinds = {type(column) for column in found.values()}
    is_columns = kinds in ({dict}, {list}) and len({len(cast("list[object]", c)) for c in found.values()}) == 1
    return _COLUMNS if is_columns and len(found) > 1 else None
