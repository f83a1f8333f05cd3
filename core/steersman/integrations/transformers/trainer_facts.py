"""What the Trainer tells of a run before its first step: its plan, its hyperparameters, and what will not work."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, cast

from attrs import define

from steersman import registry
from steersman.config import Config
from steersman.hyperparameters import Entry, Hyperparameter
from steersman.integrations.torch.facts import adaptive
from steersman.integrations.torch.learning_rate import learning_rates
from steersman.integrations.transformers.native_score import is_chosen
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.registry import Registry
from steersman.schedule import RunPlan, cadence, checks_ahead


@define(eq=False)
class _ClipNorm:
    """`args.max_grad_norm`, which the Trainer reads at every step."""

    args: Any
    original: float | None = None

    def read(self) -> float | None:
        value = self.args.max_grad_norm
        return None if value is None else float(value)

    def write(self, value: float, ratio: float) -> None:
        self.original = self.read() if self.original is None else self.original
        self.args.max_grad_norm = value

    def save(self) -> float | None:
        return self.read()

    def restore(self, saved: float) -> None:
        self.write(saved, 1.0)

    def release(self) -> None:
        if self.original is not None:
            self.args.max_grad_norm, self.original = self.original, None


def plan_of(
    args: Any, state: Any, trainer: Any | None, train_dataloader: Any, scheduler: Any = None, *, forces_logs: bool
) -> RunPlan:
    """Return what is known of the run at its begin."""
    total = state.max_steps if state.max_steps and state.max_steps > 0 else None
    strategy = _strategy(args.eval_strategy)
    datasets: Any = getattr(trainer, "eval_dataset", None)
    has_set = trainer is None or datasets is not None
    try:
        per_epoch = max(math.ceil(len(train_dataloader) / args.gradient_accumulation_steps), 1)
    except TypeError:
        per_epoch = None
    evaluates = strategy != "no" and has_set
    logs = _every(args.logging_strategy, state.logging_steps, per_epoch)
    every = _every(strategy, state.eval_steps, per_epoch) if evaluates else None
    saves = _every(args.save_strategy, state.save_steps, per_epoch) if forces_logs else None
    sets = max(len(_set_names(trainer)), 1)
    logged = tuple(n for n in (logs, every, saves) if n) or ((total,) if total and per_epoch else ())
    every = None if args.eval_delay else every
    warmup = args.get_warmup_steps(total) if total else 0
    return RunPlan(total, evaluates, sets, every, per_epoch, logged, int(warmup), adaptive(scheduler))


def _every(strategy: Any, steps: Any, per_epoch: int | None) -> int | None:
    return {"steps": int(steps or 0) or None, "epoch": per_epoch}.get(_strategy(strategy))


def registry_of(args: Any, optimizer: Any, trainer: Any | None, own: tuple[Hyperparameter, ...]) -> Registry:
    """Return every hyperparameter: live, inert or unsupported, with the reason."""
    found = {**learning_rates(optimizer), "max_grad_norm": _clip(args, trainer), **entries_of(trainer)}
    return registry.registry_of(own, found, lambda name: _why_not(name, trainer))


def facts_of(args: Any, trainer: Any | None) -> dict[str, object]:
    """Return what the scores of a run depend on besides its model."""
    sets: Any = getattr(trainer, "eval_dataset", None)
    named = cast("dict[object, object]", sets) if isinstance(sets, dict) else {"eval": sets}
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else "as loaded"
    return {
        "the evaluation sets": {str(name): _rows(held) for name, held in named.items()}
        if trainer is not None
        else "unknown",
        "the batch of an optimizer step": args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
        "the precision": precision,
    }


def _rows(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def preflight(args: Any, plan: RunPlan, config: Config, trainer: Any | None) -> Iterator[str]:
    """Yield a sentence for each thing that will silently not happen in this run."""
    if not plan.evaluates:
        why = "eval_strategy is no" if _strategy(args.eval_strategy) == "no" else "there is no evaluation set"
        yield f"{why}: no checkpoint will be scored"
    else:
        yield from _never_kept(args, plan)
    yield from _will_not_come(config, trainer, plan)
    if config.require and is_chosen(args):
        names = ", ".join(dict.fromkeys(requirement.metric for requirement in config.require))
        yield (
            f"metric_for_best_model is the score, and `score: require:` names {names}: to the Trainer no checkpoint is "
            "best whose own evaluation lacks it; where it comes later, choose with `steersman best`"
        )
    if config.mode == "observe" and config.force_logs == "always":
        yield "force_logs is always, but the mode is observe: no log is forced"
    ahead = checks_ahead(cadence(config.check_every, plan), plan)
    if ahead is not None and ahead < 3 and config.logging.epoch_health_check_enabled:
        count = f"{ahead} health check{'s' if ahead != 1 else ''}"
        yield f"this run will have {count}: too few to see a trend; set check_every"


def _never_kept(args: Any, plan: RunPlan) -> Iterator[str]:
    saves, evaluates = _strategy(args.save_strategy), _strategy(args.eval_strategy)
    if saves == "no":
        yield "save_strategy is no: the best checkpoint will be named, and not kept"
    elif saves == evaluates == "steps" and plan.eval_every and plan.total_steps:
        every, total = int(args.save_steps) if args.save_steps >= 1 else 0, plan.total_steps
        every = every or max(math.ceil(total * args.save_steps), 1)
        evaluated = {*range(plan.eval_every, total + 1, plan.eval_every), total}
        lost = [step for step in sorted(evaluated) if step % every and step != total]
        if lost:
            some = ", ".join(map(str, lost[:4])) + (", ..." if len(lost) > 4 else "")
            share = f"{len(lost)} of {len(evaluated)} evaluations (steps {some}) can never be kept"
            yield f"{share}: save_steps {every} and eval_steps {plan.eval_every} do not meet"
    elif saves != evaluates and saves != "best":
        yield f"evaluations by {evaluates} and saves by {saves} may not meet: such an evaluation can never be kept"


def _will_not_come(config: Config, trainer: Any | None, plan: RunPlan) -> Iterator[str]:
    score = next((use for use in config.use if use.index < 0), None)
    sets = _set_names(trainer)
    if score is None or trainer is None or not plan.evaluates:
        return
    names = [f"eval_{name}_loss" for name in sets] or ["eval_loss"]
    asked: object = score.options.get("metrics", {})
    for name in cast("dict[object, object]", asked) if isinstance(asked, dict) else ():
        if str(name).endswith("_loss") and name not in (*names, "eval_loss") and name not in config.metrics.values():
            yield f"the metric {name} in `score:` will not come; the evaluations give {', '.join(names)}"


def _clip(args: Any, trainer: Any | None) -> Entry:
    value = args.max_grad_norm
    if getattr(trainer, "is_deepspeed_enabled", False) or getattr(args, "deepspeed", None):
        return Entry("max_grad_norm", None, "unsupported", "DeepSpeed clips by its own config", safer="down")
    if value is None or value == 0 or not math.isfinite(value):
        return Entry("max_grad_norm", None, "inert", f"clipping is off (max_grad_norm is {value})", safer="down")
    return Entry("max_grad_norm", _ClipNorm(args), "live", safer="down")


def _why_not(name: str, trainer: Any | None) -> str:
    attribute = {"kl_penalty": "beta", "reward_weight": "reward_weights", "temperature": "temperature"}.get(name, name)
    if trainer is not None and hasattr(trainer, attribute):
        return f"this release does not write trainer.{attribute}; hand it over as Hyperparameter({name!r}, get, set)"
    return "this trainer has none"


def _strategy(value: Any) -> str:
    return str(getattr(value, "value", value))


def _set_names(trainer: Any | None) -> list[str]:
    """Return the names of the evaluation sets, none where there is one without a name."""
    sets: object = getattr(trainer, "eval_dataset", None)
    return [str(name) for name in cast("dict[object, object]", sets)] if isinstance(sets, dict) else []
