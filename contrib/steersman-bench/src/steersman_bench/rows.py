"""A row of a table whose strategy failed: it says so, and the other rows are whole."""

from __future__ import annotations

from collections.abc import Iterable


def verdict(problems: Iterable[str], *, of: int) -> str:
    """Return in a sentence what went wrong in the runs of a row, nothing where nothing did.

    `problems` are the sentences of the runs that failed, out of `of` runs.
    """
    said = list(problems)
    if not said:
        return ""
    kinds = list(dict.fromkeys(said))
    more = f", and {len(kinds) - 1} other problem{'s' if len(kinds) > 2 else ''}" if len(kinds) > 1 else ""
    return f"{len(said)} of {of} runs: {kinds[0]}{more}"
