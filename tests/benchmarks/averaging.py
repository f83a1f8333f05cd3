"""What averaging takes: memory of its own beside the largest tensor and the model, and seconds.

    python tests/benchmarks/averaging.py [--layers 8] [--width 2048] [--count 5]

Checkpoints of bfloat16 are made with an embedding of 32,000 rows, and their mean is written in a process of its own, of which
the largest anonymous memory is sampled: pages of the files that are mapped are the system's, and are given back when it wants.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WRITES = """
import sys, threading, time
from pathlib import Path
import safetensors.torch, torch
from steersman.averaging.writing import write_average

def anonymous():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) / 1024

torch.set_num_threads(1)
folder, count = Path(sys.argv[1]), int(sys.argv[2])
torch.zeros(8).to(torch.bfloat16).float().sum()
before, most, ends = anonymous(), [0.0], threading.Event()

def watch():
    while not ends.is_set():
        most[0] = max(most[0], anonymous())
        time.sleep(0.005)

watching = threading.Thread(target=watch)
watching.start()
begin = time.perf_counter()
write_average([folder / f"checkpoint-{i}" for i in range(count)], folder / "average", range(count))
took = time.perf_counter() - begin
ends.set()
watching.join()
print(most[0] - before, took)
"""


def main() -> None:
    """Make checkpoints, average them, print what it took."""
    options = argparse.ArgumentParser()
    options.add_argument("--layers", type=int, default=8)
    options.add_argument("--width", type=int, default=2048)
    options.add_argument("--count", type=int, default=5)
    given = options.parse_args()
    import torch
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for i in range(given.count):
            state = {"embed": torch.randn(32_000, given.width, dtype=torch.bfloat16)}
            state |= {
                f"layer.{n}": torch.randn(4 * given.width, given.width, dtype=torch.bfloat16)
                for n in range(given.layers)
            }
            (folder / f"checkpoint-{i}").mkdir()
            save_file(state, folder / f"checkpoint-{i}" / "model.safetensors")
        largest = max(t.numel() * t.element_size() for t in state.values()) / 2**20
        model = sum(t.numel() * t.element_size() for t in state.values()) / 2**20
        del state
        begin = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-c", _WRITES, made, str(given.count)], capture_output=True, text=True, check=True
        )
        grew, took = map(float, ran.stdout.split())
    print(f"{given.count} checkpoints of {model:,.0f} MiB, the largest tensor {largest:,.0f} MiB")
    print(
        f"memory of its own grew by {grew:,.1f} MiB: {grew / largest:.2f} x the largest tensor, {grew / model:.3f} x the model"
    )
    print(
        f"{took:.1f} s: {given.count * model / took:,.0f} MiB/s read ({time.perf_counter() - begin:.1f} s with start-up)"
    )


if __name__ == "__main__":
    main()
