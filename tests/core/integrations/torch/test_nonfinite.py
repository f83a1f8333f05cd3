"""A loss or a gradient that is not finite is told in its very step, though the Trainer's log hides it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import TrainerCallback

from steersman.integrations.torch.nonfinite import NonFinite, nonfinite

NAN, INF = float("nan"), float("inf")


class Watching(TrainerCallback):
    """Notes what is seen at each step, and breaks the loss or a gradient in the steps of `at`."""

    def __init__(self, breaks: str = "", at: tuple[int, ...] = ()) -> None:
        self.breaks, self.at, self.seen, self.step = breaks, at, {}, 0

    def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        model.register_forward_hook(self._break_loss)
        next(model.parameters()).register_hook(self._break_gradient)
        self.watch = NonFinite(model, optimizer)

    def on_step_begin(self, args, state, control, **kwargs):
        self.step = state.global_step + 1

    def on_step_end(self, args, state, control, **kwargs):
        self.seen[state.global_step] = self.watch.seen()

    def _break_loss(self, module, args, output):
        if self.breaks == "loss" and self.step in self.at and module.training:
            output.loss = output.loss * INF
        return output

    def _break_gradient(self, gradient):
        return gradient * NAN if self.breaks == "grad_norm" and self.step in self.at else gradient


@pytest.mark.parametrize("clip", [1.0, 0.0])
@pytest.mark.parametrize("breaks", ["loss", "grad_norm"])
def test_it_is_told_at_the_end_of_its_step(make_trainer, breaks, clip):
    """Broken in step 3 it is told at the end of step 3, whether gradients are clipped or not."""
    watching = Watching(breaks, at=(3,))
    make_trainer(callbacks=[watching], max_grad_norm=clip, max_steps=4).train()

    assert list(watching.seen.values())[:3] == [None, None, breaks]


def test_what_the_log_hides_is_told(make_trainer):
    """With the Trainer's default filter every logged loss is finite, and the step with an infinite one is told."""
    watching = Watching("loss", at=(3,))
    trainer = make_trainer(callbacks=[watching], max_steps=4, logging_steps=1)
    assert trainer.args.logging_nan_inf_filter
    trainer.train()

    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(logged) == 4
    assert torch.tensor(logged).isfinite().all()
    assert watching.seen[3] == "loss"


def test_one_of_several_accumulated_batches_is_enough(make_trainer):
    """A step over four batches is told once; the finite ones after the broken one do not hide it."""
    watching = Watching("loss", at=(2,))
    make_trainer(
        callbacks=[watching], max_steps=3, per_device_train_batch_size=2, gradient_accumulation_steps=4
    ).train()

    assert watching.seen[1] is None
    assert watching.seen[2] == "loss"


def test_a_healthy_training_is_silent_and_the_same(make_trainer):
    """Twelve steps and three evaluations tell nothing, and the weights are those of a training not watched."""
    watching = Watching()
    watched = make_trainer(callbacks=[watching])
    watched.train()
    alone = make_trainer()
    alone.train()

    assert list(watching.seen.values()) == [None] * 12
    assert all(map(torch.equal, watched.model.parameters(), alone.model.parameters()))


class Model(nn.Module):
    """Returns the mean of `weight * batch` in the form asked for."""

    def __init__(self, form=lambda loss: loss) -> None:
        super().__init__()
        self.weight, self.form = nn.Parameter(torch.ones(2)), form

    def forward(self, batch):
        return self.form((self.weight * batch).mean())


def _step(model, optimizer, value: float, scaler=None) -> None:
    """Take a step whose loss and gradients are those of a batch of the value."""
    optimizer.zero_grad()
    loss = model(torch.full((2,), value))
    loss = loss["loss"] if isinstance(loss, dict) else getattr(loss, "loss", loss)
    if scaler is None:
        loss.backward()
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


def _sgd(model, **settings):
    return torch.optim.SGD(model.parameters(), lr=0.0, **settings)


FORMS = {
    "alone": lambda loss: loss,
    "in a dict": lambda loss: {"loss": loss},
    "as an attribute": lambda loss: SimpleNamespace(loss=loss),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_the_loss_is_found_in_each_form_of_output(form):
    """A loss returned alone, in a dict and as an attribute is looked at."""
    model = Model(form)
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    told = []
    for value in (1.0, NAN, 1.0):
        _step(model, optimizer, value)
        model.weight.data.fill_(1.0)
        told.append(watch.seen())

    assert told == [None, "loss", None]


def test_an_output_that_is_no_loss_is_left_alone():
    """Logits that hold an infinity are no loss."""
    model = nn.Linear(2, 2)
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    with torch.no_grad():
        model.bias.fill_(INF)
    model(torch.ones(3, 2)).isfinite().float()
    optimizer.step()

    assert watch.seen() is None


def test_forwards_that_do_not_train_are_left_alone():
    """A loss in evaluation, or without gradients, is not that of a step."""
    model = Model()
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    with torch.no_grad():
        model(torch.full((2,), NAN))
    model.eval()
    model(torch.full((2,), NAN))
    model.train()
    _step(model, optimizer, 1.0)

    assert watch.seen() is None


@pytest.mark.parametrize("fused", [True, False])
def test_a_step_the_scaler_skips_is_no_step(fused):
    """Scaled gradients that overflow are the scaler's own affair; the same optimizer's next step is looked at."""
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=fused)
    watch = NonFinite(model, optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)

    _step(model, optimizer, 10.0, scaler)
    assert (scaler.get_scale(), watch.seen()) == (2.0**126, None)
    scaler.update(1.0)
    _step(model, optimizer, NAN, scaler)
    assert watch.seen() is None
    _step(model, optimizer, 10.0, scaler)
    assert watch.seen() is None
    _step(model, optimizer, NAN)
    assert watch.seen() == "loss"


def test_a_step_with_a_closure_is_told_at_its_own_end():
    """Where forward and backward run inside the step, as in Lightning, the gradients of that step are looked at."""
    model = Model(lambda loss: [loss])
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)

    def closure(value):
        optimizer.zero_grad()
        (loss,) = model(torch.full((2,), value))
        loss.backward()
        return loss

    told = []
    for value in (1.0, INF, 1.0):
        optimizer.step(lambda value=value: closure(value))
        told.append(watch.seen())

    assert told == [None, "grad_norm", None]


def test_without_waiting_each_step_is_told_one_step_later():
    """As on a GPU: what step k found is told at the end of k + 1, in its order, and the last by one call more."""
    model = Model()
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    watch._deferred = True
    told = []
    for value in (1.0, NAN, 1.0, 1.0, INF):
        _step(model, optimizer, value)
        model.weight.data.fill_(1.0)
        told.append(watch.seen())

    assert told == [None, None, "loss", None, None]
    assert (watch.seen(), watch.seen()) == ("loss", None)


@pytest.mark.parametrize("deferred", [False, True])
def test_what_a_rollback_undid_is_not_told(deferred):
    """One fault is told once: neither the step after it nor one whose forward was made before the rollback is told."""
    model = Model()
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    watch._deferred = deferred
    told = []
    for value in (NAN, NAN) if deferred else (NAN,):
        _step(model, optimizer, value)
        told.append(watch.seen())
    assert told[-1] == "loss"
    model(torch.full((2,), NAN)).backward()
    watch.forget()
    optimizer.zero_grad()
    optimizer.step()
    model.weight.data.fill_(1.0)
    told = [watch.seen()]
    for _ in range(2):
        _step(model, optimizer, 1.0)
        told.append(watch.seen())

    assert told == [None] * 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("sync", "expected"), [(False, [None, None, "loss"]), (True, [None, "loss", None])])
def test_a_gpu_is_waited_for_only_where_asked(sync, expected):
    """On a GPU a step is told one step later, with `sync` at its own end."""
    model = Model().cuda()
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer, sync=sync)
    told = []
    for value in (1.0, NAN, 1.0):
        optimizer.zero_grad()
        model(torch.full((2,), value, device="cuda")).backward()
        optimizer.step()
        model.weight.data.fill_(1.0)
        told.append(watch.seen())

    assert told == expected


def test_sparse_and_missing_gradients_are_taken_as_they_are():
    """The values of a sparse gradient are looked at, and a parameter without one is passed over."""
    model = nn.Embedding(4, 2, sparse=True)
    model.unused = nn.Parameter(torch.ones(1))
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    told = []
    for value in (1.0, NAN):
        optimizer.zero_grad()
        (model(torch.tensor([1, 1, 2])) * value).sum().backward()
        optimizer.step()
        told.append(watch.seen())

    assert model.weight.grad.is_sparse
    assert told == [None, "grad_norm"]


def test_sharded_gradients_are_looked_at_where_they_lie(tmp_path: Path):
    """Of the gradients of FSDP the shard of this process is looked at."""
    init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        model = fully_shard(nn.Linear(2, 2), mesh=init_device_mesh("cpu", (1,)))
        optimizer = _sgd(model)
        watch = NonFinite(model, optimizer)
        told = []
        for value in (1.0, INF):
            model(torch.full((1, 2), value)).sum().backward()
            optimizer.step()
            told.append(watch.seen())
    finally:
        destroy_process_group()

    assert told == [None, "grad_norm"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_one_value_among_many_is_found(dtype, value):
    """One NaN or infinity in any precision is found; large finite values, whose norm exceeds float16, are not."""
    tensors = [torch.full((100,), 6e4, dtype=dtype), torch.ones(3), torch.empty(0)]
    assert not nonfinite(tensors, "cpu")
    tensors[0][57] = value
    assert nonfinite(tensors, "cpu")


def test_no_hook_is_left_after_release():
    """Released, it sees nothing more, and releasing again is harmless."""
    model = Model()
    optimizer = _sgd(model)
    watch = NonFinite(model, optimizer)
    watch.release()
    watch.release()
    _step(model, optimizer, NAN)

    assert watch.seen() is None
    assert (len(model._forward_hooks), len(optimizer._optimizer_step_post_hooks)) == (0, 0)


RANKS = """
from steersman.integrations.torch.nonfinite import NonFinite

dist.init_process_group("gloo")
rank = dist.get_rank()

class Model(torch.nn.Linear):
    def forward(self, batch):
        return super().forward(batch).mean()

for deferred in (False, True):
    model = Model(2, 1)  # no DistributedDataParallel: the gradients of the other rank are its own
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    watch = NonFinite(model, optimizer)
    watch._deferred = deferred
    seen = []
    for step in range(1, 5):
        optimizer.zero_grad()
        (model(torch.ones(1, 2)) * 1.0).backward()
        if rank == 1 and step == 2:
            loss = model(torch.full((1, 2), float("nan")))
        optimizer.step()
        seen.append(watch.seen())
    told[str(deferred)] = seen
"""


@pytest.mark.slow
def test_every_rank_tells_the_same_at_the_same_step(on_two_ranks):
    """A loss that is NaN on rank 1 alone is told on both ranks, at the same step, with the lag and without."""
    zero, one = on_two_ranks(RANKS)

    assert zero == one == {"False": [None, "loss", None, None], "True": [None, None, "loss", None]}
