"""Which checkpoint of a run to use: the best that may be best and that is there."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from attrs import evolve, frozen

from steersman.checkpoints import Checkpoint
from steersman.config.reading import Source
from steersman.examples import kept_of
from steersman.explain import ranking_told
from steersman.hindsight import barred_told, begun, count, rejected_told, saved_told
from steersman.journal import JournalEntry
from steersman.ranking import Ranking
from steersman.readers.journal import RANKING_WORDS, current
from steersman.readers.run_directory import JOURNAL, find_journal
from steersman.readers.sources import CHECKPOINT, STATE
from steersman.replaying import replay
from steersman.spelling import did_you_mean, nearest
from steersman.tied_set import TiedSet, tied_set
from steersman.whereabouts import Whereabouts, folder_of


@frozen
class Chosen:
    """The checkpoint to use, where it lies, whose score decided, and why better-scored ones are passed over."""

    checkpoint: Checkpoint
    path: Path
    scorer: str
    passed_over: tuple[str, ...] = ()
    tied: TiedSet | None = None

    @property
    def score(self) -> float:
        """Its score; lower is better."""
        return self.checkpoint.scores[self.scorer].value


class NoCheckpoint(Exception):
    """No checkpoint of a run may be used: `reason` says why, `passed_over` what there is to say of each."""

    def __init__(self, reason: str, passed_over: tuple[str, ...] = ()) -> None:
        self.reason, self.passed_over = reason, passed_over
        super().__init__(" ".join((f"{reason}.", *passed_over)) if passed_over else reason)


Which = Literal["best", "latest", "earliest"]


def best_of(path: Path, config: Source = None, *, scorer: str | None = None, tied: Which = "best") -> Chosen:
    """Return the best checkpoint that is there of a run: by its journal, or by a replay where it has none.

    `path` may be a checkpoint of the run, or its steersman folder, too. With `config` it is that of a replay with it.
    With `tied` it is the latest or the earliest of those that cannot be told from the best: see `steersman.tied_set`.
    Raises NoCheckpoint where there is none; UnreadableRun; ConfigError; ValueError where no scorer is called so.
    """
    run = run_of(path)
    problems: list[str] = []
    journal = find_journal(run) if run.exists() else None
    if journal is not None and config is None:
        entries: Sequence[JournalEntry] = current(journal, words=(*RANKING_WORDS, b'"error"'))
        ranking, saves = ranking_told(entries, problems), entries
    else:
        made = replay(run, config)
        ranking, entries = made.ranking, made.entries
        saves = made.recording.decisions  # of a journal: files may be among them
    recorded = saved_told(saves)
    if scorer is not None and scorer not in ranking.order:
        near = did_you_mean(scorer, ranking.order) or f"; there are {', '.join(ranking.order) or 'none'}"
        raise ValueError(f"no scorer of {path} is called {scorer!r}{near}")
    name = scorer or ranking.leader
    if name is None or not ranking.ranked(name, barred=True):
        raise NoCheckpoint(f"{path}: {_why_none(ranking, name, entries)}")
    there = Whereabouts.of(folder_of(run, journal), saves)
    said = [*barred_told(ranking, name), *rejected_told(ranking, name), *_misspelt(ranking), *problems]
    ranked = [c if c.path or c.averaged else evolve(c, path=recorded.get(c.step)) for c in ranking.ranked(name)]
    found = tied_set(ranking, kept_of(folder_of(run, journal)).read(), name)
    alike = [c.key for c in found.all] if found is not None and tied != "best" else []
    if tied != "best" and found is None:
        said.append("It is not known which checkpoints are tied with the best: there are too few evaluations.")
    first = sorted((c for c in ranked if c.key in alike), key=lambda c: alike.index(c.key), reverse=tied == "latest")
    for checkpoint in (*first, *ranked):
        place = there.place(checkpoint)
        if place is None:
            continue
        if checkpoint is not ranked[0] and checkpoint.key not in alike:
            said.append(
                f"{_best(ranked[0], name)} {there.fate(ranked[0])}; the best that is there is {checkpoint.name}."
            )
        return Chosen(checkpoint, place, name, tuple(said), found)
    said += [f"{_best(ranked[0], name)} {there.fate(ranked[0])}."] if ranked else []
    raise NoCheckpoint(f"{path}: no checkpoint that may be best is there", tuple(said))


def run_of(path: Path) -> Path:
    """Return the run directory that a checkpoint, its trainer_state.json or a steersman folder belongs to."""
    if not path.exists():
        return path
    folder = path.parent if path.name == STATE else path
    here = folder if folder.name not in ("", "..") else folder.resolve()
    if CHECKPOINT.fullmatch(here.name) or (here.name == JOURNAL.parent.name and (here / JOURNAL.name).is_file()):
        return folder.parent if folder is here else folder / ".."
    return path


def link_to(checkpoint: Path, link: Path) -> None:
    """Make `link` a symbolic link to a checkpoint, in one move; one that is there is replaced.

    Raises FileExistsError where something else is there, OSError where no link can be made.
    """
    if os.path.lexists(link) and not link.is_symlink():
        raise FileExistsError(17, "it is there and is no symbolic link, so it is left alone", str(link))
    link.parent.mkdir(parents=True, exist_ok=True)
    making = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
    making.symlink_to(checkpoint.resolve())
    try:
        os.replace(making, link)
    except OSError:
        making.unlink()
        raise


def _best(checkpoint: Checkpoint, scorer: str) -> str:
    return f"{begun(checkpoint.name)} is the best ({checkpoint.scores[scorer].value:.4f}), but"


def _why_none(ranking: Ranking, scorer: str | None, entries: Sequence[JournalEntry]) -> str:
    """Return why a run has no checkpoint with a score that could make it best."""
    evaluated = [c for c in ranking.all() if not c.is_baseline]
    if not evaluated:
        return "it has no evaluation, so no checkpoint can be best"
    evaluations = count(len(evaluated), "evaluation")
    failed = [e.data for e in entries if e.kind == "error" and e.data["hook"] == "score_checkpoint"]
    if scorer is None and failed:
        d = failed[0]
        return f"it has {evaluations}, and no strategy scored one: {d['strategy']} failed with {d['error']}"
    if scorer is None:
        losses = [c.metrics["eval_loss"] for c in evaluated if "eval_loss" in c.metrics]
        why = (
            ""
            if any(map(math.isfinite, losses))
            else ": no eval loss is finite"
            if losses
            else ": none has an eval loss"
        )
        return f"it has {evaluations}, and no strategy scored one{why}"
    scored = [c.scores[scorer] for c in evaluated if scorer in c.scores]
    if not scored:
        return f"{scorer} scored none of {evaluations}"
    said = " ".join(rejected_told(ranking, scorer)).removesuffix(".")
    return f"{scorer} gave no finite score to any of {evaluations}" + (f". {said}" if said else "")


def _misspelt(ranking: Ranking) -> tuple[str, ...]:
    """Return a sentence for each required metric that never came while one of nearly that name did."""
    came = {name for c in ranking.all() for name in c.metrics}
    absent = dict.fromkeys(r.metric for r in ranking.requires if r.metric not in came)
    nearest_of = {name: nearest(name, came) for name in absent}
    return tuple(
        f"No checkpoint has {name}; the nearest that came is {near}." for name, near in nearest_of.items() if near
    )
