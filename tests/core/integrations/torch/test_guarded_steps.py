"""The steps of a plain loop under a guard: weights by hand, and what the journal holds of it."""

from __future__ import annotations

import json
import math

import pytest
import torch
from attrs import define

import steersman
from steersman import StepGuard, hookimpl
from steersman.readers.journal import current

NAN = math.nan
ADAPTIVE = StepGuard(clip_multiple=2, clip_deviations=0, skip_multiple=10)


@define(eq=False)
class Guards:
    """Asks for a guard."""

    guard: object = ADAPTIVE

    @hookimpl
    def guard_steps(self, run):
        return self.guard


@define(eq=False)
class GuardsToo(Guards):
    """Asks for another."""


@define(eq=False)
class GuardsLast(Guards):
    """Asks last."""


def config(*strategies, mode="act", **more):
    return {"mode": mode, "use": list(strategies or (Guards(),)), "console": False, **more}


class Run:
    """A loop over one weight of 0 with SGD, whose rate of 1 makes each step the gradient; `moved` is what it moved."""

    def __init__(self, folder, settings, *, parts=None, optimizer=None):
        self.folder, self.moved = folder, []
        self.model = torch.nn.Linear(2, 1, bias=False)
        self.model.weight.data.zero_()
        self.optimizer = optimizer(self.model) if optimizer else torch.optim.SGD(self.model.parameters(), lr=1.0)
        self.loop = steersman.attach(self.optimizer, settings, folder=folder, model=self.model)
        if parts is not None:
            self.loop.load_state_dict(json.loads(json.dumps(parts)))

    def steps(self, *gradients, log=True):
        for gradient in gradients:
            before = self.model.weight.detach().clone()
            self.model.weight.grad = torch.tensor([[float(gradient), 0.0]])
            self.optimizer.step()
            self.moved.append((before - self.model.weight.detach())[0, 0].item())
        if log:
            self.loop.log(self.loop.step, loss=1.0)
        return self

    def logs(self):
        self.loop.close()
        entries = current(self.folder / "steersman" / "journal.jsonl")
        return [e.data["metrics"] for e in entries if e.kind == "record" and e.data["of"] == "train"]

    def notes(self):
        entries = current(self.folder / "steersman" / "journal.jsonl")
        return [e.data["message"] for e in entries if e.kind == "note"]


@pytest.mark.parametrize("may_look", [True, False])
def test_gradients_are_clipped_and_steps_are_skipped(tmp_path, may_look):
    """After five norms of 1 a gradient of 8 moves the weight by 2, NaN and 21 by nothing; the log counts all three.

    On a GPU nobody may look at the ruling: each gradient is multiplied, by 1 too.
    """
    run = Run(tmp_path, config()).steps(1, log=False)
    run.loop.session.steps._may_look = may_look
    run.steps(1, 1, 1, 1, 8).steps(NAN, 21, 2)

    assert run.moved == [1, 1, 1, 1, 1, 2, 0, 0, 2]
    first, second = run.logs()
    assert first == {"loss": 1.0, "steps_skipped": 0.0, "steps_clipped": 1.0}
    assert second == {"loss": 1.0, "steps_skipped": 2.0, "steps_clipped": 0.0, "steps_excused": 1.0}
    assert run.notes()[0] == (
        "steps are guarded, by guards: gradients are clipped to 2 x median of the newest 50 "
        "norms; steps whose gradient is not finite or beyond 10 x that are skipped"
    )


@pytest.mark.parametrize("mode", ["advise", "ask", "observe"])
def test_it_acts_in_mode_act_only(tmp_path, mode):
    """Elsewhere every gradient is used as it is, infinity too; `advise` and `ask` count, `observe` installs nothing."""
    run = Run(tmp_path, config(mode=mode)).steps(1, 1, 1, 1, 1, 8, 21, -math.inf)

    assert run.moved == [1, 1, 1, 1, 1, 8, 21, -math.inf]
    counted = {} if mode == "observe" else {"steps_skipped": 2.0, "steps_clipped": 1.0}
    assert run.logs() == [{"loss": 1.0, **counted}]
    told = "though guards asks for it: the mode is observe" if mode == "observe" else f"in mode {mode} nothing is done"
    assert told in run.notes()[0]


def test_decisions_do_not_depend_on_the_scale_of_the_loss(tmp_path):
    """A thousand times the loss: the same steps are clipped and skipped, and each moves a thousand times as far."""
    gradients = (1, 3, 2, 2, 1, 5, 1, 41, NAN, 2, 7, 1)
    one = Run(tmp_path / "one", config()).steps(*gradients)
    other = Run(tmp_path / "other", config()).steps(*(1000 * gradient for gradient in gradients))

    assert one.moved == [1, 3, 2, 2, 1, 4, 1, 0, 0, 2, 4, 1]
    assert other.moved == pytest.approx([1000 * moved for moved in one.moved], rel=1e-4)
    assert one.logs() == other.logs() == [
        {"loss": 1.0, "steps_skipped": 2.0, "steps_clipped": 2.0, "steps_excused": 1.0}
    ]  # fmt: skip


def test_a_resumed_run_goes_on_as_the_straight_one(tmp_path):
    """Cut in the middle of a log, it clips and skips the same steps, and its next log counts all since the last."""
    before, after = (1, 1, 2, 2, 2, 9, NAN), (4, 5, 90, 1, 1, 1, 1, 1, 1, 3)
    straight = Run(tmp_path / "straight", config()).steps(*before, log=False).steps(*after)
    cut = Run(tmp_path / "cut", config()).steps(*before, log=False)
    saved = cut.loop.state_dict()
    resumed = Run(tmp_path / "cut", config(), parts=saved).steps(*after)

    assert resumed.moved == straight.moved[len(before) :] == [4, 4, 0, 1, 1, 1, 1, 1, 1, 2]
    assert resumed.logs() == straight.logs()
    assert straight.logs()[0]["gradient_zero_share"] == 0.0  # the sixteenth step of both


def test_a_fused_optimizer_truly_skips(tmp_path):
    """Adam moves on by its moments when a gradient is 0; its fused form is told to skip, and neither weight nor step moves."""

    def adam(model, fused):
        return torch.optim.Adam(model.parameters(), lr=0.5, fused=fused)

    fused = Run(tmp_path / "fused", config(), optimizer=lambda model: adam(model, True)).steps(1, NAN, 1)
    plain = Run(tmp_path / "plain", config(), optimizer=lambda model: adam(model, False)).steps(1, NAN, 1)

    assert fused.moved == pytest.approx([0.5, 0.0, 0.5])
    assert plain.moved[0] == pytest.approx(0.5)
    assert 0 < plain.moved[1] < 0.5
    assert fused.optimizer.state[fused.model.weight]["step"].item() == 2
    assert not hasattr(fused.optimizer, "found_inf")


@pytest.mark.parametrize("fused", [True, False])
def test_a_step_that_a_scaler_skips_is_no_step(tmp_path, fused):
    """An overflow of scaled gradients is the scaler's own affair; and the norm is that without the scale."""
    run = Run(tmp_path, config(Guards(StepGuard(clip=2.0))), optimizer=lambda m: torch.optim.SGD(
        m.parameters(), lr=1.0, fused=fused
    ))  # fmt: skip
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126)
    for value in (16.0, 1.0, 4.0):
        run.optimizer.zero_grad()
        before = run.model.weight.detach().clone()
        scaler.scale((run.model.weight * torch.tensor([[value, 0.0]])).sum()).backward()
        scaler.step(run.optimizer)
        run.moved.append((before - run.model.weight.detach())[0, 0].item())
        scaler.update(1024.0)
    run.steps(log=True)

    assert run.moved == [0.0, 1.0, 2.0]
    assert run.logs() == [{"loss": 1.0, "steps_skipped": 0.0, "steps_clipped": 1.0}]


def test_a_skipped_nan_rings_no_alarm(tmp_path):
    """With `recovery` a NaN that is skipped asks for no rollback, in its loss and its logged norm neither; the sixth does."""
    run = Run(tmp_path, config("recovery", Guards()))
    for number in range(1, 8):
        run.steps(*(NAN if number > 1 else 1,), log=False)
        run.model.train()(torch.full((1, 2), NAN))
        run.loop.log(run.loop.step, loss=NAN if number > 1 else 1.0, grad_norm=NAN if number > 1 else 1.0)

    logs = run.logs()
    assert [("loss" in metrics, metrics.get("steps_excused")) for metrics in logs if "steps_skipped" in metrics] == [
        (True, None), *[(False, 1.0)] * 5, (True, None)
    ]  # fmt: skip
    entries = current(tmp_path / "steersman" / "journal.jsonl")
    assert {entry.step for entry in entries if entry.kind == "proposal"} == {7}


def test_the_first_in_config_order_wins(tmp_path):
    """Its guard is in force, and the other is told to have lost."""
    run = Run(tmp_path, config(Guards(None), GuardsToo(StepGuard(clip=2)), GuardsLast())).steps(8)

    assert run.moved == [2]
    assert run.notes()[:2] == [
        "steps are guarded, by guards-too: gradients are clipped to 2; steps whose gradient is not finite are skipped",
        "guards-last asked for a guard of the steps too, and lost to guards-too, which is asked before it",
    ]


def test_a_step_with_a_closure_is_told_and_left_alone(tmp_path):
    """Its gradients are made inside the step: 8 moves the weight by 8, and it is said once."""
    run = Run(tmp_path, config(Guards(StepGuard(clip=2))))

    def closure():
        run.optimizer.zero_grad()
        loss = (run.model.weight * torch.tensor([[8.0, 0.0]])).sum()
        loss.backward()
        return loss

    for _ in range(2):
        run.optimizer.step(closure)
    run.steps(8)

    assert run.model.weight[0, 0].item() == -18
    assert sum("given a closure" in note for note in run.notes()) == 1


def test_a_guard_that_fails_ends_no_training(tmp_path, monkeypatch):
    """An error in it is told once, and the steps after it are made as they are."""
    run = Run(tmp_path, config(Guards(StepGuard(clip=2)))).steps(8)
    monkeypatch.setattr(run.loop.session.steps, "_look", lambda: 1 / 0)
    run.steps(8, NAN)

    assert run.moved[:2] == [2, 8]
    assert [note for note in run.notes() if "not guarded any more" in note] == [
        "the step guard failed (ZeroDivisionError: division by zero): steps are not guarded any more"
    ]


def test_nothing_is_left_after_the_run(tmp_path):
    """After its end, and after an exception, no hook and no flag is left, and a gradient is used as it is."""
    run = Run(tmp_path, config(Guards(StepGuard(clip=2)))).steps(8)
    run.loop.close()
    run.steps(8, log=False)
    other = Run(tmp_path / "other", config(Guards(StepGuard(clip=2))))
    with pytest.raises(KeyboardInterrupt), other.loop:
        other.steps(8)
        raise KeyboardInterrupt
    other.steps(8, log=False)

    assert run.moved == other.moved == [2, 8]
    assert (len(run.optimizer._optimizer_step_pre_hooks), len(other.optimizer._optimizer_step_post_hooks)) == (0, 0)


RANKS = """
import math, steersman
from attrs import define
from steersman import StepGuard, hookimpl
dist.init_process_group("gloo")

@define(eq=False)
class Guards:
    @hookimpl
    def guard_steps(self, run):
        return StepGuard(clip_multiple=2, clip_deviations=0, skip_multiple=10)

torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1, bias=False))
model.module.weight.data.zero_()
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
config = {"mode": "act", "use": [Guards()], "console": False}
moved = []
with steersman.attach(optimizer, config, folder=out / "run", model=model) as loop:
    for value in (1, 1, 1, 1, 1, 8, math.nan, 41):
        before = model.module.weight.detach().clone()
        optimizer.zero_grad()  # only rank 1 has the odd batch: the mean of both is what either uses
        mine = 2.0 * value - 1.0 if dist.get_rank() else 1.0
        model(torch.tensor([[mine, 0.0]])).sum().backward()
        optimizer.step()
        moved.append((before - model.module.weight.detach())[0, 0].item())
    loop.log(8, loss=1.0)
told["moved"] = moved
"""


@pytest.mark.slow
def test_two_ranks_do_the_same(on_two_ranks):
    """Under DistributedDataParallel both ranks clip and skip the same steps, though the odd batch is on one."""
    zero, one = on_two_ranks(RANKS)

    assert zero["moved"] == one["moved"] == [1, 1, 1, 1, 1, 2, 0, 0]
