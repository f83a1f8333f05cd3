"""Writes docs/reference/bench-select.md by running the benchmark, or from its JSON.

`python docs/generate_bench_select.py [JSON]`, where JSON is what `steersman bench select --json` printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "bench-select.md"
Told = Mapping[str, Any]

INTRODUCTION = """\
# Which checkpoint to keep, measured

This page is made by `python docs/generate_bench_select.py`. Do not edit it.
Anybody can make its figures again, and put a strategy of their own beside them:

```sh
pip install steersman-bench
steersman bench select
steersman bench select --use ./mine.py:MyScore
```
"""

MEANING = """\
Each run is a real training, recorded once: 20 evaluations, with the validation loss of every example.
It is played to each strategy through the real supervisor, which hears the mean over 8, 32, 128 or all 256 of them.
What the strategy keeps is judged on 2,048 other examples that it never sees.

- *Regret* is how much of the gain in test loss, from the untrained model to the best, is given away, in percent.
  The best is the lowest test loss of all that is recorded: checkpoints, and averages of three or five neighbours.
  That is the strict reading: without an average nobody can have all of the gain.
- *Against the lowest eval loss* is the regret less that of the lowest eval loss in the same runs; lower is better.
  The interval is a 95 % bootstrap over runs. A run counts once, whatever its validation sizes.
- *Won, tied, lost* are against the lowest eval loss, in percent of all runs and sizes.
- *Task regret* is the same of accuracy, of absolute error for regressions. Runs that gain less than 0.02 are left out.

A strategy that scores keeps what it ranks first. One that stops keeps the lowest eval loss until then.
One that proposes averages has them evaluated on the same examples and judged as at the end of a real run: an average
is best with a lower eval loss, or with one that is higher by less than the leeway it was proposed with.
That needs the losses of single examples; `averaged: {leeway: 0}` is what `averaged` comes to without them.
"""

CHOSEN = """\
## What was chosen on other runs

No option was chosen on the runs above. `averaged` was tried on {runs} runs of other seeds, {seeds}, made by
`steersman bench select --remake --development --out development.npz`.
*Around* is how many of the best checkpoints are centres, *leeway* how many standard errors of the paired difference an
average may be worse than the best checkpoint and still be best.

| around | leeway | regret | against lowest eval loss [95 %] | less | lost |
|---|---|---|---|---|---|
{rows}

{chosen} The lowest eval loss has a regret of {base} there.

These are the second runs that are published. On the first, of the seed 0, `averaged` as it was then, with three centres
and no leeway, gave away 23.8 % less than the lowest eval loss, where 25 % was wanted. The leeway was chosen after that,
on the runs of this section alone. So the runs above were recorded anew, from a seed that nobody had looked at, and were
measured once, with the options that ship.
"""
DEVELOPMENT: Mapping[str, Any] = {
    "runs": 279,
    "seeds": "100 and 101",
    "base": "7.57",
    "chosen": (
        "Losing in at most 10 % was wanted, with a margin: half a standard error loses too often from two centres on.\n"
        "Two centres and a quarter lose no more than one centre and a half, and gain more, on either seed. "
        "Three centres\n"
        "and a quarter gain hardly more, and lose in 9.8 % on one of them. So two and a quarter were taken."
    ),
    "rows": (
        ("1", "0", "5.43", "-2.14 [-3.06, -1.39]", "28.2 %", "3.2"),
        ("1", "0.25", "5.22", "-2.35 [-3.37, -1.50]", "31.1 %", "5.3"),
        ("1", "0.5", "4.98", "-2.59 [-3.62, -1.72]", "34.2 %", "8.2"),
        ("2", "0", "5.22", "-2.35 [-3.36, -1.53]", "31.0 %", "3.6"),
        ("2", "0.25", "4.82", "-2.75 [-3.86, -1.83]", "36.3 %", "7.4"),
        ("2", "0.5", "4.45", "-3.12 [-4.29, -2.13]", "41.2 %", "11.1"),
        ("3", "0", "5.14", "-2.43 [-3.48, -1.57]", "32.1 %", "3.8"),
        ("3", "0.25", "4.72", "-2.85 [-3.99, -1.89]", "37.6 %", "8.4"),
        ("3", "0.5", "4.26", "-3.31 [-4.47, -2.32]", "43.7 %", "12.3"),
    ),
}

LIMITS = """\
## Not tried

- Models of real size. The largest here has {largest:,} parameters, the smallest {smallest:,}.
  All were trained on a CPU, for 80 to 720 steps. None is a language model anybody would use.
- Fine-tuning of a trained model, LoRA, preference tuning, reinforcement learning: all runs here begin untrained.
- Weights in half precision, models with batch normalisation, data of more than one kind.
- Runs of more than 20 evaluations, and runs whose validation set is of another kind than the test set.
- Strategies that go by other metrics than losses and the learning rate: these runs have no others.
- Averages of checkpoints that are not neighbours, or of other numbers than three and five.

## Not proven

- That any of these figures holds for a model of seven billion parameters. They say how strategies compare in small
  runs that overfit early, late or never, with noise of several kinds. Nobody knows which of these yours are like.
- Anything about a strategy that is not in the table, or about other options than its defaults.
- That a difference whose interval holds zero is one.
"""


def render(told: Told) -> str:
    """Return the whole page for what `steersman bench select --json` printed."""
    rows, recording = told["strategies"], told["recording"]
    smallest, largest = recording["parameters"]
    development = {**DEVELOPMENT, "rows": "\n".join(_line(row) for row in DEVELOPMENT["rows"])}
    parts = [
        INTRODUCTION,
        _recorded(recording),
        MEANING,
        _table(("strategy", "regret", "against the lowest eval loss [95 %]", "won / tied / lost", "task regret"),
               (_cells(row) for row in rows)),
        _problems(rows),
        "## By validation size\n\nThe regret, and in brackets how far it is from that of the lowest eval loss.\n",
        _parted(rows, "by_size", "strategy"),
        "## By family\n",
        _parted(rows, "by_family", "strategy"),
        _goals(rows, told["tied_sets"]),
        _tied(told["tied_sets"]),
        CHOSEN.format(**development),
        LIMITS.format(smallest=smallest, largest=largest),
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def _recorded(recording: Told) -> str:
    families = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in recording["families"].items())
    versions = ", ".join(f"{name} {version}" for name, version in recording["versions"].items())
    left_out = len(recording["left_out"])
    return (
        f"{recording['runs']} runs are recorded: {families}.\n"
        f"They were made from the seed {recording['seeds'][0]} with {versions}.\n"
        f"`steersman bench select --remake` makes them again, to rounding.\n"
        f"{left_out} more were left out because they lowered their test loss by less than a twentieth.\n"
    )


def _cells(row: Told) -> Sequence[str]:
    found = row["figures"]
    if found is None:
        return f"`{row['name']}`", "none", "none", "none", "none"
    tally, task = found["tally"], found["task_regret"]
    return (
        _name(row),
        f"{found['regret']['mean']:.2f}",
        _interval(found["difference"]),
        f"{tally['wins']:.0f} / {tally['ties']:.0f} / {tally['losses']:.0f}",
        f"{task['mean']:.2f}" if task else "none",
    )


def _name(row: Told) -> str:
    return f"`{row['name']}`" if row["use"] else row["name"]


def _interval(mean: Told) -> str:
    if mean["low"] is None or mean["low"] == mean["high"]:
        return f"{mean['mean']:+.2f}" if mean["mean"] else "0"
    return f"{mean['mean']:+.2f} [{mean['low']:+.2f}, {mean['high']:+.2f}]"


def _problems(rows: Iterable[Told]) -> str:
    return "".join(f"- `{row['name']}`: {row['says']}\n" for row in rows if row["says"])


def _parted(rows: Sequence[Told], part: str, head: str) -> str:
    names = [*rows[0][part]]
    lines = ((_name(row), *(_part(row[part].get(name)) for name in names)) for row in rows)
    return _table((head, *(name.replace("_", " ") for name in names)), lines)


def _part(found: Told | None) -> str:
    if found is None:
        return "none"
    return f"{found['regret']['mean']:.2f} ({found['difference']['mean']:+.2f})"


def _goals(rows: Iterable[Told], tied_sets: Iterable[Told]) -> str:
    """Return what was wanted of averages and of the tied set beside what was measured."""
    by_name = {row["name"]: row["figures"] for row in rows}
    base = by_name["eval-loss"]
    lines = list[tuple[str, str, str]]()
    for name in ("averaged", "averaged: {leeway: 0}"):
        found = by_name.get(name)
        if found is None:
            continue
        less = -100 * found["difference"]["mean"] / base["regret"]["mean"]
        high, losses = found["difference"]["high"], found["tally"]["losses"]
        lines += [
            (f"`{name}`: at least 25 % less regret than the lowest eval loss", f"{less:.1f} % less", _met(less >= 25)),
            (f"`{name}`: the interval of the difference below zero", f"it ends at {high:+.2f}", _met(high < 0)),
            (f"`{name}`: losing in at most 10 %", f"{losses:.1f} %", _met(losses <= 10)),
        ]
    least = min(one["covers"] for one in tied_sets)
    wanted = "the tied set holds the true best checkpoint in at least 90 %, at every size"
    lines.append((wanted, f"at least {least:.1f} %", _met(least >= 90)))
    return "## What was wanted, and what came of it\n\n" + _table(("wanted", "measured", ""), lines)


def _met(holds: bool) -> str:
    return "met" if holds else "**not met**"


def _tied(tied_sets: Iterable[Told]) -> str:
    text = (
        "## Checkpoints that cannot be told from the best\n\n"
        "Tied with the lowest eval loss is what is worse by at most two standard errors, paired by example.\n"
        "The true best is the checkpoint with the lowest test loss.\n"
        "The last two columns are what it costs to take the latest or the earliest of those that are tied.\n\n"
    )
    head = ("examples", "hold the true best", "checkpoints tied", "regret of the latest", "regret of the earliest")
    lines = (
        (
            str(one["size"]),
            f"{one['covers']:.1f} %",
            f"{one['checkpoints']:.1f}",
            f"{one['latest_regret']:.2f}",
            f"{one['earliest_regret']:.2f}",
        )
        for one in tied_sets
    )
    return text + _table(head, lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join([_line(head), "|" + "---|" * len(head), *map(_line, lines)]) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def measured() -> Told:
    """Return what the benchmark comes to today."""
    from steersman_bench.select.curves import read
    from steersman_bench.select.measuring import measure
    from steersman_bench.select.strategies import asked

    from steersman.journal import to_json

    report: Told = to_json(measure(asked(()), read(), timeout=60, workers=2).as_object())
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("json", nargs="?", type=Path, help="what the benchmark printed; without it, it is run")
    given = parser.parse_args().json
    PAGE.write_text(render(json.loads(given.read_text(encoding="utf-8")) if given else measured()), encoding="utf-8")
