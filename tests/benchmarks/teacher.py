"""What a recorded call to a teacher costs: the wrapped client beside the plain one, on a server of this machine.

Run it: `python tests/benchmarks/teacher.py`. Plain and wrapped calls take turns, so that both see the same machine.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import openai
from attrs import frozen
from rich.console import Console
from rich.table import Table

from steersman import Teacher

sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "teacher"))

from local_server import KEY, serving

CALLS, WARM = 600, 30
ASKED: dict[str, Any] = {"model": "t", "messages": [{"role": "user", "content": "score this text for me please"}]}
STREAMED = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}


@frozen
class Figures:
    """Microseconds of a plain and of a recorded call, and what the latter takes of the processor besides: medians."""

    plain: float
    recorded: float
    own: float

    @property
    def ratio(self) -> float:
        """Recorded to plain."""
        return self.recorded / self.plain


Times = tuple[float, float]
"""Seconds of a call by the clock, and of the processor in its thread."""


def timed(ask: Callable[[], object]) -> Times:
    began, computed = perf_counter(), thread_time()
    ask()
    return perf_counter() - began, thread_time() - computed


def figures(plain: Sequence[Times], recorded: Sequence[Times]) -> Figures:
    """Return the medians of calls that took turns."""
    took, computed = ([statistics.median(times[i] for times in side) for side in (plain, recorded)] for i in (0, 1))
    return Figures(1e6 * took[0], 1e6 * took[1], 1e6 * (computed[1] - computed[0]))


def turns(plain: Callable[[], object], recorded: Callable[[], object]) -> Figures:
    """Return the figures of two ways to ask, by turns."""
    pairs = [(timed(plain), timed(recorded)) for _ in range(WARM + CALLS)][WARM:]
    return figures(*zip(*pairs, strict=True))


def by_hand() -> float:
    """Return microseconds of the processor for `with teacher() as call` and a usage told: the mean, with all sums."""
    teacher, usage = Teacher(), {"usage": {"prompt_tokens": 6, "completion_tokens": 2}}

    def call() -> None:
        with teacher() as call:
            call.used(usage)

    return 1e6 * timed(lambda: [call() for _ in range(20_000)])[1] / 20_000


async def in_tasks(base_url: str) -> Figures:
    """Return the figures of one call in a task after another."""
    async with openai.AsyncOpenAI(base_url=base_url, api_key=KEY) as plain:
        recorded = Teacher().wrap(plain)
        times: dict[Any, list[Times]] = {plain: [], recorded: []}
        for _ in range(WARM + CALLS):
            for client, spent in times.items():
                began, computed = perf_counter(), thread_time()
                await client.chat.completions.create(**ASKED)
                spent.append((perf_counter() - began, thread_time() - computed))
    return figures(*(spent[WARM:] for spent in times.values()))


def main() -> None:
    """Print a table."""
    with serving() as server, openai.OpenAI(base_url=server.base_url, api_key=KEY) as plain:
        recorded = Teacher().wrap(plain)
        rows = {
            "chat completion": turns(
                lambda: plain.chat.completions.create(**ASKED), lambda: recorded.chat.completions.create(**ASKED)
            ),
            "stream of five events": turns(
                lambda: list(plain.chat.completions.create(**STREAMED)),
                lambda: list(recorded.chat.completions.create(**STREAMED)),
            ),
            "the same again, plain twice": turns(
                lambda: plain.chat.completions.create(**ASKED), lambda: plain.chat.completions.create(**ASKED)
            ),
            "chat completion in a task": asyncio.run(in_tasks(server.base_url)),
        }
    table = Table("call", "plain, µs", "recorded, µs", "ratio", "own CPU, µs")
    for name, row in rows.items():
        table.add_row(name, f"{row.plain:,.0f}", f"{row.recorded:,.0f}", f"{row.ratio:.3f}", f"{row.own:,.0f}")
    Console().print(table)
    print(f"openai {openai.__version__}; {CALLS} calls each; a call told by hand takes {by_hand():.1f} µs of its own")


if __name__ == "__main__":
    main()
