"""One run of the demo, from the teacher's address to what the journal tells."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from steersman.demo.rlaif.report import facts
from steersman.demo.rlaif.reward import TeacherReward
from steersman.demo.rlaif.rule import RULE
from steersman.demo.rlaif.teacher_server import MODEL, TeacherServer, serving
from steersman.secrets import address

_TIMEOUT, _RETRIES = 20.0, 1


@frozen
class Source:
    """Where the scores come from. `server` is the demo's own teacher, None where it is another.

    Show its `address`: the `url` may hold secrets.
    """

    url: str = field(repr=False)
    model: str
    key: str = field(default="none", repr=False)
    server: TeacherServer | None = None

    @property
    def address(self) -> str:
        """The URL without user info, query and fragment."""
        return address(self.url)


@contextmanager
def source(url: str | None, model: str | None) -> Generator[Source]:
    """Give the teacher at `url`, with the key in OPENAI_API_KEY; without one the demo's own, which ends with this."""
    if url is not None and model is not None:
        yield Source(url, model, os.environ.get("OPENAI_API_KEY") or "none")
        return
    with serving() as server:
        yield Source(server.url, MODEL, server=server)


def run(
    folder: Path, settings: Any, seed: int, asked: Source, *, say: Callable[[str], None], on_step: Callable[[int], None]
) -> dict[str, Any]:
    """Train under supervision and return what is told of it. What goes wrong with the teacher is told to `say` once.

    Raises TeacherUnusable where the teacher cannot be asked at all.
    """
    import openai

    import steersman
    from steersman.demo.rlaif.training import build
    from steersman.readers.journal import current

    teacher = steersman.Teacher()
    plain = openai.OpenAI(base_url=asked.url, api_key=asked.key, timeout=_TIMEOUT, max_retries=_RETRIES)
    with plain, TeacherReward(teacher.wrap(plain), asked.model, say) as reward:
        reward.try_once()
        trainer = build(folder, seed, reward, on_step)
        steersman.supervise(trainer, settings, teacher=teacher)
        trainer.train()
        trainer.save_state()
    told = facts(current(folder / "steersman" / "journal.jsonl"))
    return {**told, "seed": seed, "output": str(folder), "teacher": _of_teacher(asked, reward)}


def _of_teacher(asked: Source, reward: TeacherReward) -> dict[str, Any]:
    server = asked.server
    return {
        "url": asked.address,
        "model": asked.model,
        "rule": RULE if server is not None else None,
        "asked": reward.asked,
        "unscored": dict(reward.failures),
        "server": asdict(server.counts) if server is not None else None,
    }
