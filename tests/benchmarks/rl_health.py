"""How often `rl-health` finds something in healthy runs, how much of what is planted it finds, and how late.

Healthy: tiny GRPO trainings of our own, public logs of GRPO and PPO that nobody calls sick, and made-up courses. Sick:
trainings with a planted fault. Every run is replayed with the default options, and a check each evaluation or each
twentieth of the run. `--runs` takes recorded trainings from another folder, such as those of the seeds that the
thresholds were chosen on (`rl_trainings.py OUT --tuning`), and `--seed` other courses; `--json` prints the figures.
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

from attrs import asdict, frozen
from rich.console import Console
from rich.table import Table

from steersman import replay
from steersman_plugins.rl_health import Name, RlHealth

RUNS = Path(__file__).parents[1] / "runs"
FINDINGS: tuple[str, ...] = get_args(Name)
PLANTED: dict[str, tuple[tuple[str, ...], float]] = {
    "rate-spike": (("reward-declining", "kl-runaway"), 2 / 3),
    "rate-spike-wrong": (("reward-declining", "kl-runaway", "groups-all-wrong"), 2 / 3),
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
PUBLIC = (
    "trainer_state/unslothgrpo-01.json", "grpo_public/gemma-3-rl-finetuning-01.json", "grpo_public/verl-01.jsonl.gz",
    "grpo_public/verl-02.jsonl.gz", "grpo_public/verl-03.jsonl.gz", "tfevents/verl-04",
)  # fmt: skip
GROUPS = ("healthy", "public", "synthetic")


@frozen
class Run:
    """A run that was looked at: the steps of its checks, the step of the first finding of each name, the names that
    were more than `info`, and what `trend-health` found beside it."""

    group: str
    name: str
    checks: tuple[int, ...]
    first: dict[str, int]
    alarms: frozenset[str]
    beside: frozenset[str]


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
    told = replay(path, {"extends": [], "use": [RlHealth(**(options or {})), "trend-health"], "check_every": "auto"})
    beside = frozenset(f.name for f in told.findings if f.strategy == "trend-health")
    findings = [f for f in told.findings if f.strategy != "trend-health"]
    first: dict[str, int] = {}
    for found in findings:
        first.setdefault(found.name, found.step)
    alarms = frozenset(f.name for f in findings if f.severity != "info")
    checks = tuple(entry.step for entry in told.of("check") if entry.data["reason"] == "scheduled")
    return Run(group, name, checks, first, alarms, beside)


def written(entries: Iterable[dict[str, Any]], path: Path) -> Path:
    """Write entries as the trainer_state.json of a run."""
    log = list(entries)
    path.write_text(json.dumps({"log_history": log, "max_steps": log[-1]["step"], "global_step": log[-1]["step"]}))
    return path


def unpacked(path: Path, work: Path) -> Path:
    """Write compressed JSON lines as a trainer_state.json."""
    entries = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return written(entries, work / f"{path.name}.json")


def own(folder: Path, work: Path) -> Iterator[Run]:
    """Look at the recorded trainings."""
    for group in ("healthy", "sick"):
        for path in sorted((folder / f"grpo_{group}").glob("*.jsonl.gz")):
            name = path.name.removesuffix(".jsonl.gz")
            yield looked_at(group, unpacked(path, work), name, OPTIONS.get(name.rpartition("-")[0]))


def public(work: Path) -> Iterator[Run]:
    """Look at the public logs that have rewards of an on-policy trainer."""
    for name in PUBLIC:
        path = RUNS / name
        yield looked_at("public", unpacked(path, work) if path.suffix == ".gz" else path, path.name.partition(".")[0])


def synthetic(work: Path, count: int, seed: int) -> Iterator[Run]:
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


@frozen
class Rate:
    """In how many runs of how many a finding was made, with the 95 % interval; `alarms` counts those beyond `info`."""

    finding: str
    group: str
    runs: int
    of: int
    alarms: int

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.runs, self.of)


def false_alarms(runs: list[Run]) -> Iterator[Rate]:
    """Yield the rate of each finding in each group of runs that are healthy, and of any alarm at all."""
    for group in GROUPS:
        of = [run for run in runs if run.group == group]
        for name in FINDINGS:
            alarms = sum(name in run.alarms for run in of)
            yield Rate(name, group, sum(name in run.first for run in of), len(of), alarms)
        any_alarm = sum(bool(run.alarms) for run in of)
        yield Rate("any alarm", group, sum(bool(run.first) for run in of), len(of), any_alarm)


@frozen
class Recall:
    """In how many of the runs with a planted fault it was found after its begin, and how many checks later, each."""

    fault: str
    finding: str
    found: int
    of: int
    delays: tuple[int, ...]

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.found, self.of)


def recalls(runs: list[Run]) -> Iterator[Recall]:
    """Yield how much of each planted fault was found."""
    for fault, (findings, begin) in PLANTED.items():
        of = [run for run in runs if run.group == "sick" and run.name.rpartition("-")[0] == fault]
        for name in findings:
            delays: list[int] = []
            for run in of:
                onset = begin * run.checks[-1]
                if run.first.get(name, -1) > onset:
                    delays.append(sum(onset < step <= run.first[name] for step in run.checks))
            yield Recall(fault, name, len(delays), len(of), tuple(delays))


def shown(rates: list[Rate], found: list[Recall]) -> Iterator[Table]:
    """Yield both tables."""
    first = Table("finding", *GROUPS, "more than info", title="Runs with the finding, of runs that are healthy [95 %]")
    for name in (*FINDINGS, "any alarm"):
        mine = [rate for rate in rates if rate.finding == name]
        cells = [f"{r.runs}/{r.of} [{r.interval[0]:.0%}, {r.interval[1]:.0%}]" for r in mine]
        first.add_row(name, *cells, f"{sum(r.alarms for r in mine)}/{sum(r.of for r in mine)}")
    yield first
    second = Table("fault", "finding", "found [95 %]", "checks later", title="Planted faults")
    for r in found:
        share = f"{r.found}/{r.of} [{r.interval[0]:.0%}, {r.interval[1]:.0%}]"
        second.add_row(r.fault, r.finding, share, ", ".join(map(str, r.delays)))
    yield second


def main() -> None:
    """Look at every run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the recorded trainings are")
    parser.add_argument("--seed", type=int, default=31, help="of the made-up courses")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        runs = [*own(asked.runs, work), *public(work), *synthetic(work, SYNTHETIC, asked.seed)]
    rates, found = list(false_alarms(runs)), list(recalls(runs))
    if asked.json:
        told = {"runs": runs, "false_alarms": rates, "recall": found}
        print(json.dumps(told, default=lambda v: sorted(v) if isinstance(v, frozenset) else asdict(v), indent=1))
        return
    for table in shown(rates, found):
        Console(width=150).print(table)
    for group in (*GROUPS, "sick"):
        of = [run for run in runs if run.group == group]
        theirs, ours = sum(bool(run.beside) for run in of), sum(bool(run.alarms) for run in of)
        print(
            f"{group}: of {len(of)} runs trend-health finds something in {theirs}, rl-health more than info in {ours}"
        )
    for run in runs:
        if run.group != "synthetic" and run.first:
            print(run.group, run.name, *(f"{finding}@{step}" for finding, step in run.first.items()))


if __name__ == "__main__":
    main()
