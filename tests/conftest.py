"""What every test may use: the logs of real trainings, and one profile for property tests."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny; threads only wait for each other

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

gc.set_threshold(20_000, 20, 50)  # with torch and all tests in memory, a fifth of the time went into collections
settings.register_profile(
    "steersman", deadline=None, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steersman")


@pytest.fixture(scope="session")
def runs() -> Path:
    """The folder of real logs; `SOURCES.md` there says whose they are."""
    return Path(__file__).parent / "runs"
