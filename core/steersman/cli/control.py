"""`steersman approve`, `revert`, `off`, `on` and `resume`: what a person tells a run, from another terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from steersman import control
from steersman.cli import Problem, as_json
from steersman.cli.terminal import print_json
from steersman.journal import JournalEntry
from steersman.lifetime import has_ended
from steersman.readers.journal import current
from steersman.readers.run_directory import find_journal
from steersman.reporters.console import change

_run = click.argument("run", type=click.Path(path_type=Path))
_json = click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")


@click.command(short_help="Say yes to a proposal of a run in mode ask.")
@_run
@click.argument("number", type=int, required=False)
@_json
def approve(run: Path, number: int | None, as_object: bool) -> None:
    """Say yes to proposal NUMBER of RUN, a run directory: it is carried out at the next check. Without a NUMBER the
    proposals that wait are listed. One that nobody approves before the next check expires.

    \b
    Examples:
      steersman approve out
      steersman approve out 3
    """
    folder, entries = _opened(run)
    waiting = {int(entry.data["number"]): entry for entry in _waiting(entries)}
    if number is None:
        _list(waiting, as_object=as_object)
        return
    if number not in waiting:
        _refuse(run, number, entries, waiting)
    control.ask(folder, "approve", number=number)
    _say(f"{_told(waiting[number])}: approved, to be done at the next check", as_object, approved=number)


@click.command(short_help="Undo every change of a running run at its next check.")
@_run
@click.option("--off", "and_off", is_flag=True, help="Also let nothing be changed from then on.")
@_json
def revert(run: Path, and_off: bool, as_object: bool) -> None:
    """Undo at the next check every change that was made in RUN, a run directory. Your own values are in force again;
    strategies may propose new changes at the check after, unless --off.

    \b
    Example:
      steersman revert out --off
    """
    folder, entries = _opened(run)
    if has_ended(entries):
        raise Problem(f"the run in {run} has ended; the values were put back at its end")
    control.ask(folder, "revert")
    if and_off:
        control.switch(folder, off=True)
    then = ", and nothing is changed from then on" if and_off else ""
    _say(f"every change is undone at the next check of the run in {run}{then}", as_object, revert=True, off=and_off)


@click.command(short_help="Let a run go on without any further change.")
@_run
@_json
def off(run: Path, as_object: bool) -> None:
    """Let nothing be changed in RUN from its next check on, also after a resume. Changes made so far stay in force;
    `steersman revert` undoes them.

    \b
    Example:
      steersman off out
    """
    folder, _ = _opened(run)
    told = "was off already" if not control.switch(folder, off=True) else "nothing is changed from the next check on"
    _say(f"{run}: {told}; `steersman on {run}` ends that", as_object, off=True)


@click.command(short_help="Let a run that was switched off be changed again.")
@_run
@_json
def on(run: Path, as_object: bool) -> None:
    """Let RUN be changed again from its next check on.

    \b
    Example:
      steersman on out
    """
    folder, _ = _opened(run)
    told = "was not off" if not control.switch(folder, off=False) else "may be changed from the next check on"
    _say(f"{run}: {told}", as_object, off=False)


@click.command(short_help="Let a run that a strategy stopped go on.")
@_run
@click.option("--clear", is_flag=True, help="Take the stop back.")
@_json
def resume(run: Path, clear: bool, as_object: bool) -> None:
    """Tell whether RUN was stopped and why; with --clear, let it go on when its trainer resumes it. A run that was
    stopped stops again after a resume until its stop is cleared.

    \b
    Examples:
      steersman resume out
      steersman resume out --clear
    """
    folder, _ = _opened(run)
    mark = control.stopped(folder)
    if mark is None:
        _say(f"{run}: no strategy stopped this run", as_object, stopped=None, cleared=False)
        return
    step, because = mark
    cleared = clear and control.clear_stop(folder)
    then = (
        "it may go on now: resume it with your trainer"
        if cleared
        else f"`steersman resume --clear {run}` lets it go on"
    )
    _say(
        f"{run} was stopped at step {step}: {because}; {then}",
        as_object, stopped={"step": step, "because": because}, cleared=cleared,
    )  # fmt: skip


def _opened(run: Path) -> tuple[Path, list[JournalEntry]]:
    """Return where a run hears what it is told, and its journal.

    Raises Problem where there is no supervised run.
    """
    found = find_journal(run) if run.exists() else None
    if found is None:
        raise Problem(f"{run}: there is no supervised run here (no steersman/journal.jsonl)")
    folder = run / "steersman" if (run / "steersman").is_dir() else found.parent
    return folder, current(found)


def _waiting(entries: list[JournalEntry]) -> list[JournalEntry]:
    """Return the proposals that wait: those of the newest check, unless the run has ended."""
    checks = [entry.step for entry in entries if entry.kind == "check"]
    if has_ended(entries) or not checks:
        return []
    return [e for e in entries if e.kind == "proposal" and e.data["verdict"] == "waiting" and e.step == checks[-1]]


def _list(waiting: dict[int, JournalEntry], *, as_object: bool) -> None:
    if as_object:
        told = [{"number": n, "step": e.step, **e.data} for n, e in waiting.items()]
        print_json({"version": as_json.VERSION, "waiting": told})
    elif not waiting:
        click.echo("No proposal waits.")
    for number, entry in waiting.items() if not as_object else ():
        click.echo(f"{number}: {_told(entry)}")


def _refuse(run: Path, number: int, entries: list[JournalEntry], waiting: dict[int, JournalEntry]) -> NoReturn:
    known = any(entry.kind == "proposal" and entry.data.get("number") == number for entry in entries)
    if known:
        raise Problem(
            f"proposal {number} of {run} waits no more: it was approved, or has expired at the check after it"
        )
    names = ", ".join(map(str, waiting)) or "none"
    raise Problem(f"{run} has no proposal {number}; waiting: {names}")


def _told(entry: JournalEntry) -> str:
    data = entry.data
    if data["action"] != "adjust":
        return f"{data['action']} ({data['strategy']}: {data['because']})"
    moved = change(data["old"], data["new"])
    return f"{data['hyperparameter']} {moved} ({data['strategy']}: {data['because']})"


def _say(sentence: str, as_object: bool, **facts: Any) -> None:
    if as_object:
        print_json({"version": as_json.VERSION, **facts})
    else:
        click.echo(sentence)
