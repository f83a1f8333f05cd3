"""The norms of real optimizers by hand, and a real optimizer whose group rates move with them."""

from __future__ import annotations

import math

import pytest
import torch
from steersman_layerwise_lr import LayerwiseLR, norms
from steersman_layerwise_lr.measuring import as_numbers, measure

import steersman


def parameter(*values, grad):
    """Return a parameter that has a gradient."""
    made = torch.nn.Parameter(torch.tensor(values))
    made.grad = torch.tensor(grad)
    return made


def test_norms_are_those_of_all_parameters_of_a_group():
    """(3, 4) and (12,) have the norm 13; their gradients (2, 3) and (6,) have 7; groups without a name are indexed."""
    first = [parameter(3.0, 4.0, grad=[2.0, 3.0]), parameter(12.0, grad=[6.0])]
    second = [parameter(0.0, 0.0, grad=[0.0, 1.0])]
    optimizer = torch.optim.SGD([{"params": first, "name": "body"}, {"params": second}], lr=0.1)
    assert norms(optimizer) == {
        "weight_norm/body": 13.0, "grad_norm/body": 7.0, "weight_norm/1": 0.0, "grad_norm/1": 1.0,
    }  # fmt: skip


def test_a_parameter_without_a_gradient_counts_for_nothing():
    """A frozen or unused parameter is in neither norm; a group of such only has none."""
    used, frozen = parameter(3.0, 4.0, grad=[0.0, 2.0]), torch.nn.Parameter(torch.ones(9))
    idle = torch.nn.Parameter(torch.ones(9))
    optimizer = torch.optim.SGD([{"params": [used, frozen]}, {"params": [idle]}], lr=0.1)
    assert norms(optimizer) == {"weight_norm/0": 5.0, "grad_norm/0": 2.0}


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_the_first_update_of_adam_has_one_for_each_weight(kind):
    """After one step m / sqrt(v), both corrected, is the sign of the gradient: four weights, a norm of 2."""
    weights = parameter(1.0, 1.0, 1.0, 1.0, grad=[0.5, -3.0, 0.01, 7.0])
    optimizer = kind([weights], lr=1e-9)
    assert "update_norm/0" not in norms(optimizer)
    optimizer.step()
    assert norms(optimizer)["update_norm/0"] == pytest.approx(2.0, rel=1e-5)


def test_the_second_update_of_adam_follows_the_paper():
    """Gradients 1 and then 3: m = 0.9 x 0.1 + 0.3 = 0.39 over 1 - 0.81; v = 0.999 x 0.001 + 0.009 = 0.009999 over
    1 - 0.998001; so 2.0526316 / sqrt(5.0020010) = 0.9177772."""
    weight = parameter(1.0, grad=[1.0])
    optimizer = torch.optim.Adam([weight], lr=1e-9)
    optimizer.step()
    weight.grad = torch.tensor([3.0])
    optimizer.step()
    assert norms(optimizer)["update_norm/0"] == pytest.approx(0.9177772, rel=1e-4)


def test_half_precision_is_summed_in_single():
    """Ten thousand weights of 10 have the norm 1000, and a sum of squares of 1e6 that float16 cannot hold."""
    weights = torch.nn.Parameter(torch.full((10_000,), 10.0, dtype=torch.float16))
    weights.grad = torch.full((10_000,), 10.0, dtype=torch.float16)
    found = norms(torch.optim.SGD([weights], lr=0.1))
    assert found == {"weight_norm/0": pytest.approx(1000.0), "grad_norm/0": pytest.approx(1000.0)}


def test_a_sparse_gradient_counts_each_row_once_summed():
    """The same row of a sparse embedding twice: gradients add up to 2 in each of two places, a norm of sqrt(8)."""
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 1])).sum().backward()
    found = norms(torch.optim.SparseAdam(list(table.parameters()), lr=0.1))
    assert found["grad_norm/0"] == pytest.approx(math.sqrt(8))


def test_an_infinite_gradient_is_told_as_it_is():
    """What overflowed is infinite, so that the strategy leaves it out."""
    found = norms(torch.optim.SGD([parameter(1.0, grad=[math.inf])], lr=0.1))
    assert found["grad_norm/0"] == math.inf


@pytest.mark.parametrize(
    "names", [("a", "b"), ("a", "a"), (None, None), ("", "7"), ("a", None)], ids=lambda names: str(names)
)
def test_groups_are_named_as_steersman_names_them(tmp_path, names):
    """Whatever names the groups have, doubled, missing or numbers: they are the members of `learning_rate`."""
    groups = [{"params": [parameter(1.0, grad=[1.0])], **({} if n is None else {"name": n})} for n in names]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    with steersman.attach(optimizer, {"console": False}, folder=tmp_path) as loop:
        loop.begin()
        members = {n for n in loop.session.supervisor.registry.entries if n.startswith("learning_rate[")}
    assert {f"learning_rate[{n.removeprefix('grad_norm/')}]" for n in norms(optimizer) if "grad_norm" in n} == members


def test_the_rates_of_a_real_optimizer_move_apart(tmp_path):
    """Norms 5 to 1 and 0.5 to 1 in a loop that does not move the weights: each check multiplies one rate by 1.1 and
    divides the other; the schedule, the group's own rate outside of a step, stays as it is."""
    large, small = torch.nn.Parameter(torch.tensor([3.0, 4.0])), torch.nn.Parameter(torch.tensor([0.3, 0.4]))
    optimizer = torch.optim.SGD([{"params": [large], "name": "large"}, {"params": [small], "name": "small"}], lr=1e-12)
    config = {
        "mode": "act",
        "extends": "no-rails",
        "check_every": 2,
        "use": [LayerwiseLR()],
        "hyperparameters": {"learning_rate[large]": {}, "learning_rate[small]": {}},
        "console": False,
    }
    used = []
    with steersman.attach(optimizer, config, folder=tmp_path, total_steps=100) as loop:
        optimizer.register_step_pre_hook(lambda *_: used.append([g["lr"] for g in optimizer.param_groups]))
        for step in range(1, 7):
            optimizer.zero_grad()
            loss = 0.6 * large[0] + 0.8 * large[1] + 0.6 * small[0] + 0.8 * small[1]
            loss.backward()
            optimizer.step()
            loop.log(step, loss=loss, **(norms(optimizer) if step % 2 == 0 else {}))
            assert [group["lr"] for group in optimizer.param_groups] == [1e-12, 1e-12]

    factors = [[rate / 1e-12 for rate in rates] for rates in used]
    assert factors[:2] == [[1.0, 1.0]] * 2
    assert factors[2] == factors[3] == pytest.approx([1.1, 1 / 1.1])
    assert factors[4] == factors[5] == pytest.approx([1.1**2, 1 / 1.1**2])


def test_measuring_waits_for_no_device():
    """On the meta device no value can be read; the norms are made there all the same, and only reading them fails."""
    weights = torch.nn.Parameter(torch.empty(3, device="meta"))
    weights.grad = torch.empty(3, device="meta")
    optimizer = torch.optim.AdamW([weights], lr=0.1)
    moments = {name: torch.empty(3, device="meta") for name in ("exp_avg", "exp_avg_sq")}
    optimizer.state[weights] = {"step": torch.empty((), device="meta"), **moments}
    found = measure(optimizer)
    assert set(found) == {"weight_norm/0", "grad_norm/0", "update_norm/0"}
    with pytest.raises(RuntimeError, match="meta"):
        as_numbers(found)
