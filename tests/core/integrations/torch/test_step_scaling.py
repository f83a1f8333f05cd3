"""Which group is which, whatever is done to the optimizer, and nothing of a factor left in any of them."""

from __future__ import annotations

import pytest
import torch

from steersman.integrations.torch.learning_rate import learning_rates
from steersman.integrations.torch.step_scaling import StepScaling


def _group(lr: float | torch.Tensor, name: str | None = None) -> dict[str, object]:
    named = {} if name is None else {"name": name}
    return {"params": [torch.nn.Parameter(torch.ones(2))], "lr": lr, **named}


class _Sees(torch.optim.SGD):
    """Notes the rates each step computes with."""

    def step(self, closure=None):
        self.seen = [float(group["lr"]) for group in self.param_groups]
        return super().step(closure)


def _optimizer(*names: str | None) -> _Sees:
    return _Sees([_group(float(i + 1), name) for i, name in enumerate(names)], lr=0.0)


def _halved(optimizer: torch.optim.Optimizer, name: str) -> StepScaling:
    scaling = StepScaling(optimizer)
    scaling.factors[name] = 0.5
    return scaling


@pytest.mark.parametrize(("names", "name"), [((None, None), "1"), (("encoder", "head"), "head")])
def test_a_loaded_state_keeps_the_factor_where_it_was(names, name):
    """`load_state_dict` replaces the dicts of all groups, twice over; the factor stays with the group."""
    optimizer = _optimizer(*names)
    scaling = _halved(optimizer, name)
    for _ in range(2):
        optimizer.load_state_dict(optimizer.state_dict())

    optimizer.step()

    assert optimizer.seen == [1.0, 1.0]
    assert scaling.rate(name) == 1.0


def test_a_loaded_state_without_names_keeps_the_factor():
    """A state saved before the groups had names is loaded: a group is its parameters, so its factor stays."""
    optimizer = _optimizer("encoder", "head")
    scaling = _halved(optimizer, "head")
    optimizer.load_state_dict(_optimizer(None, None).state_dict())

    optimizer.step()

    assert optimizer.seen == [1.0, 1.0]
    assert scaling.rate("head") == 1.0


def test_one_group_at_a_time():
    """ZeRO steps with a list of one group, each in turn: each is multiplied by its own factor, and none is lost."""
    optimizer = _optimizer(None, None, None)
    scaling = _halved(optimizer, "1")
    lost: list[str] = []
    scaling.on_lost = lost.append
    groups, seen = optimizer.param_groups, []
    for group in groups:
        optimizer.param_groups = [group]
        optimizer.step()
        seen += optimizer.seen
    optimizer.param_groups = groups

    assert seen == [1.0, 1.0, 3.0]
    assert [group["lr"] for group in groups] == [1.0, 2.0, 3.0]
    assert (lost, scaling.rate("1")) == ([], 1.0)


def test_parameters_that_are_exchanged():
    """ZeRO and FSDP give a group other parameters: it is the same group."""
    optimizer = _optimizer(None, None)
    _halved(optimizer, "1")
    optimizer.param_groups[1]["params"] = [torch.nn.Parameter(torch.ones(1))]

    optimizer.step()

    assert optimizer.seen == [1.0, 1.0]


def test_a_group_that_is_added_has_the_common_factor():
    """After `add_param_group`, and a load on top, the others keep their own factors; the new one has that of all."""
    optimizer = _optimizer(None, None)
    scaling = _halved(optimizer, "1")
    scaling.factor = 0.1
    optimizer.add_param_group(_group(30.0))
    optimizer.load_state_dict(optimizer.state_dict())

    optimizer.step()

    assert optimizer.seen == [0.1 * 1.0, 2.0 * 0.05, 3.0]
    assert scaling.rate("2") is None


def test_groups_that_are_rebuilt_are_known_by_name():
    """Where dicts and lists are all new, and in another order, a name tells which group is which."""
    optimizer = _optimizer("encoder", "head")
    _halved(optimizer, "head")
    optimizer.param_groups = [dict(g, params=list(g["params"])) for g in reversed(optimizer.param_groups)]

    optimizer.step()

    assert optimizer.seen == [1.0, 1.0]


def test_a_group_added_under_a_name_that_is_taken_is_not_mistaken():
    """A second group of the same name is a new one; the first keeps its factor."""
    optimizer = _optimizer("encoder", "head")
    _halved(optimizer, "head")
    optimizer.add_param_group(_group(30.0, "head"))

    optimizer.step()

    assert optimizer.seen == [1.0, 1.0, 30.0]


def test_a_group_that_cannot_be_told_is_left_alone_and_that_is_said():
    """Where nothing tells which group is which, own factors are left out, the common one stays, and the entry says why."""
    optimizer = _optimizer(None, None)
    entries = learning_rates(optimizer)
    entries["learning_rate"].handle.write(0.0, 0.1)
    entries["learning_rate[1]"].handle.write(0.0, 0.5)
    optimizer.param_groups = [dict(g, params=list(g["params"])) for g in reversed(optimizer.param_groups)]

    optimizer.step()

    assert optimizer.seen == [2.0 * 0.1, 1.0 * 0.1]
    assert [entry.status for entry in entries.values()] == ["live", "inert", "inert"]
    assert [entry.value for entry in entries.values()] == [2.0 * 0.1, None, None]
    assert "which of them this one was cannot be told" in entries["learning_rate[1]"].reason
    for entry in entries.values():
        entry.handle.release()
    assert len(optimizer._optimizer_step_pre_hooks) == 0


@pytest.mark.parametrize("own", [(1.0, 1.0, 1.0), (0.5, 1.0, 1.0), (0.5, 0.25, 1.0)])
def test_a_shared_tensor_serves_groups_of_different_factors(own):
    """During a step each group has a rate of its own; after it all hold the same untouched tensor again."""
    shared = torch.tensor(8.0)
    optimizer = _Sees([_group(shared) for _ in range(3)], lr=shared)
    assert all(group["lr"] is shared for group in optimizer.param_groups)
    scaling = StepScaling(optimizer)
    scaling.factor = 0.5
    scaling.factors = dict(zip("012", own, strict=True))

    optimizer.step()

    assert optimizer.seen == [4.0 * factor for factor in own]
    assert all(group["lr"] is shared for group in optimizer.param_groups)
    assert float(shared) == 8.0
    assert [scaling.rate(name) for name in "012"] == optimizer.seen


def test_a_tensor_is_scaled_in_place():
    """A compiled or captured step reads the tensor it knows, so that very tensor holds the rate in use."""
    rate = torch.tensor(8.0)
    optimizer = torch.optim.SGD([_group(rate), _group(1.0)], lr=1.0)
    scaling = _halved(optimizer, "0")
    used: list[float] = []
    optimizer.register_step_pre_hook(lambda o, a, k: used.append(float(rate)))

    optimizer.step()

    assert (used, float(rate), scaling.rate("0")) == ([4.0], 8.0, 4.0)


def _out_of_memory() -> None:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("rate", [2.0, torch.tensor(2.0)], ids=["float", "tensor"])
def test_a_step_that_raises_leaves_no_factor(rate):
    """After a step that raised, the true rates are read, the next step has each factor once, and the user's are left."""
    optimizer = _Sees([_group(rate), _group(rate)], lr=0.0)
    scaling = _halved(optimizer, "1")
    scaling.factor = 0.25
    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step(_out_of_memory)
    read = [scaling.rate(name) for name in "01"]

    optimizer.step()

    assert read == optimizer.seen == [0.5, 0.25]
    assert [group["lr"] for group in optimizer.param_groups] == [rate, rate]
    assert float(rate) == 2.0


@pytest.mark.parametrize("rate", [2.0, torch.tensor(2.0)], ids=["float", "tensor"])
@pytest.mark.parametrize("is_released", [False, True])
def test_a_rate_set_after_a_step_that_raised_is_respected(rate, is_released):
    """A scheduler made anew after a step that raised sets its own rate; what was held from before does not undo it."""
    optimizer = _Sees([_group(rate)], lr=0.0)
    entries = learning_rates(optimizer)
    entries["learning_rate"].handle.write(0.0, 0.5)
    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step(_out_of_memory)
    if isinstance(rate, torch.Tensor):
        rate.fill_(6.0)
    else:
        optimizer.param_groups[0]["lr"] = 6.0
    if is_released:
        entries["learning_rate"].handle.release()

    assert entries["learning_rate"].value == (6.0 if is_released else 3.0)
    optimizer.step()

    assert optimizer.seen == [6.0 if is_released else 3.0]
    assert float(optimizer.param_groups[0]["lr"]) == 6.0
