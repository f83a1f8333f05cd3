"""Two strategies that pull one hyperparameter opposite ways, check after check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field

from steersman.arbiter import Verdict

_PATIENCE = 10


@define
class Disputes:
    """Counts, for each hyperparameter, the checks in a row at which strategies wanted opposite things."""

    rows: dict[str, int] = field(factory=dict[str, int])
    last: dict[str, tuple[str, bool]] = field(factory=dict[str, tuple[str, bool]])

    def hear(self, verdicts: Sequence[Verdict]) -> list[str]:
        """Count one check; return a sentence for each dispute that has lasted for ten."""
        told: list[str] = []
        if not verdicts:
            self.last, self.rows = {}, {}
            return told
        before = self.last
        sides: dict[str, dict[bool, str]] = {}
        for verdict in verdicts:
            up = _is_up(verdict)
            if up is not None and verdict.offer.purpose == "proposal":
                sides.setdefault(verdict.offer.adjust.hyperparameter, {})[up] = verdict.offer.strategy
        self.last = {name: next((who, up) for up, who in wanted.items()) for name, wanted in sides.items()}
        self.rows = {name: rows for name, rows in self.rows.items() if name in sides}
        for name, wanted in sides.items():
            strategies = set(wanted.values())
            who_before, was_up = before.get(name, ("", None))
            turned = was_up is not None and len(wanted) == 1 and (not was_up) in wanted
            if turned:
                strategies.add(who_before)
            disputed = len(strategies) > 1 and (len(wanted) == 2 or turned)
            self.rows[name] = self.rows.get(name, 0) + 1 if disputed else 0
            if self.rows[name] == _PATIENCE:
                who = " and ".join(sorted(strategies))
                told.append(
                    f"{who} have pulled {name} opposite ways for {_PATIENCE} checks in a row; name one of them as its "
                    f"owner: `hyperparameters: {{{name}: {{owner: {sorted(strategies)[0]}}}}}`"
                )
        return told

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry."""
        return {"rows": self.rows, "last": {name: list(last) for name, last in self.last.items()}}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` returned."""
        self.rows = {name: int(rows) for name, rows in saved.get("rows", {}).items()}
        self.last = {name: (str(who), bool(up)) for name, (who, up) in saved.get("last", {}).items()}


def _is_up(verdict: Verdict) -> bool | None:
    """Whether an offer would raise its value; None where it would do neither."""
    adjust = verdict.offer.adjust
    if adjust.scale is not None:
        return None if adjust.scale == 1 else adjust.scale > 1
    return None if not adjust.add else adjust.add > 0
