"""Runs that lie at a URL: in fsspec's memory, and behind a web server."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from steersman import replay
from steersman.readers import UnreadableRun
from steersman.readers.locating import located
from steersman.replaying_many import replay_many


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(runs: Path) -> Iterator[str]:
    """The URL of the real logs behind a web server."""
    handler = functools.partial(_Quiet, directory=str(runs))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_file_behind_a_web_server(served, runs):
    """A log at a URL tells what the same log tells from disk; its path is the URL."""
    there = replay(f"{served}/trainer_state/llama-factory-01.json")
    here = replay(runs / "trainer_state" / "llama-factory-01.json")
    assert there.told.path == f"{served}/trainer_state/llama-factory-01.json"
    assert (there.scores, there.findings, there.proposals) == (here.scores, here.findings, here.proposals)


def test_a_tree_behind_a_web_server(served, runs):
    """Every run below a URL is found and read as below a folder; checkpoints of one run are one run."""
    there = replay_many(f"{served}/", use=["eval-loss"])
    here = replay_many(runs, use=["eval-loss"])
    assert [run.path.removeprefix(f"{served}/") for run in there.runs] == [
        str(Path(run.path).relative_to(runs)) for run in here.runs
    ]
    assert [run.scores for run in there.runs] == [run.scores for run in here.runs]
    assert len(there.runs) >= 5


def test_a_run_directory_in_memory(runs):
    """A run directory on another fsspec filesystem is one run, and its checkpoints are known by their URL."""
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(runs / "roberta"), "/kept/roberta", recursive=True)
    try:
        told = replay("memory://kept/roberta", use=["eval-loss"])
        assert told.choices["eval-loss"].step == 3000
        assert told.choices["eval-loss"].path == "memory://kept/roberta/checkpoint-3000"
        assert [run.path for run in replay_many("memory://kept").runs] == ["memory://kept/roberta"]
    finally:
        memory.rm("/kept", recursive=True)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nosuch://bucket/run", "its filesystem cannot be used"),
        ("memory://kept/nothing", "there is no such file or directory"),
    ],
)
def test_a_url_that_leads_nowhere(url, says):
    """A filesystem nobody knows and a place where nothing lies are a sentence that names the URL."""
    with pytest.raises(UnreadableRun, match=f"{url}.*{says}"):
        replay(url)
    assert says in (replay_many(url).runs[0].error or "")


def test_a_server_that_is_not_there():
    """A server that nobody answers for is a sentence, not a traceback."""
    with pytest.raises(UnreadableRun, match=r"http://127.0.0.1:1/run"):
        replay("http://127.0.0.1:1/run/trainer_state.json")


def test_without_fsspec(monkeypatch):
    """Where the packages are not installed, it says which extra brings them."""
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(UnreadableRun, match=r"pip install 'steersman\[scale\]'"):
        located("s3://bucket/run")
