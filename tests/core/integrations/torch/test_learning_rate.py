"""The factor on the learning rate: exact whatever the scheduler, and gone when it is released."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from accelerate import Accelerator
from transformers import get_scheduler
from transformers.optimization import Adafactor, GreedyLR

from steersman.integrations.torch.learning_rate import LearningRate, innermost, learning_rates, why_unsupported

STEPS, CUT_AFTER, FACTOR = 16, 5, 0.8

OF_THE_TRAINER = {
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {"num_cycles": 3},
    "polynomial": {"lr_end": 1e-5, "power": 2.0},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {},
    "cosine_with_min_lr": {"min_lr": 1e-4},
    "cosine_warmup_with_min_lr": {"min_lr": 1e-4},
    "warmup_stable_decay": {"num_decay_steps": 5},
    "reduce_lr_on_plateau": {"patience": 1, "min_lr": 1e-4},
    "greedy": {"patience": 1, "min_lr": 1e-4},
}


def _trainers(name: str) -> Callable[..., object]:
    def make(optimizer: torch.optim.Optimizer) -> object:
        return get_scheduler(name, optimizer, 3, STEPS, scheduler_specific_kwargs=dict(OF_THE_TRAINER[name]))

    return make


SCHEDULERS: dict[str, Callable[..., object]] = {
    **{name: _trainers(name) for name in OF_THE_TRAINER},
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=2e-3, total_steps=STEPS + 1),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=6),
    "CosineAnnealingLR with a floor": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=6, eta_min=3e-4),
    "CosineAnnealingWarmRestarts": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4, eta_min=3e-4),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 1e-4, 2e-3, step_size_up=3, cycle_momentum=False),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "MultiplicativeLR": lambda o: torch.optim.lr_scheduler.MultiplicativeLR(o, lambda step: 0.95),
    "MultiStepLR": lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [3, 7], 0.3),
    "ConstantLR": lambda o: torch.optim.lr_scheduler.ConstantLR(o, 0.5, 7),
    "LinearLR": lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 9),
    "PolynomialLR": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, STEPS, 2.0),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, "min", 0.3, 1, min_lr=2e-4),
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 4, 0.5),
    "ExponentialLR": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 4), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
        milestones=[4],
    ),
    "ChainedScheduler": lambda o: torch.optim.lr_scheduler.ChainedScheduler(
        [torch.optim.lr_scheduler.ConstantLR(o, 0.1, 4), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "a formula of the user's own": lambda o: _Own(o),
}


class _Own(torch.optim.lr_scheduler.LRScheduler):
    def get_lr(self):
        return [1e-3 / (1 + self.last_epoch) for _ in self.optimizer.param_groups]


def _optimizer(*, groups: int = 1, lr: float | torch.Tensor = 1e-3) -> torch.optim.AdamW:
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3)) for _ in range(groups)]
    settings = [{"params": [p]} if i == 0 else {"params": [p], "lr": 1e-2 * i} for i, p in enumerate(parameters)]
    return torch.optim.AdamW(settings, lr=lr, foreach=False if isinstance(lr, torch.Tensor) else None)


def _steps(optimizer: torch.optim.Optimizer, scheduler: object = None, count: int = STEPS, between=lambda step: None):
    plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau | GreedyLR)
    for step in range(1, count + 1):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        if plateau:
            scheduler.step(1.0)  # never better: it reduces
        elif scheduler is not None:
            scheduler.step()
        between(step)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_rate_is_exactly_the_factor_times_the_schedule(name, rates_used):
    """After the change every step computes with exactly factor x what the untouched schedule gives, in every group."""
    plain = _optimizer(groups=2)
    _steps(plain, SCHEDULERS[name](plain))
    schedule, rates_used[:] = list(rates_used), []

    optimizer = _optimizer(groups=2)
    rate = LearningRate(optimizer)
    scheduler = SCHEDULERS[name](optimizer)
    _steps(optimizer, scheduler, between=lambda step: step == CUT_AFTER and rate.write(0.0, FACTOR))

    before, after = schedule[: 2 * CUT_AFTER], schedule[2 * CUT_AFTER :]
    assert len(set(schedule)) > 2 or name == "constant"
    assert rates_used == before + [used * FACTOR for used in after]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_group_has_a_factor_of_its_own(name, rates_used):
    """A group computes with exactly (factor of all x its own) x its schedule, and `learning_rate[i]` reads just that."""
    plain = _optimizer(groups=2)
    _steps(plain, SCHEDULERS[name](plain))
    schedule, rates_used[:] = list(rates_used), []

    optimizer, read = _optimizer(groups=2), []
    handles = {entry.name: entry.handle for entry in learning_rates(optimizer).values()}
    scheduler = SCHEDULERS[name](optimizer)

    def change(step: int) -> None:
        if step == CUT_AFTER:
            handles["learning_rate[1]"].write(0.0, 0.3)
        if step == 2 * CUT_AFTER:
            handles["learning_rate"].write(0.0, FACTOR)
        read.extend(handles[f"learning_rate[{i}]"].read() for i in range(2))

    _steps(optimizer, scheduler, between=change)

    factors = [1.0, 1.0] * CUT_AFTER + [1.0, 0.3] * CUT_AFTER + [FACTOR, FACTOR * 0.3] * (STEPS - 2 * CUT_AFTER)
    assert rates_used == [used * factor for used, factor in zip(schedule, factors, strict=True)]
    assert read[:-2] == rates_used[2:], "what was read after a step is what the next one used"


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name != "greedy"])  # GreedyLR makes it a float
def test_a_rate_in_a_tensor_is_as_exact(name, rates_used):
    """Where torch keeps the rate in a float32 tensor, the tensor times the factor is used, for every scheduler."""
    plain = _optimizer(lr=torch.tensor(1e-3))
    _steps(plain, SCHEDULERS[name](plain))
    schedule, rates_used[:] = list(rates_used), []

    optimizer = _optimizer(lr=torch.tensor(1e-3))
    rate = LearningRate(optimizer)
    scheduler = SCHEDULERS[name](optimizer)
    rate.restore(FACTOR)
    _steps(optimizer, scheduler)

    assert rates_used == [float(torch.tensor(used) * FACTOR) for used in schedule]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_states_never_hold_the_factor(name):
    """Optimizer and scheduler states, as a checkpoint would hold them, are those of the untouched run at each step."""

    def states(factor: float) -> list[str]:
        optimizer, seen = _optimizer(), []
        rate = LearningRate(optimizer)
        scheduler = SCHEDULERS[name](optimizer)
        rate.restore(factor)

        def note(step: int) -> None:
            seen.append(str((optimizer.state_dict()["param_groups"], scheduler.state_dict())))

        _steps(optimizer, scheduler, between=note)
        return seen

    assert states(FACTOR) == states(1.0)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_resumed_optimizer_goes_on_exactly(name, rates_used):
    """A new optimizer and scheduler, loaded from state and given the factor once, go on at the same rates."""
    straight = _optimizer()
    rate = LearningRate(straight)
    scheduler = SCHEDULERS[name](straight)
    rate.restore(FACTOR)
    saved = []
    _steps(
        straight,
        scheduler,
        between=lambda step: step == 8 and saved.extend(copy.deepcopy([straight.state_dict(), scheduler.state_dict()])),
    )
    expected, rates_used[:] = rates_used[8:], []

    resumed = _optimizer()
    scheduler = SCHEDULERS[name](resumed)
    resumed.load_state_dict(saved[0])
    scheduler.load_state_dict(saved[1])
    rate = LearningRate(resumed)
    rate.restore(FACTOR)
    rate.restore(FACTOR)  # twice is once
    _steps(resumed, scheduler, count=STEPS - 8)

    assert rates_used == expected


@pytest.mark.parametrize("groups", [1, 3])
def test_a_tensor_rate_stays_its_own_tensor(groups, rates_used):
    """A rate kept in a tensor is scaled in place, once, even where torch gives several groups the same tensor."""
    shared = torch.tensor(1e-3)
    parameters = [torch.nn.Parameter(torch.randn(2)) for _ in range(groups)]
    optimizer = torch.optim.AdamW([{"params": [p]} for p in parameters], lr=shared, foreach=False, capturable=False)
    tensors = [id(group["lr"]) for group in optimizer.param_groups]
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.25)

    _steps(optimizer, count=2)

    assert rates_used == [pytest.approx(0.25e-3)] * 2 * groups
    assert [id(group["lr"]) for group in optimizer.param_groups] == tensors
    assert [float(group["lr"]) for group in optimizer.param_groups] == [pytest.approx(1e-3)] * groups
    assert rate.read() == pytest.approx(0.25e-3)


def test_groups_without_a_rate_are_left_alone():
    """Adafactor's own rate (`lr` None) is not touched in its group, and a rate beside it is scaled."""
    one, other = (torch.nn.Parameter(torch.randn(2)) for _ in range(2))
    optimizer = Adafactor(
        [{"params": [one]}, {"params": [other], "lr": 1e-3, "relative_step": False}], scale_parameter=False
    )
    seen = []
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    optimizer.register_step_pre_hook(lambda o, a, k: seen.append([group["lr"] for group in o.param_groups]))

    _steps(optimizer, count=1)

    assert seen == [[None, 5e-4]]
    assert [group["lr"] for group in optimizer.param_groups] == [None, 1e-3]
    assert rate.read() == 5e-4


class _Fails(torch.optim.SGD):
    fails = True

    def step(self, closure=None):
        self.seen = [group["lr"] for group in self.param_groups]
        if self.fails:
            raise RuntimeError("out of memory")
        return super().step(closure)


def test_a_step_that_raises_applies_no_factor_twice():
    """After a step that raised, the next computes with the factor once, and leaves the user's rate."""
    optimizer = _Fails([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step()
    optimizer.fails = False

    optimizer.step()

    assert optimizer.seen == [0.5]
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_release_after_a_step_that_raised_puts_the_rate_back():
    """Released after a step that raised, nothing of the factor is left."""
    optimizer = _Fails([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    with pytest.raises(RuntimeError, match="out of memory"):
        optimizer.step()

    rate.release()

    assert optimizer.param_groups[0]["lr"] == 1.0


def test_nothing_is_left_after_release(rates_used):
    """After release the user's own rate is used, no hook is left on the optimizer, and releasing again is harmless."""
    optimizer = _optimizer()
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    _steps(optimizer, count=1)

    rate.release()
    rate.release()

    _steps(optimizer, count=1)
    assert rates_used == [5e-4, 1e-3]
    assert [len(hook) for hook in hooks] == [0, 0]
    assert "steersman" not in str(optimizer.state_dict()).lower()


def test_changes_multiply_and_are_undone_by_dividing(rates_used):
    """Two changes multiply, and the inverse of both leads back to the schedule."""
    optimizer = _optimizer()
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    rate.write(0.0, 0.5)
    _steps(optimizer, count=1)
    rate.write(0.0, 4.0)
    _steps(optimizer, count=1)

    assert rates_used == [2.5e-4, 1e-3]


def test_group_dicts_that_are_replaced_are_followed(rates_used):
    """`load_state_dict` gives the optimizer new group dicts; the factor acts on those."""
    optimizer = _optimizer(groups=2)
    rate = LearningRate(optimizer)
    rate.write(0.0, 0.5)
    optimizer.load_state_dict(optimizer.state_dict())

    _steps(optimizer, count=1)

    assert rates_used == [5e-4, 5e-3]


def test_the_wrapper_of_accelerate_is_taken_off(rates_used):
    """Hooks go on the optimizer inside AcceleratedOptimizer, which has no hooks of its own."""
    wrapped = Accelerator(cpu=True).prepare(_optimizer())
    assert not hasattr(wrapped, "_optimizer_step_pre_hooks")
    rate = LearningRate(wrapped)
    rate.write(0.0, 0.5)

    _steps(wrapped, count=1)

    assert isinstance(innermost(wrapped), torch.optim.AdamW)
    assert rates_used == [5e-4]
    assert rate.read() == 5e-4


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("name", ["linear", "OneCycleLR", "SequentialLR", "a formula of the user's own"])
def test_a_loop_of_accelerate_is_as_exact(name, accumulate, rates_used):
    """In a loop of Accelerate, AcceleratedScheduler and accumulated gradients too, the rate is factor x the schedule."""

    def train(factor: float) -> list[float]:
        rates_used.clear()
        accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
        model = torch.nn.Linear(3, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        scheduler = SCHEDULERS[name](optimizer)
        model, optimizer, scheduler = accelerator.prepare(model, optimizer, scheduler)
        rate = LearningRate(optimizer)
        for micro_step in range(12):
            if micro_step == 6:
                rate.write(0.0, factor)
            with accelerator.accumulate(model):
                accelerator.backward(model(torch.ones(2, 3)).sum())
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        rate.release()
        return list(rates_used)

    schedule, steered = train(1.0), train(FACTOR)

    assert len(schedule) == 12 // accumulate
    before = len(schedule) // 2
    assert steered == schedule[:before] + [used * FACTOR for used in schedule[before:]]


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_grad_scaler_skips(fused, rates_used):
    """A step skipped for an overflow uses no rate and loses no factor; the next uses factor x the schedule."""

    def train(factor: float) -> tuple[list[float], list[torch.Tensor]]:
        rates_used.clear()
        parameter = torch.nn.Parameter(torch.ones(2))
        optimizer = torch.optim.AdamW([parameter], lr=1e-3, fused=fused)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=9)
        rate = LearningRate(optimizer)
        rate.restore(factor)
        scaler, values = torch.amp.GradScaler("cpu", init_scale=4.0), []
        for step in range(8):
            scaler.scale((parameter * (float("inf") if step in (2, 5) else 1.0)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
            optimizer.zero_grad()
            values.append(parameter.detach().clone())
        assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0]
        return list(rates_used), values

    (schedule, _), (steered, values) = train(1.0), train(FACTOR)

    assert len(schedule) == (8 if fused else 6), "a fused step is called, and skips by itself"
    assert steered == [used * FACTOR for used in schedule]
    assert [bool(torch.equal(values[i], values[i - 1])) for i in range(1, 8)] == [i in (2, 5) for i in range(1, 8)]


def test_a_scheduler_stepped_by_a_hook_of_the_users_own(rates_used):
    """A scheduler that the user steps in a step hook, placed before ours, sees and keeps the untouched rates."""

    def train(factor: float) -> list[float]:
        rates_used.clear()
        optimizer = _optimizer()
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        optimizer.register_step_post_hook(lambda *_: scheduler.step())
        rate = LearningRate(optimizer)
        rate.restore(factor)
        _steps(optimizer, count=6)
        rate.release()
        _steps(optimizer, count=2)
        return list(rates_used)

    schedule, steered = train(1.0), train(FACTOR)

    assert steered == [used * FACTOR for used in schedule[:6]] + schedule[6:]


class LomoLike(torch.optim.SGD):
    """Steps in the backward pass; named as the detection knows it."""


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (None, "no torch optimizer"),
        (LomoLike([torch.nn.Parameter(torch.ones(1))], lr=1.0), "steps inside the backward pass"),
        (Adafactor([torch.nn.Parameter(torch.ones(1))]), "computes its own learning rate"),
        (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0), ""),
    ],
    ids=["none", "lomo", "adafactor", "sgd"],
)
def test_what_cannot_be_steered_is_said(optimizer, reason):
    """An optimizer on which the factor cannot act is unsupported, with the reason; any other is not."""
    said = why_unsupported(optimizer)
    assert reason in said if reason else said == ""


def test_one_group_has_no_members():
    """With a single rate to change, `learning_rate` is all there is."""
    assert list(learning_rates(_optimizer())) == ["learning_rate"]
    one, other = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    beside = Adafactor([{"params": [one]}, {"params": [other], "lr": 1e-3, "relative_step": False}])
    assert list(learning_rates(beside)) == ["learning_rate"]


def test_members_are_named_by_name_or_index():
    """A group is called by its name where no other has it, else by its index; `learning_rate` comes first."""
    names = ["encoder", None, "head", "head", "0", ""]
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.1 * i, "name": n} for i, n in enumerate(names)]

    entries = learning_rates(torch.optim.SGD(groups, lr=1.0))

    members = ["encoder", "1", "2", "3", "4", "5"]
    assert list(entries) == ["learning_rate", *(f"learning_rate[{name}]" for name in members)]
    assert [entry.value for entry in entries.values()] == [0.0, *(0.1 * i for i in range(6))]
    assert {(entry.status, entry.safer) for entry in entries.values()} == {("live", "down")}


def test_members_of_what_cannot_be_steered_are_unsupported():
    """Each group of an optimizer that ignores step hooks is unsupported, with the reason; of no optimizer, there is none."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))]} for _ in range(2)]

    told = {name: (e.status, e.reason) for name, e in learning_rates(LomoLike(groups, lr=1.0)).items()}

    reason = "the optimizer LomoLike steps inside the backward pass and ignores step hooks"
    names = ["learning_rate", "learning_rate[0]", "learning_rate[1]"]
    assert told == dict.fromkeys(names, ("unsupported", reason))
    assert list(learning_rates(None)) == ["learning_rate"]


def test_a_member_counts_in_the_rate_that_is_logged():
    """`learning_rate` reads what the first group really uses, its own factor included."""
    entries = learning_rates(_optimizer(groups=2))
    entries["learning_rate[0]"].handle.write(0.0, 0.5)
    entries["learning_rate[1]"].handle.write(0.0, 0.1)
    whole = entries["learning_rate"].handle

    assert (whole.read(), whole.in_force, whole.factor) == (5e-4, 0.5, 1.0)


def test_the_hooks_go_with_the_last_handle(rates_used):
    """A released handle takes its factor with it; the one pair of hooks goes when all are released."""
    optimizer = _optimizer(groups=2)
    entries = learning_rates(optimizer)
    handles = [entry.handle for entry in entries.values()]
    for handle in handles:
        handle.write(0.0, 0.5)
    hooks = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    left = []
    for handle in handles:
        left.append([len(hook) for hook in hooks])
        _steps(optimizer, count=1)
        handle.release()
    _steps(optimizer, count=1)

    assert left == [[1, 1]] * 3
    assert [len(hook) for hook in hooks] == [0, 0]
    assert rates_used == [2.5e-4, 2.5e-3, 5e-4, 5e-3, 1e-3, 5e-3, 1e-3, 1e-2]


def test_factors_of_members_are_saved_and_restored():
    """What a member saves is its own factor, and restoring it twice is restoring it once."""
    member = learning_rates(_optimizer(groups=2))["learning_rate[1]"].handle
    member.write(0.0, 0.5)
    member.write(0.0, 0.5)
    resumed = learning_rates(_optimizer(groups=2))

    resumed["learning_rate[1]"].handle.restore(member.save())
    resumed["learning_rate[1]"].handle.restore(member.save())

    assert member.save() == 0.25
    assert [entry.value for entry in resumed.values()] == [1e-3, 1e-3, 2.5e-3]
