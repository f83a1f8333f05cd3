"""Config errors are sentences with a path, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable


class ConfigError(Exception):
    """The config, or a strategy it names, is wrong; `problems` has one sentence for each fault."""

    def __init__(self, source: str, problems: Iterable[str]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{source}: {count} problem{'s' if count != 1 else ''}", *(f"  {line}" for line in self.problems)]
        super().__init__("\n".join(lines))
