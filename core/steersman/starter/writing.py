"""The text of a first config: a few keys in force, the others as comments, a sentence on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from steersman.config.yaml_text import dumps
from steersman.starter.detecting import Trainer
from steersman.starter.scripts import script_for

_MORE: Mapping[Trainer, tuple[str, ...]] = {
    "trl": (
        "# Of GRPO and RLOO (kl_penalty, of DPO and KTO too); at train begin each is told to be live or not, and why:",
        "# kl_penalty: {min_factor: 0.5, max_factor: 3}   # beta, where it is not 0 at the start; more is safer",
        "# temperature: {min: 0.5, max: 1.2}              # of sampling",
        "# reward_weight[NAME]: {max: 3}                  # of one reward function, by the name that TRL logs it by",
        "# max_grad_norm: {min: 0.1}                      # the norm at which gradients are clipped",
    ),
    "hf": ("# max_grad_norm: {min: 0.1}     # the norm at which gradients are clipped",),
    "lightning": (
        "# learning_rate[1]: {min_factor: 0.1, max_factor: 1}   # of one parameter group, by its name or index",
    ),
    "plain": ("# learning_rate[1]: {min_factor: 0.1, max_factor: 1}   # of one parameter group, by its name or index",),
}
_REWARD = """
# What makes a checkpoint the best, asked before all strategies. The loss of GRPO and RLOO says little of a checkpoint;
# an evaluation on held-out prompts logs eval_reward:
# score:
#   eval_reward: {weight: 1.0, direction: higher}
"""
_SCORE = """
# What makes a checkpoint the best, if it is not the eval loss: your metrics with weights, asked before all strategies.
# score:
#   eval_accuracy: {weight: 1.0, direction: higher}
"""


def text_for(trainer: Trainer, recommended: Mapping[str, Any], config: str) -> str:
    """Return the YAML for a trainer: `recommended` is what that config comes to, `config` the path written to."""
    return "\n".join(_lines(trainer, recommended, config)) + "\n"


def _lines(trainer: Trainer, recommended: Mapping[str, Any], config: str) -> Iterator[str]:
    script = script_for(trainer, config)
    yield f"# How Steersman supervises this run, with {script.title}. Attached by:"
    yield "#"
    yield from (f"#   {line}" for line in script.lines)
    yield "#"
    yield from (f"# {line}" for line in script.beside)
    yield f"# Is it sound: `steersman config check {config}`. What is in force: `steersman config show {config}`."
    yield from _section("""
# Where it starts from. recommended: what measurements support; default: the same strategies, and nothing is changed;
# or origin, the system Steersman comes from, literally. Or a file of your own, which several runs can share.""")
    yield "extends: recommended"
    yield from _section("""
# What it may do. observe: nothing, and the run is bit-identical. advise: say what it would change. ask: change what
# you approve (`steersman approve RUN 1`). act: change by itself, within what stands below.""")
    yield f"mode: {recommended['mode']}"
    yield from _section("""
# When health is looked at. auto: at each evaluation, else 20 times a run. Or: eval, epoch, a number of steps.""")
    yield f"check_every: {recommended['check_every']}"
    yield from _section("""
# All that may be changed, and how far. min_factor, max_factor: of your own value or schedule; min, max: absolute.
# One change moves a value by its largest_change at most, a share of itself; cooldown checks pass between two. Narrow
# them as you like. A bound that you leave out is as recommended has it; what is named nowhere is never written.""")
    yield "hyperparameters:"
    for name, rule in cast("Mapping[str, object]", recommended["hyperparameters"]).items():
        yield f"  {dumps(name)}: {dumps(rule)}"
    yield from (f"  {line}" for line in _MORE[trainer])
    yield from _section(_REWARD if trainer == "trl" else _SCORE)
    yield from _section("""
# Who is asked, in this order: as recommended has it. `steersman strategies` lists what is installed. A list of your own
# replaces this one; `without: [NAME]` takes one away.
# use:""")
    yield from (f"#   - {_entry(entry)}" for entry in recommended["use"])
    yield from _section("""
# The healthy states that a rollback returns to, where a strategy asks for one. at: sound checks, or the best alone.""")
    yield f"# recovery: {dumps(recommended.get('recovery', {}))}"
    yield from _section("""
# What holds for every change. budget: changes a run may have. last_share: the part of the steps at its end without any.
# rails: {budget: 20, last_share: 0.2}

# Where the run stops, with a checkpoint: hours by the clock, tokens trained on; counted over resumes.
# budget: {hours: 12, tokens: 2000000000}

# Your names of metrics onto ours, where the log calls them otherwise.
# metrics: {train/ce: loss, valid_ce: eval_loss}

# Where it is told: auto is where the trainer reports, none, or a list of tensorboard, wandb, mlflow.
# report_to: auto""")


def _entry(entry: object) -> str:
    text = dumps(entry)
    return text[1:-1] if isinstance(entry, Mapping) else text


def _section(text: str) -> list[str]:
    return text.rstrip("\n").split("\n")
