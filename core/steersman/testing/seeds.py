"""The global random generators, which a strategy must neither draw from nor depend on."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Generator


def generators() -> dict[str, object]:
    """Return the state of every global random generator that is there; importing none."""
    states: dict[str, object] = {"random": random.getstate()}
    numpy, torch = sys.modules.get("numpy.random"), sys.modules.get("torch.random")
    if numpy is not None and hasattr(numpy, "get_state"):
        name, keys, *rest = numpy.get_state()
        states["numpy.random"] = (name, keys.tobytes(), *rest)
    if torch is not None and hasattr(torch, "get_rng_state"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


@contextlib.contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seed the global random generators, and put them back after."""
    numpy = sys.modules.get("numpy.random")
    before, theirs = random.getstate(), numpy.get_state() if numpy is not None else None
    random.seed(seed)
    if numpy is not None:
        numpy.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.set_state(theirs)
