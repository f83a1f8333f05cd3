"""Which of Lightning's two distributions the run is of: `pytorch_lightning` or `lightning`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_MODULES = {"pytorch-lightning": "pytorch_lightning", "lightning": "lightning.pytorch"}


def distribution() -> str:
    """Return the one whose module is imported already, else the one that is installed."""
    for name, module in _MODULES.items():
        if module in sys.modules:
            return name
    return "lightning" if find_spec("lightning") is not None else "pytorch-lightning"


DISTRIBUTION = distribution()
Callback: type[Any] = import_module(f"{_MODULES[DISTRIBUTION]}.callbacks").Callback
