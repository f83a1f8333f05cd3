"""What replay costs: reading against orjson, the whole of it against json.loads, memory of a large file, two processes.

Run it: `python tests/benchmarks/replay.py [--quick] [FOLDER]`. FOLDER is a tree of trainer_state.json files (default:
those of tests/runs). Large files are made of real logs, repeated. Each figure stands beside a baseline measured in the
same run on the same bytes, turn by turn, and the fastest of each is told. `--quick` makes the largest file 50 MB.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
from attrs import frozen
from rich.console import Console
from rich.progress import track
from rich.table import Table

from steersman.asking import Asking
from steersman.readers import read as read_run
from steersman.replaying import replay, replay_with
from steersman.scale.local import over_cores
from steersman.scale.work import Work

RUNS = Path(__file__).parents[1] / "runs"
LOGS = RUNS / "trainer_state"
MB = 1e6
ROUNDS, SMALL_ROUNDS = 7, 15


@frozen
class Source:
    """A real log that is repeated. Evaluations are kept in every `evaluated` of the copies; epochs are `stretched`."""

    path: Path
    copies: int
    evaluated: int = 1
    stretched: float = 1.0


SOURCES = {
    "an evaluation in 20 logs, an epoch in 4": Source(LOGS / "llama-factory-01.json", 60),
    "an evaluation in 100 logs, an epoch in 400": Source(LOGS / "llama-factory-01.json", 60, 5, 100.0),
    "GRPO, many metrics": Source(LOGS / "unslothgrpo-01.json", 15),
    "NaN at each log": Source(LOGS / "16831-project-01.json", 20),
}
"""Files of about 2 MB."""


@frozen
class Times:
    """The fastest seconds of each contender on the same bytes, and how many records they held."""

    size: int
    records: int
    standard: float
    orjson: float
    parse: float
    planned: float
    whole: float


def times(path: Path, asking: Asking, rounds: int) -> Times:
    """Return the fastest times on one file, each contender in turn in every round."""
    content = path.read_bytes()
    contenders: dict[str, Callable[[], object]] = {
        "standard": lambda: json.loads(content),
        "orjson": lambda: _orjson(content),
        "parse": lambda: read_run(path),
        "planned": lambda: replay_with(asking, path),
        "whole": lambda: replay(path),
    }
    best = dict.fromkeys(contenders, math.inf)
    for _ in range(rounds):
        for name, contender in contenders.items():
            begin = perf_counter()
            contender()
            best[name] = min(best[name], perf_counter() - begin)
    return Times(len(content), len(read_run(path).records), **best)


def _orjson(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:  # bare NaN: the nearest text that it reads
        return orjson.loads(content.replace(b"NaN", b"0.1").replace(b"Infinity", b"0.1"))


def grown(source: Source, target: Path, times_more: float = 1.0) -> Path:
    """Write a run that repeats the log of another, its steps and epochs going on."""
    state: dict[str, Any] = json.loads(source.path.read_bytes())
    copies = math.ceil(source.copies * times_more)
    log = [entry for entry in state["log_history"] if "train_runtime" not in entry]
    steps = max(entry["step"] for entry in log)
    epochs = math.ceil(max(entry.get("epoch") or 0.0 for entry in log)) or 1
    begin, end = json.dumps({**state, "max_steps": steps * copies, "log_history": []}, indent=2).split("[]", 1)
    with target.open("w") as file:
        file.write(begin + "[\n")
        for copy in range(copies):
            again = [
                {
                    **entry,
                    "step": entry["step"] + copy * steps,
                    "epoch": ((entry.get("epoch") or 0.0) + copy * epochs) / source.stretched,
                }
                for entry in log
                if "eval_loss" not in entry or copy % source.evaluated == 0
            ]
            text = json.dumps(again, indent=2)[1:-1]
            file.write(text.rstrip() + (",\n" if copy < copies - 1 else "\n"))
        file.write("]" + end)
    return target


def peak_memory(path: Path) -> float:
    """Return by how many bytes a process grows that reads and replays a file."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import replay as benchmark, pathlib;"
        "print(benchmark.peak_of(pathlib.Path(sys.argv[2])))"
    )
    here = str(Path(__file__).parent)
    told = subprocess.run([sys.executable, "-c", code, here, str(path)], capture_output=True, text=True, check=True)
    return float(told.stdout)


def peak_of(path: Path) -> int:
    """Return by how many bytes this process grows at most while it replays a file; it can be asked once."""
    asking = Asking()
    replay_with(asking, LOGS / "llama-factory-01.json")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    replay_with(asking, path)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def seconds_of_many(paths: Sequence[Path], processes: int) -> float:
    """Return how long many runs take in so many processes, from when these have started and have made their plan."""
    first = 4 * processes
    pieces = [(str(path),) for path in (*paths[:first], *paths)]
    done = over_cores(Work(Asking()), pieces, processes)
    for _ in range(first):
        next(done)
    begin = perf_counter()
    for [run] in done:
        assert run.error is None, run.error
    return perf_counter() - begin


def _row(table: Table, name: str, told: Sequence[Times], aim: str) -> None:
    standard, parse = sum(t.standard for t in told), sum(t.parse for t in told)
    fast, planned, whole = sum(t.orjson for t in told), sum(t.planned for t in told), sum(t.whole for t in told)
    records = sum(t.records for t in told)
    table.add_row(
        name, f"{sum(t.size for t in told) / MB:.2f}", f"{records:,}", f"{records / planned:,.0f}",
        f"{parse / fast:.2f}", f"{parse / standard:.2f}", f"{planned / standard:.2f}", f"{whole / standard:.2f}", aim,
    )  # fmt: skip


def states(folder: Path) -> list[Path]:
    """Return the trainer states of a tree that can be read."""
    found = sorted(p for p in folder.rglob("*.json") if p.is_file() and b'"log_history"' in p.read_bytes())
    return [path for path in found if len(read_run(path).records)]


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, default=RUNS)
    parser.add_argument("--quick", action="store_true", help="a largest file of 50 MB in place of 500 MB")
    asked = parser.parse_args(None if arguments is None else list(arguments))
    asking, console = Asking(), Console(width=130)
    table = Table(
        "file", "MB", "records", "records/s", "read/\norjson", "read/\njson", "replay/\njson", "unplanned/\njson", "aim",
        title="Replay through four strategies; ratios to orjson and to json.loads of the same bytes",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, source in track(SOURCES.items(), "large files", transient=True):
            told = times(grown(source, folder / f"{what}.json"), asking, ROUNDS)
            _row(table, what, [told], "3, -, 1")
        small = states(asked.folder)
        all_told = [times(path, asking, SMALL_ROUNDS) for path in track(small, "small files", transient=True)]
        _row(table, f"{len(small)} runs of {asked.folder.name}", all_told, "3, -, 1.5")
        console.print(table)
        median = statistics.median(t.planned / t.standard for t in all_told)
        console.print(f"replay / json.loads of one small run, median: {median:.2f}")
        name, source = next(iter(SOURCES.items()))
        size = (50 if asked.quick else 500) * MB
        large = grown(source, folder / "large.json", size / (folder / f"{name}.json").stat().st_size)
        size = large.stat().st_size
        console.print(f"peak memory on {size / MB:.0f} MB: {peak_memory(large) / size:.2f} times its size (aim: 5)")
        large.unlink()
        many = [folder / f"{what}.json" for what in SOURCES] * (6 if asked.quick else 18)
        alone, together = seconds_of_many(many, 1), seconds_of_many(many, 2)
        console.print(
            f"{len(many)} runs: {alone:.2f} s in one process, {together:.2f} s in two: {alone / together:.2f} times "
            f"as fast, on {os.cpu_count()} cores"
        )


if __name__ == "__main__":
    main()
