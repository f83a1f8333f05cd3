"""Writes docs/reference/bench-steer.md from what `steersman bench steer --output FILE` wrote.

`python docs/generate_bench_steer.py FILE` keeps the figures of FILE beside the page, without those of each single
run,
and writes the page; without FILE the page is written again from the figures that are kept.
Where FILE has only runs through trainers (`--trainers --cases Trainer,GRPO`), only those figures are replaced; where
it has none, those that are kept stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "bench-steer.md"
FIGURES = PAGE.with_suffix(".json")
Told = Mapping[str, Any]

INTRODUCTION = """\
# What a strategy mends, and what it costs

This page is made by `python docs/generate_bench_steer.py`. Do not edit it.
Anybody can make its figures again, and put a strategy of their own beside them
([how](../how-to/benchmark-a-strategy.md)):

```sh
pip install "steersman-bench[torch,trainers]"
steersman bench steer --use step-guard --trainers
```
"""

MEANING = """\
Each run is a real training of a small model on a CPU, in plain torch, driven through `steersman.attach` and the
real supervisor.
A sick run has a healthy twin: the same seed, data and batches without the fault.

- *Excess* is what a run lacks to its twin, in percent of what the twin learned: 0 is as good, 100 learned nothing,
  150 is the most.
  It is measured on data that the run never sees: the mean test loss, or the true reward of a policy.
- *Against clip + skip* is the excess less that of clipping at 1.0, skipping steps that are not finite and loading
  the best checkpoint, run by run.
  The interval is a 95 % bootstrap over cases and seeds. What every tool can do is what a gain is measured against,
  not doing nothing.
- *Seen* is the share of runs with a warning or an act within six evaluations of the onset; *delay* is the median,
  in evaluations. A step that is clipped or skipped is neither: where that is enough, as at an overflow, nobody is
  told.
- *Cost* is what a run that is well loses, in percent of what it gains when nobody is at the wheel, and its last
  checkpoint is kept.
  *Own cost* is what is due to acting: it is against the run left alone whose best checkpoint is loaded too, and
  exactly 0 where no value, weight or gradient was touched.
- *Acted on*: a change, a rollback, a stop or a skipped step; a clipped one is none. *Destroyed*: a rollback, a stop,
  or a learning rate that stays cut.
- *Precision* is that of alarms where half of all runs are sick.
- *Alarms* are those per thousand steps over {logs} public logs of runs that nobody calls sick, {steps:,} steps.

ReduceLROnPlateau has torch's defaults. Early stopping has a patience of 5. All but the first row load the best
checkpoint by the run's own ranking.
"""

LIMITS = """\
## What is not proven

- In a run that is far from having learned all there is, a burst or a spike costs at least the steps that it took. With
  twins at a rate of 0.02 (seeds 9 to 11) a spike cost 3.4 percent and a burst in the middle 6.1.
- Faults of other kinds than the rules were made for: no gain over clipping at 1.0, rather a loss.
- An overfitting of sixty samples is named, and ended, not mended: no policy here, nor a lower learning rate from the
  first step on, brings it below half of what the twin learned.
- What Adam moves is not bounded by any rule; a learning rate 40 times too high that settles early is not seen, but in
  the units that die of it.
- Targets that are large and far from zero, as prices of houses are: where the first train loss is logged after the run
  has come down most of the way, as SGD does at once, what follows can be taken for `worse-than-start`. A linear model
  with targets of 200,000 was sent back to its begin by that, at a lower rate and with bounded steps, and had learned
  next to nothing of it after 300 steps. Scale such targets, or log the first step.
- That no run that is well is ever altered. On seeds 100 to 123 one recurrent network of 24 lost 3.9 percent by two
  false rollbacks.
- The largest model that was tried here has {largest:,} parameters. Larger models, several devices, mixed precision:
  not tried.
- All runs are of 160 to 480 steps with an evaluation every ten. Runs of many thousand steps, or with few
  evaluations: not tried.
{rewards}
{trainers}
- The public logs are few. A strategy that raises no alarm in them may still raise one in yours.
"""

NOT_DRIVEN = """\
- The Trainers of Hugging Face, TRL and Lightning are not driven here. They are held to the same decisions by tests,
  not by this table."""
DRIVEN = """\
- Through the Trainers of Hugging Face and TRL: what their table shows, of models with at most {largest:,} parameters.
  Their other cases, several processes, accumulated gradients, and TRL's other trainers: not tried.
- Lightning and Ignite are not driven here. They are held to the same decisions by tests, not by this table."""
TOY = """\
- The runs on rewards are a toy with ten answers to a question, trained as GRPO does it. Language models on rewards:
  not tried."""
TOY_AND_TINY = """\
- The runs on rewards are a toy with ten answers to a question, trained as GRPO does it, and, through TRL, a model of
  sixty words. Language models that can write, and rewards that a model gives: not tried."""

TRAINERS = """\
## Through the Trainer of Hugging Face and TRL's GRPO

The same, with the trainers that people use: a GPT-2 of {largest:,} parameters or fewer under
`steersman.supervise(trainer, config)`, with `load_best_model_at_end` and a checkpoint at each evaluation. {seeds}
They are made by `steersman bench steer --trainers`.

- The Trainer clips at 1.0 unless told otherwise, and so it does here, but in the two rows that do nothing. *Against
  clip* and *own cost* are against the row *clip, best loaded*. The Trainer does not skip steps that are not finite.
- The Trainer's cases are letters of text, five epochs of 40 steps with an evaluation every ten. The learning rate is
  100 times as high for four steps, or the loss is infinite in one step.
- GRPO's policy is paid for how many different even numbers it says, 60 steps with an evaluation every four. The
  learning rate is 50 times as high from the middle on. Its checkpoints are ranked by `eval_reward`, as `steersman init`
  proposes, but where a config of one's own says otherwise.
"""

_GROUPS = {
    "fixable": "Faults that can be mended",
    "unfixable": "Faults that nothing can mend",
    "rl": "Policies trained on rewards",
    "held-out": "Faults that no rule was made for",
}


def render(told: Told) -> str:
    """Return the whole page."""
    rows = told["policies"]
    logs = next((row["public_logs"] for row in rows if row["public_logs"]), {"runs": 0, "steps": 0})
    parts = [
        INTRODUCTION,
        _seeds(told),
        MEANING.format(logs=logs["runs"], steps=logs["steps"]),
        "## Sick runs\n\n" + _table(_sick_head(), (_sick(row) for row in rows)),
        "## Runs that were well\n\n" + _table(_well_head(), (_well(row) for row in rows)),
        "## Case by case\n\nMean excess.\n",
        *(_of_group(told, group, title) for group, title in _GROUPS.items()),
        *_problems(rows),
        *_through_trainers(told.get("trainers")),
        _limits(told),
    ]
    return "\n".join(parts)


def _limits(told: Told) -> str:
    beside = told.get("trainers")
    driven = NOT_DRIVEN if beside is None else DRIVEN.format(largest=beside["largest_model"])
    rewards = TOY if beside is None else TOY_AND_TINY
    return LIMITS.format(largest=told["largest_model"], trainers=driven, rewards=rewards)


def _through_trainers(told: Told | None) -> Iterator[str]:
    if told is None:
        return
    rows = told["policies"]
    tuned = "on which rules are tuned, so that they prove nothing" if told["development"] else "on which none is tuned"
    seeds = f"The figures are of the seeds {', '.join(map(str, told['seeds']))}, {tuned}."
    yield TRAINERS.format(largest=told["largest_model"], seeds=seeds)
    yield "### Sick runs of trainers\n\n" + _table(_TRAINERS_SICK, (_sick_of_trainer(row) for row in rows))
    cases = [case["name"] for case in told["cases"] if case["group"] != "healthy"]
    by_case = ([name, *(_number(row["cases"].get(name)) for row in rows)] for name in cases)
    yield "Mean excess, case by case:\n\n" + _table(("case", *(row["name"] for row in rows)), by_case)
    yield "### Runs of trainers that were well\n\n" + _table(_well_head()[:-1], ([*_well(row)][:-1] for row in rows))
    yield from _problems(rows, "### Rows of trainers that are not whole")


_TRAINERS_SICK = ("policy", "fixable", "against clip", "seen", "delay", "RL", "RL, against clip", "RL, seen")


def _sick_of_trainer(row: Told) -> Iterator[str]:
    fixable, rl = row["groups"].get("fixable"), row["groups"].get("rl")
    yield row["name"]
    yield from (_number(fixable and fixable["excess"]), _difference(fixable))
    yield from (_share(fixable and fixable["recall"]), _number(fixable and fixable["delay"]))
    yield from (_number(rl and rl["excess"]), _difference(rl), _share(rl and rl["recall"]))


def _seeds(told: Told) -> str:
    seeds = ", ".join(map(str, told["seeds"]))
    if told["development"]:
        return f"""\
**These figures are of the seeds that rules are tuned on: {seeds}.** They show the form of the page and prove nothing.
"""
    return f"""\
These figures are of the seeds {seeds}. No strategy was tuned on them: for that there are the seeds from 100 on
(`--development`). Seeds 0 to 14 were published before; each time what they or a user showed (a recurrent network that
stayed lost, an overfitting seen where there was none, healthy models that a bound of each step slowed) led to
changes, which were chosen on seeds 100 to 123, and to fresh seeds.
The faults of the last table of cases were not tuned on with any seed.

Before the seeds 12 to 14 some cases were changed too, as the seeds for development showed that they did not measure
what they should. The recurrent network that is well was not: at a rate of 0.01 its evaluations trebled, and clipping
gained a third. It has a tenth of that rate, and its sick form a twin that is well. The perceptron's twins have a rate
of 0.05, with which they have learned all there is at the end: with 0.02 a burst or a spike cost the steps that it
took, and a hand that skips exactly the bad steps lacked 4 percent. The floor of noise is one that a lower rate mends
(batches of 4 and 480 steps, for batches of 2 and 240).
"""


def _sick_head() -> Sequence[str]:
    return ("policy", "fixable", "against clip + skip", "seen", "delay", "unfixable", "named", "unchanged", "RL",
            "RL, against clip + skip", "held out", "held out, against clip + skip")  # fmt: skip


def _sick(row: Told) -> Iterator[str]:
    groups = row["groups"]
    fixable = groups.get("fixable")
    yield row["name"]
    yield from (_number(fixable and fixable["excess"]), _difference(fixable))
    yield from (_share(fixable and fixable["recall"]), _number(fixable and fixable["delay"]))
    yield _number(groups["unfixable"]["excess"] if "unfixable" in groups else None)
    yield from (_share(row["unfixable_named"]), _share(row["unfixable_unchanged"]))
    for name in ("rl", "held-out"):
        yield from (_number(groups[name]["excess"] if name in groups else None), _difference(groups.get(name)))


def _well_head() -> Sequence[str]:
    return ("policy", "cost", "worst cost", "worst in", "own cost", "worst own cost", "acted on", "destroyed",
            "alarmed", "precision", "alarms per 1000 steps of public logs")  # fmt: skip


def _well(row: Told) -> Iterator[str]:
    well, logs = row["healthy"] or {}, row["public_logs"]
    yield row["name"]
    yield from (_signed(well.get("cost")), _signed(well.get("worst_cost")))
    yield str(well.get("worst_case", "")) if (well.get("worst_cost") or 0) > 0 else ""
    yield from (_signed(well.get("own_cost")), _signed(well.get("worst_own_cost")))
    yield from (_share(well.get(name)) for name in ("acted_on", "destroyed", "alarmed"))
    yield _share(row["precision"])
    yield "not tried" if logs is None else f"{logs['per_thousand_steps']:.2f}"


def _of_group(told: Told, group: str, title: str) -> str:
    cases = [case["name"] for case in told["cases"] if case["group"] == group]
    rows = ([name, *(_number(row["cases"].get(name)) for row in told["policies"])] for name in cases)
    return f"### {title}\n\n" + _table(("case", *(row["name"] for row in told["policies"])), rows)


def _problems(rows: Sequence[Told], title: str = "## Rows that are not whole") -> Iterator[str]:
    said = [f"- {row['name']}: {row['problem']}\n" for row in rows if row["problem"]]
    if said:
        yield f"{title}\n\n" + "".join(said)


def _table(head: Sequence[str], rows: Iterator[Any]) -> str:
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _difference(group: Told | None) -> str:
    if group is None or group["difference"] is None:
        return ""
    interval = "" if group["interval"] is None else " [{:+.1f}, {:+.1f}]".format(*group["interval"])
    return f"{group['difference']:+.1f}{interval}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def kept(told: Told, before: Told) -> dict[str, Any]:
    """Return the figures without those of each single run and of how long it took; what is not new is as before."""
    new = {**_without_runs(told)} if told["cases"] else dict(before)
    beside = told.get("trainers")
    new["trainers"] = before.get("trainers") if beside is None else _without_runs(beside)
    return new


def _without_runs(told: Told) -> dict[str, Any]:
    policies = [{key: value for key, value in row.items() if key != "runs"} for row in told["policies"]]
    return {**{key: value for key, value in told.items() if key != "seconds"}, "policies": policies}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="what `steersman bench steer --output` wrote")
    given = parser.parse_args().file
    if given is not None:
        before = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
        new = kept(json.loads(given.read_text(encoding="utf-8")), before)
        FIGURES.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(render(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")
