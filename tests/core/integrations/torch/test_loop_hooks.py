"""What a supervised loop hangs on the optimizer, beside hooks of the user's own."""

from __future__ import annotations

import torch

import steersman


def test_a_hook_of_the_users_own_goes_on_beside_ours(tmp_path):
    """The run may begin with the first step, in the midst of its hooks; hooks registered later are called all the same."""
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer, called = torch.optim.SGD([parameter], lr=0.5), []
    loop = steersman.attach(optimizer, {"console": False}, folder=tmp_path)
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    parameter.grad = torch.ones(1)

    optimizer.step()

    assert loop.session is not None
    assert called == ["before", "after"]
    loop.close()
    assert [len(hooks) for hooks in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)] == [
        1,
        1,
    ]


def test_a_loop_that_never_began_leaves_nothing(tmp_path):
    """Closed before its first log or step, a loop takes its hooks off the optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)

    steersman.attach(optimizer, {"console": False}, folder=tmp_path).close()

    assert len(optimizer._optimizer_step_pre_hooks) == len(optimizer._optimizer_step_post_hooks) == 0


def test_a_run_that_cannot_begin_does_not_stop_a_step(tmp_path):
    """A state that cannot be taken back fails in the midst of the first step's hooks: the training goes on alone."""
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    loop = steersman.attach(optimizer, {"mode": "act", "hyperparameters": {"learning_rate": {}}}, folder=tmp_path)
    loop.load_state_dict({"step": 3, "ranking": {"checkpoints": "nonsense"}})

    for _ in range(5):
        parameter.grad = torch.ones(1)
        optimizer.step()

    assert loop.session is None
    assert parameter.item() == 1.0 - 5 * 0.5
    loop.close()
    assert len(optimizer._optimizer_step_pre_hooks) == len(optimizer._optimizer_step_post_hooks) == 0
