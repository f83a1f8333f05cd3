"""When a window of steps closes, and its means."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from attrs import Factory, define, field, frozen

from steersman.figures import Figures
from steersman.pieces import NOTHING, Contents, Folded, Piece, Rows, Slice
from steersman.records import Record
from steersman.tables import Block, Table

WATCHED = ("loss", "grad_norm", "eval_loss")
"""A non-finite value of one of these is an anomaly: it is looked at as soon as its step is settled."""
_KEPT = 512
_FOLDED_AT = 4096
_HELD = 1 << 17


@frozen
class Window:
    """The logs of the steps after `first_step` up to and with `last_step`.

    `means` are weighted by the steps each log covers; NaN and infinity are left out and counted in `nonfinite`.
    `variances` are those between the logs, with the same weights (population variance). None can be written into.
    """

    first_step: int
    last_step: int
    epoch: float | None
    means: Mapping[str, float]
    variances: Mapping[str, float]
    nonfinite: Mapping[str, int]
    logs: int
    is_partial: bool = False

    def mean(self, name: str) -> float | None:
        """Return the mean of a metric, or None where it had no finite value here."""
        return self.means.get(name)

    def has_diverged(self, name: str) -> bool:
        """Whether every value of the metric was NaN or infinite."""
        return name in self.nonfinite and name not in self.means

    def settle(self) -> None:
        """Work out every figure now, and hold the logs no more."""
        for figures in (self.means, self.variances, self.nonfinite):
            if isinstance(figures, Figures):
                figures.settle()

    @property
    def reward_variance(self) -> float | None:
        """Variance of the rewards: of the mixture where batches log `reward` and `reward_std`, else of the rewards.

        A mixture's variance is the mean of the squared deviations plus the variance of the means.
        """
        between = self.variances.get("reward")
        if between is None or "reward_std" not in self.means:
            return between
        return between + self.variances["reward_std"] + self.means["reward_std"] * self.means["reward_std"]


@define
class OpenWindow:
    """Collects logs until it is closed. Its memory is bounded: every few thousand logs it keeps moments alone."""

    first_step: int = 0
    last_step: int = 0
    epoch: float | None = None
    logs: int = 0
    _pieces: list[Piece] = field(factory=list[Piece])
    _folded: Folded = NOTHING
    unfolded: int = 0
    """How many logs it holds as they came, fewer than the few thousand at which it folds."""

    def count(self, logs: int, step: int, epoch: float | None, piece: Piece | None = None) -> None:
        """Count new logs, the newest at `step`, no more than there is room for.

        They are in a `piece` that it holds from now on, or in one that it holds and that has grown by them.
        """
        if piece is not None:
            self._pieces.append(piece)
        self.logs += logs
        self.last_step = step
        if epoch is not None:
            self.epoch = epoch
        self.unfolded += logs
        if self.unfolded >= _FOLDED_AT:
            self._folded = self.contents().folded()
            self._pieces, self.unfolded = [], 0

    def contents(self) -> Contents:
        """Return what it holds; its pieces grow no more."""
        for piece in self._pieces:
            piece.close()
        return Contents(tuple(self._pieces), self._folded)

    def close(self, *, is_partial: bool = False) -> Window:
        """Return what was collected."""
        return self.window(self.contents(), is_partial=is_partial)

    def window(self, contents: Contents, *, is_partial: bool = False) -> Window:
        """Return the window that holds `contents`."""
        return Window(
            self.first_step, max(self.last_step, self.first_step), self.epoch, contents.means(), contents.variances(),
            contents.nonfinite(), self.logs, is_partial,
        )  # fmt: skip


def anomalies(record: Record) -> tuple[str, ...]:
    """Return the watched metrics of `record` that are NaN or infinite."""
    metrics = record.metrics
    found: tuple[str, ...] = ()
    for name in WATCHED:
        if name in metrics and not math.isfinite(metrics[name]):
            found += (name,)
    return found


def _the_check_window(windows: Windows) -> OpenWindow:
    return windows.check


@define
class Windows:
    """The open check window and the open epoch window, and the check windows already closed (the newest 512).

    Where both began at the same step they are one and the same.
    """

    closed: tuple[Window, ...] = ()
    check: OpenWindow = field(factory=OpenWindow)
    epoch: OpenWindow = field(default=Factory(_the_check_window, takes_self=True))
    last_log: int = 0
    since: int = 0
    """Where everything before was forgotten. A train log that began before it and ends after it is left out."""
    _growing: dict[tuple[str, ...], Rows] = field(factory=dict[tuple[str, ...], Rows])
    _held: deque[tuple[int, Window]] = field(factory=deque[tuple[int, Window]])
    _size: int = 0
    _both: tuple[Contents, Window] | None = None
    """The epoch window that was closed last, where it was the check window too, which is still open."""

    def start(self, step: int) -> None:
        """Begin at `step`: the first log covers the steps since then."""
        self.last_log = self.check.first_step = self.epoch.first_step = step

    def add(self, record: Record, row: Block | None = None) -> None:
        """Add a record to both open windows. Only train records cover steps. `row` is where it stands in a table."""
        covers = max(record.step - self.last_log, 1)
        is_log = "loss" in record.metrics or (record.kind == "train" and not anomalies(record))
        spans = is_log and self.last_log < self.since < record.step
        if spans:
            self._growing.clear()
        new = Slice(*row, covers) if row is not None else self._begun(record, covers)
        if spans:
            self._leave_out(record.step, record.epoch, new)
        else:
            self._count(1, record.step, record.epoch, new)
        if is_log:
            self.last_log = record.step

    def _leave_out(self, step: int, epoch: float | None, piece: Piece | None) -> None:
        """Count a log in the open epoch window alone: the check window began in the middle of it."""
        if self.epoch is not self.check:
            self.epoch.count(1, step, epoch, piece)
        self._growing.clear()

    def _begun(self, record: Record, covers: int) -> Rows | None:
        """Add a record to the rows of its metrics; return these where it is the first of them."""
        names = tuple(record.metrics)
        rows = self._growing.get(names)
        is_new = rows is None or not rows.grows
        if rows is None or not rows.grows:
            rows = self._growing[names] = Rows(names)
        rows.add(tuple(record.metrics.values()), covers)
        return rows if is_new else None

    def extend(self, table: Table, start: int, stop: int) -> None:
        """Add rows of a table of train logs, as `add` would one by one; each moves `last_log` on."""
        if start < stop and self.last_log < self.since < table.steps[start]:
            first = Slice(table, start, start + 1, table.steps[start] - self.last_log)
            self._leave_out(table.steps[start], None if table.epochs is None else table.epochs[start], first)
            self.last_log, start = table.steps[start], start + 1
        while start < stop:
            end = min(stop, start + _FOLDED_AT - max(self.check.unfolded, self.epoch.unfolded))
            step, epoch = table.steps[end - 1], None if table.epochs is None else table.epochs[end - 1]
            piece = Slice(table, start, end, max(table.steps[start] - self.last_log, 1))
            self._count(end - start, step, epoch, piece)
            self.last_log, start = step, end

    def _count(self, logs: int, step: int, epoch: float | None, piece: Piece | None) -> None:
        self.check.count(logs, step, epoch, piece)
        if self.epoch is not self.check:
            self.epoch.count(logs, step, epoch, piece)

    def restart(self, step: int) -> None:
        """Forget what was before `step`: it cannot be compared with what comes."""
        self.since = step
        self.closed = tuple(window for window in self.closed if window.first_step >= step)
        if self.check.first_step < step:
            self.drop_open(step)

    def drop_open(self, step: int) -> None:
        """Forget what the open check window holds: a rollback has undone it."""
        self.check, self._both = OpenWindow(step, step, self.check.epoch), None
        self._growing.clear()

    def close_check(self, step: int) -> Window:
        """Close the check window at `step` and open the next."""
        check, both, self._both = self.check, self._both, None
        check.last_step = step
        if both is not None and both[1].last_step == step and both[1].logs == check.logs:
            contents, window = both
        else:
            contents = check.contents()
            window = check.window(contents)
        self.closed = (*self.closed, window)[-_KEPT:]
        epoch = self.epoch
        if not epoch.logs and epoch.first_step == step and epoch.epoch == window.epoch:
            self.check = epoch
        else:
            self.check = OpenWindow(step, step, window.epoch)
        self._growing.clear()
        self._bound(contents.size, window)
        return window

    def close_epoch(self, step: int) -> Window:
        """Close the epoch window at `step` and open the next."""
        epoch = self.epoch
        epoch.last_step = step
        contents = epoch.contents()
        window = epoch.window(contents)
        self._both = (contents, window) if epoch is self.check else None
        self.epoch = OpenWindow(step, step, window.epoch)
        self._growing.clear()
        return window

    def _bound(self, size: int, window: Window) -> None:
        """Work out the figures of the oldest windows where all together hold too many logs themselves."""
        if size:
            self._held.append((size, window))
            self._size += size
            if len(self._held) > _KEPT:  # the oldest is not among the closed any more
                self._size -= self._held.popleft()[0]
            while self._size > _HELD:
                size, oldest = self._held.popleft()
                self._size -= size
                oldest.settle()
