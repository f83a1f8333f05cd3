"""Work for other processes, which import it by its name."""

from __future__ import annotations

import os
import time


def half(number: int) -> float:
    """Divide, hang or die, as the number says."""
    if number == 3:
        time.sleep(60)
    if number == 5:
        os._exit(7)
    return 1 / (number - 2)
