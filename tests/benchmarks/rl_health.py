"""How often `rl-health` finds something in healthy runs, how much of what is planted it finds, and how late.

Healthy: tiny GRPO trainings of our own, public logs of GRPO that nobody calls sick, and made-up courses. Sick: trainings
with a planted fault. Every run is replayed with the default options. `--runs` takes recorded trainings from another
folder, such as those of the seeds that the thresholds were chosen on; `--json` prints the figures.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from attrs import frozen
from rich.console import Console
from rich.table import Table

from steersman import replay
from steersman_plugins.rl_health import Name, RlHealth

RUNS = Path(__file__).parents[1] / "runs"
FINDINGS: tuple[str, ...] = get_args(Name)
PLANTED: dict[str, tuple[tuple[str, ...], float]] = {
    "rate-spike": (("reward-declining",), 2 / 3),
    "rate-spike-wrong": (("reward-declining", "groups-all-wrong"), 2 / 3),
    "hacked": (("reward-without-held-out",), 0.0),
    "collapse": (("entropy-collapse",), 0.0),
    "no-penalty": (("kl-runaway",), 0.0),
    "lengthens": (("completions-at-limit",), 0.0),
    "off-policy": (("clip-saturation",), 0.0),
    "noisy-judge": (("reward-variance",), 2 / 3),
    "too-easy": (("groups-all-right",), 0.0),
    "too-hard": (("groups-all-wrong",), 0.0),
    "hardly-learns": (("reward-stagnant",), 0.0),
}
"""What each planted fault should be found as, and after which share of the run it begins."""
OPTIONS: dict[str, dict[str, Any]] = {
    "hacked": {"held_out": ("rewards/distinct/mean",)},
    "too-hard": {"reward_range": (0.0, 1.0)},
}
"""What must be told, because no log tells it."""
SYNTHETIC = 200


@frozen
class Run:
    """A run that was looked at: the step of the first finding of each name, and the names that were more than `info`."""

    group: str
    name: str
    steps: int
    checks: int
    first: dict[str, int]
    counts: dict[str, int]
    alarms: frozenset[str]


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson (1927)."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, z * z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def looked_at(group: str, path: Path, name: str, options: dict[str, Any] | None = None) -> Run:
    """Replay a run and return what was found."""
    told = replay(path, {"extends": [], "use": [RlHealth(**(options or {}))], "check_every": "auto"})
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for found in told.findings:
        first.setdefault(found.name, found.step)
        counts[found.name] = counts.get(found.name, 0) + 1
    alarms = frozenset(f.name for f in told.findings if f.severity != "info")
    checks = sum(entry.data["reason"] == "scheduled" for entry in told.of("check"))
    return Run(group, name, told.recording.records[-1].step, checks, first, counts, alarms)


def written(entries: Iterable[dict[str, Any]], path: Path) -> Path:
    """Write entries as the trainer_state.json of a run."""
    log = list(entries)
    path.write_text(json.dumps({"log_history": log, "max_steps": log[-1]["step"], "global_step": log[-1]["step"]}))
    return path


def own(folder: Path, work: Path) -> Iterator[Run]:
    """Look at the recorded trainings."""
    for group in ("grpo_healthy", "grpo_sick"):
        for path in sorted((folder / group).glob("*.jsonl.gz")):
            name = path.name.removesuffix(".jsonl.gz")
            entries = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
            options = OPTIONS.get(name.rpartition("-")[0])
            yield looked_at(group.removeprefix("grpo_"), written(entries, work / f"{name}.json"), name, options)


def public(folder: Path) -> Iterator[Run]:
    """Look at the public logs that have rewards of an on-policy trainer."""
    for pattern in ("trainer_state/*.json", "tfevents/*"):
        for path in sorted(folder.glob(pattern)):
            text = path.read_bytes() if path.is_file() else b"".join(p.read_bytes() for p in path.iterdir())
            if b'"reward"' in text or b"critic/rewards/mean" in text:
                yield looked_at("public", path, path.name)


def synthetic(work: Path, count: int, seed: int = 2024) -> Iterator[Run]:
    """Look at made-up healthy courses: rises to a plateau at another pace, height and noise each; keys in gaps."""
    for number in range(count):
        chance = random.Random(f"{seed}-{number}")
        yield looked_at("synthetic", written(course(chance), work / f"synthetic-{number}.json"), f"synthetic-{number}")


def course(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the log of a course that rises from a start to a plateau, with the figures of GRPO beside it."""
    steps, every = chance.choice((100, 200, 400)), chance.choice((1, 1, 2, 4))
    start, gain = chance.uniform(-1.0, 0.5), chance.uniform(0.1, 1.5)
    pace, noise = chance.uniform(0.15, 0.6) * steps, chance.uniform(0.02, 0.3) * gain
    entropy, kl_end = chance.uniform(0.3, 3.0), chance.uniform(0.02, 1.0)
    limit = chance.choice((256, 512))
    length = chance.uniform(0.2, 0.6) * limit
    for step in range(1, steps + 1):
        done = 1 - math.exp(-step / pace)
        entry: dict[str, Any] = {"step": step, "loss": 0.0, "grad_norm": chance.uniform(0.1, 0.6)}
        entry["entropy"] = entropy * (1 - 0.6 * done) * chance.uniform(0.9, 1.1)
        if (step - 1) % every == 0:
            within = 0.3 * gain * (1 - 0.5 * done)
            entry |= {
                "reward": start + gain * done + chance.gauss(0.0, noise), "reward_std": within * chance.uniform(0.7, 1.3),
                "kl": kl_end * done * chance.uniform(0.7, 1.3), "frac_reward_zero_std": min(1.0, 0.6 * done * chance.uniform(0, 1.3)),
                "completions/mean_length": length * (1 + 0.3 * done) * chance.uniform(0.9, 1.1),
                "completions/max_length": limit * chance.uniform(0.8, 1.0),
                "completions/clipped_ratio": 0.05 * chance.uniform(0, 2), "clip_ratio/region_mean": 0.02 * chance.uniform(0, 2),
            }  # fmt: skip
        yield entry
        if step % (steps // 20) == 0:
            yield {"step": step, "eval_reward": start + 0.9 * gain * done + chance.gauss(0.0, noise / 2)}


def table(runs: list[Run]) -> Table:
    """Return false alarms by finding: healthy runs in which it was made at all."""
    groups = ("healthy", "public", "synthetic")
    shown = Table("finding", *groups, "95 %", "as alarm", title="Runs with the finding, of runs that are healthy")
    for name in FINDINGS:
        cells = []
        for group in groups:
            of = [run for run in runs if run.group == group]
            cells.append(f"{sum(name in run.first for run in of)}/{len(of)}")
        all_of = [run for run in runs if run.group in groups]
        low, high = wilson(
            sum(name in run.first for run in all_of if run.group == "healthy"),
            sum(run.group == "healthy" for run in all_of),
        )
        alarms = sum(name in run.alarms for run in all_of)
        shown.add_row(name, *cells, f"{low:.0%} to {high:.0%}", f"{alarms}/{len(all_of)}")
    return shown


def main() -> None:
    """Look at every run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the recorded trainings are")
    parser.add_argument("--public", type=Path, default=RUNS, help="where the public logs are")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        runs = [*own(asked.runs, work), *public(asked.public), *synthetic(work, SYNTHETIC)]
    console = Console(width=150)
    console.print(table(runs))
    for run in runs:
        if run.group != "synthetic":
            console.print(
                run.group, run.name, run.steps, {k: (run.first[k], run.counts[k]) for k in run.first}, highlight=False
            )


if __name__ == "__main__":
    main()
