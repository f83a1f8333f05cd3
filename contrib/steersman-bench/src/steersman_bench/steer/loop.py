"""The loop that trains every case: plain torch, supervised through `steersman.attach` as a user would."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import define, frozen

import steersman
from steersman import Hyperparameter
from steersman.readers.journal import current
from steersman_bench.steer.ending import Ran, Tally
from steersman_bench.steer.training import Training


@frozen
class Asked:
    """What a run is asked to do: a config, and whether its best checkpoint is loaded at the end.

    The best is that of the run's own ranking; where no scorer has an opinion, that of the highest `eval_reward`.
    """

    config: Mapping[str, Any]
    load_best: bool = False


@define(eq=False)
class _Clip:
    """The largest gradient norm of the loop: none, until a strategy sets one."""

    value: float | None = None

    def set(self, value: float) -> None:
        self.value = value


def train(training: Training, asked: Asked, folder: Path) -> Ran:
    """Train to the end, or to where a strategy stops it, and return how it ended and what was said and done.

    Each evaluation ends an epoch.
    """
    untrained, clip, tally = training.test(), _Clip(), Tally()
    best: dict[str, Any] | None = None
    highest = -math.inf
    limit = Hyperparameter("max_grad_norm", lambda: clip.value, clip.set, safer="down")
    loop = steersman.attach(
        training.optimizer, asked.config, folder=folder, model=training.model, total_steps=training.steps,
        eval_every=training.eval_every, steps_per_epoch=training.eval_every, warmup_steps=training.warmup,
        hyperparameters=(limit, *training.hyperparameters),
    )  # fmt: skip
    with loop:
        loop.begin()
        if loop.session is None:
            raise RuntimeError("Steersman is switched off (STEERSMAN_DISABLED), so there is nothing to measure")
        for entry in current(folder / "steersman" / "journal.jsonl"):  # a strategy may fail as the run begins
            tally.hear(entry)
        loop.session.journal.subscribers.append(tally.hear)
        rates = [group["lr"] for group in training.optimizer.param_groups]
        parameters = [p for group in training.optimizer.param_groups for p in group["params"]]
        losses, beside, last = list[float](), dict[str, list[float]](), 0
        for step in range(1, training.steps + 1):
            for group, rate in zip(training.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * training.rate(step)
            loss, more = training.learn(step)
            loss.backward()
            training.gradient(step)
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip.value or math.inf))
            training.optimizer.step()
            training.optimizer.zero_grad()
            losses.append(float(loss.detach()))
            for name, value in more.items():
                beside.setdefault(name, []).append(float(value))
            last = step
            if step % training.log_every == 0:
                means = {name: sum(values) / len(values) for name, values in beside.items()}
                loop.log(step, loss=sum(losses) / len(losses), grad_norm=norm, **means)
                losses, beside = [], {}
            if step % training.eval_every == 0:
                metrics = training.evaluate()
                said = loop.evaluate(step, **metrics)
                is_best, reward = said.is_best, metrics.get("eval_reward", -math.inf)
                if said.score is None and reward > highest:
                    is_best, highest = True, reward
                if is_best and asked.load_best:
                    best = copy.deepcopy(training.model.state_dict())
            if loop.should_stop:
                break
    end = training.test()
    if best is not None:
        training.model.load_state_dict(best)
    chosen = training.test() if best is not None else end
    return tally.ran(untrained, end, chosen, last, sum(p.numel() for p in parameters))
