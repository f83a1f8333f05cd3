"""What GRPO and RLOO generate is counted apart from what they train on, equal to a recount of the completions."""

from __future__ import annotations

from typing import Any

import pytest

import steersman
from steersman import Usage
from steersman.integrations.trl.generation_meter import GenerationMeter


class Recount:
    """A reward function that counts what it is asked to judge in training: completions and their tokens."""

    __name__ = "recount"

    def __init__(self) -> None:
        self.trainer: Any = None
        self.tokens = self.completions = 0

    def __call__(self, completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        if self.trainer.model.training:
            self.tokens += sum(len(ids) for ids in completion_ids)
            self.completions += len(completion_ids)
        return [float(len(set(ids))) for ids in completion_ids]


def ledgers(trainer: Any, journal: Any) -> dict[str, Any]:
    [end] = journal(trainer, "end")
    tokens: dict[str, Any] = end.data["tokens"]
    return tokens


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_generated_tokens_are_those_of_the_completions(kind, request, journal):
    """Twelve steps with an evaluation at the end: tokens and completions are those the reward function was given."""
    make, recount = request.getfixturevalue(kind), Recount()
    trainer = recount.trainer = make(reward_funcs=[recount], eval_strategy="steps", eval_steps=12, logging_steps=5)
    steersman.supervise(trainer, {"console": False, "use": []})

    trainer.train()

    generation = ledgers(trainer, journal)["generation"]
    assert (generation["tokens"], generation["samples"]) == (recount.tokens, recount.completions)
    assert recount.completions == 48
    assert 0 < generation["seconds"] < ledgers(trainer, journal)["elapsed"]


def test_trained_and_generated_tokens_are_apart(grpo, journal):
    """With two passes over each generation the completions are trained on twice and generated once."""
    recount = Recount()
    trainer = recount.trainer = grpo(reward_funcs=[recount], num_iterations=2)
    steersman.supervise(trainer, {"console": False, "use": []})

    trainer.train()

    told = ledgers(trainer, journal)
    assert told["generation"]["tokens"] == recount.tokens
    assert told["backpropagation"]["loss_tokens"] == 2 * recount.tokens
    assert (told["generation"]["samples"], told["backpropagation"]["samples"]) == (24, 48)


def test_the_time_of_generation_is_no_time_of_backpropagation(grpo, journal):
    """The two ledgers together take no longer than the run."""
    trainer = grpo()
    steersman.supervise(trainer, {"console": False, "use": []})

    trainer.train()

    told = ledgers(trainer, journal)
    assert told["generation"]["seconds"] > 0 and told["backpropagation"]["seconds"] > 0
    assert told["generation"]["seconds"] + told["backpropagation"]["seconds"] < told["elapsed"]


def test_a_resumed_run_counts_each_completion_once(grpo, journal, tmp_path):
    """Saved at step 6 of 12, where nothing was logged since step 4, and resumed: 24 completions and 24 more."""
    more = {"logging_steps": 4, "save_strategy": "steps", "save_steps": 6, "output_dir": str(tmp_path / "cut")}
    first, second = Recount(), Recount()
    for recount, max_steps in ((first, 6), (second, 12)):
        recount.trainer = grpo(reward_funcs=[recount], max_steps=max_steps, **more)
        steersman.supervise(recount.trainer, {"console": False, "use": []})
    first.trainer.train()

    second.trainer.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-6"))

    told = journal(second.trainer, "end")[-1].data["tokens"]["generation"]
    assert (first.completions, second.completions) == (24, 24)
    assert (told["samples"], told["tokens"]) == (48, first.tokens + second.tokens)


class _Plain:
    """Stands for a trainer of another release, whose `_generate` returns something else."""

    class model:
        training = True

    def _generate(self) -> int:
        return 7

    def _generate_and_score_completions(self) -> int:
        return self._generate()


def test_a_release_that_returns_something_else_is_told_of_once():
    """What cannot be counted is unknown, said once, and returned as it was."""
    trainer, excluded = _Plain(), []
    meter = GenerationMeter(trainer, excluded.append)

    returned = [trainer._generate_and_score_completions() for _ in range(2)]

    [note] = meter.notes()
    assert returned == [7, 7] and len(excluded) == 2
    assert "could not be counted" in note
    assert (meter.take(), meter.notes()) == (Usage("generation", unknown=2), ())


def test_it_leaves_the_trainer_as_it_was():
    """Released, it stands before nothing; where somebody else stands before it, that one goes on being called."""
    trainer, other = _Plain(), _Plain()
    meter = GenerationMeter(trainer, lambda _: None)
    behind = GenerationMeter(other, lambda _: None)
    inner = other._generate
    other._generate = lambda: inner() + 1

    meter.release()
    behind.release()

    assert "_generate" not in vars(trainer) and "_generate_and_score_completions" not in vars(trainer)
    assert other._generate() == 8
