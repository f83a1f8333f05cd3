"""A policy trained on rewards as GRPO does it, on questions with ten answers of which the true reward is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen

from steersman import Hyperparameter
from steersman_bench.steer.faults import constant
from steersman_bench.steer.tasks.classification import perceptron
from steersman_bench.steer.tasks.supervised import Tensor, seeded
from steersman_bench.steer.training import Training

_FEATURES, _ANSWERS, _QUESTIONS, _GROUP = 6, 10, 8, 6


@frozen(kw_only=True)
class Rewarded:
    """How a policy is trained. `noise` is that of the reward it is given, `hack` what the last answer is paid beside
    what it is worth, `entropy` the weight of the entropy bonus (below 0: the sign is wrong).
    """

    lr: float = 0.01
    steps: int = 200
    kl_penalty: float = 0.02
    noise: float = 0.2
    hack: float = 0.0
    entropy: float = 0.0
    rate: Any = constant


def bandit(seed: int, r: Rewarded) -> Training:
    """Return the training of a policy; its test metric is the true reward it fails to get, exactly reckoned."""
    chance, data = seeded(seed, "rollouts"), seeded(seed, "questions")
    worth_of = torch.randn(_FEATURES, _ANSWERS - 1, generator=data)
    policy = perceptron(seed, (_FEATURES, 24, _ANSWERS), "tanh", scale=0.7)
    kl_penalty = Hyperparameter.holding("kl_penalty", r.kl_penalty, "up")
    temperature = Hyperparameter.holding("temperature", 1.0, "down")
    with torch.no_grad():
        reference = perceptron(seed, (_FEATURES, 24, _ANSWERS), "tanh", scale=0.7)
    asked = torch.randn(r.steps, _QUESTIONS, _FEATURES, generator=data)
    unseen, validation = torch.randn(1500, _FEATURES, generator=data), torch.randn(300, _FEATURES, generator=data)

    def worth(x: Tensor) -> Tensor:
        """Return the true reward of each answer; the last is worth nothing, ever."""
        return torch.cat([torch.sigmoid(2 * x @ worth_of), torch.zeros(len(x), 1)], 1)

    def paid(x: Tensor) -> Tensor:
        reward = worth(x)
        reward[:, -1] += r.hack
        return reward

    def learn(step: int) -> tuple[Tensor, Mapping[str, Any]]:
        x = asked[step - 1]
        with torch.no_grad():
            likely = torch.softmax(policy(x) / (temperature.value or 1.0), 1)
            answers = torch.multinomial(likely, _GROUP, replacement=True, generator=chance)
            rewards = paid(x).gather(1, answers) + r.noise * torch.randn(answers.shape, generator=chance)
            spread = rewards.std(1, keepdim=True)
            advantages = (rewards - rewards.mean(1, keepdim=True)) / (spread + 1e-4)
            base = torch.log_softmax(reference(x), 1)
        logs = torch.log_softmax(policy(x), 1)
        kl = (logs.exp() * (logs - base)).sum(1).mean()
        entropy = -(logs.exp() * logs).sum(1).mean()
        gain = (advantages * logs.gather(1, answers)).mean()
        loss = -gain + (kl_penalty.value or 0.0) * kl - r.entropy * entropy
        return loss, {
            "reward": rewards.mean(), "reward_std": spread.mean(), "kl": kl.detach(), "entropy": entropy.detach(),
            "frac_reward_zero_std": (spread < 1e-6).float().mean(),
        }  # fmt: skip

    def expected(x: Tensor, rewards: Tensor) -> float:
        with torch.no_grad():
            return float((torch.softmax(policy(x), 1) * rewards).sum(1).mean())

    return Training(
        model=policy, optimizer=torch.optim.Adam(policy.parameters(), r.lr), learn=learn,
        evaluate=lambda: {"eval_reward": expected(validation, paid(validation))},
        test=lambda: 1.0 - expected(unseen, worth(unseen)),
        steps=r.steps, rate=r.rate, hyperparameters=(kl_penalty, temperature),
    )  # fmt: skip
