"""What a person tells a running run, through files in its directory: off, approve, revert, resume after a stop.

The command line writes them, a run reads them at its next check. Only rank 0 reads.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from attrs import define, field, frozen

OFF_SWITCH = "STEERSMAN_DISABLED"
_OFF, _REQUESTS, _STOPPED = "off", "requests.jsonl", "stopped.json"


@frozen
class Said:
    """What was said since the check before. `off` tells who switched off, if anybody did."""

    off: str = ""
    approved: tuple[int, ...] = ()
    reverts: bool = False

    @property
    def anything(self) -> bool:
        """Whether anything was said."""
        return bool(self.off or self.approved or self.reverts)


_NOTHING = Said()


class Control(Protocol):
    """Where a run hears what a person says."""

    read: int

    def hear(self, step: int) -> Said:
        """Return what was said since the last time; `step` is that of the check."""
        ...


@define
class Nobody:
    """Nobody says anything."""

    read: int = 0

    def hear(self, step: int) -> Said:
        return Said()


@define
class Recorded:
    """What was said in a run that is over, by the step of the check that heard it."""

    said: dict[int, Said]
    read: int = 0

    def hear(self, step: int) -> Said:
        return self.said.pop(step, _NOTHING)


@define(eq=False)
class Files:
    """The files of a run directory. `read` is how many requests were obeyed; a resumed run goes on from there."""

    folder: Path
    complain: Callable[[str], None] = field(default=lambda _: None)
    read: int = 0

    def begin(self) -> None:
        """Leave out what was said to an earlier run in the same place."""
        self.read = len(self._lines())

    def hear(self, step: int) -> Said:
        new = self._lines()[self.read :]
        self.read += len(new)
        asked = [request for line in new if (request := self._request(line))]
        numbers = tuple(int(r["number"]) for r in asked if r.get("ask") == "approve" and str(r.get("number")).isdigit())
        return Said(self._off(), numbers, any(r.get("ask") == "revert" for r in asked))

    def _off(self) -> str:
        if os.environ.get(OFF_SWITCH, "") not in ("", "0"):
            return f"{OFF_SWITCH} is set"
        return f"{self.folder / _OFF} is there" if (self.folder / _OFF).exists() else ""

    def _lines(self) -> list[str]:
        try:
            text = (self.folder / _REQUESTS).read_text(encoding="utf-8")
        except OSError:
            return []
        return text[: text.rfind("\n") + 1].splitlines()

    def _request(self, line: str) -> dict[str, Any]:
        try:
            request: object = json.loads(line)
        except ValueError:
            request = None
        if isinstance(request, dict):
            return cast("dict[str, Any]", request)
        self.complain(f"{self.folder / _REQUESTS} holds a line that is no request: {line[:60]!r}")
        return {}


def ask(folder: Path, what: str, **fields: Any) -> None:
    """Write a request for the run in `folder` to hear at its next check."""
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"ask": what, **fields, "time": time.time()}) + "\n"
    with (folder / _REQUESTS).open("a", encoding="utf-8") as file:
        file.write(line)


def switch(folder: Path, *, off: bool) -> bool:
    """Switch the run in `folder` off or on; return whether that changed anything."""
    path = folder / _OFF
    if off == path.exists():
        return False
    if off:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("Steersman changes nothing in this run while this file is there.\n", encoding="utf-8")
    else:
        path.unlink()
    return True


def mark_stopped(folder: Path, step: int, because: str) -> None:
    """Leave a mark that the run was stopped, so that a requeued run stops again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _STOPPED).write_text(json.dumps({"step": step, "because": because}) + "\n", encoding="utf-8")


def stopped(folder: Path) -> tuple[int, str] | None:
    """Return the step at which the run in `folder` was stopped and why, or None."""
    try:
        mark = json.loads((folder / _STOPPED).read_text(encoding="utf-8"))
        return int(mark["step"]), str(mark["because"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def clear_stop(folder: Path) -> bool:
    """Take the mark away; return whether there was one."""
    try:
        (folder / _STOPPED).unlink()
    except FileNotFoundError:
        return False
    return True
