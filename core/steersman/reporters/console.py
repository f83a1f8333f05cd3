"""What a person reads while the run goes on: a few lines at its begin, a line a score, a block a check, a summary."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TextIO

from steersman.checkpoints import averaged_name
from steersman.journal import JournalEntry
from steersman.reporters.ending import ending

_LATE_TOLD = 6
"""How many late scores one line tells of."""
_STYLES = {"critical": "bold red", "warning": "yellow", "change": "bold cyan"}


class Console:
    """Prints journal entries to a stream (default: standard output). A stream that fails never raises."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._said: set[tuple[str, str]] = set()
        self._console: Any = None

    def hear(self, entry: JournalEntry) -> None:
        """Print the lines of one entry."""
        if entry.kind == "proposal" and entry.data["verdict"] in ("refused", "unknown"):
            said = (str(entry.data.get("hyperparameter")), str(entry.data["reason"]))
            if said in self._said:
                return
            self._said.add(said)
        if entry.kind == "error" and not entry.data["quarantined"]:
            failed = (str(entry.data["strategy"]), str(entry.data["error"]))
            if failed in self._said:
                return
            self._said.add(failed)
        if entry.kind == "control" and not entry.data["approved"] and not entry.data["reverts"]:
            switched = ("control", str(entry.data["off"]))
            if switched in self._said:
                return
            self._said.add(switched)
        for style, line in lines(entry):
            self._print(style, " ".join(line.split("\n")))

    def _print(self, style: str, line: str) -> None:
        try:
            if self._console is None:
                drawn = random.getstate()
                from rich.console import Console as Rich

                random.setstate(drawn)  # rich draws from it when imported, and the run is to be bit-identical
                self._console = Rich(file=self._stream or sys.stdout, highlight=False, soft_wrap=True)
            with _bars_cleared():
                self._console.print(f"steersman: {line}", style=_STYLES.get(style), markup=False)
        except (OSError, ValueError):
            return


def _bars_cleared() -> AbstractContextManager[object]:
    """Return a context in which the trainer's progress bars are out of the way, where it has any."""
    tqdm: Any = sys.modules.get("tqdm")
    return tqdm.tqdm.external_write_mode() if tqdm is not None else nullcontext()


def lines(entry: JournalEntry) -> Iterator[tuple[str, str]]:
    """Yield (style, line) for one journal entry."""
    data = entry.data
    if entry.kind == "run":
        yield from _run(entry.step, data)
    elif entry.kind == "score" and data["decides"]:
        yield "", _score(entry.step, data)
    elif entry.kind == "unscored":
        loss = data["metrics"].get("eval_loss")
        why = "it has no eval_loss" if loss is None else f"its eval_loss is {loss}"
        yield "warning", f"step {entry.step}: no scorer has an opinion on this evaluation ({why})"
    elif entry.kind == "check" and data["reason"] != "end":
        yield "", _check(entry.step, data)
    elif entry.kind == "finding" and data["severity"] != "info":
        yield data["severity"], f"  {data['name']}: {data['message']}"
    elif entry.kind == "proposal":
        yield from _proposal(data)
    elif entry.kind in _CHANGES:
        yield _CHANGES[entry.kind][0], _CHANGES[entry.kind][1](data)
    elif entry.kind == "error" and data["strategy"] == "steersman":
        then = "the run goes on without it" if data["quarantined"] else "training goes on"
        yield "critical", f"Steersman itself failed in {data['hook']}: {data['error']}; {then}"
    elif entry.kind == "error":
        rests = "; it is quarantined, the others run on" if data["quarantined"] else ""
        yield (
            "critical",
            f"strategy {data['strategy']} ({data['origin']}) failed in {data['hook']}: {data['error']}{rests}",
        )
    elif entry.kind == "averaged":
        yield from _averaged(data)
    elif entry.kind == "overrun":
        told = f"strategy {data['strategy']} ({data['origin']}) still runs in {data['hook']} after {data['budget']:g} s"
        yield "critical", f"{told}, its time budget; once it returns it is quarantined"
    elif entry.kind == "budget":
        then = "the run stops with a checkpoint" if data["stops"] else "in mode observe nothing is stopped"
        yield "warning", f"{data['because']}; {then}"
    elif entry.kind == "note":
        yield data["severity"], data["message"]
    elif entry.kind == "finding":
        for line in str(data["message"]).splitlines():
            yield "", line
    elif entry.kind == "end":
        yield from ending(data)


def _averaged(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = averaged_name(data["steps"])
    if data["reason"]:
        yield "warning", f"{name} was not tried: {data['reason']}"
        return
    scores = [f"{who} {score['value']:.6f}" for who, score in data["scores"].items()] or ["no scorer has an opinion"]
    loss = data["metrics"].get("eval_loss")
    yield "", f"{name}: {', '.join(scores)}" + ("" if loss is None else f"; eval loss {loss:.4f}")


def moved(made: Mapping[str, Any]) -> str:
    """Return what a change did: `factor 1.00 -> 0.80; now 8.1e-06 -> 6.48e-06 (-20.0 %); peak 1e-05 -> 8e-06`.

    The factor and the peak are told where the value follows a schedule of the user's own.
    """
    old, new, peak = made["old"], made["new"], made.get("peak")
    if peak is None:
        return change(old, new)
    before, after = made["factor_before"], made["factor"]
    factors = f"factor {_factor(before)} -> {_factor(after)}"
    return f"{factors}; now {change(old, new)}; peak {peak * before:.6g} -> {peak * after:.6g}"


def _factor(factor: float) -> str:
    """Return a factor with two places, or two digits where it is small."""
    return f"{factor:.2f}" if factor >= 0.1 else f"{factor:.2g}"


def outcome(judged: Mapping[str, Any]) -> str:
    """Return what is said of a change some checks later, beside how often the same is said of no change."""
    if judged["metric"] is None:
        return "unclear: too few comparable checks"
    metric, sign = judged["metric"], -1 if judged["metric"] == "reward" else 1
    figures = f"{metric} {sign * judged['before']:.4f} -> {sign * judged['after']:.4f}"
    of = judged["placebos"]
    beside = f"{judged['placebo_better']} of {of} checks without a change were called better too"
    worse = f"{judged['placebo_worse']} worse"
    return (
        f"{judged['label']} ({figures}; {f'{beside}, {worse}' if of else 'no check without a change to compare with'})"
    )


def _control(said: Mapping[str, Any]) -> str:
    parts = [
        f"switched off ({said['off']}): nothing is changed" if said["off"] else "",
        f"approved: {', '.join(map(str, said['approved']))}" if said["approved"] else "",
        "everything is put back (steersman revert)" if said["reverts"] else "",
    ]
    return "; ".join(part for part in parts if part)


def _late(heard: Mapping[str, Any]) -> str:
    newest = {(s["step"], name): value for s in heard["scores"] for name, value in s["metrics"].items()}
    told = [f"step {step} {name} {value:g}" for (step, name), value in newest.items()]
    return f"heard late scores: {', '.join(told[:_LATE_TOLD])}" + (
        f" and {len(told) - _LATE_TOLD} more" if len(told) > _LATE_TOLD else ""
    )


def change(old: float, new: float) -> str:
    """Return `4e-06 -> 3.2e-06 (-20.0 %)`."""
    share = f" ({(new - old) / abs(old) * 100:+.1f} %)" if old else ""
    return f"{old:.6g} -> {new:.6g}{share}"


def _run(step: int, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    effect = {
        "observe": "scores and watches, touches nothing",
        "advise": "scores, watches, says what it would change",
        "ask": "scores, watches, changes what the config names once you approve",
        "act": "scores, watches, changes what the config names",
    }[data["mode"]]
    resumed = f", resumed at step {step}" if data["resumed"] else ""
    asked = ", ".join(s["name"] for s in data["strategies"]) or "no strategy"
    yield "", f"mode {data['mode']} ({effect}){resumed}; config: {data['config_source']}; asks {asked}"
    yield from _may_change(data)
    if data["forces_logs"]:
        yield "", "  a log is added at each evaluation and save (force_logs), so that train losses are fresh"
    ahead = f", {data['checks_ahead']} ahead" if data["checks_ahead"] is not None else ""
    yield "", f"  health checks: {data['check_every']}{ahead}; journal: {data['journal']}; off: STEERSMAN_DISABLED=1"
    for sentence in data["preflight"]:
        yield "warning", f"  {sentence}"


def _may_change(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what may be changed within which bounds, and what cannot be and why."""
    entries, acts = data["hyperparameters"], data["mode"] in ("ask", "act")
    for h in entries:
        if acts and h["allowed"] and h["status"] == "live":
            now = "unknown" if h["value"] is None else f"{h['value']:g}"
            yield "", f"  {h['name']} may change within {h['bounds']}; now {now}"
    named = [h for h in entries if h["allowed"]]
    if acts and not named:
        yield "warning", "  the config names nothing under `hyperparameters:`, so nothing will be changed"
    idle = [
        h["name"] for h in entries if h["status"] == "live" and not (acts and h["allowed"]) and "[" not in h["name"]
    ]
    if idle:
        why = "the config does not name it" if acts else f"the mode is {data['mode']}"
        yield "", f"  will not be changed ({why}): {', '.join(idle)}"
    for reason in dict.fromkeys(h["reason"] for h in entries if h["status"] != "live"):
        dead = [h for h in entries if h["status"] != "live" and h["reason"] == reason]
        dead = [h for h in dead if h["allowed"] or "[" not in h["name"]]
        if not dead:
            continue
        style = "warning" if acts and any(h["allowed"] for h in dead) else ""
        yield style, f"  cannot be changed ({reason}): {', '.join(h['name'] for h in dead)}"


def _score(step: int, data: Mapping[str, Any]) -> str:
    if data["rejected"]:
        return f"step {step}: rejected by {data['strategy']}: {data['rejected']}"
    terms = ", ".join(f"{name} {value:+.4f}" for name, value in data["terms"].items())
    train = data["train_loss"]
    age = f"{train['age_steps']} steps old" if train and train["age_steps"] else "of the same step"
    source = f"; train loss {train['value']:.4f}, {age}" if train else "; no train loss was logged yet"
    why = "; ".join(part for part in (terms, data.get("because") or "") if part)
    return f"step {step}: score {data['value']:.6f} by {data['strategy']} ({f'{why}{source}'.removeprefix('; ')})"


def _check(step: int, data: Mapping[str, Any]) -> str:
    epoch = f" (epoch {data['epoch']:.2f})" if data.get("epoch") is not None else ""
    parts = [_moved(name, data.get(name), data.get(f"{name}_change")) for name in ("loss", "reward")]
    if data.get("reward_variance") is not None:
        parts.append(f"reward variance {data['reward_variance']:.4f}")
    parts += [f"{name} NaN or infinite in {count} logs" for name, count in data.get("nonfinite", {}).items()]
    seen = ", ".join(part for part in parts if part)
    what = "check" if data["reason"] == "scheduled" else "check out of turn"
    if not seen:
        return f"{what} at step {step}{epoch}: no loss was logged since the last"
    return f"{what} at step {step}{epoch}: {seen}: {'healthy' if data['healthy'] else 'not healthy'}"


def _moved(name: str, value: float | None, by: float | None) -> str:
    if value is None:
        return ""
    if by is None:
        return f"{name} {value:.4f}"
    return f"{name} {value:.4f} ({'rose' if by > 0 else 'fell'} by {abs(by):.4f})"


def _proposal(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    verdict = data["verdict"]
    if data["action"] == "rollback" and verdict == "applied":
        return  # the rollback says it
    if data["action"] != "adjust":
        waits = f": steersman approve RUN {data['number']}" if verdict == "waiting" else f", {data['reason']}"
        yield "change", f"  {data['action']}: {data['because']}: {verdict}{waits}"
        return
    name, because = data["hyperparameter"], data["because"]
    if verdict == "applied":
        return  # the adjustment says it
    if verdict == "waiting":
        told = f"  {name}: {change(data['old'], data['new'])} because of {because} waits for a yes"
        yield "change", f"{told} until the next check: steersman approve RUN {data['number']}"
    elif verdict == "advised":
        yield "change", f"  would change {name}: {change(data['old'], data['new'])} because of {because}"
    elif verdict != "lost":
        yield "warning", f"  {name} {data['change']} ({because}) {verdict}: {data['reason']}"


_CHANGES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "adjustment": ("change", lambda d: f"  {d['hyperparameter']}: {moved(d)} because of {d['because']}"),
    "outcome": ("", lambda d: f"  since {d['hyperparameter']} was changed at step {d['changed_at']}: {outcome(d)}"),
    "effect": ("change", lambda d: f"  {d['hyperparameter']} is {d['value']:g} from this generation on"),
    "rollback": (
        "change",
        lambda d: f"  rolled back to the weights of step {d['to_step']} ({d['because']}); {d['left']} left",
    ),
    "restart": ("warning", lambda d: f"  ranking and baselines begin anew: {d['because']}"),
    "control": ("warning", _control),
    "late_heard": ("", _late),
}
"""The style and the words of what was done, by kind."""
