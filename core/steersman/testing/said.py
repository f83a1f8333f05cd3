"""What a strategy said in a run, in words, and where two runs differ in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import frozen

from steersman.journal import JournalEntry


@frozen
class Said:
    """One thing a strategy said, and the hook in which it did; two are the same where `words` are."""

    step: int
    hook: str
    words: str


def said_by(name: str, entries: Iterable[JournalEntry]) -> Iterator[Said]:
    """Yield every score, finding, proposal, average and veto of a strategy."""
    for entry in entries:
        data = entry.data
        if entry.kind == "proposal" and data["verdict"] == "vetoed" and data["strategy"] != name:
            if data["reason"].startswith(f"{name}: "):
                yield Said(entry.step, "veto_adjustment", f"refused {data['hyperparameter']} ({data['reason']})")
        elif entry.kind in _WORDS and data["strategy"] == name:
            hook, words = _WORDS[entry.kind]
            yield Said(entry.step, hook, words(data))


def first_difference(was: Sequence[Said], now: Sequence[Said]) -> tuple[Said | None, Said | None] | None:
    """Return what was first said otherwise on both sides, with None for a side that said nothing then."""
    for one, two in zip(was, now, strict=False):
        if one != two:
            same_moment = (one.step, one.hook) == (two.step, two.hook)
            return (one, two) if same_moment else (one, None) if one.step <= two.step else (None, two)
    if len(was) == len(now):
        return None
    return (was[len(now)], None) if len(was) > len(now) else (None, now[len(was)])


def _score(data: Any) -> str:
    return f"rejected it ({data['because']})" if data["rejected"] else f"scored {data['value']!r} ({data['terms']})"


def _finding(data: Any) -> str:
    return f"found {data['name']} ({data['severity']}: {data['message']}; {data['evidence']})"


def _proposal(data: Any) -> str:
    what = f"{data.get('hyperparameter', data['action'])} {data.get('change', '')}".rstrip()
    bounds = f" within {data.get('at_least')} and {data.get('at_most')}" if data["action"] == "adjust" else ""
    return f"proposed {what}{bounds} ({data['because']})"


def _average(data: Any) -> str:
    leeway = f" with a leeway of {data['leeway']:g}" if data.get("leeway") else ""
    return f"proposed the average of steps {', '.join(map(str, data['steps']))}{leeway}"


_WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "score": ("score_checkpoint", _score),
    "finding": ("diagnose", _finding),
    "proposal": ("propose_adjustments", _proposal),
    "average": ("propose_averages", _average),
}
