"""The nearest valid name, for errors."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`, or None where none is near."""
    import difflib  # here, because most commands misspell nothing and it takes a while

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known name, or nothing."""
    near = nearest(name, known)
    return f", did you mean {near!r}?" if near else ""
