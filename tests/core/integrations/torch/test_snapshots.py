"""A snapshot brings a training back bit for bit, whatever the optimizer keeps."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from transformers import Adafactor as TransformersAdafactor

from steersman.integrations.torch.snapshots import Snapshot, finite, size_of, why_unsupported
from steersman.integrations.torch.tensor_stores import InFile, InMemory

MAPS = Path("/proc/self/maps")
OPTIMIZERS = {
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=1e-2, foreach=True),
    "AdamW amsgrad": lambda p: torch.optim.AdamW(p, lr=1e-2, amsgrad=True),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
    "Adafactor of torch": lambda p: torch.optim.Adafactor(p, lr=1e-2),
    "Adafactor of transformers": lambda p: TransformersAdafactor(p, beta1=0.9),
    "LBFGS": lambda p: torch.optim.LBFGS([one for one in p if one.is_contiguous()], lr=1e-2, max_iter=3),
}


class Net(nn.Module):
    """Batch normalisation, a tied weight, a frozen layer and a parameter that does not lie in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.turned = nn.Parameter(torch.randn(4, 4).t())

    def forward(self, batch):
        return self.second(self.frozen(self.norm(self.first(batch))) @ self.turned).square().mean()


def _net(**to) -> Net:
    torch.manual_seed(0)
    return Net().to(**to)


def _trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _train(model, optimizer, seeds):
    """Take one step on the batch of each seed."""
    dtype = next(model.parameters()).dtype

    @torch.enable_grad()
    def loss():
        optimizer.zero_grad()
        value = model(batch)
        value.backward()
        return value

    for seed in seeds:
        batch = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed)).to(dtype)
        optimizer.step(loss)


def _state(model, optimizer):
    """Return copies of all that a training holds, by name."""
    held = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for number, parameter in enumerate(_trainable(model)):
        for name, value in optimizer.state.get(parameter, {}).items():
            held[f"{number}.{name}"] = copy.deepcopy(value)
    return held


def _equal(one, other):
    """Return whether two values are the same to the bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_from_it_bit_for_bit(name, where, tmp_path):
    """Three steps, back, the same three again: parameters, buffers and optimizer state are those of the first time."""
    model = _net()
    optimizer = OPTIMIZERS[name](_trainable(model))
    snapshot = Snapshot(model, optimizer, folder=tmp_path if where == "file" else None)
    _train(model, optimizer, [1, 2])
    snapshot.take()
    taken = _state(model, optimizer)
    _train(model, optimizer, [3, 4, 5])
    ahead = _state(model, optimizer)

    snapshot.restore()

    assert _equal(_state(model, optimizer), taken)
    assert not _equal(ahead, taken)
    _train(model, optimizer, [3, 4, 5])
    assert _equal(_state(model, optimizer), ahead)
    snapshot.restore()
    assert _equal(_state(model, optimizer), taken), "it is there to be returned to more than once"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_before_the_first_step_it_holds_no_optimizer_state(name):
    """Brought back to step 0, the optimizer begins anew and trains as the first time."""
    model = _net()
    optimizer = OPTIMIZERS[name](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    _train(model, optimizer, [1, 2])
    ahead = _state(model, optimizer)

    snapshot.restore()

    assert not any(optimizer.state.values())
    _train(model, optimizer, [1, 2])
    assert _equal(_state(model, optimizer), ahead)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_kept_as_they_are(dtype):
    """Parameters and moments of another precision come back to the bit, in it."""
    model = _net(dtype=dtype)
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    _train(model, optimizer, [1])
    snapshot.take()
    taken = _state(model, optimizer)
    _train(model, optimizer, [2])

    snapshot.restore()

    assert _equal(_state(model, optimizer), taken)
    assert model.turned.dtype == dtype


def test_every_tensor_stays_the_object_it_was():
    """Parameters and moments are written in place, where fused kernels and captured graphs find them."""
    model = _net()
    optimizer = OPTIMIZERS["AdamW fused"](_trainable(model))
    _train(model, optimizer, [1])
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    _train(model, optimizer, [2])
    tensors = [*_trainable(model), *(value for held in optimizer.state.values() for value in held.values())]
    before = [(id(tensor), tensor.data_ptr()) for tensor in tensors]

    snapshot.restore()

    after = [*_trainable(model), *(value for held in optimizer.state.values() for value in held.values())]
    assert [(id(tensor), tensor.data_ptr()) for tensor in after] == before


def test_state_that_was_lost_is_made_again():
    """Moments that somebody emptied since come back."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    _train(model, optimizer, [1])
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    taken = _state(model, optimizer)
    optimizer.state.clear()

    snapshot.restore()

    assert _equal(_state(model, optimizer), taken)
    made = {id(value) for held in optimizer.state.values() for value in held.values()}
    _train(model, optimizer, [2])
    snapshot.restore()
    assert _equal(_state(model, optimizer), taken), "what was made again must not be the snapshot itself"
    assert made == {id(value) for held in optimizer.state.values() for value in held.values()}


def test_state_that_is_younger_goes():
    """What the optimizer began to hold since, of a parameter it held something of, is removed."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    _train(model, optimizer, [1])
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    taken = _state(model, optimizer)
    optimizer.state[model.turned]["max_exp_avg_sq"] = torch.ones(4, 4)

    snapshot.restore()

    assert _equal(_state(model, optimizer), taken)


def test_the_options_of_the_groups_go_on():
    """The learning rate, as the schedule set it since, is left alone, and the gradients are dropped."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    _train(model, optimizer, [1])
    optimizer.param_groups[0]["lr"] = 1e-5

    snapshot.restore()

    assert optimizer.param_groups[0]["lr"] == 1e-5
    assert all(parameter.grad is None for parameter in model.parameters())


def test_only_what_trains_is_kept(make_model):
    """Of a model with adapters the adapters are kept, and the frozen weights beneath are left as they are."""
    model = get_peft_model(make_model(), LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    frozen = next(parameter for parameter in model.parameters() if not parameter.requires_grad)
    adapters = sum(parameter.nbytes for parameter in _trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    with torch.no_grad():
        frozen.fill_(7.0)
        _trainable(model)[0].fill_(7.0)

    snapshot.restore()

    assert size_of(model, optimizer) == 3 * adapters
    assert bool((frozen == 7.0).all())
    assert not bool((_trainable(model)[0] == 7.0).any())


def test_a_parameter_that_was_unfrozen_since_stays(make_model):
    """What did not train when the snapshot was taken is not brought back; its moments go."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    model.frozen.requires_grad_(True)
    optimizer.add_param_group({"params": list(model.frozen.parameters())})
    _train(model, optimizer, [1])
    weight = model.frozen.weight.detach().clone()

    snapshot.restore()

    assert torch.equal(model.frozen.weight, weight)
    assert not optimizer.state


def test_a_parameter_that_was_frozen_since_comes_back():
    """What trained when the snapshot was taken is brought back though it is frozen now."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    turned = model.turned.detach().clone()
    _train(model, optimizer, [1])
    model.turned.requires_grad_(False)

    snapshot.restore()

    assert torch.equal(model.turned, turned)


def test_a_parameter_only_the_optimizer_knows_is_kept():
    """A parameter of the loss, outside the model, comes back too."""
    model, outside = _net(), nn.Parameter(torch.ones(3))
    optimizer = OPTIMIZERS["Adam"]([*_trainable(model), outside])
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    with torch.no_grad():
        outside.zero_()

    snapshot.restore()

    assert outside.tolist() == [1.0, 1.0, 1.0]


def test_the_scale_of_the_gradients_comes_back():
    """The gradient scaler returns to its scale."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    snapshot = Snapshot(model, optimizer, scaler=scaler)
    snapshot.take()
    scaler.scale(model(torch.randn(8, 4))).backward()
    scaler.step(optimizer)
    scaler.update(2.0)

    snapshot.restore()

    assert scaler.get_scale() == 1024.0


def test_a_second_snapshot_takes_no_new_memory():
    """The copies of the first are written over."""
    store, tensors = InMemory(), {("model", "a"): torch.ones(2, 3).t(), ("model", "b"): torch.tensor(1.0)}
    store.write(tensors)
    first = {key: tensor.data_ptr() for key, tensor in store.read().items()}
    store.write({key: tensor + 1 for key, tensor in tensors.items()})

    assert {key: tensor.data_ptr() for key, tensor in store.read().items()} == first
    assert [tensor.flatten().unique().tolist() for tensor in store.read().values()] == [[2.0], [2.0]]


def test_the_last_taken_counts():
    """Of two snapshots taken, the later is returned to."""
    model = _net()
    optimizer = OPTIMIZERS["SGD momentum"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    _train(model, optimizer, [1])
    snapshot.take()
    taken = _state(model, optimizer)
    _train(model, optimizer, [2])

    snapshot.restore()

    assert _equal(_state(model, optimizer), taken)


def test_the_size_is_what_is_kept():
    """After a step the size is that of the copies; before it, two moments of each parameter are assumed."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    parameters = sum(parameter.nbytes for parameter in _trainable(model))
    buffers = 4 * 4 + 4 * 4 + 8
    assert size_of(model, optimizer) == 3 * parameters + buffers

    _train(model, optimizer, [1])

    steps = 4 * len(_trainable(model))
    assert size_of(model, optimizer) == 3 * parameters + buffers + steps


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    """Where the disk is full the earlier snapshot stands whole, and nothing half-written is left."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer, folder=tmp_path)
    snapshot.take()
    taken = _state(model, optimizer)
    _train(model, optimizer, [1])

    def full(tensors, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space left"):
        snapshot.take()

    assert [path.name for path in tmp_path.iterdir()] == ["healthy-rank-0.pt"]
    snapshot.restore()
    assert _equal(_state(model, optimizer), taken)


def test_memory_that_runs_out_leaves_no_half_snapshot(monkeypatch):
    """Copies that were partly written over are nothing to return to."""
    model = _net()
    optimizer = OPTIMIZERS["Adam"](_trainable(model))
    snapshot = Snapshot(model, optimizer)
    snapshot.take()
    _train(model, optimizer, [1])

    def full(*args, **settings):
        raise MemoryError

    monkeypatch.setattr(torch, "empty_like", full)
    with pytest.raises(MemoryError):
        snapshot.take()

    assert not snapshot.taken


def test_release_leaves_nothing(tmp_path):
    """After release the file is gone, and there is nothing to return to."""
    model = _net()
    snapshot = Snapshot(model, OPTIMIZERS["Adam"](_trainable(model)), folder=tmp_path / "deep")
    snapshot.take()
    assert snapshot.taken
    snapshot.release()
    snapshot.release()

    assert not snapshot.taken
    assert not any((tmp_path / "deep").iterdir())
    with pytest.raises(RuntimeError, match="no snapshot was taken"):
        snapshot.restore()


@pytest.mark.skipif(not MAPS.exists(), reason="this system does not list what a process has mapped")
def test_a_file_is_read_one_tensor_at_a_time(tmp_path):
    """A file is mapped when it is read, so that a tensor comes into memory when it is copied."""
    store = InFile(tmp_path)
    store.write({("model", "a"): torch.arange(6.0).view(2, 3).t()})

    (read,) = store.read().values()

    assert str(store.path) in MAPS.read_text()
    assert (read.stride(), read.tolist()) == ((1, 3), [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["turned", "norm.running_var"])
def test_broken_weights_are_told(name, value):
    """One NaN or infinity in a parameter that trains, or in a buffer, is found."""
    model = _net()
    assert finite(model)
    with torch.no_grad():
        broken = model.state_dict()[name]
        broken[(-1,) * broken.dim()] = value

    assert not finite(model)


def test_a_mask_is_not_broken():
    """Minus infinity in a buffer is what masks are made of."""
    model = _net()
    model.register_buffer("mask", torch.full((3, 3), float("-inf")).triu(1))

    assert finite(model)


class PagedLike(torch.optim.SGD):
    """Pages its state, as the paged optimizers of bitsandbytes say of themselves."""

    is_paged = True


class DeepSpeedLikeWrapper:
    """Wraps an optimizer, and is named as accelerate names its wrapper for DeepSpeed."""

    def __init__(self, optimizer) -> None:
        self.optimizer = optimizer


DeepSpeedLikeWrapper.__name__ = "DeepSpeedOptimizerWrapper"
LomoLike = type("AdaLomo", (torch.optim.SGD,), {})


@pytest.mark.parametrize(
    ("wrap", "reason"),
    [
        (lambda p: torch.optim.SGD(p, lr=1.0), ""),
        (lambda p: PagedLike(p, lr=1.0), "paged memory"),
        (lambda p: DeepSpeedLikeWrapper(torch.optim.SGD(p, lr=1.0)), "DeepSpeed"),
        (lambda p: LomoLike(p, lr=1.0), "inside the backward pass"),
        (lambda p: None, "no torch optimizer"),
    ],
    ids=["sgd", "paged", "deepspeed", "lomo", "none"],
)
def test_an_optimizer_whose_state_is_out_of_reach_is_said(wrap, reason):
    """Where no snapshot can be taken the reason is a sentence; elsewhere there is none."""
    model = _net()
    said = why_unsupported(model, wrap(_trainable(model)))
    assert reason in said if reason else said == ""


def test_a_model_without_values_is_said():
    """A model on the meta device has nothing to keep."""
    with torch.device("meta"):
        model = Net()
    assert "meta device" in why_unsupported(model, torch.optim.SGD(_trainable(model), lr=1.0))


@pytest.mark.parametrize("wrap", [FullyShardedDataParallel, fully_shard], ids=["FSDP1", "FSDP2"])
def test_sharded_parameters_are_said(wrap, tmp_path):
    """Parameters of both kinds of FSDP are shards, which a snapshot of one rank does not hold whole."""
    init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        inner = nn.Sequential(nn.Linear(4, 4))
        key = "mesh" if wrap is fully_shard else "device_mesh"
        where = {"device_id": torch.device("cpu")} if wrap is FullyShardedDataParallel else {}
        model = wrap(inner, **{key: init_device_mesh("cpu", (1,))}, **where)
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        assert "sharded" in why_unsupported(model, optimizer)
    finally:
        destroy_process_group()


RANKS = """
import hashlib
from torch.nn.parallel import DistributedDataParallel
from steersman.integrations.torch.snapshots import Snapshot

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
wrapped = DistributedDataParallel(model)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

def train(*seeds):
    for seed in seeds:
        batch = torch.randn(4, 8, generator=torch.Generator().manual_seed(10 * seed + rank))
        wrapped(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()

told["ahead"] = []
for folder in (None, out / "kept"):
    snapshot = Snapshot(model, optimizer, folder=folder)
    train(1, 2)
    snapshot.take()
    ahead = train(3, 4)
    snapshot.restore()
    assert train(3, 4) == ahead
    told["ahead"].append(ahead)
"""


@pytest.mark.slow
def test_ranks_that_each_restore_their_own_stay_equal(on_two_ranks, tmp_path):
    """On two ranks, from memory and from files in one folder, the parameters are the same to the bit."""
    zero, one = on_two_ranks(RANKS)

    assert zero == one
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["healthy-rank-0.pt", "healthy-rank-1.pt"]
