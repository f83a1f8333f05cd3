"""What an environment asks for by itself: `STEERSMAN_AUTO=1`, or the path of a config."""

from __future__ import annotations

import os
from typing import Any

AUTO_SWITCH = "STEERSMAN_AUTO"


def lightning_callbacks() -> list[Any]:
    """Return the callbacks that every Lightning Trainer of this environment gets: none unless STEERSMAN_AUTO is set.

    Lightning calls this by entry point for each Trainer. With `1` the config is the default, which changes nothing.
    """
    asked = os.environ.get(AUTO_SWITCH, "")
    if asked in ("", "0"):
        return []
    from steersman.integrations.lightning import SteersmanCallback

    return [SteersmanCallback(None if asked == "1" else asked)]
