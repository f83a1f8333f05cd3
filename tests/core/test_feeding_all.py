"""Live hears records one by one, replay hears blocks: the same journal, history, windows and state come of both."""

import json
import math
from pathlib import Path

import pytest
from attrs import define
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from steersman import Finding, Stop, hookimpl
from steersman.config import read as read_config
from steersman.journal import Journal
from steersman.loading import load
from steersman.readers.json_numbers import Parsed
from steersman.readers.log_entries import LogEntries
from steersman.readers.recording import plan_of
from steersman.readers.trainer_state import read
from steersman.registry import Registry
from steersman.supervisor import Supervisor

RUNS = sorted(Path(__file__).parents[1].glob("runs/**/*.json"))
CONFIGS = {
    "default": None,
    "each epoch, seed": {
        "check_every": "epoch",
        "use": ["eval-loss", {"trend-health": {"preset": "seed"}}, "recovery", "token-accounting"],
    },
    "every 7 steps": {"check_every": 7, "use": ["multi-metric", {"trend-health": {"loss_rules": "on"}}, "recovery"]},
}


@define(eq=False)
class Curious:
    """Looks at everything there is at every check, and stops once."""

    @hookimpl
    def diagnose(self, run, check):
        seen = {name: repr((run.history[name].last(5), run.history[name].min)) for name in run.history.names()}
        return Finding("seen", "all of it", "info", {**seen, "windows": repr(run.windows[-2:]), "epoch": run.epoch})

    @hookimpl
    def propose_adjustments(self, run, check):
        return Stop("seen enough") if run.step > 40 and check.reason == "scheduled" else None


def heard(records, config, plan, feed):
    """Return everything that came of a run whose records `feed` gave to a supervisor."""
    entries = []
    journal = Journal(None, clock=lambda: 0.0)
    journal.subscribers.append(entries.append)
    settings_ = read_config(config)
    problems = []
    supervisor = Supervisor(
        settings_, load(settings_, problems), plan=plan, registry=Registry(), journal=journal, replaying=True
    )
    assert problems == []
    supervisor.begin()
    feed(supervisor, records)
    saved = supervisor.save()
    history = {
        name: (s.count, s.min, s.argmin, s.last(10**6), s.steps(10**6))
        for name in supervisor.history.names()
        for s in (supervisor.history[name],)
    }
    windows = supervisor.windows
    ahead = (windows.last_log, windows.check.close(), windows.epoch.close(), supervisor.due, supervisor.progress)
    closed = [(repr(w), dict(w.means), dict(w.variances), dict(w.nonfinite)) for w in windows.closed]
    supervisor.end()
    told = [(e.kind, e.step, {k: v for k, v in e.data.items() if k != "strategy_seconds"}) for e in entries]
    return repr((told, saved, history, ahead, closed))


def one_by_one(supervisor, records):
    for record in records:
        supervisor.feed(record)


def all_at_once(supervisor, records):
    supervisor.feed_all(records)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("path", RUNS, ids=[f"{p.parent.name}/{p.stem}" for p in RUNS])
def test_real_runs(path, config):
    """For every run kept here, records fed one by one and all together come to the same, to the last digit."""
    recording = read(path)
    told = heard(recording.records, config, recording.plan, all_at_once)
    assert told == heard(tuple(recording.records), config, recording.plan, one_by_one)
    assert told == heard(tuple(recording.records), config, recording.plan, all_at_once)


numbers = st.floats(-5, 5) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e308, -1e308])
logged = st.one_of(
    st.fixed_dictionaries({"loss": numbers, "grad_norm": numbers}, optional={"learning_rate": numbers}),
    st.fixed_dictionaries({"reward": numbers, "kl": numbers, "completion_length": numbers}),
    st.fixed_dictionaries({"loss": numbers | st.none() | st.just("n/a"), "extra": st.none() | st.just([1])}),
    st.fixed_dictionaries({"grad_norm": numbers}),
    st.fixed_dictionaries({"eval_loss": numbers}, optional={"eval_other_loss": numbers}),
)


@st.composite
def logs(draw):
    """Return a log with evaluations, NaN, repeated steps, steps that go back, and entries of several layouts."""
    entries, step = [], 0
    for _ in range(draw(st.integers(1, 8))):
        entry = draw(logged)
        for _ in range(draw(st.integers(1, 6))):
            step = max(step + draw(st.sampled_from([1, 1, 1, 5, 0, -3])), 0)
            with_epoch = {"epoch": step / 11} if draw(st.sampled_from([True, True, False])) else {}
            fresh = draw(st.booleans())
            values = {name: draw(numbers) if fresh and type(v) is float else v for name, v in entry.items()}
            entries.append({**values, "step": step, **with_epoch})
    return entries


def told(entries):
    reader = LogEntries()
    reader.add(Parsed(entries, is_marked=False))
    return reader.records()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(logs(), st.sampled_from([*CONFIGS.values(), "curious"]))
@example([{"loss": math.nan, "step": 1}, {"loss": 1.0, "step": 1}, {"loss": math.nan, "step": 2}], None)
@example([{"eval_loss": 1.0, "step": 5}, {"loss": 1.0, "step": 5}, {"loss": 1.0, "step": 9, "epoch": 1.5}], None)
@example([{"grad_norm": math.nan, "step": 1}, {"grad_norm": math.nan, "step": 5}, {"loss": 1.0, "step": 6}], None)
def test_any_log(entries, config):
    """Whatever a log holds and however it jumps, both ways come to the same."""
    config = {"use": [Curious(), "trend-health"], "check_every": 5} if config == "curious" else config
    records = told(entries)
    plan = plan_of(records, None)
    assert plan == plan_of(tuple(records), None)
    assert heard(records, config, plan, all_at_once) == heard(tuple(records), config, plan, one_by_one)


@pytest.mark.parametrize("count", [4095, 4096, 4097, 13000])
def test_beyond_what_is_kept(count):
    """Beyond the logs that a window and a history keep, both ways still come to the same."""
    entries = [{"loss": 2.0 + math.sin(i), "grad_norm": i % 7, "step": 3 * i} for i in range(count)]
    entries[2000]["grad_norm"] = math.nan
    records = told(entries)
    config = {"use": ["trend-health"], "check_every": 20000}
    plan = plan_of(records, None)
    assert heard(records, config, plan, all_at_once) == heard(tuple(records), config, plan, one_by_one)


@define(eq=False)
class Counts:
    """Counts the logs that it hears."""

    heard: int = 0

    @hookimpl
    def on_log(self, log):
        self.heard += 1


def test_a_strategy_that_hears_each_log_hears_each():
    """Where a strategy looks at every log, none is left out."""
    records, counts = told([{"loss": 1.0, "step": i} for i in range(50)]), Counts()
    heard(records, {"use": [counts]}, plan_of(records, None), all_at_once)
    assert counts.heard == 50


def test_metrics_that_are_no_numbers_are_said_once():
    """A metric that is no number is told of, once, though the logs are heard together."""
    records = told([{"loss": 1.0, "note": None, "step": i} for i in range(50)])
    assert heard(records, None, plan_of(records, None), all_at_once).count("the metric 'note' came as something") == 1


def test_records_are_a_sequence():
    """Records in blocks are counted, indexed, sliced and compared as a tuple of them is."""
    entries = [*({"loss": float(i), "step": i} for i in range(3)), {"eval_loss": 1.0, "step": 3}]
    records = told(json.loads(json.dumps(entries)))
    each = tuple(records)
    assert (len(records), records[0], records[-1], records[1:3]) == (4, each[0], each[3], each[1:3])
    assert [record.metrics for record in each] == [{"loss": 0.0}, {"loss": 1.0}, {"loss": 2.0}, {"eval_loss": 1.0}]
    assert records == each
    with pytest.raises(IndexError, match="there are 4 records"):
        records[4]
