"""Losses of single validation examples, kept beside the journal: what a paired comparison of checkpoints is made of."""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import define

from steersman.records import number

FILE = "example_losses.jsonl"
"""Its name, beside the journal."""
MOST = 10_000
"""How many examples of a checkpoint are kept: the first ones."""
Key = tuple[int, tuple[int, ...]]
"""That of a checkpoint: its step, and the steps of which it is an average."""

_waiting: list[float] = []
_listening: list[object] = []


def example_losses(losses: Iterable[Any]) -> None:
    """Tell a run the validation loss of each example, in the order that every evaluation has.

    Call it while a supervised trainer evaluates, such as in `compute_metrics`: they belong to the evaluation that is
    logged next. Calls for further evaluation sets add theirs. Outside a supervised run nothing is kept.
    `losses` is a list, an array or a tensor with one number for each example.
    Raises TypeError for anything else.
    """
    told = _plain(losses)
    if _listening:
        _waiting.extend(told[: MOST + 1 - len(_waiting)])


def take() -> tuple[float, ...]:
    """Return what was told since the last time."""
    told = tuple(_waiting)
    _waiting.clear()
    return told


@define(eq=False)
class ExampleLosses:
    """The file with them; without a path nothing is kept. `said` hears, once, that some are left out or it fails."""

    path: Path | None = None
    said: Callable[[str], None] = lambda message: None
    _is_told: bool = False
    _newest: tuple[int, tuple[float, ...]] = (-1, ())

    def open(self, *, resumed: bool) -> Callable[[], None]:
        """Begin to keep what is told; return what ends it. Where the run is no resumed one, what lies there goes."""
        try:
            if self.path is not None and not resumed:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)
        _waiting.clear()
        _listening.append(self)

        def ends() -> None:
            if self in _listening:
                _listening.remove(self)
                _waiting.clear()

        return ends

    def hear(self, step: int) -> None:
        """Hear that a step was evaluated: what was told since belongs to it. Further sets of it add theirs.

        Once it was ended it hears nothing, also where another run in this process still listens.
        """
        if self not in _listening:
            return
        told = take()
        at, before = self._newest
        self._newest = step, (*before, *told) if at == step else told
        if told:
            self.keep((step, ()), self._newest[1])

    def keep(self, key: Key, losses: tuple[float, ...]) -> None:
        """Append the losses of a checkpoint; a later line of the same one counts."""
        if self.path is None or not losses:
            return
        if len(losses) > MOST:
            self._say(f"of the losses of single examples only the first {MOST:,} of each evaluation are kept")
        kept = [float(f"{loss:.7g}") if math.isfinite(loss) else None for loss in losses[:MOST]]
        line = {"step": key[0], "averaged": key[1], "losses": kept}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
        except OSError as error:
            self._complain(error)

    def read(self, step: int | None = None) -> Mapping[Key, array[float]]:
        """Return what is kept, by checkpoint; only of what is kept at `step` if it is given.

        A line that was cut short is left out.
        """
        found: dict[Key, array[float]] = {}
        if self.path is None or not self.path.is_file():
            return found
        begins = "" if step is None else f'{{"step":{step},'
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if not line.startswith(begins):
                    continue
                try:
                    told: dict[str, Any] = json.loads(line)
                    losses = array("d", (math.nan if loss is None else float(loss) for loss in told["losses"]))
                    found[int(told["step"]), tuple(map(int, told["averaged"]))] = losses
                except (ValueError, KeyError, TypeError):
                    continue
        return found

    def _complain(self, error: OSError) -> None:
        self._say(f"{self.path} cannot be written: {error.strerror or error}; examples are not paired")

    def _say(self, message: str) -> None:
        if not self._is_told:
            self._is_told = True
            self.said(message)


def kept_of(run: Path) -> ExampleLosses:
    """Return what is kept of the run in a directory."""
    return ExampleLosses(run / "steersman" / FILE)


def _plain(losses: object) -> list[float]:
    given: Any = losses
    if hasattr(given, "detach"):
        given = given.detach()
    if hasattr(given, "tolist"):
        given = given.tolist()
    if not _are_several(given):
        raise TypeError(f"expected a list of losses, one for each example, got {type(losses).__name__}")
    each: list[Any] = list(given)
    found: list[float] = []
    for item in each:
        plain: Any = item.item() if hasattr(item, "item") else item
        as_number = number(plain)
        if as_number is None:
            raise TypeError(f"expected one number for each example, got {type(plain).__name__} {plain!r:.40}")
        found.append(as_number)
    return found


def _are_several(items: object) -> bool:
    return isinstance(items, Iterable) and not isinstance(items, str | bytes | Mapping)
