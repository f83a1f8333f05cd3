"""What it costs to find ten thousand runs, and to read logs of each kind against what only parses the same bytes.

Run it: `python tests/benchmarks/reading.py`, or with `--quick` for a tenth of it. Baselines are taken in turns in the
same run, and the fastest of three counts.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import orjson
from rich.console import Console
from rich.table import Table

from steersman.readers import find, read

RUNS = Path(__file__).parents[1] / "runs"


def plant(top: Path, count: int) -> None:
    """Make `count` runs of four kinds, with the files that lie beside them."""
    state = (RUNS / "roberta" / "checkpoint-500" / "trainer_state.json").read_bytes()
    log = (RUNS / "trainer_log" / "llama-factory-01.jsonl").read_bytes()
    for i in range(count):
        run = top / f"{i // 100:03d}" / f"run-{i:05d}"
        kinds: tuple[dict[str, bytes], ...] = (
            {f"checkpoint-{s}/{n}": state for s in (500, 1000) for n in ("trainer_state.json", "config.json")},
            {"trainer_state.json": state, "config.json": b"{}", "tokenizer.json": b'{"a": [' + b"1, " * 30000 + b"1]}"},
            {"trainer_log.jsonl": log, "all_results.json": b'{\n  "eval_loss": 1.0\n}'},
            {"metrics.csv": b"epoch,step,train_loss\n0,9,1.5\n", "data.jsonl": b'{"messages": []}\n'},
        )
        for name, content in kinds[i % 4].items():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(content)


def write_logs(lines: Path, table: Path, count: int) -> None:
    """Write a W&B history of `count` rows, and a table of Lightning of as many, with an evaluation every 20."""
    draw = random.Random(1).random
    with lines.open("w") as history, table.open("w") as rows:
        rows.write("epoch,step,train_loss,grad_norm,val_loss\n")
        for i in range(count):
            row = {"_step": i, "_runtime": i * 1.5, "_timestamp": 1.7e9 + i, "train/global_step": i * 10}
            told = {
                "train/loss": draw(),
                "train/grad_norm": draw(),
                "train/learning_rate": draw(),
                "train/epoch": i / 1000,
            }
            history.write(json.dumps({**row, **told} if i % 20 else {**row, "eval/loss": draw()}) + "\n")
            rows.write(f"{i // 1000},{i * 10 + 9}," + (f"{draw()},{draw()},\n" if i % 20 else f",,{draw()}\n"))


def fastest(*measured: Callable[[], object]) -> list[float]:
    """Return the seconds of the fastest of three calls of each, taken in turns."""
    times: list[list[float]] = [[] for _ in measured]
    for _ in range(3):
        for call, seconds in zip(measured, times, strict=True):
            start = perf_counter()
            call()
            seconds.append(perf_counter() - start)
    return [min(seconds) for seconds in times]


def main(quick: bool) -> None:
    """Print a table of what each costs."""
    runs, rows = (1000, 30_000) if quick else (10_000, 300_000)
    table = Table("what", "seconds", "each", "against parsing alone")
    with tempfile.TemporaryDirectory() as folder:
        top, lines, cells = Path(folder) / "tree", Path(folder) / "history.jsonl", Path(folder) / "metrics.csv"
        plant(top, runs)
        [found] = fastest(lambda: sum(1 for _ in find(top)))
        table.add_row(f"find {runs} runs", f"{found:.2f}", f"{found / runs * 1e6:.0f} us a run", "")
        write_logs(lines, cells, rows)
        parsed = fastest(
            lambda: read(lines),
            lambda: [orjson.loads(line) for line in lines.read_bytes().splitlines()],
            lambda: read(cells),
            lambda: list(csv.reader(cells.read_text().splitlines())),
        )
        for name, own, bare in (("JSON lines", *parsed[:2]), ("table", *parsed[2:])):
            each = f"{own / rows * 1e6:.1f} us a row"
            table.add_row(f"read a {name} of {rows} rows", f"{own:.2f}", each, f"{own / bare:.1f}x")
    Console(width=110).print(table)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main("--quick" in sys.argv)
