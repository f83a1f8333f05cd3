"""Ignite's engines under supervision: what they tell, how they are told, and their own checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import define
from ignite.engine import Engine, Events
from ignite.handlers import Checkpoint, DiskSaver, EarlyStopping
from ignite.metrics import Average

import steersman
from steersman import Adjust, Save, Stop, hookimpl, state
from steersman.integrations.ignite import SteersmanEvents, attach
from steersman.journal import JournalEntry
from steersman.readers import journal as journal_reader

EPOCH, EPOCHS = 4, 3
DECISIONS = ("score", "finding", "proposal", "adjustment")


@define(eq=False)
class Asks:
    """Returns at the checks of given steps what a test wants proposed, and remembers the checks."""

    answers: dict[int, Any]
    asked_at: list[int] = state([])

    @hookimpl
    def propose_adjustments(self, run: Any, check: Any) -> Any:
        self.asked_at.append(check.step)
        return self.answers.get(check.step)


class Training:
    """A linear model, three epochs of four batches, evaluated after each by an evaluator of its own."""

    def __init__(self, folder: Path, config: Any = None, *, accumulate: int = 1, **settings: Any) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Linear(4, 1)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.05)
        self.accumulate = accumulate
        self.trainer, self.evaluator = Engine(self._train), Engine(lambda engine, seed: self.loss(seed).item())
        Average().attach(self.evaluator, "loss")
        if config is not None:
            settings = {"folder": folder, "log_every": 2, "gradient_accumulation_steps": accumulate} | settings
            self.loop = attach(self.trainer, self.evaluator, self.optimizer, config, **settings)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: self.evaluator.run([1000, 1001]))

    def loss(self, seed: int) -> torch.Tensor:
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.mse_loss(self.model(inputs), inputs.sum(1, keepdim=True))

    def _train(self, engine: Engine, seed: int) -> Any:
        loss = self.loss(seed)
        loss.backward()
        if engine.state.iteration % self.accumulate == 0:
            self.optimizer.step()
            self.optimizer.zero_grad()
        return loss.detach()

    def run(self, **settings: Any) -> Any:
        return self.trainer.run(range(EPOCH), **({"max_epochs": EPOCHS} | settings))


@pytest.fixture
def halves(act: Any) -> Any:
    """A config that halves the learning rate after the steps 4 and 8."""
    return act(Asks({s: Adjust("learning_rate", scale=0.5, because="a test") for s in (4, 8)}), "trend-health")


def _entries(folder: Path, *kinds: str) -> list[JournalEntry]:
    entries = journal_reader.current(folder / "steersman" / "journal.jsonl")
    return [entry for entry in entries if not kinds or entry.kind in kinds]


def test_the_records_are_those_of_the_engines(tmp_path, halves):
    """The trainer's output is the loss, the evaluator's metrics are an evaluation, the plan is told before the first."""
    Training(tmp_path, halves).run()

    told = [(e.step, e.data["of"], sorted(e.data["metrics"]), e.data["epoch"]) for e in _entries(tmp_path, "record")]
    assert told[:4] == [
        (2, "train", ["loss"], 0.5),
        (4, "train", ["loss"], 1.0),
        (4, "eval", ["eval_loss"], 1.0),
        (6, "train", ["loss"], 1.5),
    ]
    plan = _entries(tmp_path, "run")[0].data["plan"]
    assert (plan["total_steps"], plan["steps_per_epoch"], plan["evaluates"]) == (12, 4.0, True)
    assert [e.step for e in _entries(tmp_path, "end")] == [12]


def test_a_decision_takes_effect_in_the_next_step(tmp_path, halves, rates_used):
    """What is decided on the evaluation after step 4 is in force in step 5."""
    Training(tmp_path, halves).run()

    assert rates_used == [0.05] * 4 + [0.025] * 4 + [0.0125] * 4


def test_accumulated_iterations_are_no_steps(tmp_path, act):
    """Accumulating gradients, steps are those of the optimizer, and the plan counts them."""
    Training(tmp_path, act(), accumulate=2).run()

    told = [(e.step, e.data["epoch"]) for e in _entries(tmp_path, "record") if e.data["of"] == "train"]
    assert told == [(2, 1.0), (4, 2.0), (6, 3.0)]
    assert _entries(tmp_path, "run")[0].data["plan"]["total_steps"] == 6


@pytest.mark.parametrize(
    ("output", "heard"),
    [({"loss": 1.5, "kl": torch.tensor(2.0)}, {"loss": 1.5, "kl": 2.0}), (1.5, {"loss": 1.5}), ((1.0, 2.0), {})],
)
def test_what_an_output_may_be(tmp_path, act, output, heard):
    """A number is the loss, a dict is metrics; anything else is left out and named."""
    training = Training(tmp_path, act(), log_every=1)
    training.trainer._process_function = lambda engine, seed: (training._train(engine, seed), output)[1]

    training.run(max_epochs=1)

    record = _entries(tmp_path, "record")[0]
    assert record.data["metrics"] == heard
    assert list(record.data["dropped"]) == ([] if heard else ["loss"])


def _checkpoint(training: Training, folder: Path, **settings: Any) -> Checkpoint:
    to_save = {
        "model": training.model,
        "optimizer": training.optimizer,
        "trainer": training.trainer,
        "steersman": training.loop,
    }
    return Checkpoint(to_save, DiskSaver(str(folder), require_empty=False), **settings)


def test_the_score_chooses_the_checkpoint(tmp_path, act):
    """Ignite's Checkpoint keeps the one with the lowest score, through `score_function`."""
    training = Training(tmp_path, act() | {"use": ["eval-loss"]})
    keeper = _checkpoint(
        training,
        tmp_path / "kept",
        n_saved=1,
        score_name="score",
        score_function=training.loop.score_function,
        global_step_transform=lambda *_: training.trainer.state.iteration,
    )
    training.evaluator.add_event_handler(Events.COMPLETED, keeper)
    losses = iter([2.0, 1.0, 3.0])
    training.evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(loss=next(losses))
    )

    training.run()

    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["checkpoint_8_score=-1.0000.pt"]
    assert training.loop.summary["best"]["step"] == 8


def test_nothing_scored_is_never_best(tmp_path, act):
    """Where no scorer has an opinion the metric is infinity, which Ignite's handlers take."""
    training = Training(tmp_path, act())
    training.evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(loss=math.nan)
    )
    stopper = EarlyStopping(5, training.loop.score_function, training.trainer)
    training.evaluator.add_event_handler(Events.COMPLETED, stopper)

    training.run()

    assert training.evaluator.state.metrics["steersman_score"] == math.inf


@pytest.mark.parametrize("boom", [6, 10])
def test_a_resumed_run_is_the_straight_one(tmp_path, act, halves, rates_used, boom):
    """Killed and resumed with load_objects: the same decisions, rates, ranking and parameters."""
    straight = Training(tmp_path / "straight", halves)
    straight.run()
    rates, rates_used[:] = list(rates_used), []
    first = Training(tmp_path / "resumed", halves)
    first.trainer.add_event_handler(Events.EPOCH_COMPLETED, _checkpoint(first, tmp_path / "saved", n_saved=None))

    @first.trainer.on(Events.ITERATION_STARTED(once=boom))
    def _():
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        first.run()
    rates_used.clear()
    saved_at = boom - boom % EPOCH

    second = Training(tmp_path / "resumed", halves)
    keeper = _checkpoint(second, tmp_path / "saved")
    Checkpoint.load_objects(keeper.to_save, tmp_path / "saved" / f"checkpoint_{saved_at}.pt")
    second.run()

    assert rates_used == rates[saved_at:]
    assert torch.equal(second.model.weight, straight.model.weight)
    folders = (tmp_path / "straight", tmp_path / "resumed")
    one, other = ([(e.kind, e.step, dict(e.data)) for e in _entries(f, *DECISIONS)] for f in folders)
    assert one == other
    assert [step for kind, step, _ in one if kind == "adjustment"] == [4, 8]
    assert second.loop.summary["best"] == straight.loop.summary["best"]


def test_a_stop_terminates_and_saves_first(tmp_path, act):
    """A Stop decided on step 4 ends the run after step 5, and SAVE is fired before."""
    training, saved = Training(tmp_path, act(Asks({4: Stop("enough")}))), []
    training.trainer.add_event_handler(SteersmanEvents.SAVE, lambda engine: saved.append(engine.state.iteration))

    training.run()

    assert (training.trainer.state.iteration, saved) == (5, [5])


def test_a_save_is_fired_once(tmp_path, act):
    """A Save decided on step 4 fires the event after step 5, and not again."""
    training, saved = Training(tmp_path, act(Asks({4: Save("to be safe")}))), []
    training.trainer.add_event_handler(SteersmanEvents.SAVE, lambda engine: saved.append(engine.state.iteration))

    training.run()

    assert saved == [5]


@pytest.mark.parametrize("swallows", [False, True])
def test_an_exception_keeps_its_way(tmp_path, halves, swallows):
    """An exception is raised as without us, and a handler of the user's that swallows it still does; values are put back."""
    training, seen = Training(tmp_path, halves), []

    @training.trainer.on(Events.ITERATION_STARTED(once=6))
    def _():
        raise RuntimeError("boom")

    if swallows:
        training.trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: seen.append(error))
        training.run(max_epochs=2)
    else:
        with pytest.raises(RuntimeError, match="boom"):
            training.run()

    assert bool(seen) == swallows
    assert training.loop.session.supervisor.registry.get("learning_rate").handle.factor == 1.0
    assert not training.loop.session.is_running
    notes = [e.data["message"] for e in _entries(tmp_path, "note")]
    assert ("training ended at step 5 by RuntimeError, before its end" in notes) != swallows


def test_an_evaluation_at_the_very_end_is_heard(tmp_path, act):
    """What the user evaluates when the trainer has completed belongs to the run."""
    training = Training(tmp_path, act())
    training.trainer.add_event_handler(Events.COMPLETED, lambda _: training.loop.evaluate(12, f1=0.5))

    training.run()

    assert [e.step for e in _entries(tmp_path, "record") if "eval_f1" in e.data["metrics"]] == [12]


def test_a_second_run_goes_on(tmp_path, halves, rates_used):
    """`run` again with more epochs goes on: the ranking is kept and the factor is in force again, once."""
    training = Training(tmp_path, halves)
    training.run(max_epochs=2)
    rates_used.clear()

    training.run(max_epochs=3)

    assert rates_used[0] == 0.0125
    assert training.loop.summary["evaluations"] == 3
    assert [e.step for e in _entries(tmp_path, "adjustment")] == [4, 8]


def test_an_interrupted_run_goes_on(tmp_path, halves, rates_used):
    """After `interrupt` the next `run` is the same run."""
    training = Training(tmp_path, halves)

    @training.trainer.on(Events.ITERATION_COMPLETED(once=6))
    def _():
        training.trainer.interrupt()

    training.run()
    training.trainer.run()

    assert rates_used == [0.05] * 4 + [0.025] * 4 + [0.0125] * 4
    assert [len(_entries(tmp_path, kind)) for kind in ("run", "end")] == [1, 1]


def test_a_watched_run_is_bit_identical(tmp_path, halves):
    """In observe the parameters are those of the run alone."""
    plain = Training(tmp_path)
    plain.run()
    watched = Training(tmp_path, halves | {"mode": "observe"})
    watched.run()

    assert torch.equal(watched.model.weight, plain.model.weight)


def test_a_faulty_config_is_refused(tmp_path):
    """A fault of the config is told when it is attached."""
    with pytest.raises(steersman.ConfigError, match="unknown key 'moode'"):
        Training(tmp_path, {"moode": "act"})


def test_what_is_required_holds_for_ignites_best_too(tmp_path, act):
    """The lowest loss does not meet what is required, so Ignite keeps the next: 1.0 fails, 2.0 and 3.0 pass."""
    config = act() | {"use": ["eval-loss"], "score": {"require": {"eval_quality": ">= 1"}}}
    training = Training(tmp_path, config)
    keeper = _checkpoint(
        training,
        tmp_path / "kept",
        n_saved=1,
        score_function=training.loop.score_function,
        global_step_transform=lambda *_: training.trainer.state.iteration,
    )
    training.evaluator.add_event_handler(Events.COMPLETED, keeper)
    told = iter([{"loss": 3.0, "quality": 1.0}, {"loss": 1.0, "quality": 0.5}, {"loss": 2.0, "quality": 1.0}])
    training.evaluator.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(next(told)))

    training.run()

    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["checkpoint_12_-2.0000.pt"]
