"""Ignite: `attach(trainer, evaluator, optimizer, "steersman.yaml", folder=...)` on its engines."""

from steersman.integrations.ignite.loop import IgniteLoop, SteersmanEvents, attach

__all__ = ["IgniteLoop", "SteersmanEvents", "attach"]
