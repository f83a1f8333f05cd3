"""Builders of real parts: supervised runs fed by hand, distributions on disk, config files, strategies that fail."""

from __future__ import annotations

import importlib
import json
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from attrs import define, field

from steersman import Adjust, Average, Finding, Record, RunPlan, Score, Supervisor, hookimpl, state
from steersman.config import read
from steersman.hyperparameters import SAFER, Entry, OnPaper
from steersman.journal import Journal, JournalEntry
from steersman.loading import load
from steersman.registry import Registry


@define
class Supervised:
    """A supervisor, what it journaled, and short words to feed it."""

    supervisor: Supervisor
    entries: list[JournalEntry] = field(factory=list)

    def train(self, step: int, epoch: float | None = None, /, **metrics: float) -> None:
        self.supervisor.feed(Record(step, "train", metrics, epoch))

    def evaluate(self, step: int, epoch: float | None = None, /, **metrics: float) -> Any:
        return self.supervisor.feed(Record(step, "eval", metrics, epoch))

    def of(self, kind: str) -> list[JournalEntry]:
        return [entry for entry in self.entries if entry.kind == kind]


@pytest.fixture
def supervise():
    """Return a builder of a supervisor over strategy instances; it has begun unless told otherwise."""

    def build(
        *strategies: object,
        config: Mapping[str, Any] | None = None,
        plan: RunPlan | None = None,
        values: Mapping[str, float | None] | None = None,
        begin: bool = True,
        journal: Journal | None = None,
        replaying: bool = False,
        **parts: Any,
    ) -> Supervised:
        settings = read({"extends": "no-rails", "use": list(strategies), **(config or {})})
        problems: list[str] = []
        loaded = load(settings, problems)
        assert problems == []
        registry = Registry(Entry(n, OnPaper(v), "live", safer=SAFER.get(n)) for n, v in (values or {}).items())
        journal = journal or Journal(None)
        entries: list[JournalEntry] = []
        journal.subscribers.append(entries.append)
        supervisor = Supervisor(
            settings, loaded, plan=plan, registry=registry, journal=journal, replaying=replaying, **parts
        )
        if begin:
            supervisor.begin()
        return Supervised(supervisor, entries)

    return build


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a builder of an installed distribution: its modules and a dist-info with metadata and entry points."""
    made: list[str] = []

    def build(
        name: str,
        entry_points: Mapping[str, str],
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
        group: str = "steersman.strategies",
    ) -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{point} = {target}" for point, target in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        for module, source in (modules or {}).items():
            (site / f"{module}.py").write_text(source)
            made.append(module)
        monkeypatch.syspath_prepend(site)
        importlib.invalidate_caches()

    yield build
    for module in made:
        sys.modules.pop(module, None)


@pytest.fixture
def trainer_state(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of a trainer_state.json, as the Trainer writes one: NaN stays bare."""

    def write(*logs: Mapping[str, Any], max_steps: int = 40, name: str = "trainer_state.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"log_history": logs, "max_steps": max_steps}))
        return path

    return write


@pytest.fixture
def write(tmp_path: Path):
    """Return a writer of a text file below the test's own folder."""

    def build(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return build


@define(eq=False)
class Counting:
    """Scores a checkpoint by how many it has seen, itself included."""

    seen: int = state(0)

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        self.seen += 1
        return Score(self.seen)


@pytest.fixture
def counting() -> type[Counting]:
    """Return the class of a strategy that counts the checkpoints it scored."""
    return Counting


@define(eq=False)
class EveryHook:
    """Implements every hook soundly, counts its calls, and misbehaves in one hook where told to."""

    raises_in: str = ""
    answers_in: str = ""
    answer: Any = None
    calls: dict[str, int] = field(factory=dict)

    def _called(self, hook: str, sound: Any = None) -> Any:
        self.calls[hook] = self.calls.get(hook, 0) + 1
        if hook == self.raises_in:
            raise RuntimeError(f"broken {hook}")
        return self.answer if hook == self.answers_in else sound

    @hookimpl
    def on_train_begin(self, run):
        self._called("on_train_begin")

    @hookimpl
    def on_train_end(self, run):
        self._called("on_train_end")

    @hookimpl
    def on_log(self, run, log):
        self._called("on_log")

    @hookimpl
    def on_eval(self, run, evaluation):
        self._called("on_eval")

    @hookimpl
    def on_epoch_end(self, run, window):
        self._called("on_epoch_end")

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return self._called("score_checkpoint", Score(checkpoint.metrics["eval_loss"]))

    @hookimpl
    def on_checkpoint_scored(self, run, checkpoint):
        self._called("on_checkpoint_scored")

    @hookimpl
    def on_checkpoint_saved(self, run, checkpoint):
        self._called("on_checkpoint_saved")

    @hookimpl
    def diagnose(self, run, check):
        return self._called("diagnose", Finding("looked", f"looked at step {check.step}", "info"))

    @hookimpl
    def propose_adjustments(self, run, check):
        return self._called("propose_adjustments", Adjust("learning_rate", scale=0.5, because="every check"))

    @hookimpl
    def veto_adjustment(self, run, adjustment):
        return self._called("veto_adjustment")

    @hookimpl
    def on_adjusted(self, run, adjustment):
        self._called("on_adjusted")

    @hookimpl
    def on_rolled_back(self, run, rollback):
        self._called("on_rolled_back")

    @hookimpl
    def propose_averages(self, run):
        return self._called("propose_averages", Average(run.saved))

    @hookimpl
    def on_journaled(self, run, entry):
        self._called("on_journaled")


@define(eq=False)
class Companion(EveryHook):
    """The same under another name, to run beside one that fails."""


@pytest.fixture
def companion() -> type[Companion]:
    """A strategy to run beside one that fails."""
    return Companion


@pytest.fixture
def every_hook() -> type[EveryHook]:
    """The strategy that implements every hook and misbehaves in one."""
    return EveryHook


@pytest.fixture
def forty_steps(tmp_path: Path):
    """Feed forty steps, four epochs: a train log every 5, an evaluation and a saved checkpoint every 10; then end."""

    def feed(run: Supervised) -> dict[str, Any]:
        for step in range(5, 41, 5):
            run.train(step, step / 10, loss=2.0 - step / 100)
            if step % 10 == 0:
                run.evaluate(step, step / 10, eval_loss=2.0 - step / 100)
                folder = tmp_path / f"checkpoint-{step}"
                folder.mkdir()
                run.supervisor.saved(step, str(folder))
        return run.supervisor.end()

    return feed


@pytest.fixture
def forty_steps_calls() -> dict[str, int]:
    """How often each hook is called in those forty steps, counted by hand.

    Checks are at the four evaluations, and one more at the end that asks for no proposals. `on_journaled` is left out.
    """
    return {
        "on_train_begin": 1,
        "on_log": 8,
        "on_eval": 4,
        "score_checkpoint": 4,
        "on_checkpoint_scored": 4,
        "on_checkpoint_saved": 4,
        "on_epoch_end": 4,
        "diagnose": 5,
        "propose_adjustments": 4,
        "veto_adjustment": 4,
        "on_adjusted": 4,
        "propose_averages": 1,
        "on_train_end": 1,
    }


@pytest.fixture
def told_to_trackers() -> Callable[..., dict[str, list[tuple[int, float]]]]:
    """Return a recount, from the text of a journal, of what trackers must show: (step, value) by tag, as journaled."""

    def recount(*journals: str) -> dict[str, list[tuple[int, float]]]:
        shown: dict[str, list[tuple[int, float]]] = {}
        for line in (line for journal in journals for line in journal.splitlines()):
            entry = json.loads(line)
            for tag, value in _told(entry).items():
                if type(value) in (int, float):
                    shown.setdefault(tag, []).append((entry["step"], value))
        return shown

    return recount


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    match entry:
        case {"kind": "adjustment", "hyperparameter": name, "new": new}:
            return {f"HealthCheck/{name}": new}
        case {"kind": "check", "healthy": healthy, "values": values}:
            told = {f"HealthCheck/{name}": value for name, value in values.items()}
            return told | {"HealthCheck/healthy": {True: 1, False: 0}.get(healthy)}
        case {"kind": "finding", "name": name, "severity": severity}:
            return {f"HealthCheck/findings/{name}": {"info": 1, "warning": 2, "critical": 3}[severity]}
        case {"kind": "score", "strategy": name, "value": value, "terms": terms, "heard_at": None}:
            return {f"Score/{name}": value} | {f"Score/{name}/{term}": part for term, part in terms.items()}
        case {"kind": "record", "usage": usage}:
            return {f"Tokens/{u['ledger']}/interval_tokens_per_second": u["tokens"] / u["seconds"] for u in usage}
        case {"kind": "tokens"}:
            named = {name: entry[name] for name in ("generation", "backpropagation", "teacher") if entry[name]}
            told = {f"Tokens/{name}/{key}": value for name, figures in named.items() for key, value in figures.items()}
            return {tag: value for tag, value in told.items() if not tag.endswith("/interval_tokens_per_second")}
    return {}


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    """Return a list that fills with what Steersman logs."""
    was_configured = structlog.is_configured()
    with structlog.testing.capture_logs() as told:
        yield told
    if not was_configured:
        structlog.reset_defaults()


@pytest.fixture
def offline_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Have W&B work offline, and return a function that reads the rows of the newest finished run back."""
    wandb = pytest.importorskip("wandb")
    for name, value in (("MODE", "offline"), ("DIR", str(tmp_path)), ("SILENT", "true"), ("CONSOLE", "off")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.setenv("WANDB_X_DISABLE_STATS", "true")

    def rows() -> list[dict[str, Any]]:
        wandb.teardown()  # what it has not written yet
        newest = max(tmp_path.glob("wandb/offline-run-*/run-*.wandb"), key=lambda file: file.stat().st_mtime_ns)
        histories = (r.history.item for r in _wandb_records(newest) if r.WhichOneof("record_type") == "history")
        return [
            {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in items}
            for items in histories
        ]

    wandb.teardown()  # what it read of the environment before
    yield rows
    wandb.teardown()
    wandb.sdk.lib.module.unset_globals()  # a disabled run that is finished stays the active one


def _wandb_records(path: Path) -> Iterator[Any]:
    """Yield the records of a file of W&B: behind 7 bytes, blocks of 32 KiB in LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record as WandbRecord

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        parts, at = parts + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # a whole record, or the last part of one
            yield WandbRecord.FromString(parts)
            parts = b""


@pytest.fixture
def local_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, list[Any]]]]:
    """Have MLflow write into a folder, and return a function that reads a run back: (step, value) by metric."""
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    mlflow.set_experiment("a-test")

    def read_back(run_id: str | None = None) -> dict[str, list[Any]]:
        if run_id is None:
            (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
            run_id = run.info.run_id
        mlflow.flush_async_logging()
        client = mlflow.MlflowClient()
        names = client.get_run(run_id).data.metrics
        return {name: [(m.step, m.value) for m in client.get_metric_history(run_id, name)] for name in names}

    yield read_back
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
