"""The whole benchmark: which cases, policies and seeds are wanted, every run made, and the table of them."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click
from attrs import field, frozen

from steersman.cli.terminal import with_bar
from steersman.config import ConfigError, read
from steersman.loading import load
from steersman_bench.steer.case import Case, Subject
from steersman_bench.steer.ending import Ran
from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy, always, named, of_file
from steersman_bench.steer.public_logs import alarms
from steersman_bench.steer.running import Piece, made, pieces, warmed_up
from steersman_bench.steer.table import Row, rows
from steersman_bench.steer.workers import Done, in_processes

if TYPE_CHECKING:
    from steersman_bench.steer.trainers.case import TrainerCase

PUBLISHED_FROM, DEVELOPMENT_FROM = 15, 100
"""The first seed of the published table, and the first of those that rules are tuned on.

Seeds 0 to 14 were published before the rules were changed, so that they prove nothing any more.
"""

TRAINER_SEEDS = 2
"""How many seeds the runs through the trainers are of at most: they are slower, and few."""

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
    trainers: bool = False
    workers: int = 2
    timeout: float = 60.0

    @property
    def is_development(self) -> bool:
        """Whether the seeds are those that rules are tuned on."""
        return self.development or self.quick

    def seeds_of(self, count: int) -> tuple[int, ...]:
        """Return the first `count` seeds; only one is quick."""
        first = DEVELOPMENT_FROM if self.is_development else PUBLISHED_FROM
        return tuple(range(first, first + (1 if self.quick else count)))

    def wants(self, case: str) -> bool:
        """Whether a case is among those asked for."""
        return not self.only or any(word in case for word in self.only)


@frozen
class Table:
    """All that was measured. `largest` is how many parameters the largest model has, `seconds` how long it took.

    `trainers` is the table of the runs through the trainers, where they were asked for.
    """

    cases: tuple[Subject, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    development: bool
    largest: int
    seconds: float
    trainers: Table | None = None


def measured(wanted: Wanted) -> Table:
    """Make every run and return the table. Raises click.ClickException for what cannot be read or is not installed."""
    begun = time.monotonic()
    policies, trainers = _policies(wanted), _of_trainers(wanted)
    cases = _cases(wanted)
    if not cases and not trainers:
        raise click.BadParameter(f"no case has a name with {' or '.join(wanted.only)}", param_hint="'--cases'")
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers: each has a core
    seeds, hung = wanted.seeds_of(wanted.seeds), Counter[str]()
    done = _all_made([*pieces(cases, policies, seeds)], made, warmed_up, wanted, hung) if cases else {}
    heard: dict[str, Done] = {}
    left = [policy for policy in policies if hung[policy.name] < _HANGS] if cases else []
    for policy, each in with_bar(
        in_processes(left, alarms, workers=wanted.workers, timeout=wanted.timeout), len(left), "replaying public logs"
    ):
        heard[policy.name] = each
    made_of = rows(cases, policies, seeds, done, heard)
    beside = _through_trainers(trainers, policies, wanted) if trainers else None
    return Table(cases, made_of, seeds, wanted.is_development, _largest(done), time.monotonic() - begun, beside)


def _through_trainers(cases: tuple[TrainerCase, ...], plain: tuple[Policy, ...], wanted: Wanted) -> Table:
    from steersman_bench.steer.trainers import driving
    from steersman_bench.steer.trainers.policies import CLIPPED, for_trainers

    begun, policies = time.monotonic(), for_trainers(plain)
    seeds = wanted.seeds_of(min(wanted.seeds, TRAINER_SEEDS))
    todo = [*pieces(cases, policies, seeds)]
    done = _all_made(todo, driving.made, driving.warmed_up, wanted, Counter())
    made_of = rows(cases, policies, seeds, done, {}, CLIPPED)
    return Table(cases, made_of, seeds, wanted.is_development, _largest(done), time.monotonic() - begun)


def _all_made(
    todo: list[Piece], work: Callable[[Piece], Ran], prepare: Callable[[], None], wanted: Wanted, hung: Counter[str]
) -> dict[tuple[str, int, bool, str], Done]:
    done: dict[tuple[str, int, bool, str], Done] = {}
    running = in_processes(
        todo,
        work,
        workers=wanted.workers,
        timeout=wanted.timeout,
        skipped=lambda piece: hung[piece.policy.name] >= _HANGS,
        prepare=prepare,
    )
    with _temporary(), closing(running):
        for piece, each in with_bar(running, len(todo), "training"):
            done[piece.key] = each
            if each.hung:
                hung[piece.policy.name] += 1
    return done


@contextmanager
def _temporary() -> Generator[None]:
    """Give the workers a folder for theirs that is removed when they are over: those that are killed remove nothing."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="steersman-bench-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def _largest(done: Mapping[tuple[str, int, bool, str], Done]) -> int:
    return max((each.value.parameters for each in done.values() if each.value is not None), default=0)


def _of_trainers(wanted: Wanted) -> tuple[TrainerCase, ...]:
    if not wanted.trainers:
        return ()
    missing = [name for name in ("transformers", "trl", "datasets") if find_spec(name) is None]
    if missing:
        raise click.UsageError(
            f"--trainers needs {' and '.join(missing)}: install them with pip install 'steersman-bench[trainers]'"
        )
    from steersman_bench.steer.trainers.cases import CASES, QUICK

    return tuple(c for c in CASES if wanted.wants(c.name) and (not wanted.quick or c.name in QUICK))


def _cases(wanted: Wanted) -> tuple[Case, ...]:
    from steersman_bench.steer import cases

    every = (*cases.tuned_on(), *cases.held_out_faults(), *cases.well())
    return tuple(c for c in every if wanted.wants(c.name) and (not wanted.quick or c.name in cases.QUICK))


def _policies(wanted: Wanted) -> tuple[Policy, ...]:
    try:
        own = tuple(named(text) for text in wanted.uses)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--use'") from None
    every = always()
    if wanted.policies:
        needed = (NOTHING, BEST, BASELINE)
        named_so = {p.name for p in every if any(word in p.name for word in wanted.policies)}
        if not named_so:
            there = ", ".join(p.name for p in every)
            said = f"no policy has a name with {' or '.join(wanted.policies)}; there are {there}"
            raise click.BadParameter(said, param_hint="'--policies'")
        every = tuple(p for p in every if p.name in needed or p.name in named_so)
    chosen = (*own, *(of_file(path) for path in wanted.configs))
    for policy in chosen:
        _is_sound(policy)
    return (*every, *chosen)


def _is_sound(policy: Policy) -> None:
    """Load what a policy names, before anything is trained. Raises click.BadParameter with every fault."""
    try:
        config, problems = read(policy.asked.config), list[str]()
        load(config, problems)
    except ConfigError as error:
        problems = list(error.problems)
    if problems:
        raise click.BadParameter(f"{policy.name}: {'; '.join(problems)}", param_hint="'--use' / '--config'")
