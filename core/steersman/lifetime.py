"""How a run began and how it ended, in sentences from its journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from steersman.hindsight import count, listed
from steersman.journal import JournalEntry

_NOTHING: Mapping[str, Any] = {}
_MODES = {
    "observe": "Mode observe: it scored and watched, and touched nothing.",
    "advise": "Mode advise: it scored, watched, and said what it would change; it changed nothing.",
    "ask": "Mode ask: it scored, watched, and changed what the config names once a person had approved.",
    "act": "Mode act: it scored, watched, and changed what the config names.",
}


def has_ended(entries: Sequence[JournalEntry]) -> bool:
    """Whether the run came to its end; a run that was killed, or that still goes on, has none."""
    return any(entry.kind == "end" for entry in entries)


def begin_of(entries: Sequence[JournalEntry]) -> Mapping[str, Any]:
    """Return what the newest `run` entry holds: a resumed run may have another config than it began with."""
    return next((entry.data for entry in reversed(entries) if entry.kind == "run"), _NOTHING)


def how_it_went(entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    """Return the mode, the strategies, what could be changed, and how the run ended, if it did."""
    begin = begin_of(entries)
    if not begin:
        return ("The journal does not say how this run began.", _ending(entries))
    said = [f"{_MODES.get(begin['mode'], begin['mode'])} Config: {begin.get('config_source', 'not known')}."]
    strategies = [_strategy(strategy) for strategy in begin.get("strategies", ())]
    said.append(f"Strategies, in the order they were asked: {listed(strategies)}." if strategies else "No strategy.")
    allowed = [h for h in begin.get("hyperparameters", ()) if h.get("allowed") and begin["mode"] in ("ask", "act")]
    live = [f"{h['name']} ({h['bounds']})" for h in allowed if h["status"] == "live"]
    dead = [f"{h['name']} is {h['status']}: {h['reason']}" for h in allowed if h["status"] != "live"]
    said += [f"Allowed to change: {listed(live)}."] if live else []
    said += [f"Allowed, but {sentence}." for sentence in dead]
    resumes = [f"step {e.step}" for e in entries if e.kind == "run" and e.data.get("resumed")]
    if resumes:
        said.append(f"It was resumed at {listed(resumes)}.")
    said += [f"Said at its begin: {sentence.removesuffix('.')}." for sentence in begin.get("preflight", ())]
    return (*said, _ending(entries))


def _strategy(data: Mapping[str, Any]) -> str:
    options = ", ".join(f"{name}: {_words(value)}" for name, value in (data.get("options") or _NOTHING).items())
    origin = str(data.get("origin", "")).partition(" (")[0]
    return f"{data['name']} ({origin}" + (f"; {options})" if options else ")")


def _words(value: object, *, within: bool = False) -> str:
    """Return the value of an option as a person writes it: `eval_loss 1.0 and eval_f1 0.5`, `a and b`."""
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        told = listed([f"{name} {_words(each, within=True)}" for name, each in items])
        return f"({told})" if within else told
    if isinstance(value, list | tuple):
        return listed([_words(each) for each in cast("Sequence[object]", value)])
    return str(value)


def _ending(entries: Sequence[JournalEntry]) -> str:
    last = max((entry.step for entry in entries), default=0)
    scheduled = sum(e.kind == "check" and e.data.get("reason") != "end" for e in entries)
    evaluations = len({e.step for e in entries if e.kind in ("score", "unscored")})
    what = f"{count(evaluations, 'evaluation')} and {count(scheduled, 'health check')}"
    end = next((entry for entry in reversed(entries) if entry.kind == "end"), None)
    if end is not None:
        took = end.data.get("elapsed")
        lasted = f" after {timedelta(seconds=round(took))}" if took is not None else ""
        return f"It ended at step {end.step}{lasted}: {what}."
    time = entries[-1].time if entries else None
    at = f" on {datetime.fromtimestamp(time):%Y-%m-%d at %H:%M:%S}" if time is not None else ""
    return (
        f"It has no end: the journal stops at step {last}{at}, so the run was killed or still goes on. So far: {what}."
    )
