"""The reward function: every completion is scored by the teacher; one it does not score has no reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Self

from steersman.demo.rlaif.asking import NoScore, messages, score_in

_AT_ONCE = 4
_UNUSABLE = frozenset({401, 403, 404})


class TeacherUnusable(RuntimeError):
    """The teacher cannot be asked at all: it is not there, or it does not let us in."""


class TeacherReward:
    """Ask a teacher, several calls at once. TRL logs it as `rewards/teacher/mean`.

    An answer that is late, an error or no number from 0 to 1 gives no reward for that completion. It is counted in
    `failures`, by what went wrong, and each kind is told to `say` once.
    """

    __name__ = "teacher"

    def __init__(self, client: Any, model: str, say: Callable[[str], None]) -> None:
        self._client, self._model, self._say = client, model, say
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="teacher")
        self._lock = Lock()
        self.asked = 0
        self.failures: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the threads; calls that wait are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], **_: Any) -> list[float | None]:
        """Return the score of each completion, from 0 to 1, or None."""
        self.asked += len(completions)
        return [*self._pool.map(self._score, prompts, completions)]

    def try_once(self) -> None:
        """Ask for one score. Raises TeacherUnusable where the teacher is not there or does not let us in."""
        self.asked += 1
        try:
            self._answer("To be or", "not to be")
        except Exception as error:
            status = getattr(error, "status_code", None)
            if status in _UNUSABLE or type(error).__name__ == "APIConnectionError":
                raise TeacherUnusable(f"the teacher cannot be asked ({_kind(error)})") from None
            self._failed(error)

    def _score(self, prompt: str, completion: str) -> float | None:
        try:
            return self._answer(prompt, completion)
        except Exception as error:  # whatever a teacher does, the training goes on
            self._failed(error)
            return None

    def _answer(self, prompt: str, completion: str) -> float:
        response = self._client.chat.completions.create(model=self._model, messages=messages(prompt, completion))
        return score_in(response.choices[0].message.content)

    def _failed(self, error: Exception) -> None:
        kind = _kind(error)
        with self._lock:
            is_new = kind not in self.failures
            self.failures[kind] = self.failures.get(kind, 0) + 1
        if is_new:
            self._say(f"the teacher did not score a completion ({kind}): it has no reward, and training goes on")


def _kind(error: Exception) -> str:
    """Return what went wrong, and never what a server said: it may quote a key."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return f"{type(error).__name__}, status {status}"
    return "no number from 0 to 1" if isinstance(error, NoScore) else type(error).__name__
