"""Real processes over gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import json, sys
from pathlib import Path
import torch
import torch.distributed as dist
torch.set_num_threads(1)
out, told = Path(sys.argv[1]), {}
"""
FOOT = """
rank = int(__import__("os").environ["RANK"])
(out / f"rank{rank}.json").write_text(json.dumps(told))
if dist.is_initialized():
    dist.destroy_process_group()
"""


@pytest.fixture
def on_two_ranks(tmp_path: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that runs a script in two processes and returns what each left in the dict `told`."""

    def run(script: str) -> list[dict[str, Any]]:
        path = tmp_path / "train.py"
        path.write_text(HEAD + script + FOOT)
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
        process = subprocess.Popen(
            [*command, str(path), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            said, _ = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            process.terminate()  # the launcher ends its workers
            said, _ = process.communicate()
            pytest.fail(f"the ranks wait for each other: {said[-3000:]}")
        assert process.returncode == 0, said[-3000:]
        return [json.loads((tmp_path / f"rank{i}.json").read_text()) for i in range(2)]

    return run
