"""Stories told to the real Supervisor, and what its journal says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from attrs import frozen

from steersman import JournalEntry, Record, RunPlan, Supervisor
from steersman.config import ConfigError, read
from steersman.hyperparameters import SAFER, Entry, OnPaper
from steersman.journal import Journal
from steersman.loading import load
from steersman.registry import Registry


@frozen
class Told:
    """The journal of a run, and the supervisor that wrote it."""

    entries: tuple[JournalEntry, ...]
    supervisor: Supervisor

    def of(self, kind: str, **fields: Any) -> list[Mapping[str, Any]]:
        """Return the data of the entries of a kind whose fields have these values."""
        return [
            entry.data
            for entry in self.entries
            if entry.kind == kind and all(entry.data.get(name) == value for name, value in fields.items())
        ]

    def rules(self) -> list[str]:
        """Return the names of the findings of trend-health at scheduled and anomaly checks, in order."""
        return [data["name"] for data in self.of("finding", strategy="trend-health")]

    def offers(self, **fields: Any) -> set[tuple[str, str, float | None, float | None]]:
        """Return (hyperparameter, change, at_least, at_most) of each proposal."""
        return {
            (data["hyperparameter"], data["change"], data["at_least"], data["at_most"])
            for data in self.of("proposal", **fields)
        }

    def changes(self) -> dict[str, tuple[float, float]]:
        """Return the old and the new value of each hyperparameter that was changed."""
        return {data["hyperparameter"]: (data["old"], data["new"]) for data in self.of("adjustment")}


@pytest.fixture(scope="session")
def tell() -> Callable[..., Told]:
    """Return a function that runs records through a Supervisor and returns what was journaled."""

    def run(
        use: list[Any] | None,
        records: Iterable[Record],
        *,
        values: Mapping[str, float] | None = None,
        plan: RunPlan | None = None,
        **config: Any,
    ) -> Told:
        values = values or {}
        wanted: dict[str, Any] = {
            "mode": "act",
            "extends": ["default", "no-rails"],
            "check_every": "epoch",
            "hyperparameters": {name: {} for name in values},
            **({} if use is None else {"use": use}),
            **config,
        }
        problems: list[str] = []
        settings = read(wanted, problems)
        strategies = load(settings, problems)
        if problems:
            raise ConfigError(settings.source, problems)
        entries: list[JournalEntry] = []
        journal = Journal(None)
        journal.subscribers.append(entries.append)
        registry = Registry(
            Entry(name, OnPaper(value), "live", safer=SAFER.get(name)) for name, value in values.items()
        )
        supervisor = Supervisor(settings, strategies, plan=plan, registry=registry, journal=journal)
        supervisor.begin()
        for record in records:
            supervisor.feed(record)
        supervisor.end()
        return Told(tuple(entries), supervisor)

    return run


@pytest.fixture(scope="session")
def epochs() -> Callable[..., list[Record]]:
    """Return a function that makes train records of epochs of 8 steps: each a log, or several evenly spread ones."""

    def make(*logs: Mapping[str, float] | list[Mapping[str, float]]) -> list[Record]:
        records: list[Record] = []
        for epoch, given in enumerate(logs):
            several = given if isinstance(given, list) else [given]
            for i, metrics in enumerate(several, 1):
                step = 8 * epoch + 8 * i // len(several)
                records.append(Record(step, "train", metrics, step / 8))
        return records

    return make


@pytest.fixture(scope="session")
def all_six() -> dict[str, float]:
    """The six hyperparameters of the origin, each far from its bounds."""
    return {
        "learning_rate": 1e-4,
        "kl_penalty": 0.15,
        "max_grad_norm": 0.5,
        "reward_weight": 1.0,
        "reward_threshold": 0.1,
        "temperature": 1.0,
    }
