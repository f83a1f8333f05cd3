"""A tiny GPT-2 of letters under the Trainer of Hugging Face, on the texts that every Python ships."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import frozen

from steersman_bench.steer.tasks.language import LETTERS, text
from steersman_bench.steer.tasks.supervised import seeded
from steersman_bench.steer.trainers.case import Trained, Ways
from steersman_bench.steer.trainers.setting import SETTINGS, scheduled

torch, transformers = map(import_module, ("torch", "transformers"))
_Trainer: Any = transformers.Trainer
STEPS, EVAL_EVERY, _LENGTH, _BATCH = 200, 10, 16, 16
_TRAIN, _VALIDATION, _TEST = 640, 128, 512  # five epochs
Rows = list[dict[str, Any]]


def _sound(step: int) -> float:
    return 1.0


@frozen(kw_only=True)
class Letters:
    """How the model is trained. `rate` is what the learning rate of a step is multiplied by, None the Trainer's own
    linear schedule after `warmup` steps; `loss` what the loss of a step is multiplied by: a fault.
    """

    rate: Callable[[int], float] | None = None
    warmup: int = 0
    loss: Callable[[int], float] = _sound
    lr: float = 3e-3


class _Faulty(_Trainer):  # type: ignore[misc]
    """Multiplies the loss of a training step by what the fault makes of it; steps are counted from 1."""

    fault: Callable[[int], float] = staticmethod(_sound)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss, as the Trainer does."""
        trainer: Any = super()
        made = trainer.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return made * self.fault(self.state.global_step + 1) if model.training and not return_outputs else made


def letters(seed: int, of: Letters, ways: Ways) -> Trained:
    """Return the Trainer of 200 steps, and the mean loss on stretches of a part of the text of their own."""
    train, validation, test = (
        _rows(seed, *each) for each in ((_TRAIN, 0, 0.8), (_VALIDATION, 0.8, 0.9), (_TEST, 0.9, 1))
    )
    transformers.set_seed(seed)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=LETTERS, n_positions=_LENGTH, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, loss_type="ForCausalLMLoss",
        )
    )  # fmt: skip
    arguments = transformers.TrainingArguments(
        output_dir=str(ways.folder), max_steps=STEPS, per_device_train_batch_size=_BATCH, learning_rate=of.lr,
        per_device_eval_batch_size=_VALIDATION, eval_steps=EVAL_EVERY, save_steps=EVAL_EVERY, weight_decay=0.01,
        lr_scheduler_type="linear", warmup_steps=of.warmup, max_grad_norm=ways.clip,
        load_best_model_at_end=ways.load_best, seed=seed, **SETTINGS,
    )  # fmt: skip
    optimizers: tuple[Any, Any] = (None, None)
    if (rate := of.rate) is not None:
        optimizer = torch.optim.AdamW(model.parameters(), of.lr, weight_decay=0.01)
        optimizers = optimizer, scheduled(optimizer, rate)
    trainer = _Faulty(model, arguments, train_dataset=train, eval_dataset=validation, optimizers=optimizers)
    trainer.fault = of.loss
    trainer.remove_callback(transformers.PrinterCallback)
    return Trained(trainer, lambda: _mean_loss(model, test))


def _rows(seed: int, count: int, begin: float, end: float) -> Rows:
    """Return stretches that begin anywhere in a part of the text."""
    whole = text()
    span = int((end - begin) * len(whole)) - _LENGTH
    starts = int(begin * len(whole)) + torch.randint(span, (count,), generator=seeded(seed, f"rows from {begin}"))
    ids = whole[starts[:, None] + torch.arange(_LENGTH)]
    return [{"input_ids": row, "labels": row} for row in ids]


def _mean_loss(model: Any, rows: Rows) -> float:
    ids = torch.stack([row["input_ids"] for row in rows])
    was_training = model.training
    model.eval()
    with torch.no_grad():
        loss = float(model(input_ids=ids, labels=ids).loss)
    model.train(was_training)
    return loss
