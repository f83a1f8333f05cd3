"""The whole benchmark: which cases, policies and seeds are wanted, every run made, and the table of them."""

from __future__ import annotations

import os
import time
from collections import Counter

import click
from attrs import field, frozen

from steersman.cli.terminal import with_bar
from steersman_bench.steer.case import Case
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy, always, named, of_file
from steersman_bench.steer.public_logs import alarms
from steersman_bench.steer.running import made, pieces, warmed_up
from steersman_bench.steer.table import Row, rows
from steersman_bench.steer.workers import Done, in_processes

PUBLISHED_FROM, DEVELOPMENT_FROM = 0, 100
"""The first seed of the published table, and the first of those that rules are tuned on."""

_HANGS = 2
"""After how many runs that took too long a policy is given up: once may be the machine."""


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


@frozen(kw_only=True)
class Wanted:
    """What was asked for on the command line."""

    uses: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    seeds: int = 3
    development: bool = False
    quick: bool = False
    policies: tuple[str, ...] = field(default=None, converter=_words)
    only: tuple[str, ...] = field(default=None, converter=_words)
    workers: int = 2
    timeout: float = 60.0


@frozen
class Table:
    """All that was measured. `largest` is how many parameters the largest model has, `seconds` how long it took."""

    cases: tuple[Case, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    development: bool
    largest: int
    seconds: float


def measured(wanted: Wanted) -> Table:
    """Make every run and return the table. Raises click.BadParameter for what cannot be read."""
    begun = time.monotonic()
    cases, policies = _cases(wanted), _policies(wanted)
    development = wanted.development or wanted.quick
    first = DEVELOPMENT_FROM if development else PUBLISHED_FROM
    seeds = tuple(range(first, first + (1 if wanted.quick else wanted.seeds)))
    done: dict[tuple[str, int, bool, str], Done] = {}
    hung: Counter[str] = Counter()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers: each has a core
    todo = list(pieces(cases, policies, seeds))
    running = in_processes(
        todo,
        made,
        workers=wanted.workers,
        timeout=wanted.timeout,
        skipped=lambda piece: hung[piece.policy.name] >= _HANGS,
        prepare=warmed_up,
    )
    for piece, each in with_bar(running, len(todo), "training"):
        done[piece.key] = each
        if each.hung:
            hung[piece.policy.name] += 1
    heard: dict[str, Done] = {}
    left = [policy for policy in policies if hung[policy.name] < _HANGS]
    for policy, each in with_bar(
        in_processes(left, alarms, workers=wanted.workers, timeout=wanted.timeout), len(left), "replaying public logs"
    ):
        heard[policy.name] = each
    made_of = rows(cases, policies, seeds, done, heard)
    largest = max((each.value.parameters for each in done.values() if each.value is not None), default=0)
    return Table(cases, made_of, seeds, development, largest, time.monotonic() - begun)


def _cases(wanted: Wanted) -> tuple[Case, ...]:
    from steersman_bench.steer import cases

    every = (*cases.tuned_on(), *cases.held_out_faults(), *cases.well())
    if wanted.quick:
        every = tuple(case for case in every if case.name in cases.QUICK)
    chosen = tuple(case for case in every if not wanted.only or any(word in case.name for word in wanted.only))
    if not chosen:
        raise click.BadParameter(f"no case has a name with {' or '.join(wanted.only)}", param_hint="'--cases'")
    return chosen


def _policies(wanted: Wanted) -> tuple[Policy, ...]:
    try:
        own = tuple(named(text) for text in wanted.uses)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--use'") from None
    every = always()
    if wanted.policies:
        needed = (NOTHING, BEST, BASELINE)
        every = tuple(p for p in every if p.name in needed or any(word in p.name for word in wanted.policies))
    return (*every, *own, *(of_file(path) for path in wanted.configs))
