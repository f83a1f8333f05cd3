"""In the Trainer every step computes with exactly factor x the rate of the run without Steersman."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2LMHeadModel, TrainerCallback

import steersman

NEVER_BETTER = {"patience": 0, "threshold": 100.0, "threshold_mode": "abs"}
SCHEDULERS = {
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {"num_cycles": 3},
    "polynomial": {"lr_end": 1e-5, "power": 2.0},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {},
    "cosine_with_min_lr": {"min_lr": 1e-4},
    "cosine_warmup_with_min_lr": {"min_lr": 1e-4, "warmup_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 5},
    "reduce_lr_on_plateau": {**NEVER_BETTER, "min_lr": 3e-4},
    "greedy": {**NEVER_BETTER, "min_lr": 9e-4},
}
GROUPS = 2  # the Trainer keeps parameters with and without weight decay apart


def _steered(schedule: list[float], *, steps: int = 12, cuts: dict[int, float]) -> list[float]:
    """Return the schedule with a factor after each step of `cuts`, in each run of so many steps."""
    factors, factor = [], 1.0
    for step in range(1, steps + 1):
        factors += [factor] * GROUPS
        factor *= cuts.get(step, 1.0)
    runs = len(schedule) // len(factors)
    return [used * factor for used, factor in zip(schedule, factors * runs, strict=True)]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_of_the_trainer(make_trainer, act, cut, rates_used, name):
    """Cut after steps 4 and 8: the run uses the schedule, half of it, and a quarter of it, bit for bit."""
    settings = {"lr_scheduler_type": name, "lr_scheduler_kwargs": SCHEDULERS[name], "warmup_steps": 3}
    make_trainer(name="plain", **settings).train()
    schedule, rates_used[:] = list(rates_used), []

    trainer = make_trainer(name="steered", **settings)
    steersman.supervise(trainer, act(cut(at=(4, 8))))
    trainer.train()

    assert len(set(schedule)) > 1 or name == "constant"
    assert rates_used == _steered(schedule, cuts={4: 0.5, 8: 0.5})


def test_accumulated_gradients(make_trainer, act, rates_used):
    """With accumulated gradients the factor acts on real steps, from the one after the decision."""
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4, "lr_scheduler_type": "cosine"}
    make_trainer(name="plain", **settings).train()
    schedule, rates_used[:] = list(rates_used), []

    trainer = make_trainer(name="steered", **settings)
    steersman.supervise(trainer, act())
    trainer.train()

    assert len(rates_used) == 12 * GROUPS
    assert rates_used == _steered(schedule, cuts={4: 0.5})


def test_training_twice(make_trainer, act, rates_used):
    """A second `train()` on the same optimizer begins at the user's own rate and is steered anew, once."""
    plain = make_trainer(name="plain")
    plain.train()
    plain.train()
    schedule, rates_used[:] = list(rates_used), []

    trainer = make_trainer(name="steered")
    steersman.supervise(trainer, act())
    trainer.train()
    trainer.train()

    assert len(schedule) == 2 * 12 * GROUPS
    assert rates_used == _steered(schedule, cuts={4: 0.5})


class _OutOfMemory(TrainerCallback):
    """Makes the sixth step of a run fail as a GPU out of memory does: once, in the forward or while it steps."""

    def __init__(self, where: str) -> None:
        self.where, self.is_due = where, True

    def on_step_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        if self.is_due and state.global_step == 5:
            self.is_due = False
            stepped = optimizer.optimizer
            register = model.register_forward_pre_hook if self.where == "forward" else stepped.register_step_pre_hook
            handle = register(lambda *_: fail())

            def fail() -> None:
                handle.remove()
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("where", ["forward", "step"])
def test_a_batch_size_that_is_found(make_trainer, act, journal, rates_used, where):
    """After `auto_find_batch_size` starts over, nothing of the first attempt's factor is left, and none acts twice."""
    settings = {"auto_find_batch_size": True, "lr_scheduler_type": "cosine", "max_steps": 12}
    make_trainer(name="plain", callbacks=[_OutOfMemory(where)], **settings).train()
    schedule, rates_used[:] = list(rates_used), []

    trainer = make_trainer(name="steered", callbacks=[_OutOfMemory(where)], **settings)
    steersman.supervise(trainer, act())
    trainer.train()

    failed = 5 * GROUPS
    assert len(schedule) == failed + 12 * GROUPS
    assert rates_used[:failed] == _steered(schedule[:failed], steps=5, cuts={4: 0.5})
    assert rates_used[failed:] == _steered(schedule[failed:], cuts={4: 0.5})
    assert [len(hooks) for hooks in _hooks(trainer)] == [0, 0]
    assert [group["lr"] for group in trainer.optimizer.param_groups] == trainer.lr_scheduler.get_last_lr()


def _hooks(trainer):
    inner = trainer.optimizer.optimizer
    return inner._optimizer_step_pre_hooks, inner._optimizer_step_post_hooks


class _CutsOneGroup(TrainerCallback):
    """Halves the rate of the parameters without weight decay after step 4, as the supervisor would."""

    def __init__(self) -> None:
        self.supervised: steersman.SteersmanCallback | None = None

    def on_step_begin(self, args, state, control, **kwargs):
        assert self.supervised is not None
        registry = self.supervised.session.supervisor.registry
        if state.global_step == 4 and registry.view("learning_rate[1]").factor == 1.0:
            assert registry.write("learning_rate[1]", registry.get("learning_rate[1]").value * 0.5, 0.5).error == ""


def test_one_group_is_cut_and_resumed(make_trainer, act, cut, rates_used):
    """A group's own factor acts beside that of all, is in the checkpoint, and after a resume acts once."""
    settings = {"lr_scheduler_type": "cosine"}
    make_trainer(name="plain", **settings).train()
    schedule, rates_used[:] = list(rates_used), []
    for resume in (None, True):
        cuts = _CutsOneGroup()
        trainer = make_trainer(name="steered", callbacks=[cuts, *([] if resume else [_StopsAt(9)])], **settings)
        cuts.supervised = steersman.supervise(trainer, act(cut(at=(8,))))
        trainer.train(resume_from_checkpoint=resume)

    both = [used * factor for used, factor in zip(schedule, [1, 1] * 4 + [1, 0.5] * 4 + [0.5, 0.25] * 4, strict=True)]
    assert rates_used == both[: 9 * GROUPS] + both[8 * GROUPS :]


class _StopsAt(TrainerCallback):
    """Ends the run after a step, without a checkpoint of its own."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == self.step


class _NamedGroups(torch.optim.AdamW):
    """The body and the head of the model as groups of their own names."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        norm = {id(parameter) for parameter in model.transformer.ln_f.parameters()}
        groups = [[p for p in model.parameters() if (id(p) in norm) is is_head] for is_head in (False, True)]
        named = zip(("body", "head"), (1e-3, 5e-3), groups, strict=True)
        super().__init__([{"name": name, "lr": lr, "params": group} for name, lr, group in named])


def test_groups_are_called_by_their_names(make_trainer, make_model, act, journal):
    """At train begin each group is told by its name, with its own rate; the log tells the rate really used."""
    model = make_model()
    trainer = make_trainer(model=model, parts={"optimizers": (_NamedGroups(model), None)}, lr_scheduler_type="constant")
    steersman.supervise(trainer, act())
    trainer.train()

    told = journal(trainer, "run")[0].data["hyperparameters"]
    rates = {h["name"]: h["value"] for h in told if h["name"].startswith("learning_rate")}
    assert rates == {"learning_rate": 1e-3, "learning_rate[body]": 1e-3, "learning_rate[head]": 5e-3}
    assert [e["learning_rate"] for e in trainer.state.log_history if "loss" in e] == [1e-3] * 2 + [5e-4] * 4
