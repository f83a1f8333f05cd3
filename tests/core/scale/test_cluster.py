"""Many runs on a cluster: a local one of two workers, through the engine's ordinary interface, tells what one process tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steersman.asking import Asking
from steersman.scale.cluster import NoEngine, over_dask, over_ray
from steersman.scale.local import in_this_process
from steersman.scale.work import Work


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Ten runs, the last of which cannot be read."""
    made = []
    for i in range(10):
        path = tmp_path / f"run-{i}" / "trainer_state.json"
        path.parent.mkdir()
        logs = [{"step": 1, "loss": 2.0}, {"step": 1, "eval_loss": 1.0 + i}]
        path.write_text(json.dumps({"log_history": logs}) if i < 9 else "no JSON")
        made.append(str(path))
    return made


def _told(results):
    return {run.path: run for runs in results for run in runs}


@pytest.mark.slow
def test_dask_with_two_workers(paths):
    """Two Dask workers, each a process, tell of every run what this process tells."""
    distributed = pytest.importorskip("distributed")
    work, pieces = Work(Asking(None, ("eval-loss",), afresh=True)), [tuple(paths[:5]), tuple(paths[5:])]
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, scheduler_port=0
    ) as cluster:
        shared = _told(over_dask(work, pieces, cluster.scheduler_address))
    assert shared == _told(in_this_process(work, pieces))
    assert [path for path in paths if shared[path].error] == paths[-1:]


@pytest.mark.slow
def test_ray_with_two_workers(paths):
    """Two Ray workers tell of every run what this process tells; Ray is ended where it was begun for it."""
    ray = pytest.importorskip("ray")
    work, pieces = Work(Asking(None, ("eval-loss",), afresh=True)), [tuple(paths[:5]), tuple(paths[5:])]
    shared = _told(over_ray(work, pieces, None))
    assert shared == _told(in_this_process(work, pieces))
    assert not ray.is_initialized()


def test_an_engine_that_is_not_there(monkeypatch, paths):
    """Without the package, and without a scheduler at the address, a sentence says what to do, at once."""
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(NoEngine, match="--engine ray needs ray, which is not installed: pip install 'ray'"):
        next(over_ray(Work(Asking()), [tuple(paths)], None))
    pytest.importorskip("distributed")
    for address, reason in {"tcp://127.0.0.1:1": "refused", "nonsense": "such as tcp://10.0.0.1:8786"}.items():
        with pytest.raises(NoEngine, match=f"the Dask scheduler {address} cannot be reached: .*{reason}"):
            next(over_dask(Work(Asking()), [tuple(paths)], address))
