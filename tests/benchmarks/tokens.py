"""What counting tokens costs a micro-batch: nothing, our count, and the Trainer's own in both its modes.

Run it: `python tests/benchmarks/tokens.py [--json] [--rounds N] [--ranks 1 2]`, with `core` on the path; it needs torch,
transformers and accelerate. The Trainer trains a tiny GPT-2 on padded batches, on the GPU if there is one, and changes
the way it counts every few micro-batches: each round has one block of each, in an order that turns. A block of ours ends
with the one read that a log makes. Two ranks use gloo on the CPU, or NCCL where there are two GPUs.

`added` is the median over the rounds of what a micro-batch takes longer than one of the same round without a count;
`inside` is the median time of a micro-batch inside the counting code alone: on a GPU the host launches there, or waits.
By torch's profiler, in a micro-batch with all that the Trainer does in it: `reads` of single numbers by the host,
`copies` from the GPU to the host, and `waits` of the host for the GPU. What the Trainer waits for by default is off here
as far as it can be: it looks at each loss for NaN, and copies batches to the GPU in step.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import json
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging

from steersman.integrations.torch.tokens import TokenCount

logging.set_verbosity_error()
MODES = ("none", "ours", "all", "non_padding")
EVENTS = {
    "reads": ("aten::_local_scalar_dense",),
    "copies": ("Memcpy DtoH",),
    "waits": ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"),
}
BLOCK, PROFILED = 20, 10
WARM_UP = BLOCK * len(MODES)
Shape = tuple[int, int, int, int]
CPU_SHAPE, GPU_SHAPE = (8, 64, 64, 2), (16, 512, 512, 4)  # sequences, tokens, width, layers


def rows(shape: Shape) -> list[dict[str, torch.Tensor]]:
    """Return sequences padded on the right, of half the length to the whole."""
    sequences, length, _, _ = shape
    generator = torch.Generator().manual_seed(0)
    made: list[dict[str, torch.Tensor]] = []
    for i in range(64 * sequences):
        mask = (torch.arange(length) < length // 2 + i % (length // 2)).long()
        ids = torch.randint(256, (length,), generator=generator) * mask
        made.append({"input_ids": ids, "attention_mask": mask, "labels": torch.where(mask.bool(), ids, -100)})
    return made


class Turns(TrainerCallback):
    """Changes the way of counting at the begin of each block, and times blocks and what is inside the counts."""

    def __init__(self, rounds: int) -> None:
        self.trainer: Any = None
        self.count: TokenCount | None = None
        self.mode, self.began, self.inside = "", 0.0, 0.0
        self.took: dict[str, list[float]] = {mode: [] for mode in MODES}
        self.spent: dict[str, list[float]] = {mode: [] for mode in MODES}
        self.plan = [MODES[(i + turn) % 4] for turn in range(rounds + 1) for i in range(4)]  # the first round warms up

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % BLOCK == 0:
            self._close(state.global_step // BLOCK)
            self._open(self.plan[state.global_step // BLOCK])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.count is not None:
            self.timed(self.count.stop)()
        if state.global_step > WARM_UP:
            self.spent[self.mode].append(self.inside)
        self.inside = 0.0

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._close(len(self.plan))

    def _open(self, mode: str) -> None:
        self.mode = mode
        self.trainer.args.include_num_input_tokens_seen = mode if mode in ("all", "non_padding") else "no"
        if mode == "ours":
            self.count = TokenCount(self.trainer.model)
        settle()
        self.began = perf_counter()

    def _close(self, blocks: int) -> None:
        if not self.mode:
            return
        if self.count is not None:
            self.count.take()
            self.count.release()
            self.count = None
        settle()
        if blocks * BLOCK > WARM_UP:
            self.took[self.mode].append((perf_counter() - self.began) / BLOCK)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` such that the time inside it is known."""

        def call(*args: Any, **kwargs: Any) -> Any:
            begin = perf_counter()
            function(*args, **kwargs)
            self.inside += perf_counter() - begin

        return call


def settle() -> None:
    """Wait until everything queued is done, on every rank."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if dist.is_initialized():
        dist.barrier()


def trainer_of(folder: str, steps: int, shape: Shape, **settings: Any) -> Trainer:
    """Return a Trainer of a tiny GPT-2 that logs and saves nothing."""
    torch.manual_seed(0)
    sequences, length, width, layers = shape
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=length, n_embd=width, n_layer=layers, n_head=4, bos_token_id=0, eos_token_id=0,
            loss_type="ForCausalLMLoss",
        )
    )  # fmt: skip
    arguments = TrainingArguments(
        folder, max_steps=steps, per_device_train_batch_size=sequences, logging_strategy="no", save_strategy="no",
        report_to=[], disable_tqdm=True, logging_nan_inf_filter=False, ddp_find_unused_parameters=False, **settings,
    )  # fmt: skip
    made = Trainer(model, arguments, train_dataset=rows(shape))
    made.remove_callback(PrinterCallback)
    return made


def measure(rounds: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Train once with all ways of counting in turns and return the figures, in microseconds of a micro-batch."""
    shape = CPU_SHAPE if settings.get("use_cpu") else GPU_SHAPE
    turns = Turns(rounds)
    with tempfile.TemporaryDirectory() as folder:
        turns.trainer = trainer_of(folder, len(turns.plan) * BLOCK, shape, **settings)
        track, hook = turns.trainer._track_num_input_tokens, TokenCount._hook
        turns.trainer._track_num_input_tokens = lambda inputs: (
            turns.timed(track)(inputs) if turns.mode in MODES[2:] else None
        )
        TokenCount._hook = lambda self, *given: turns.timed(hook)(self, *given)  # type: ignore[method-assign]
        turns.trainer.add_callback(turns)
        turns.trainer.train()
        TokenCount._hook = hook  # type: ignore[method-assign]
        events = {mode: profile(folder, mode, shape, settings) for mode in MODES}
    figures = {}
    for mode in MODES:
        added = median(mine - none for mine, none in zip(turns.took[mode], turns.took["none"], strict=True))
        figures[mode] = {
            "micro_batch_us": 1e6 * median(turns.took[mode]), "added_us": 1e6 * added,
            "inside_us": 1e6 * median(turns.spent[mode]), **events[mode],
        }  # fmt: skip
    return figures


def profile(folder: str, mode: str, shape: Shape, settings: dict[str, Any]) -> dict[str, float]:
    """Return how often the host reads, copies and waits in a micro-batch, by torch's profiler, with no log among them."""
    counting = mode if mode in MODES[2:] else "no"
    trainer = trainer_of(folder, 3 + PROFILED, shape, include_num_input_tokens_seen=counting, **settings)
    count = TokenCount(trainer.model) if mode == "ours" else None
    profiler = torch.profiler.profile()

    class Profile(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 3:
                settle()
                profiler.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if count is not None:
                count.stop()
            if state.global_step == 3 + PROFILED:
                profiler.stop()

    trainer.add_callback(Profile())
    trainer.train()
    if count is not None:
        assert count.take().tokens > 0
        count.release()
    names = [event.name for event in profiler.events()]
    return {kind: sum(n.startswith(starts) for n in names) / PROFILED for kind, starts in EVENTS.items()}


def ours_never_waits() -> bool:
    """Whether batches on a GPU, and the ends of steps, are counted where torch raises an error at any wait for it."""
    count = TokenCount()
    ids = torch.ones(4, 16, dtype=torch.long, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            count.add({"input_ids": ids, "attention_mask": ids, "labels": ids})
            count.add({"input_ids": ids, "position_ids": ids, "shift_labels": ids})
            count.stop()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    usage = count.take()
    return count.notes() == () and (usage.tokens, usage.unknown) == (6 * 64, 0)


def on_rank(rank: int, ranks: int, port: int, rounds: int, on_cpu: bool, path: str) -> None:
    """Measure as one of several ranks; the first writes what it measured."""
    torch.set_num_threads(1)
    if ranks > 1:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_WORLD_SIZE=str(ranks),
            MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        )  # fmt: skip
    else:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with more the Trainer takes them all
    settings: dict[str, Any] = {"use_cpu": True} if on_cpu else {"accelerator_config": {"non_blocking": True}}
    if on_cpu and ranks > 1:
        settings["ddp_backend"] = "gloo"
    figures = measure(rounds, settings)
    if rank == 0:
        never_waits = None if on_cpu else ours_never_waits()
        Path(path).write_text(json.dumps({"counts": figures, "ours_never_waits": never_waits}))
    if dist.is_initialized():
        dist.destroy_process_group()


def measured(ranks: int, rounds: int) -> dict[str, Any]:
    """Return the figures of one or more ranks, each in a process of its own."""
    on_cpu = torch.cuda.device_count() < ranks
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/figures.json"
        torch.multiprocessing.spawn(on_rank, (ranks, port, rounds, on_cpu, path), nprocs=ranks)
        told = json.loads(Path(path).read_text())
    return {"ranks": ranks, "where": "CPU" if on_cpu else torch.cuda.get_device_name(0), **told}


def table(result: dict[str, Any]) -> str:
    """Return the figures of one measurement as a table."""
    lines = [f"{result['ranks']} rank(s), {result['where']}"]
    lines.append(
        f"{'count':<14}{'micro-batch':>13}{'added':>11}{'inside':>11}{'reads':>8}{'copies':>8}{'waits':>8}{'ours / this':>13}"
    )
    ours = result["counts"]["ours"]["inside_us"]
    for mode, told in result["counts"].items():
        ratio = f"{ours / told['inside_us']:.3f}" if told["inside_us"] else "-"
        lines.append(
            f"{mode:<14}{told['micro_batch_us']:>10.0f} us{told['added_us']:>8.0f} us{told['inside_us']:>8.1f} us"
            f"{told['reads']:>8.1f}{told['copies']:>8.1f}{told['waits']:>8.1f}{ratio:>13}"
        )
    if result["ours_never_waits"] is not None:
        said = "passes" if result["ours_never_waits"] else "FAILS"
        lines.append(f"ours {said} where torch.cuda.set_sync_debug_mode raises an error at any wait")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of four blocks of 20 micro-batches (default 40)")
    parser.add_argument(
        "--ranks", type=int, nargs="+", default=[1, 2], help="numbers of ranks to measure (default 1 2)"
    )
    asked = parser.parse_args()
    results = [measured(ranks, asked.rounds) for ranks in asked.ranks]
    told = {"torch": torch.__version__, "block": BLOCK, "rounds": asked.rounds, "results": results}
    sys.stdout.write((json.dumps(told, indent=2) if asked.json else "\n\n".join(map(table, results))) + "\n")


if __name__ == "__main__":
    main()
