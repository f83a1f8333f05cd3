"""Whose steps are guarded, and what is said where they are not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from steersman.integrations.torch.step_guarding import why_unguarded


class Lomo(torch.optim.SGD):
    """Named as one that steps inside the backward pass."""


def test_who_cannot_be_guarded():
    """No optimizer, one that is none of torch's, one whose hooks are not called: each with its reason; SGD can."""
    model = torch.nn.Linear(2, 1)

    assert why_unguarded(model, None) == "no optimizer was handed over, or several"
    assert "no torch optimizer" in why_unguarded(None, SimpleNamespace())
    assert "ignores step hooks" in why_unguarded(model, Lomo(model.parameters(), lr=1.0))
    assert why_unguarded(model, torch.optim.SGD(model.parameters(), lr=1.0)) == ""


@pytest.mark.parametrize("knows_model", [True, False])
def test_sharded_parameters_are_not_guarded(tmp_path, knows_model):
    """Under FSDP each rank has a part of the norm only: known by the model, or by the optimizer's parameters alone."""
    init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        model = fully_shard(torch.nn.Linear(2, 2), mesh=init_device_mesh("cpu", (1,)))
        reason = why_unguarded(model if knows_model else None, torch.optim.SGD(model.parameters(), lr=1.0))
    finally:
        destroy_process_group()

    assert reason == "the parameters are sharded over the ranks"
