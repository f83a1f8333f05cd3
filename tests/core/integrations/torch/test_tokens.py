"""The token count equals a recount of the sequences trained on."""

from __future__ import annotations

import copy
from threading import Thread
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import steersman
from steersman import Usage
from steersman.integrations.torch.token_batch import NO_IDS, NO_LABELS
from steersman.integrations.torch.tokens import TokenCount

PAD = 0


def _padded(make_rows, count: int) -> list[dict[str, torch.Tensor]]:
    """Return sequences of 4 to 15 tokens, padded on the right to 16."""
    made = []
    for i, row in enumerate(make_rows(count)):
        length = 4 + i % 12
        mask = (torch.arange(16) < length).long()
        labels = torch.where(mask.bool(), row["labels"], -100)
        made.append({"input_ids": row["input_ids"] * mask, "labels": labels, "attention_mask": mask})
    return made


LAYOUTS = {
    "as it comes": {},
    "accumulated gradients": {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "an evaluation at every step": {"eval_steps": 1, "eval_on_start": True},
    "nothing logged before the end": {"logging_strategy": "no"},
    "a last batch that is short": {"per_device_train_batch_size": 7},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_the_total_is_a_recount(make_trainer, make_rows, journal, layout):
    """Padding is left out, each sequence of three epochs counts once, and evaluations do not count."""
    data = _padded(make_rows, 32)
    trainer = make_trainer(parts={"train_dataset": data}, **layout)
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == 3 * sum(int(row["attention_mask"].sum()) for row in data)
    assert ledger["backpropagation_samples"] == 3 * len(data)
    assert ledger["backpropagation_seconds"] > 0


def test_it_is_the_count_of_the_trainer_itself(make_trainer, make_rows, journal):
    """The total is that of the Trainer's own `include_num_input_tokens_seen`."""
    trainer = make_trainer(parts={"train_dataset": _padded(make_rows, 32)}, include_num_input_tokens_seen="non_padding")
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == trainer.state.num_input_tokens_seen > 0


def test_without_a_mask_every_position_counts(make_model, make_rows):
    """A batch without an attention mask, as packing makes it, counts whole; a forward without gradients does not."""
    model = make_model()
    count = TokenCount(model)
    ids = torch.stack([row["input_ids"] for row in make_rows(5)])

    model.train()
    model(input_ids=ids)
    with torch.no_grad():
        model(input_ids=ids)
    model.eval()
    model(input_ids=ids)

    usage = count.take()
    assert (usage.ledger, usage.tokens, usage.input_tokens, usage.samples) == ("backpropagation", 80, 80, 5)
    assert count.take() == Usage("backpropagation")


def test_it_stops_when_released(make_model, make_rows):
    """After release nothing is counted and no hook is left on the model."""
    model = make_model()
    count = TokenCount(model)
    count.release()
    model.train()

    model(input_ids=torch.stack([row["input_ids"] for row in make_rows(2)]))

    assert count.take() == Usage("backpropagation")
    assert len(model._forward_pre_hooks) == 0


def test_what_was_pending_is_taken_over(make_model, make_rows):
    """What a checkpoint holds as counted and not yet logged is added once to the count of the resumed run."""
    model = make_model()
    count = TokenCount(model)
    count.resume({"tokens": 100, "samples": 7, "seconds": 1.5})
    model.train()
    model(input_ids=torch.stack([row["input_ids"] for row in make_rows(2)]))

    assert (count.pending().tokens, count.pending().seconds) == (100, 1.5)
    count.stop()
    assert count.pending().tokens == 100 + 2 * 16
    usage = count.take()
    assert (usage.tokens, usage.samples, usage.seconds) == (132, 9, pytest.approx(1.5, abs=0.5))
    assert count.take() == Usage("backpropagation")


def test_a_checkpoint_carries_whole_steps(make_model, make_rows):
    """What a step that is not over has counted is left out of a checkpoint: the resumed run makes that step again."""
    model = make_model()
    count = TokenCount(model)
    model.train()
    batch = torch.stack([row["input_ids"] for row in make_rows(2)])
    model(input_ids=batch, attention_mask=torch.ones_like(batch))
    count.stop()
    model(input_ids=batch, attention_mask=torch.ones_like(batch))

    assert (count.pending().tokens, count.pending().samples) == (2 * 16, 2)
    usage = count.take()
    assert (usage.tokens, usage.samples) == (2 * 2 * 16, 4)
    assert count.pending().tokens == 0


def test_every_count_is_taken_over_and_carried(make_model, make_rows):
    """Two rows of 16 add 32 tokens and 2 x 15 with loss to each count of a saved state; what it lacks was 0."""
    count = TokenCount(model := make_model())
    count.resume({"tokens": 1, "input_tokens": 20, "loss_tokens": 300, "samples": 4000, "unknown": 5, "rates": {}})
    count.resume({"tokens": 100})
    rows = make_rows(2)
    model.train()
    model(input_ids=torch.stack([r["input_ids"] for r in rows]), labels=torch.stack([r["labels"] for r in rows]))
    count.step_ended()

    for usage in (count.pending(), count.take()):
        assert (usage.tokens, usage.input_tokens, usage.loss_tokens) == (101 + 32, 20 + 32, 300 + 30)
        assert (usage.samples, usage.unknown) == (4002, 5)


class Positional(torch.nn.Module):
    """A model whose forward is called with positions; it has a name for each."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> torch.Tensor:
        return self.weight


class Wrapper(torch.nn.Module):
    """A wrapper that names nothing, as those of torch do."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


@pytest.mark.parametrize("wrappers", [0, 1, 2])
def test_positional_arguments_are_bound_by_the_signature(wrappers):
    """Two rows of 3 places with 4 tokens and 3 labels, given by position, also through wrappers."""
    model: torch.nn.Module = Positional()
    for _ in range(wrappers):
        model = Wrapper(model)
    count = TokenCount(model)
    ids, mask = torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 1], [1, 0, 0]])

    model(ids, mask, labels=torch.where(mask.bool(), ids, -100))
    model(ids, mask, torch.tensor([[-100, -100, 1], [-100, -100, -100]]))

    usage = count.take()
    assert (usage.input_tokens, usage.tokens, usage.loss_tokens, usage.samples) == (12, 8, 4 + 1, 4)
    assert count.notes() == ()


def test_a_batch_may_be_the_one_argument():
    """A mapping given as the first argument is the batch."""

    class Whole(Positional):
        def forward(self, batch: Any) -> torch.Tensor:  # type: ignore[override]
            return self.weight

    count = TokenCount(model := Whole())
    model({"input_ids": torch.ones(2, 3), "labels": torch.tensor([1, 0])})

    usage = count.take()
    assert (usage.tokens, usage.loss_tokens, usage.samples) == (6, 2, 2)


def test_what_is_not_known_is_said_once(make_model):
    """Two batches without ids are 4 samples and 2 unknown; one sentence tells it, and each further thing has its own."""
    count = TokenCount(model := torch.nn.Linear(3, 1))

    model(torch.ones(2, 3))
    first = count.notes()
    model(torch.ones(2, 3))
    count.add({"input_ids": torch.ones(2, 3)})

    usage = count.take()
    assert (usage.samples, usage.unknown, usage.tokens, usage.input_tokens) == (6, 2, 6, 6)
    assert first == (NO_IDS,)
    assert count.notes() == (NO_LABELS,)
    assert count.notes() == ()


def test_a_batch_that_cannot_be_read_never_raises():
    """Batches that break the count are unknown, the first is told with its error, and what follows counts."""
    count = TokenCount(model := Positional())
    ragged = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])

    model(ragged)
    model(input_ids=torch.zeros(()), labels=torch.zeros(()))
    model(torch.ones(2, 3), labels=torch.ones(2))

    usage = count.take()
    assert (usage.unknown, usage.tokens, usage.samples, usage.loss_tokens) == (2, 6, 2, 2)
    (note,) = count.notes()
    assert note.startswith("the tokens of a batch could not be counted: RuntimeError(")


def test_a_signature_that_cannot_be_read_never_raises():
    """Where a forward does not tell its names, a positional batch is unknown and the forward runs."""
    model = Positional()
    model.forward = type("Hidden", (), {"__signature__": "none", "__call__": lambda self, ids: ids})()
    count = TokenCount(model)

    assert model(torch.ones(2, 3)).shape == (2, 3)
    assert count.take().unknown == 1


@pytest.mark.parametrize(("hooks", "loss_tokens"), [(True, 45), (False, 15)])
def test_a_model_that_is_not_hooked_still_tells_how_it_takes_labels(make_model, make_rows, hooks, loss_tokens):
    """`add` leaves out the first of 16 labels for a causal model inside a module; only a hook counts its forwards."""
    model = Wrapper(make_model())
    count = TokenCount(model, hooks=hooks)
    (row,) = make_rows(1)
    batch = {name: tensor[None] for name, tensor in row.items()}

    model(**batch)
    model(**batch)
    count.add(batch)

    assert count.take().loss_tokens == loss_tokens


class Seen(TorchDispatchMode):
    """Lists the operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_a_forward_is_counted_without_a_read_and_in_few_operations(make_rows):
    """Three operations count a padded batch and none of them reads; a forward that trains nothing costs none."""
    count = TokenCount(model := Positional())
    ids = torch.stack([row["input_ids"] for row in make_rows(2)])
    model(ids, torch.ones_like(ids), ids)

    with Seen() as seen:
        model(ids, torch.ones_like(ids), ids)
    with Seen() as idle, torch.no_grad():
        model(ids, ids, ids)
    model.eval()
    with idle:
        model(ids, ids, ids)

    counting = [name for name in seen.names if "ones_like" not in name]
    assert counting == ["aten.count_nonzero.default", "aten.ne.Scalar", "aten.count_nonzero.default"]
    assert idle.names == []
    assert count.take().tokens == 2 * 2 * 16


def test_batches_on_the_meta_device_are_counted_up_to_the_read():
    """On a device that cannot be read, many forwards and steps raise nothing and note nothing; taking them does."""
    count = TokenCount(model := Positional())
    ids = torch.ones(2, 3, dtype=torch.long, device="meta")

    for _ in range(3):
        model(ids, ids, labels=ids)
        count.stop()

    assert count.notes() == ()
    with pytest.raises(NotImplementedError):
        count.take()


def test_a_count_that_is_taken_in_many_parts_loses_nothing():
    """Steps of one to six rows, taken after every second: the parts are 2 x 3, 2 x 7 and 2 x 11 tokens."""
    count = TokenCount(model := Positional())
    parts = []
    for rows in range(1, 7):
        ids = torch.ones(rows, 2, dtype=torch.long)
        model(ids, ids, ids)
        count.stop()
        if rows % 2 == 0:
            assert count.pending().tokens == 2 * (2 * rows - 1)
            parts.append(count.take())

    assert [(p.tokens, p.input_tokens, p.loss_tokens, p.samples) for p in parts] == [
        (6, 6, 6, 3), (14, 14, 14, 7), (22, 22, 22, 11),
    ]  # fmt: skip
    assert count.take() == Usage("backpropagation")


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("hooked", ["before", "after", "inside"])
def test_a_compiled_model_stays_one_graph(hooked, backend):
    """Five calls of 2 x 3 tokens count, wherever the hook is, and the model is one graph as without it."""

    class Layers(Positional):
        def forward(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> torch.Tensor:
            return (self.weight * input_ids).sum()

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = Layers()
    before = TokenCount(model) if hooked == "before" else None
    compiled: Any = torch.compile(model, backend=backend)
    count = before or TokenCount(compiled if hooked == "after" else model)
    ids, mask = torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 0], [1, 0, 0]])

    for i in range(5):
        compiled(ids, mask, labels=ids).backward()
        assert model.weight.grad == 6 * (i + 1)

    assert [(u.input_tokens, u.tokens, u.loss_tokens, u.samples) for u in [count.take()]] == [(30, 15, 30, 10)]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    torch._dynamo.reset()


def test_a_count_that_begins_in_inference_mode_goes_on_outside():
    """A first batch of 6 tokens added where torch keeps no graph and a second outside are 12."""
    count = TokenCount()
    batch = {"input_ids": torch.ones(2, 3), "attention_mask": torch.ones(2, 3), "labels": torch.ones(2)}

    with torch.inference_mode():
        count.add(batch)
    count.add(batch)

    usage = count.take()
    assert (usage.tokens, usage.unknown) == (12, 0)


def test_a_copy_of_the_model_counts_nothing_and_can_be_saved(tmp_path):
    """A deep copy, as for a reference model, and a model read back from a file run, and add nothing to the 6 tokens."""
    count = TokenCount(model := Positional())
    ids = torch.ones(2, 3)
    model(ids)

    copied = copy.deepcopy(model)
    torch.save(model, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)

    assert copied(ids) == loaded(ids) == model.weight
    assert count.take().tokens == 6


def test_threads_that_share_a_model_lose_nothing():
    """Four threads of 300 forwards of 6 tokens each, as replicas on several devices run, come to 7200."""
    count = TokenCount(model := Positional())
    ids = torch.ones(2, 3)

    def forwards() -> None:
        for _ in range(300):
            model(ids, ids, ids.long())

    threads = [Thread(target=forwards) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    usage = count.take()
    assert (usage.tokens, usage.input_tokens, usage.loss_tokens, usage.samples) == (7200, 7200, 7200, 2400)


def test_a_count_that_is_long_not_read_is_added_up_on_the_device():
    """A thousand forwards of 6 tokens hold at most 128 numbers, and what a step's end has seen stays 500 x 6."""
    count = TokenCount(model := Positional())
    ids = torch.ones(2, 3, dtype=torch.long)

    for i in range(1000):
        model(ids, ids, ids)
        assert len(count._sums.parts) <= 128
        if i == 499:
            count.step_ended()

    assert (count.pending().tokens, count.pending().loss_tokens) == (3000, 3000)
    usage = count.take()
    assert (usage.tokens, usage.loss_tokens, usage.samples) == (6000, 6000, 2000)
