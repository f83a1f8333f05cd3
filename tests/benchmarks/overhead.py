"""What Steersman costs: dispatch, a step that logs nothing, a step that logs, and steps per second of a tiny Trainer.

Run it: `python tests/benchmarks/overhead.py`. Each figure stands beside a baseline measured in the same run.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import runpy
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from time import perf_counter, perf_counter_ns
from typing import Any

import torch
from attrs import define
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging

import steersman
from steersman import Record, hookimpl
from steersman.dispatch import Dispatch
from steersman.loaded import Loaded, Source
from steersman.loading import register
from steersman.supervisor import Supervisor

logging.set_verbosity_error()
torch.set_num_threads(1)  # steadier, and a smaller step makes the overhead a larger share
STEPS, PAIRS = 400, 5
TEXT = "".join(topics[name] for name in sorted(topics)).encode()


@define(eq=False)
class Listener:
    """A strategy that does nothing, so that only the way to it is measured."""

    @hookimpl
    def on_log(self, run: Any, log: Any) -> None:
        return None


class DoNothing(TrainerCallback):
    """The cheapest callback there is."""


def dispatch() -> tuple[float, float]:
    """Return nanoseconds of one direct loop over four strategies and of one dispatch to them."""
    strategies = tuple(Loaded(f"s{i}", Listener(), Source("here")) for i in range(4))
    supervisor = Supervisor(steersman.Config(), ())
    asked = Dispatch(register(strategies), strategies, lambda failure: None)
    record, run = Record(1, "train", {"loss": 1.0}), supervisor.run
    direct = [loaded.strategy.on_log for loaded in strategies]  # type: ignore[attr-defined]

    def by_hand() -> None:
        for call in direct:
            call(run, record)

    return _fastest(by_hand), _fastest(lambda: asked.notify("on_log", run, record))


def _fastest(function: Callable[[], None], calls: int = 20_000, rounds: int = 15) -> float:
    times: list[float] = []
    for _ in range(rounds):
        begin = perf_counter_ns()
        for _ in range(calls):
            function()
        times.append((perf_counter_ns() - begin) / calls)
    return min(times)


def trainer(folder: str, **settings: Any) -> Trainer:
    """Return a tiny Trainer that logs every tenth step and evaluates never."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=64, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0,
            loss_type="ForCausalLMLoss",
        )
    )  # fmt: skip
    ids = torch.tensor(list(TEXT[: 256 * 64])).view(256, 64)
    rows = [{"input_ids": row, "labels": row, "attention_mask": torch.ones_like(row)} for row in ids]
    arguments = TrainingArguments(
        folder, max_steps=STEPS, per_device_train_batch_size=8, logging_steps=10, save_strategy="no", report_to=[],
        disable_tqdm=True, use_cpu=True, **settings,
    )  # fmt: skip
    made = Trainer(model, arguments, train_dataset=rows)
    made.remove_callback(PrinterCallback)
    return made


def events(callback_of: Callable[[Trainer], Any]) -> tuple[float, float]:
    """Return median microseconds of a step's events when it logs nothing, and of those of a log."""
    steps: list[float] = []
    logs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder)
        callback = callback_of(made)
        at = {"step": 0.0, "log": 0.0}

        def timed(name: str, slot: str) -> None:
            inner = getattr(callback, name)

            def outer(*args: Any, **kwargs: Any) -> None:
                begin = perf_counter()
                inner(*args, **kwargs)
                at[slot] += perf_counter() - begin

            setattr(callback, name, outer)

        for name in ("on_step_begin", "on_step_end"):
            timed(name, "step")
        timed("on_log", "log")

        class Collect(TrainerCallback):
            def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if state.global_step:
                    (logs if at["log"] else steps).append(sum(at.values()) * 1e6)
                at.update(step=0.0, log=0.0)

        made.add_callback(Collect())
        made.train()
    return statistics.median(steps), statistics.median(logs)


def steps_per_second(supervised: bool) -> float:
    """Return steps per second of one training."""
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder)
        if supervised:
            steersman.supervise(made, {"console": False})
        begin = perf_counter()
        made.train()
        return STEPS / (perf_counter() - begin)


def _supervised(made: Trainer) -> Any:
    return steersman.supervise(made, {"console": False, "check_every": STEPS})


def _checked(made: Trainer) -> Any:
    return steersman.supervise(made, {"console": False, "check_every": 10})


def _unsupervised(made: Trainer) -> Any:
    callback = DoNothing()
    made.add_callback(callback)
    return callback


def main() -> None:
    """Measure and print."""
    table = Table("what", "baseline", "steersman", "ratio", "aim", title="Overhead")
    by_hand, dispatched = dispatch()
    table.add_row(
        "dispatch to four strategies",
        f"{by_hand:.0f} ns",
        f"{dispatched:.0f} ns",
        f"{dispatched / by_hand:.2f}",
        "<= 2",
    )
    (bare_step, bare_log), (step, log) = events(_unsupervised), events(_supervised)
    table.add_row(
        "a step that logs nothing", f"{bare_step:.1f} us", f"{step:.1f} us", f"{step / bare_step:.1f}", "< 20 us"
    )
    table.add_row("a step that logs", f"{bare_log:.1f} us", f"{log:.1f} us", f"{log / bare_log:.1f}", "< 300 us")
    checked = events(_checked)[1]
    table.add_row(
        "a step that logs and is checked",
        f"{bare_log:.1f} us",
        f"{checked:.1f} us",
        f"{checked / bare_log:.1f}",
        "none",
    )
    rates: list[tuple[float, float]] = []
    steps_per_second(True)
    for pair in track(range(PAIRS), "training in pairs"):
        first = steps_per_second(pair % 2 == 0)
        second = steps_per_second(pair % 2 == 1)
        rates.append((second, first) if pair % 2 == 0 else (first, second))
    without, with_it = (max(column) for column in zip(*rates, strict=True))  # the fastest are the least disturbed
    ratio = f"{with_it / without:.3f}"
    table.add_row("tiny Trainer, fastest", f"{without:.0f} steps/s", f"{with_it:.0f} steps/s", ratio, ">= 0.98")
    Console().print(table)


if __name__ == "__main__":
    main()
    runpy.run_path(str(Path(__file__).with_name("torch_costs.py")), run_name="__main__")
