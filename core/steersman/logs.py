"""The logger for what goes wrong: the user's structlog if it is configured, else the standard library's."""

from __future__ import annotations

import logging
import random
from typing import Any


def logger() -> Any:
    """Return a structlog logger named `steersman`."""
    drawn = random.getstate()
    import structlog

    random.setstate(drawn)  # rich, which it imports, draws from it, and the run is to be bit-identical
    if structlog.is_configured():
        return structlog.get_logger("steersman")
    processors = [structlog.stdlib.render_to_log_kwargs]
    return structlog.wrap_logger(
        logging.getLogger("steersman"), processors=processors, wrapper_class=structlog.stdlib.BoundLogger
    )
