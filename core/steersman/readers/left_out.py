"""What is said of values and lines that a reader left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steersman.hindsight import count, listed
from steersman.records import Record
from steersman.tables import Records

NO_NUMBERS = "Left out, because they are no numbers"
_NAMED = 5


def values_left_out(records: Sequence[Record]) -> tuple[str, ...]:
    """Return a sentence that names the values that are no numbers, or none where there is none."""
    times: dict[str, int] = {}
    first: dict[str, int] = {}
    for names, step, how_many in _dropped(records):
        for name in names:
            times[name] = times.get(name, 0) + how_many
            first.setdefault(name, step)
    if not times:
        return ()
    told = [f"{name} ({count(n, 'value')}, first at step {first[name]})" for name, n in list(times.items())[:_NAMED]]
    more = [f"{len(times) - _NAMED} more"] if len(times) > _NAMED else []
    return (f"{NO_NUMBERS}: {listed([*told, *more])}.",)


def lines_left_out(lines: Sequence[int], why: str) -> tuple[str, ...]:
    """Return a sentence about these lines of a log, or none where there is none; `why` follows `line 3 is`."""
    if not lines:
        return ()
    first = f"line {lines[0]}" if len(lines) == 1 else f"{len(lines)} lines, the first of them line {lines[0]},"
    return (f"{first[0].upper()}{first[1:]} {'is' if len(lines) == 1 else 'are'} {why}, and left out.",)


def _dropped(records: Sequence[Record]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    if isinstance(records, Records):
        for table, start, stop in records.blocks:
            if table.dropped:
                yield table.dropped, table.steps[start], stop - start
        return
    yield from ((record.dropped, record.step, 1) for record in records if record.dropped)
