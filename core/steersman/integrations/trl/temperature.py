"""The temperature: that of sampling, and that of the log probabilities the loss compares with it, always together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, frozen

from steersman.hyperparameters import Hyperparameter


@frozen
class Side:
    """One place where TRL keeps the temperature."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


@define(eq=False)
class Sides:
    """Every place where a trainer keeps its temperature."""

    sides: tuple[Side, ...]

    def get(self) -> Any:
        """Return the temperature, or None where the sides differ."""
        values = [side.get() for side in self.sides]
        return values[0] if all(value == values[0] for value in values) else None

    def set(self, value: Any) -> None:
        for side in self.sides:
            side.set(value)


def handle(trainer: Any) -> Hyperparameter:
    """Return the handle of the temperature, on every side at once."""
    sides = Sides(tuple(_sides(trainer)))
    return Hyperparameter("temperature", sides.get, sides.set)


def why_unsupported(trainer: Any) -> str:
    """Return why the temperature cannot be changed on every side, or nothing where it can."""
    if getattr(trainer, "rollout_func", None) is not None:
        return "rollout_func samples by itself, at a temperature of its own"
    vllm = getattr(trainer, "vllm_generation", None)
    if vllm is None and not hasattr(trainer, "generation_config"):
        return "the temperature of sampling was not found in this trainer"
    if vllm is not None and "temperature" in (vllm.generation_kwargs or {}):
        fixed = vllm.generation_kwargs["temperature"]
        return f"generation_kwargs fix the temperature of vLLM's sampling at {fixed:g}"
    for name in _models(trainer):
        if not list(_cells(getattr(trainer, name))):
            return f"the temperature of the log probabilities was not found in trainer.{name}"
    values = {side.name: side.get() for side in _sides(trainer)}
    if len(set(values.values())) > 1:
        told = ", ".join(f"{name} is {value}" for name, value in values.items())
        return f"sampling and log probabilities do not have one temperature: {told}"
    return ""


def _sides(trainer: Any) -> Iterator[Side]:
    yield _attribute(trainer, "trainer")
    if getattr(trainer, "vllm_generation", None) is not None:
        yield _attribute(trainer.vllm_generation, "vllm_generation")
    else:
        yield _attribute(trainer.generation_config, "generation_config")
        kwargs: dict[str, Any] = trainer.generation_kwargs
        yield Side("generation_kwargs", lambda: kwargs["temperature"], lambda v: kwargs.update(temperature=v))
    for name in _models(trainer):
        for cell in _cells(getattr(trainer, name)):
            yield _attribute(cell, f"log probabilities of {name}", "cell_contents")


def _attribute(owner: Any, name: str, attribute: str = "temperature") -> Side:
    return Side(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value))


def _models(trainer: Any) -> list[str]:
    return ["model"] if trainer.ref_model is None else ["model", "ref_model"]


def _cells(model: Any) -> Iterator[Any]:
    """Yield the closure cell of each forward that `add_fused_lm_head` patched, under whatever wraps it."""
    for module in model.modules():
        forward = module.__dict__.get("forward")
        while forward is not None:
            function = getattr(forward, "__func__", forward)
            code = getattr(function, "__code__", None)
            if code is not None and "temperature" in code.co_freevars:
                yield function.__closure__[code.co_freevars.index("temperature")]
            forward = getattr(function, "__wrapped__", None)
