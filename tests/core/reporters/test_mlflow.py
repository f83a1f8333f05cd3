"""A real run of MLflow in a local folder, read back; and a server that is gone."""

from __future__ import annotations

import socket
import time

import pytest

from steersman.journal import JournalEntry
from steersman.reporters import mlflow as reporter
from steersman.reporters.isolation import isolated
from steersman.reporters.mlflow import MLflow, active_run, allowed

mlflow = pytest.importorskip("mlflow")


def change(step, value, name="learning_rate"):
    return JournalEntry("adjustment", step, {"hyperparameter": name, "new": value}, 1_700_000_000.5 + step)


def test_metrics_have_the_steps_and_times_of_the_entries(local_mlflow):
    """Every value is there under its step, two of one step as well, with the time of its line in milliseconds."""
    with mlflow.start_run() as run:
        sink = MLflow(active_run)
        for step, value in ((4, 1.0), (4, 0.5), (8, 0.25)):
            sink.hear(change(step, value))
        sink.hear(JournalEntry("score", 8, {"strategy": "a/b", "value": 2.0, "terms": {"gap": 0.5}}, 1.0))
        sink.close()

    told = local_mlflow(run.info.run_id)
    assert sorted(told["HealthCheck/learning_rate"]) == [(4, 0.5), (4, 1.0), (8, 0.25)]
    assert (told["Score/a.b"], told["Score/a.b.gap"]) == ([(8, 2.0)], [(8, 0.5)])
    [_, _, last] = mlflow.MlflowClient().get_metric_history(run.info.run_id, "HealthCheck/learning_rate")
    assert last.timestamp == 1_700_000_008_500


NAMES = {
    "HealthCheck/learning_rate[1]": "HealthCheck/learning_rate_1_",
    "HealthCheck/findings/loss: odd?": "HealthCheck/findings/loss_ odd_",
    "Score/multi-metric/gap": "Score/multi-metric.gap",
    "Score/./hooks//mine": "Score/_hooks_mine",
    "HealthCheck/../up": "HealthCheck/_/up",
    "HealthCheck//twice": "HealthCheck/twice",
    "Tokens/teacher/p99_latency": "Tokens/teacher/p99_latency",
}


def test_names_are_those_that_mlflow_allows(local_mlflow):
    """What MLflow would refuse is an underscore, and it takes every such name."""
    assert {tag: allowed(tag) for tag in NAMES} == NAMES
    with mlflow.start_run() as run:
        for name in NAMES.values():
            mlflow.log_metric(name, 1.0)

    assert set(local_mlflow(run.info.run_id)) == set(NAMES.values())


@pytest.fixture
def dead_server(monkeypatch):
    """Return a client of a server that nobody runs any more, and the id of a run there."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return mlflow.MlflowClient(f"http://127.0.0.1:{port}"), "run-1"


def test_a_server_that_is_gone(dead_server, logs):
    """Nothing is raised and nobody waits for it: it is said once, and after three failures it is left alone."""
    sink = MLflow(lambda: dead_server)
    hear = isolated(sink.hear)
    took, sent = [], []

    for step in range(1, 7):
        began = time.perf_counter()
        hear(change(step, 1.0))
        took.append(time.perf_counter() - began)
        if sink._sent is not None and sink._sent not in sent:
            sent.append(sink._sent)
            with pytest.raises(mlflow.MlflowException):
                sink._sent.wait()

    assert [log["reporter"] for log in logs] == ["MLflow"]
    assert "Connection refused" in logs[0]["event"]
    assert len(sent) == 3
    assert max(took[1:]) < 0.1


class Slow:
    """A client whose server answers no batch before it is told to."""

    def __init__(self, client):
        self.client, self.batches, self.answers = client, [], False

    def log_batch(self, run, metrics, synchronous):
        self.batches.append([(m.key, m.step) for m in metrics])
        return self

    @property
    def _operation_futures(self):
        return [self]

    def done(self):
        return self.answers

    def wait(self):
        self.answers = False


def test_a_slow_server_gets_one_batch_at_a_time(monkeypatch, logs):
    """While a batch is on its way the rest waits, at most four here, which is said once; then they go as one."""
    monkeypatch.setattr(reporter, "_AT_ONCE", 4)
    slow = Slow(None)
    sink = MLflow(lambda: (slow, "run-1"))
    for step in range(1, 9):
        sink.hear(change(step, 1.0))
    slow.answers = True
    sink.hear(JournalEntry("record", 9, {"usage": ()}, 1.0))

    name = "HealthCheck/learning_rate"
    assert slow.batches == [[(name, 1)], [(name, step) for step in (5, 6, 7, 8)]]
    assert ["the oldest scalars" in log["event"] for log in logs] == [True]


def test_without_a_run_nothing_is_sent():
    """Where no run is active there is none to find, and none is begun."""
    sink = MLflow(active_run)
    sink.hear(change(1, 1.0))
    sink.close()

    assert active_run() is None
    assert mlflow.active_run() is None


def test_the_last_batch_waits_for_the_one_before_it(local_mlflow, monkeypatch):
    """Where a metric takes 0.3 s, no two are written at the same time, and none is lost when the run ends meanwhile."""
    from mlflow.store.tracking.file_store import FileStore

    write, under_way, most = FileStore._log_run_metric, [], []

    def slow(self, *args, **kwargs):
        under_way.append(1)
        most.append(len(under_way))
        time.sleep(0.3)
        write(self, *args, **kwargs)
        under_way.pop()

    monkeypatch.setattr(FileStore, "_log_run_metric", slow)
    with mlflow.start_run() as run:
        sink = MLflow(active_run)
        for step in (4, 8, 12):
            sink.hear(change(step, float(step)))
        sink.close()
        told = local_mlflow(run.info.run_id)

    assert told["HealthCheck/learning_rate"] == [(4, 4.0), (8, 8.0), (12, 12.0)]
    assert most == [1, 1, 1]
