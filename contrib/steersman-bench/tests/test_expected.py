"""What was recorded, and what is worse than it."""

from __future__ import annotations

from steersman_bench.expected import record, worse


def costs(mean: float, high: float = 1.5) -> dict[str, dict[str, float]]:
    return {"cost": {"mean": mean, "low": 0.5, "high": high}}


def test_what_is_worse_than_recorded_is_told(tmp_path):
    """Above the interval by more than the leeway, with a problem, or gone: each a sentence. What had one is not kept."""
    file = tmp_path / "expected.json"
    record(file, {**dict.fromkeys(("same", "up", "just", "ill", "gone"), costs(1.0)), "raises": "it raised"})

    now = {
        "same": costs(1.5), "up": costs(1.6, 2.0), "just": costs(1.54), "ill": "it raised", "new": costs(9.0),
    }  # fmt: skip

    assert [*worse(file, now, leeway=0.05)] == [
        "up: its cost is 1.600, above the 1.500 of its recorded interval",
        "ill was not measured: it raised",
        "gone was not measured: it is not installed",
    ]
