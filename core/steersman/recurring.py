"""Findings, proposals and errors that say the same at several steps are told once, with how often and where."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import frozen

from steersman.journal import JournalEntry


@frozen
class Recurring:
    """Entries that say the same, oldest first; there is at least one."""

    entries: tuple[JournalEntry, ...]

    @property
    def first(self) -> JournalEntry:
        return self.entries[0]

    @property
    def where(self) -> str:
        """`step 40`, `steps 40 and 80`, or `5 times, steps 40 to 200`."""
        steps = [entry.step for entry in self.entries]
        if len(steps) == 1:
            return f"step {steps[0]}"
        return (
            f"steps {steps[0]} and {steps[1]}"
            if len(steps) == 2
            else f"{len(steps)} times, steps {steps[0]} to {steps[-1]}"
        )

    def of(self, name: str) -> str:
        """Return a field as text where all agree, else the first and the last, each with its step."""
        first, last = self.entries[0], self.entries[-1]
        if len({str(entry.data.get(name) or "") for entry in self.entries}) == 1:
            return str(first.data.get(name) or "")
        return f"at step {first.step}: {first.data.get(name)} … at step {last.step}: {last.data.get(name)}"


def grouped(entries: Iterable[JournalEntry], *names: str) -> tuple[Recurring, ...]:
    """Return the entries whose fields `names` are equal together, in order of first appearance."""
    groups: dict[tuple[str, ...], list[JournalEntry]] = {}
    for entry in entries:
        groups.setdefault(tuple(str(entry.data.get(name)) for name in names), []).append(entry)
    return tuple(Recurring(tuple(group)) for group in groups.values())


def findings(entries: Iterable[JournalEntry]) -> tuple[Recurring, ...]:
    """Return the findings that say something is wrong, grouped."""
    wrong = (e for e in entries if e.kind == "finding" and e.data.get("severity") != "info")
    return grouped(wrong, "strategy", "name", "severity")


def proposals(entries: Iterable[JournalEntry]) -> tuple[Recurring, ...]:
    """Return the proposals, grouped by what is proposed, why, and what became of it."""
    made = (entry for entry in entries if entry.kind == "proposal")
    return grouped(made, "strategy", "action", "hyperparameter", "change", "because", "verdict")


def proposals_told(entries: Iterable[JournalEntry], verdicts: Collection[str]) -> tuple[str, ...]:
    """Return a sentence for each group of proposals with one of these verdicts."""
    said: list[str] = []
    for group in proposals(entries):
        d = group.first.data
        if d["verdict"] in verdicts:
            who = f"{asked_for(group.first)} by {d['strategy']} because of {d['because']}"
            said.append(f"{who}: {d['verdict']}, {group.where}: {group.of('reason')}.")
    return tuple(said)


def errors(entries: Iterable[JournalEntry]) -> tuple[Recurring, ...]:
    """Return the failures of strategies, grouped."""
    return grouped((entry for entry in entries if entry.kind == "error"), "strategy", "hook", "error")


def failures_told(entries: Iterable[JournalEntry]) -> tuple[str, ...]:
    """Return a sentence for each failure of a strategy."""
    said: list[str] = []
    for group in errors(entries):
        d = group.first.data
        rests = next((f" It was quarantined at step {e.step}." for e in group.entries if e.data.get("quarantined")), "")
        said.append(f"{d['strategy']} ({d['origin']}) failed in {d['hook']}, {group.where}: {d['error']}.{rests}")
    return tuple(said)


def accounts(entries: Iterable[JournalEntry]) -> tuple[str, ...]:
    """Return the lines of findings of severity `info`: what was counted, then what was said without a figure.

    One whose every figure is missing is left out.
    """
    told = [e for e in entries if e.kind == "finding" and e.data.get("severity") == "info"]
    known = (e for e in told if any(value is not None for value in e.data["evidence"].values()))
    said = grouped((e for e in told if not e.data["evidence"]), "strategy", "name", "message")
    return (
        *(line for group in grouped(known, "strategy", "name") for line in _lines(group)),
        *(_with_its_name(group) for group in said),
    )


def _lines(group: Recurring) -> tuple[str, ...]:
    """Return the lines of an account; what was said in one line again and again is told once, with its name."""
    messages = [str(entry.data["message"]).splitlines() for entry in group.entries]
    if len(messages) > 1 and all(len(lines) == 1 for lines in messages):
        return (_with_its_name(group),)
    return tuple(line for lines in messages for line in lines)


def _with_its_name(group: Recurring) -> str:
    return f"{group.first.data['name']} by {group.first.data['strategy']}, {group.where}: {group.of('message')}"


def asked_for(entry: JournalEntry) -> str:
    """Return what a proposal asks for: `learning_rate x0.8`, `stop`, `save`, `rollback`."""
    data = entry.data
    return f"{data['hyperparameter']} {data['change']}" if data.get("hyperparameter") else str(data.get("action"))
