"""Two real processes over gloo: what rank 0 decides reaches both, and no error leaves one waiting for the other."""

from __future__ import annotations

import pytest

from steersman.integrations.torch.ranks import current_ranks
from steersman.ranks import OneProcess

AGREE = """
from steersman.failing import StrategyError
from steersman.integrations.torch.ranks import TorchRanks, current_ranks
dist.init_process_group("gloo")
ranks = current_ranks()
assert isinstance(ranks, TorchRanks) and ranks.size == 2
asked = []

def raises(error):
    raise error

class Unreadable(ValueError):
    def __init__(self, one, other):
        super().__init__("needs two")

class OnlyOnRankZero:
    def __reduce__(self):
        return (__import__('builtins').eval, ("(_ for _ in ()).throw(LookupError('none')) if __import__('os').environ['RANK'] == '1' else 1",))

decisions = {
    "value": lambda: asked.append(1) or {"score": 0.5},
    "unpicklable": lambda: lambda: None,
    "raises": lambda: raises(ZeroDivisionError("a fault")),
    "strategy": lambda: raises(StrategyError("it failed")),
    "odd error": lambda: raises(Unreadable(1, 2)),
    "unreadable": lambda: OnlyOnRankZero(),
    "value again": lambda: [float("inf")],
}
for name, decide in decisions.items():
    try:
        told[name] = repr(ranks.agree(decide))
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
told["asked"] = len(asked)
local = float(dist.get_rank())
same = [1.5, local, "a", f"a{local}", float("nan"), float("nan") if local else 0.0, -0.0, -0.0 if local else 0.0]
told["same"] = [ranks.same(value) for value in same]
"""


@pytest.mark.slow
def test_two_ranks_agree(on_two_ranks):
    """A decision reaches both ranks; an error, or a decision that cannot be sent or read, is raised on both; none waits."""
    zero, one = on_two_ranks(AGREE)

    assert (zero.pop("asked"), one.pop("asked")) == (1, 0)
    assert zero["same"] == one["same"] == [True, False, True, False, True, False, True, False]
    for told in (zero, one):
        assert told["value"] == "{'score': 0.5}"
        assert told["value again"] == "[inf]"
        assert "lambda" in told["unpicklable"]
        assert told["raises"] == "ZeroDivisionError: a fault"
        assert told["strategy"] == "StrategyError: it failed"
    assert zero["odd error"] == "Unreadable: needs two"
    assert one["odd error"] == "RuntimeError: rank 0: Unreadable: needs two"
    assert zero["unreadable"] == "RuntimeError: rank 1 cannot read what rank 0 decided: LookupError: none"
    assert one["unreadable"] == "LookupError: none"


def test_one_process_agrees_with_itself():
    """Without a process group there is one process: it decides, raises its own errors, and is the same as itself."""
    ranks = current_ranks()

    assert isinstance(ranks, OneProcess)
    assert ranks.agree(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        ranks.agree(lambda: 1 // 0)
    assert ranks.same(float("nan"))


SUPERVISED = """
from steersman import Adjust, Finding, Record, RunPlan, Supervisor, hookimpl
from steersman.config import read
from steersman.registry import Registry
from steersman.integrations.torch.learning_rate import learning_rates
from steersman.integrations.torch.ranks import current_ranks
from steersman.journal import Journal
from steersman.loading import load
dist.init_process_group("gloo")
rank = dist.get_rank()

class ByTheClock:
    @hookimpl
    def propose_adjustments(self, run, check):
        slow = run.history["local_time"].latest > 0.5
        return Adjust("learning_rate", scale=0.5 if slow else 0.9, because="the clock says so")

class Local:
    hook = ""
    @hookimpl
    def on_log(self, run, log):
        if self.hook == "on_log":
            raise RuntimeError("broken")
    @hookimpl
    def diagnose(self, run, check):
        if self.hook == "diagnose":
            raise RuntimeError("broken")
        return Finding("looked", check.reason, "info", evidence={"bad": lambda: 1} if self.hook == "unpicklable" else {})

def run(hook="", nan_on=None, **config):
    strategies = [ByTheClock(), Local()]
    strategies[1].hook = hook
    settings = read({"extends": "no-rails", "use": strategies, "mode": "act", "hyperparameters": {"learning_rate": {}}, "check_every": 4, **config})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    registry = Registry(learning_rates(optimizer).values())
    plan, journal, checks = RunPlan(total_steps=12), Journal(None), []
    journal.subscribers.append(lambda e: checks.append((e.step, e.data["reason"])) if e.kind == "check" else None)
    supervisor = Supervisor(settings, load(settings, []), plan=plan, registry=registry, journal=journal, ranks=current_ranks())
    supervisor.begin()
    seen, ended = [], None
    for step in range(1, 13):
        loss = float("nan") if step == 6 and nan_on == rank else 1.0
        try:
            supervisor.settle()
            seen.append((step, registry.get("learning_rate").factor))
            if ended is None and supervisor.actions.stop_because is not None:
                ended = (step, supervisor.actions.stop_because)
            supervisor.feed(Record(step, "train", {"loss": loss, "local_time": float(rank)}, elapsed=step + 100.0 * rank))
        except Exception as error:
            seen.append((step, str(error).partition(" at 0x")[0]))
    return {"seen": seen, "ended": ended, "checks": checks}

told["clock"] = run()
told["nan on 0"] = run(nan_on=0)
told["nan on 1"] = run(nan_on=1)
told["quarantine"] = run("diagnose", quarantine_after=1)
told["stop"] = run("diagnose", on_error="stop")
told["stop in on_log"] = run("on_log", on_error="stop")
told["unpicklable"] = run("unpicklable")
told["raise"] = run("diagnose", on_error="raise")
"""


@pytest.mark.slow
def test_two_ranks_go_on_alike(on_two_ranks):
    """Whatever differs between ranks (a clock, a metric, a NaN, a strategy that fails on rank 0), both do the same."""
    zero, one = on_two_ranks(SUPERVISED)

    assert zero == one
    cut = [[step, 0.9 ** ((step - 1) // 4)] for step in range(1, 13)]
    assert zero["clock"]["seen"] == [[step, pytest.approx(factor)] for step, factor in cut], "rank 0's clock decides"
    assert zero["nan on 1"] == zero["clock"]
    assert zero["nan on 0"]["checks"] == [[4, "scheduled"], [6, "anomaly"], [8, "scheduled"]]
    assert zero["quarantine"] == zero["clock"]
    assert zero["stop"]["ended"][0] == 5
    assert zero["stop in on_log"]["ended"][0] == 2
    assert [step for step, said in zero["unpicklable"]["seen"] if isinstance(said, str)] == [5, 9]
    assert [step for step, said in zero["raise"]["seen"] if isinstance(said, str)] == [5, 9]


SHARDED = """
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from steersman.integrations.torch.learning_rate import learning_rates
from steersman.integrations.torch.ranks import current_ranks
mesh = init_device_mesh("cpu", (2,))
rank, ranks = dist.get_rank(), current_ranks()

def train(steered):
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(3)))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    decay = [p for p in model.parameters() if p.ndim > 1]
    other = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay}, {"params": other, "name": "bias", "weight_decay": 0.0}], lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7, eta_min=1e-3)
    handles = {name: entry.handle for name, entry in learning_rates(optimizer).items()} if steered else {}
    factors, generator = [1.0, 1.0], torch.Generator().manual_seed(rank)
    for step in range(1, 11):
        if step in (4, 8):
            ratio = ranks.agree(lambda: 0.3 + rank) if steered else 0.3
            factors = [factors[0] * ratio, factors[1] * ratio]
            for name in list(handles)[:1]:
                handles[name].write(0.0, ratio)
        if step == 6:
            factors[1] *= 0.7
            for name in list(handles)[2:]:
                handles[name].write(0.0, ranks.agree(lambda: 0.7))
        if step == 5:
            before = [p.full_tensor() for p in model.parameters()]
            get_optimizer_state_dict(model, torch.optim.AdamW(model.parameters()))
            get_optimizer_state_dict(model, optimizer)
            assert all(torch.equal(b, p.full_tensor()) for b, p in zip(before, model.parameters()))
        loss = model(torch.randn(4, 8, generator=generator)).square().mean()
        loss.backward()
        untouched = [group["lr"] for group in optimizer.param_groups]
        if not steered:  # by hand: the schedule times the factor, and back
            for group, rate, factor in zip(optimizer.param_groups, untouched, factors):
                group["lr"] = rate * factor
        optimizer.step()
        if not steered:
            for group, rate in zip(optimizer.param_groups, untouched):
                group["lr"] = rate
        assert [group["lr"] for group in optimizer.param_groups] == untouched
        scheduler.step()
        optimizer.zero_grad()
    assert all(ranks.same(handle.factor) for handle in handles.values())
    return [p.full_tensor().flatten().tolist() for p in model.parameters()]

told["steered"], told["by hand"] = train(True), train(False)
"""


@pytest.mark.slow
def test_a_sharded_model_is_steered_alike(on_two_ranks):
    """FSDP2: both ranks hold the parameters that the schedule x the factors gives by hand, to the bit."""
    zero, one = on_two_ranks(SHARDED)

    assert zero == one
    assert zero["steered"] == zero["by hand"]


LATE = """
import steersman
from pathlib import Path
dist.init_process_group("gloo")
rank = dist.get_rank()
weight = torch.nn.Parameter(torch.ones(1))
optimizer = torch.optim.SGD([weight], lr=0.1)
config = {"extends": "default", "use": ["eval-loss"], "check_every": 4, "console": False, "score": {
    "eval_loss": 0.5, "safety": {"weight": 0.5, "direction": "higher"}, "require": {"safety": ">= 0.9"},
}}
best = {}
with steersman.attach(optimizer, config if rank == 0 else None, folder=out / "late", total_steps=12) as loop:
    for step in range(1, 13):
        weight.square().sum().backward()
        optimizer.step()
        if step % 4 == 0:
            loop.log(step, loss=1.0)
            loop.evaluate(step, loss=step / 4)
        if step == 5 and rank == 0:
            steersman.record(out / "late", 4, safety=0.95)
        if step % 4 == 2:
            ranking = loop.session.supervisor.ranking
            now = ranking.best()
            best[step] = [now.step, now.score.value, now.metrics["safety"]] if now else None
told["best"], told["scorer"] = best, ranking.leader
"""


@pytest.mark.slow
def test_two_ranks_hear_a_late_score_alike(on_two_ranks):
    """Only rank 0 has the journal: both hold the late metric and 0.5 x 1.0 - 0.5 x 0.95 = 0.025 from the check at 8 on."""
    zero, one = on_two_ranks(LATE)

    assert zero == one
    assert zero["best"] == {"2": None, "6": None, "10": [4, pytest.approx(0.025), 0.95]}
    assert zero["scorer"] == "score"
