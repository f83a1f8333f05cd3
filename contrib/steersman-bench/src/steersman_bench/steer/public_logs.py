"""How often a policy raises an alarm over public logs of runs that nobody calls sick."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from steersman import replay
from steersman_bench.steer.policies import Policy

FOLDER = Path(__file__).parent / "logs"


@frozen
class Alarms:
    """Alarms over all logs: findings that say something is wrong, and the steps of the runs."""

    alarms: int
    steps: int
    runs: int

    @property
    def per_thousand_steps(self) -> float:
        """Alarms per thousand steps."""
        return 1000 * self.alarms / self.steps


def alarms(policy: Policy) -> Alarms:
    """Replay every log that ships with the benchmark under the config of a policy. Raises UnreadableRun."""
    found = [replay(path, config=policy.asked.config).told for path in logs()]
    return Alarms(sum(run.alarms for run in found), sum(run.last_step for run in found), len(found))


def logs() -> list[Path]:
    """Return the logs that ship with the benchmark; `SOURCES.md` beside them says whose they are."""
    return sorted(path for path in FOLDER.iterdir() if path.suffix != ".md")
