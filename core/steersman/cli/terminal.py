"""What every subcommand prints with: a console, one JSON object, a bar for what takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Item = TypeVar("Item")
_PATIENCE = 2.0
"""Seconds after which a bar is shown."""
_WIDTH = 100


def console() -> Console:
    """Return a console on standard output; what is no terminal is as wide as a page."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDTH)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one strict JSON object; NaN and infinity are text. What is no UTF-8 (a file's name) is escaped."""
    import json

    from steersman.journal import to_json

    plain = to_json(value)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)
    is_unicode = text.isascii() or text.encode(errors="ignore").decode() == text
    click.echo(text if is_unicode else json.dumps(plain, allow_nan=False, indent=2))


def printable(text: object) -> str:
    """Return `text` without what could steer a terminal: a run may come from anybody."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def show_title(out: Console, title: str) -> None:
    """Print the first line of a page."""
    from rich.text import Text

    out.print(Text(printable(title), style="bold underline"), soft_wrap=True)


def show_section(out: Console, title: str, sentences: Iterable[str], style: str = "") -> None:
    """Print sentences under a title; where there is none, nothing."""
    import textwrap

    from rich.text import Text

    said = list(sentences)
    if said and title:
        out.print(Text(f"\n{printable(title)}", style="bold"), soft_wrap=True)
    for sentence in said:
        for line in textwrap.wrap(printable(sentence), out.width - 2, break_long_words=False, break_on_hyphens=False):
            out.print(Text(f"  {line}", style=style), soft_wrap=True)


def table_of(*columns: str) -> Table:
    """Return an empty table; a column whose name begins with `>` is aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    return table


def filled(table: Table, rows: Iterable[Iterable[str]]) -> Table:
    """Return the table with a line for each row."""
    for row in rows:
        table.add_row(*map(printable, row))
    return table


@contextmanager
def patiently(what: str, patience: float = _PATIENCE) -> Generator[None]:
    """Show on standard error what is done, once that takes more than two seconds."""
    from threading import Lock, Timer

    shown, lock, is_done = list[Any](), Lock(), False

    def show() -> None:
        from rich.console import Console
        from rich.text import Text

        with lock:
            if not is_done:
                shown.append(Console(stderr=True).status(Text(printable(what))))
                shown[0].start()

    timer = Timer(patience, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            is_done = True
            for status in shown:
                status.stop()


@contextmanager
def bar_of_bytes(what: str, clock: Callable[[], float] = time.monotonic) -> Generator[Callable[[int, int], None]]:
    """Give a function that is told (bytes done, bytes in all); from two seconds on a bar is on standard error."""
    begin, shown = clock(), list[Any]()

    def heard(done: int, total: int) -> None:
        if not shown and clock() - begin > _PATIENCE:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            shown.append(Progress(*columns, console=Console(stderr=True), transient=True))
            shown[0].start()
            shown[0].add_task(what, total=total)
        if shown:
            shown[0].update(shown[0].task_ids[0], completed=done, total=total)

    try:
        yield heard
    finally:
        for bar in shown:
            bar.stop()


def with_bar(
    items: Iterable[Item], total: int | None, what: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Item]:
    """Yield every item; from two seconds on, show on standard error what is done and how far it is of `total`."""
    begin, waiting, done, looks = clock(), iter(items), 0, 1
    for item in waiting:
        yield item
        done += 1
        if done == looks:
            if clock() - begin > _PATIENCE:
                break
            looks += min(done, 256)
    else:
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, completed=done)
        for item in waiting:
            yield item
            bar.advance(task)
