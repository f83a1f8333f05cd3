"""Memory of a long run: a million logs of five metrics through the supervisor.

Run it: `python tests/benchmarks/memory.py`. Prints resident memory before, on the way and after, beside the growth of a
plain list of the same logs over its first tenth.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from steersman import Record
from steersman.config import read
from steersman.journal import Journal
from steersman.loading import load
from steersman.schedule import RunPlan
from steersman.supervisor import Supervisor

LOGS = 1_000_000
MARKS = 10


def resident() -> float:
    """Return this process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def log(step: int) -> Record:
    """Return one log of five metrics; every thousandth step is evaluated."""
    kind, prefix = ("eval", "eval_") if step % 1000 == 0 else ("train", "")
    metrics = {
        f"{prefix}{name}": 1.0 / (step + 1) + offset for offset, name in enumerate(("loss", "grad_norm", "a", "b", "c"))
    }
    return Record(step, kind, metrics, epoch=step / 10_000)


def main() -> None:
    """Measure and print."""
    table = Table(
        "logs", "resident MB", "growth MB", title="A million logs of five metrics (aim: under 100 MB, then flat)"
    )
    config = read(None)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        journal.open()
        supervisor = Supervisor(config, load(config, []), plan=RunPlan(LOGS, evaluates=True), journal=journal)
        supervisor.begin()
        before = resident()
        table.add_row("0", f"{before:.1f}", "0.0")
        with Progress(transient=True) as progress:
            task = progress.add_task("feeding", total=LOGS)
            for step in range(1, LOGS + 1):
                supervisor.feed(log(step))
                if step % (LOGS // MARKS) == 0:
                    progress.update(task, completed=step)
                    table.add_row(f"{step:,}", f"{resident():.1f}", f"{resident() - before:.1f}")
        journal.close()
    del supervisor
    before_list, kept = resident(), [log(step) for step in range(1, LOGS // MARKS + 1)]
    table.add_row(f"a plain list of {len(kept):,}", f"{resident():.1f}", f"{resident() - before_list:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
