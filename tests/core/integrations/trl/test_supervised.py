"""The trainers of TRL are supervised to the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import TrainerCallback

import steersman
from steersman.verifying import verify


def _status(journal, trainer, name):
    begin = journal(trainer, "run")[0].data
    return next((h["status"], h["reason"]) for h in begin["hyperparameters"] if h["name"] == name)


@pytest.fixture
def settings(settings):
    """Twelve steps with a log at every second, an evaluation and a checkpoint at every fourth."""
    often = {"logging_steps": 2, "eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps", "save_steps": 4}
    return settings | often


def test_sft_is_scored_steered_and_counted(make_dataset, saved, settings, act, cut, journal, rates_used):
    """An SFT run is scored at each evaluation, its rate is halved exactly, and its tokens are those TRL counts."""
    from trl import SFTConfig, SFTTrainer

    texts = make_dataset(text=[" ".join(f"w{w}" for w in range(i % 40, i % 40 + 5 + i % 9)) for i in range(64)])
    config = SFTConfig(
        per_device_train_batch_size=4,
        max_length=32,
        load_best_model_at_end=True,
        metric_for_best_model="steersman_score",
        **settings,
    )
    trainer = SFTTrainer(str(saved), args=config, train_dataset=texts, eval_dataset=texts.select(range(8)))
    callback = steersman.supervise(trainer, act(cut(), {"trend-health": {"preset": "seed"}}, "token-accounting"))

    trainer.train()

    assert trainer.state.global_step == 12
    scores = {e.step: e.data["value"] for e in journal(trainer, "score") if e.data["decides"]}
    assert sorted(scores) == [4, 8, 12]
    assert trainer.state.best_global_step == min(scores, key=scores.get)
    assert set(rates_used[:8]) == {1e-3} and rates_used[8] == 5e-4
    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    counted = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry and "loss" in entry]
    assert ledger["backpropagation_tokens"] == counted[-1]
    assert _status(journal, trainer, "kl_penalty") == ("unsupported", "this trainer has none")
    assert callback.summary["best"]["step"] == trainer.state.best_global_step


def test_grpo_is_watched_by_its_reward(grpo, journal):
    """A GRPO run ends; what it has is live, and no rule looks at its loss by itself."""
    trainer = grpo()
    callback = steersman.supervise(trainer, {"extends": "origin", "console": False, "check_every": 2})

    trainer.train()

    assert trainer.state.global_step == 12
    assert _status(journal, trainer, "kl_penalty") == ("live", "")
    findings = [e.data["name"] for e in journal(trainer, "finding")]
    assert not any("loss" in name for name in findings)
    checks = [e for e in journal(trainer, "check") if e.data["reason"] == "scheduled"]
    assert [e.step for e in checks] == [2, 4, 6, 8, 10, 12]
    assert all(e.data["reward"] is not None for e in checks)
    assert callback.summary["evaluations"] == 3
    assert {e.step for e in journal(trainer, "score", "unscored")} == {4, 8, 12}


def test_the_loss_rules_would_have_looked_if_told_to(grpo, journal):
    """That no rule looks at GRPO's loss is a decision: `loss_rules: on` takes it for what it is and finds it rising."""
    use = [{"trend-health": {"preset": "seed", "loss_rules": "on"}}]
    trainer = grpo(eval_strategy="no")
    steersman.supervise(trainer, {"extends": [], "use": use, "console": False, "check_every": 2})

    trainer.train()

    assert any("loss" in e.data["name"] for e in journal(trainer, "finding"))


def test_a_kl_penalty_handed_over_is_steered(grpo, act, cut, journal):
    """`Hyperparameter("kl_penalty", get, set)` makes the KL penalty of a GRPO run live; it is put back in the end."""
    trainer = grpo()
    beta = steersman.Hyperparameter("kl_penalty", lambda: trainer.beta, lambda v: setattr(trainer, "beta", v))
    config = act(cut(name="kl_penalty", scale=2.0), hyperparameters={"kl_penalty": {"min": 0.05, "max": 0.3}})
    steersman.supervise(trainer, config, hyperparameters=[beta])

    trainer.train()

    changes = [(e.step, e.data["old"], e.data["read_back"]) for e in journal(trainer, "adjustment")]
    assert changes == [(4, 0.05, pytest.approx(0.1))]
    assert trainer.beta == 0.05


class Watching(TrainerCallback):
    """Records beta and the temperature that each step begins with."""

    def __init__(self, trainer):
        self.trainer, self.seen = trainer, []

    def on_step_begin(self, args, state, control, **kwargs):
        self.seen.append((self.trainer.beta, self.trainer.temperature))


TIGHTENING = """
import steersman
from steersman import Adjust


class Tightening:
    'Doubles the KL penalty at the check of step 4, and lowers the temperature at that of step 6.'

    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        closer = Adjust("kl_penalty", scale=2.0, because="a test says so")
        colder = Adjust("temperature", scale=0.8, because="a test says so")
        return {4: closer, 6: colder}.get(check.step)
"""


@pytest.fixture
def steered(grpo, act, tmp_path):
    """Return a function that trains under `Tightening`, with a generation at every second step."""
    (tmp_path / "tightening.py").write_text(TIGHTENING)

    def train(steps_per_generation=2, rails=None, **options):
        trainer = grpo(steps_per_generation=steps_per_generation)
        allowed = {"kl_penalty": {"max": 0.3}, "temperature": {"min": 0.5}}
        rules = {"score": {"eval_reward": {"weight": 1.0, "direction": "higher"}}, "rails": rails or {}}
        config = act(f"{tmp_path}/tightening.py:Tightening", hyperparameters=allowed, check_every=2) | rules
        steersman.supervise(trainer, config)
        watching = Watching(trainer)
        trainer.add_callback(watching)
        trainer.train(**options)
        return trainer, watching.seen

    return train


def test_rules_steer_what_trl_generates_with(steered, journal):
    """Beta and the temperature change through the whole of Steersman, and are the user's again in the end."""
    trainer, seen = steered()

    assert seen == [(0.05, 1.0)] * 4 + [(0.1, 1.0)] * 2 + [(0.1, 0.8)] * 6
    changes = {(e.step, e.data["hyperparameter"]): e.data["read_back"] for e in journal(trainer, "adjustment")}
    assert changes == {(4, "kl_penalty"): 0.1, (6, "temperature"): 0.8}
    assert (trainer.beta, trainer.temperature, trainer.generation_config.temperature) == (0.05, 1.0, 1.0)


def test_a_change_waits_for_the_next_generation(steered, journal):
    """With a generation at every fourth step, what is decided at step 6 is in force from the ninth, and is said then."""
    trainer, seen = steered(steps_per_generation=4)

    assert seen == [(0.05, 1.0)] * 4 + [(0.1, 1.0)] * 4 + [(0.1, 0.8)] * 4
    effects = [(e.step, e.data["hyperparameter"], e.data["value"]) for e in journal(trainer, "effect")]
    assert effects == [(4, "kl_penalty", 0.1), (8, "temperature", 0.8)]


def test_what_moves_the_rewards_begins_the_ranking_anew(steered, journal):
    """Rewards at another temperature are no better or worse: the best is chosen from those after the change."""
    trainer, _ = steered(steps_per_generation=4, rails={"restart_baselines": True})

    assert [e.step for e in journal(trainer, "restart")] == [4, 8]
    assert journal(trainer, "end")[0].data["best"]["step"] == 12
    assert [e.data["loss_change"] for e in journal(trainer, "check") if e.step in (6, 10)] == [None, None]


def test_a_deferred_change_is_recomputed_from_the_journal(steered):
    """`replay --verify` knows when each value came into force."""
    trainer, _ = steered(steps_per_generation=4, rails={"restart_baselines": True})

    told = verify(Path(trainer.args.output_dir))

    assert told.differences == ()
    assert told.decisions > 5


def test_a_resumed_run_is_steered_as_the_straight_one(steered, logged):
    """From the checkpoint of step 8 a run goes on with both values, and logs what the straight run logs."""
    straight, seen = steered()
    rewards = logged(straight, "rewards/even/mean")

    resumed, again = steered(resume_from_checkpoint=f"{straight.args.output_dir}/checkpoint-8")

    assert again == seen[8:]
    assert logged(resumed, "rewards/even/mean") == rewards


def test_the_reward_may_choose_the_best(grpo, journal):
    """`score:` with direction higher scores GRPO's checkpoints by their reward, and the Trainer chooses by it."""
    trainer = grpo(load_best_model_at_end=True, metric_for_best_model="steersman_score")
    score = {"eval_reward": {"weight": 1.0, "direction": "higher"}}
    steersman.supervise(trainer, {"score": score, "console": False})

    trainer.train()

    rewards = {e["step"]: e["eval_reward"] for e in trainer.state.log_history if "eval_reward" in e}
    assert sorted(rewards) == [4, 8, 12]
    best = max(rewards.values())
    assert rewards[trainer.state.best_global_step] == best
    assert trainer.state.best_metric == pytest.approx(-best)
    assert Path(trainer.args.output_dir, f"checkpoint-{trainer.state.best_global_step}").is_dir()
