"""Which checkpoint of a run to use: the best that may be best and that is there."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from steersman.checkpoints import Checkpoint
from steersman.config.reading import Source
from steersman.explain import ranking_told
from steersman.hindsight import barred_told, saved_told
from steersman.readers.journal import RANKING_WORDS, current
from steersman.readers.run_directory import JOURNAL, KEPT, find_journal
from steersman.replaying import replay
from steersman.spelling import did_you_mean

_HALF_WRITTEN = (".making", ".tmp", ".part", ".incomplete")
"""How the name of what is still being written ends."""


@frozen
class Chosen:
    """The checkpoint to use, where it lies, whose score decided, and why better-scored ones are passed over."""

    checkpoint: Checkpoint
    path: Path
    scorer: str
    passed_over: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """Its score; lower is better."""
        return self.checkpoint.scores[self.scorer].value


class NoCheckpoint(Exception):
    """No checkpoint of a run may be used; the message says why."""


def best_of(path: Path, config: Source = None, *, scorer: str | None = None) -> Chosen:
    """Return the best checkpoint that is there of a run: by its journal, or by a replay where it has none.

    With `config` it is that of a replay with it. Raises NoCheckpoint where there is none; UnreadableRun; ConfigError;
    ValueError where no scorer is called so.
    """
    journal = find_journal(path) if config is None and path.exists() else None
    problems: list[str] = []
    recorded: dict[int, str] = {}
    if journal is not None:
        ranking = ranking_told(current(journal, words=RANKING_WORDS), problems)
    else:
        told = replay(path, config)
        ranking, recorded = told.ranking, saved_told(told.recording.decisions)  # of a journal: files may be among them
    if scorer is not None and scorer not in ranking.order:
        near = did_you_mean(scorer, ranking.order) or f"; there are {', '.join(ranking.order) or 'none'}"
        raise ValueError(f"no scorer of {path} is called {scorer!r}{near}")
    name = scorer or ranking.leader
    if name is None or not ranking.ranked(name, barred=True):
        raise NoCheckpoint(f"{path}: {name or 'no strategy'} scored no checkpoint that could be best")
    folder = _folder(path, journal)
    said = [*barred_told(ranking, name), *problems]
    ranked = [c if c.path else evolve(c, path=recorded.get(c.step)) for c in ranking.ranked(name)]
    for checkpoint in ranked:
        place = place_of(checkpoint, folder)
        if place is None:
            continue
        if checkpoint is not ranked[0]:
            said.append(f"{_fate(ranked[0], name)}; the best that is there is step {checkpoint.step}.")
        return Chosen(checkpoint, place, name, tuple(said))
    said += [f"{_fate(ranked[0], name)}."] if ranked else []
    raise NoCheckpoint(" ".join((f"{path}: no checkpoint that may be best is there.", *said)))


def place_of(checkpoint: Checkpoint, folder: Path) -> Path | None:
    """Return where a saved checkpoint lies now: in the run directory `folder`, which may have been moved, or where it
    was written. None where it is gone, or not whole yet.
    """
    return next((place for place in _places(checkpoint, folder) if _is_whole(place)), None)


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


def _places(checkpoint: Checkpoint, folder: Path) -> Iterator[Path]:
    if checkpoint.path is None:
        return
    written = Path(checkpoint.path)
    for count in range(1, len(written.parts) + 1):  # with all its parts, one that begins at the root is itself
        yield folder.joinpath(*written.parts[-count:])
    yield from sorted((folder / KEPT).glob(f"*/checkpoint-{checkpoint.step}"))
    if not (folder / JOURNAL).exists():  # the journal lies elsewhere
        yield written


def _is_whole(place: Path) -> bool:
    if place.name.startswith("tmp-") or place.name.endswith(_HALF_WRITTEN):
        return False
    try:
        return any(place.iterdir()) if place.is_dir() else place.stat().st_size > 0
    except OSError:
        return False


def _folder(path: Path, journal: Path | None) -> Path:
    if path.is_dir():
        return path
    return journal.parent.parent if journal is not None and journal.parent.name == JOURNAL.parent.name else path.parent


def _fate(checkpoint: Checkpoint, scorer: str) -> str:
    score = checkpoint.scores[scorer].value
    fate = "was evaluated and never saved" if checkpoint.path is None else f"was saved in {checkpoint.path} and is gone"
    return f"Step {checkpoint.step} is the best ({score:.4f}), but {fate}"
