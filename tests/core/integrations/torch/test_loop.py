"""A loop of one's own under supervision: what it hears, what it changes, and what it leaves behind."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from attrs import define

import steersman
from steersman import Adjust, Finding, Hyperparameter, Loop, Save, Stop, hookimpl, state
from steersman.failing import StrategyError
from steersman.journal import JournalEntry
from steersman.readers import journal as journal_reader

STEPS = 12
DECISIONS = ("score", "finding", "proposal", "adjustment")


class Training:
    """A linear model with dropout, trained for twelve steps with an evaluation every four."""

    def __init__(self, folder: Path, config: Any = None, *, rate: float = 0.05, **settings: Any) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, STEPS, eta_min=0.01)
        settings = {"folder": folder, "total_steps": STEPS, "eval_every": 4, "steps_per_epoch": 4} | settings
        self.loop = steersman.attach(self.optimizer, config, **settings) if config is not None else None
        self.parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        self.parts |= {"steersman": self.loop} if self.loop else {}

    def loss(self, seed: int) -> torch.Tensor:
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.mse_loss(self.model(inputs), inputs.sum(1, keepdim=True))

    def step(self, step: int) -> None:
        loss = self.loss(step)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        if self.loop and step % 2 == 0:
            self.loop.log(step, loss=loss)
        if self.loop and step % 4 == 0:
            self.model.eval()
            self.loop.evaluate(step, loss=self.loss(1000))
            self.model.train()

    def run(self, steps: range = range(1, STEPS + 1), save_at: int | None = None) -> bytes | None:
        saved = None
        for step in steps:
            self.step(step)
            if step == save_at:
                saved = self.save()
        return saved

    def save(self) -> Any:
        return copy.deepcopy([{n: part.state_dict() for n, part in self.parts.items()}, torch.get_rng_state()])

    def load(self, saved: Any) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(saved[0][name])
        torch.set_rng_state(saved[1])


@define(eq=False)
class Asks:
    """Returns at the checks of given steps what a test wants proposed, and remembers the checks."""

    answers: dict[int, Any]
    asked_at: list[int] = state([])

    @hookimpl
    def propose_adjustments(self, run: Any, check: Any) -> Any:
        self.asked_at.append(check.step)
        return self.answers.get(check.step)


def _entries(folder: Path, *kinds: str) -> list[JournalEntry]:
    entries = journal_reader.current(folder / "steersman" / "journal.jsonl")
    return [entry for entry in entries if not kinds or entry.kind in kinds]


def _decided(folder: Path) -> list[tuple[Any, ...]]:
    return [
        (e.kind, e.step, dict(e.data)) for e in _entries(folder, *DECISIONS) if e.data.get("name") != "token-ledger"
    ]


@pytest.fixture
def halves(act: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A config that halves the learning rate after step 4."""
    return act(Asks({4: Adjust("learning_rate", scale=0.5, because="a test")}))


def test_a_decision_takes_effect_in_the_next_step(tmp_path, halves, rates_used):
    """What is decided on the records of step 4 is in force in step 5, exactly factor x the schedule, to the end."""
    plain = Training(tmp_path)
    plain.run()
    schedule, rates_used[:] = list(rates_used), []
    training = Training(tmp_path, halves)

    training.run()

    assert rates_used == schedule[:4] + [rate * 0.5 for rate in schedule[4:]]
    [made] = _entries(tmp_path, "adjustment")
    assert (made.step, made.data["factor"]) == (4, 0.5)


def test_after_the_end_the_rate_is_the_users_again(tmp_path, halves, rates_used):
    """Closed, the loop leaves no hook on the optimizer and the untouched schedule in force."""
    training = Training(tmp_path, halves)
    training.run()
    rate = training.optimizer.param_groups[0]["lr"]
    training.loop.close()
    rates_used.clear()

    training.loss(1).backward()
    training.optimizer.step()

    assert rates_used == [rate]
    assert not training.optimizer._optimizer_step_pre_hooks
    assert not training.optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("save_at", [4, 5, 6, 8, 11])
def test_a_resumed_loop_is_the_straight_one(tmp_path, act, rates_used, save_at):
    """Saved at an evaluation, between logs or at a log: the same decisions, rates, ranking and parameters."""
    asks = {s: Adjust("learning_rate", scale=0.5, because="a test") for s in (4, 8)}
    straight = Training(tmp_path / "straight", act(Asks(asks), "trend-health"))
    saved = straight.run(save_at=save_at)
    straight.loop.close()
    rates, rates_used[:] = rates_used[save_at:], []
    first = Training(tmp_path / "resumed", act(Asks(asks), "trend-health"))
    first.run(range(1, save_at + 2))
    rates_used.clear()

    second = Training(tmp_path / "resumed", act(Asks(asks), "trend-health"))
    second.load(saved)
    second.run(range(second.loop.step + 1, STEPS + 1))
    second.loop.close()

    assert rates_used == rates
    assert _decided(tmp_path / "resumed") == _decided(tmp_path / "straight")
    assert second.loop.summary["best"] == straight.loop.summary["best"]
    for one, other in zip(second.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_check_that_was_made_is_not_made_again(tmp_path, act):
    """A state saved after the next step began holds a check as done: a resumed run does not repeat it."""
    asks = Asks({4: Adjust("learning_rate", scale=0.5, because="a test")})
    first = Training(tmp_path, act(asks))
    saved = first.run(range(1, 6), save_at=5)
    asked = asks.asked_at.copy()

    second = Training(tmp_path, act(asks))
    second.load(saved)
    second.step(6)

    assert asked == asks.asked_at == [4]
    assert second.loop.session.supervisor.registry.view("learning_rate").factor == 0.5


def test_the_state_is_json_and_knows_nan(tmp_path, halves):
    """What a checkpoint must hold survives JSON, and a NaN heard before the save is one after the resume."""
    loop = Training(tmp_path / "one", halves).loop
    loop.log(1, loss=math.nan)
    loop.evaluate(2, loss=1.5)
    saved = json.loads(json.dumps(loop.state_dict(), allow_nan=False))

    again = Training(tmp_path / "two", halves).loop
    again.load_state_dict(saved)
    again.begin()

    history = again.session.supervisor.history
    assert [math.isnan(value) for value in history["loss"].last(9)] == [True]
    assert (again.step, history["eval_loss"].last(9)) == (2, (1.5,))


def test_the_state_after_the_end_is_that_before_it(tmp_path, halves):
    """A checkpoint written after `close` carries the changes made, which are not in force any more."""
    training = Training(tmp_path, halves)
    training.run()
    training.loop.close()

    state = training.loop.state_dict()

    kept = state["hyperparameters"]["learning_rate"]
    assert (kept["saved"], kept["factor"]) == (0.5, 0.5)
    assert state["step"] == STEPS


def test_the_first_step_of_a_loop_is_counted(tmp_path):
    """The forward before the first step, with which the run begins, counts: 10, 100 and 1,000 tokens are 1,110."""
    model = torch.nn.Embedding(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Reads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any) -> Any:
            return self.inner(input_ids).sum()

    reads = Reads()
    with steersman.attach(optimizer, {"console": False, "use": []}, folder=tmp_path, model=reads) as loop:
        for tokens in (10, 100, 1000):
            reads(input_ids=torch.ones(1, tokens, dtype=torch.long)).backward()
            optimizer.step()

    assert loop.summary["tokens"]["backpropagation"]["tokens"] == 1110
    assert len(reads._forward_pre_hooks) == 0


def test_tokens_go_on_after_a_resume(tmp_path, halves):
    """Tokens counted and not yet logged at a save are in the first log of the resumed run."""
    model = torch.nn.Embedding(8, 1)
    take = {"input_ids": torch.ones(2, 5, dtype=torch.long), "attention_mask": torch.ones(2, 5, dtype=torch.long)}

    class Reads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.inner(input_ids).sum()

    def train(name: str, count: int) -> Loop:
        reads = Reads()
        optimizer = torch.optim.SGD(reads.parameters(), lr=0.1)
        loop = steersman.attach(optimizer, halves, folder=tmp_path / name, model=reads)
        loop.begin()
        for _ in range(count):
            reads(**take).backward()
            optimizer.step()
        return loop

    saved = train("first", 2).state_dict()
    second = train("second", 0)
    [pending] = saved["usage"]
    assert (pending["ledger"], pending["tokens"]) == ("backpropagation", 20)
    assert pending["seconds"] > 0
    second.close()
    third = steersman.attach(torch.optim.SGD(model.parameters()), halves, folder=tmp_path / "third")
    third.load_state_dict(saved)
    third.log(3, loss=1.0)

    [record] = _entries(tmp_path / "third", "record")
    assert [(u["tokens"], u["samples"]) for u in record.data["usage"]] == [(20, 4)]


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_nothing_is_touched_unless_acting(tmp_path, halves, mode, rates_used):
    """Watched or not: the same parameters, random state and rates, bit for bit, dropout active."""
    plain = Training(tmp_path)
    plain.run()
    rates, rates_used[:] = list(rates_used), []
    random_state = torch.get_rng_state()

    watched = Training(tmp_path, halves | {"mode": mode, "console": True})
    watched.run()
    watched.loop.close()

    assert rates_used == rates
    assert torch.equal(torch.get_rng_state(), random_state)
    for one, other in zip(watched.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [entry.data["verdict"] for entry in _entries(tmp_path, "proposal")] == ["advised"]


def test_our_own_errors_never_end_a_run(tmp_path, halves, rates_used):
    """After three errors of Steersman's own the loop runs alone, at the user's own rate, and the journal says so."""
    training = Training(tmp_path, halves)
    training.run(range(1, 6))
    training.loop.session.hear = None

    training.run(range(6, STEPS + 1))
    training.loop.close()

    told = _entries(tmp_path, "error")
    assert [entry.data["quarantined"] for entry in told] == [False, False, True]
    assert told[0].data["hook"] == "_hear"
    plain = Training(tmp_path)
    rates_used[:], after = [], rates_used[-1]
    plain.run()
    assert after == rates_used[-1]


def test_a_stop_is_told_once_the_next_step_is_done(tmp_path, act):
    """A Stop decided at step 4 is there after step 5, with the wish to save first."""
    training = Training(tmp_path, act(Asks({4: Stop("enough")})))
    training.run(range(1, 5))
    assert not training.loop.should_stop

    training.step(5)

    assert (training.loop.should_stop, training.loop.should_save) == (True, True)


def test_a_save_is_asked_for_once(tmp_path, act):
    """A Save decided at step 4 is there after step 5, and asking resets it; the checkpoint is journaled."""
    training = Training(tmp_path, act(Asks({4: Save("to be safe")})))
    training.run(range(1, 6))

    assert (training.loop.should_save, training.loop.should_save, training.loop.should_stop) == (True, False, False)
    training.loop.saved(5, tmp_path / "five.pt")
    [entry] = _entries(tmp_path, "checkpoint_saved")
    assert (entry.step, entry.data["path"]) == (5, str(tmp_path / "five.pt"))


def test_an_exception_puts_the_users_values_back_and_is_told(tmp_path, halves, rates_used):
    """Left by an exception, the block tells of it in the journal, writes no end, and the rate is the user's own."""
    training = Training(tmp_path, halves)
    with pytest.raises(KeyboardInterrupt), training.loop:
        training.run(range(1, 7))
        raise KeyboardInterrupt
    rates_used.clear()

    training.optimizer.step()

    assert rates_used == [training.optimizer.param_groups[0]["lr"]]
    notes = [entry.data["message"] for entry in _entries(tmp_path, "note")]
    assert "training ended at step 6 by KeyboardInterrupt, before its end" in notes
    assert _entries(tmp_path, "end") == []
    assert training.loop.state_dict()["hyperparameters"]["learning_rate"]["factor"] == 0.5


def test_closing_twice_is_closing_once(tmp_path, halves):
    """A second `close` writes nothing."""
    training = Training(tmp_path, halves)
    training.run()
    with training.loop as loop:
        loop.close()
    loop.close()

    assert len(_entries(tmp_path, "end")) == 1
    assert loop.summary["changes"] == 1


def test_what_comes_after_the_end_is_not_heard(tmp_path, halves):
    """A log or an evaluation after `close` is answered with nothing and is no failure."""
    training = Training(tmp_path, halves)
    training.run()
    training.loop.close()
    lines = len(_entries(tmp_path))

    training.loop.log(13, loss=1.0)
    judged = training.loop.evaluate(13, loss=0.0)

    assert (judged.score, judged.is_best, training.loop.failures, len(_entries(tmp_path))) == (None, False, 0, lines)


def test_the_sets_of_one_evaluation_are_judged_together(tmp_path, halves):
    """With two evaluation sets the answer comes with the second; the first is answered with nothing."""
    loop = Training(tmp_path, halves, evaluation_sets=2).loop
    for step in (4, 8):
        first = loop.evaluate(step, chat_loss=1.0 + step)
        second = loop.evaluate(step, code_loss=2.0)
        assert first.score is None
        assert second.score is not None


def test_closing_a_loop_that_never_began_is_harmless(tmp_path, halves):
    """An attached optimizer that never stepped is let go, and no journal is written."""
    training = Training(tmp_path, halves)
    training.loop.close()
    training.step(1)
    training.loop.log(1, loss=1.0)

    assert not training.optimizer._optimizer_step_pre_hooks
    assert not (tmp_path / "steersman").exists()


def test_a_state_that_comes_too_late_is_refused(tmp_path, halves):
    """A state is loaded before the first step, or not at all."""
    training = Training(tmp_path, halves)
    saved = training.loop.state_dict()
    training.step(1)

    with pytest.raises(RuntimeError, match="before the first log, evaluation or optimizer step"):
        training.loop.load_state_dict(saved)


@pytest.mark.parametrize(
    ("value", "heard"),
    [
        (torch.tensor(0.5, requires_grad=True), 0.5),
        (torch.tensor([[2]]), 2.0),
        (numpy.float32(0.25), 0.25),
        (numpy.array([1.5]), 1.5),
        (True, None),
        (torch.tensor(math.nan), math.nan),
        (torch.ones(3), None),
        (numpy.ones(3), None),
        ("high", None),
        (None, None),
    ],
    ids=repr,
)
def test_what_counts_as_a_number(tmp_path, halves, value, heard):
    """One-element tensors and arrays are the number they hold; anything else is left out, and named once."""
    loop = Training(tmp_path, halves).loop

    loop.log(1, loss=value)
    loop.log(2, loss=value)

    first, _ = _entries(tmp_path, "record")
    assert first.data["metrics"] == pytest.approx({} if heard is None else {"loss": heard}, nan_ok=True)
    notes = [entry for entry in _entries(tmp_path, "note") if "no number" in entry.data["message"]]
    assert len(notes) == (1 if heard is None else 0)
    assert loop.failures == 0


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ({"loss": 1.0}, {"eval_loss": 1.0}),
        ({"eval_loss": 1.0}, {"eval_loss": 1.0}),
        ({"val_loss": 1.0, "val/f1": 0.5}, {"eval_loss": 1.0, "eval_f1": 0.5}),
        ({"nll": 1.0}, {"eval_loss": 1.0}),
    ],
)
def test_an_evaluation_is_heard_in_our_names(tmp_path, halves, given, heard):
    """Names get the prefix `eval_`, other prefixes of the stage are taken for it, and the config's `metrics` come first."""
    loop = Training(tmp_path, halves | {"metrics": {"nll": "eval_loss"}}).loop

    loop.evaluate(4, **given)

    [record] = _entries(tmp_path, "record")
    assert (record.data["of"], dict(record.data["metrics"])) == ("eval", heard)


def test_an_evaluation_is_answered(tmp_path, act):
    """The answer is the leading scorer's score and whether it is the best so far; None where nobody can score."""
    loop = Training(tmp_path, act() | {"use": ["eval-loss"]}).loop

    said = [
        loop.evaluate(4, loss=2.0),
        loop.evaluate(8, loss=3.0),
        loop.evaluate(9, f1=1.0),
        loop.evaluate(12, loss=1.0),
    ]

    assert [(answer.score, answer.is_best) for answer in said] == [
        (2.0, True),
        (3.0, False),
        (None, False),
        (1.0, True),
    ]


def test_an_error_that_is_to_be_raised_is_raised(tmp_path, act):
    """With `on_error: raise` a strategy's error ends the run, and the user's values are in force."""

    class Fails:
        @hookimpl
        def diagnose(self) -> Finding:
            raise ValueError("no")

    training = Training(tmp_path, act(Fails(), on_error="raise"))
    with pytest.raises(StrategyError, match="failed in diagnose: no"):
        training.run()

    assert not training.loop.session.is_running


def test_an_unknown_hyperparameter_is_a_config_error(tmp_path):
    """A config that names a hyperparameter nobody handed over is refused when it is attached."""
    with pytest.raises(steersman.ConfigError, match=r"hyperparameters\.label_smoothing: there is no such"):
        Training(tmp_path, {"mode": "act", "hyperparameters": {"label_smoothing": {}}})


def test_a_hyperparameter_of_the_users_own_is_changed_and_put_back(tmp_path, act):
    """A value that the loop reads as `.value` follows decisions, and is the user's again at the end."""
    clip = Hyperparameter.holding("max_grad_norm", 1.0)
    asks = Asks({4: Adjust("max_grad_norm", scale=0.5, because="a test")})
    config = act(asks, hyperparameters={"max_grad_norm": {"min": 0.1}})
    training = Training(tmp_path, config, hyperparameters=[clip])

    training.run(range(1, 6))
    assert clip.value == 0.5

    training.loop.close()
    assert clip.value == 1.0


def test_what_was_not_handed_over_says_how(tmp_path, act):
    """A hyperparameter that only the loop knows is unsupported, with the cure as the reason."""
    Training(tmp_path, act()).loop.begin()

    [run] = _entries(tmp_path, "run")
    reasons = {h["name"]: h["reason"] for h in run.data["hyperparameters"]}
    assert reasons["max_grad_norm"] == "hand it over as Hyperparameter(name, get, set)"
    assert reasons["learning_rate"] == ""


def test_an_optimizer_without_hooks_is_watched_all_the_same(tmp_path, act):
    """With something that is no torch optimizer the records are judged, and the rate is unsupported."""
    asks = Asks({4: Adjust("learning_rate", scale=0.5, because="a test")})
    with steersman.attach(SimpleNamespace(step=None), act(asks), folder=tmp_path, eval_every=4) as loop:
        for step in (4, 8):
            loop.evaluate(step, loss=1.0)

    assert asks.asked_at == [4, 8]
    [proposal] = _entries(tmp_path, "proposal")
    assert (proposal.data["verdict"], "no torch optimizer" in proposal.data["reason"]) == ("refused", True)


def test_switched_off_nothing_is_there_and_the_eval_loss_ranks(tmp_path, halves, monkeypatch):
    """With STEERSMAN_DISABLED no journal is written, no rate changed, and a loop that keeps the best still works."""
    monkeypatch.setenv("STEERSMAN_DISABLED", "1")
    training = Training(tmp_path, halves)
    training.run()

    said = [training.loop.evaluate(step, loss=loss) for step, loss in ((13, 0.9), (14, 0.1), (15, 0.4))]

    assert [answer.score for answer in said] == [0.9, 0.1, 0.4]
    assert [answer.is_best for answer in said][1:] == [True, False]
    assert (training.loop.should_stop, training.loop.should_save) == (False, False)
    assert not (tmp_path / "steersman").exists()
    training.loop.close()


def test_skipped_steps_are_no_steps(tmp_path, halves):
    """A step that a gradient scaler leaves out for an overflow is not counted and settles nothing."""
    training = Training(tmp_path, halves)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for scale in (1.0, math.inf, 1.0):
        training.optimizer.zero_grad()
        scaler.scale(training.loss(1) * scale).backward()
        scaler.step(training.optimizer)
        scaler.update()

    assert training.loop.step == 2


def test_two_optimizers_are_two_loops(tmp_path, halves, rates_used):
    """Each optimizer of a GAN is attached on its own, with a folder of its own, and is changed on its own."""
    one, other = (
        Training(tmp_path / "generator", halves),
        Training(tmp_path / "discriminator", halves | {"use": ["eval-loss"]}),
    )
    for step in range(1, 6):
        one.step(step)
        other.step(step)

    factors = [t.loop.session.supervisor.registry.view("learning_rate").factor for t in (one, other)]
    assert factors == [0.5, 1.0]
    assert rates_used[-2] == pytest.approx(rates_used[-1] * 0.5)


def test_a_checkpoint_that_may_not_be_best_scores_infinity(tmp_path):
    """What is required is missing, not met, met: 1.0 waits, 2.0 is rejected, and 3.0 is the best."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    config = {"use": ["eval-loss"], "score": {"require": {"eval_quality": ">= 1"}}, "console": False, "extends": []}
    with steersman.attach(optimizer, config, folder=tmp_path, total_steps=12, eval_every=4) as loop:
        judged = [
            loop.evaluate(4, loss=1.0),
            loop.evaluate(8, loss=2.0, quality=0.5),
            loop.evaluate(12, loss=3.0, quality=1.0),
        ]

    assert [(said.score, said.is_best) for said in judged] == [(math.inf, False), (math.inf, False), (3.0, True)]
