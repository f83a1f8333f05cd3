"""What pytest loads in every session where Steersman is installed, so it imports nothing of ours."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("steersman.testing.checks", "steersman.testing.contract")
