"""The reward function: every completion is scored by the teacher; one it does not score has no reward."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Self

from steersman.demo.rlaif.asking import NoScore, messages, score_in

_AT_ONCE = 4
_UNUSABLE = frozenset({401, 403, 404})
_ABSENT = frozenset({"APIConnectionError", "APITimeoutError"})


class TeacherUnusable(RuntimeError):
    """The teacher cannot be asked at all: it is not there, is silent, or does not let us in."""


class TeacherReward:
    """Ask a teacher, several calls at once. TRL logs it as `rewards/teacher/mean`.

    An answer that is late, an error or no number from 0 to 1 gives no reward for that completion. It is counted in
    `failures`, by what went wrong, and each kind is told to `say` once.
    """

    __name__ = "teacher"

    def __init__(self, client: Any, model: str, say: Callable[[str], None]) -> None:
        self._client, self._model, self._say = client, model, say
        self._lock = Lock()
        self._is_over = False
        self.asked = 0
        self.failures: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Drop what waits. A call that is open is not waited for, and nothing more is said."""
        self._is_over = True

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], **_: Any) -> list[float | None]:
        """Return the score of each completion, from 0 to 1, or None."""
        self.asked += len(completions)
        waiting = deque(enumerate(zip(prompts, completions, strict=True)))
        scored: SimpleQueue[tuple[int, float | None]] = SimpleQueue()
        for _worker in range(min(_AT_ONCE, len(waiting))):
            # daemons: Python does not wait for one that hangs when it ends
            Thread(target=self._work, args=(waiting, scored), name="teacher", daemon=True).start()
        return [score for _, score in sorted((scored.get() for _ in completions), key=lambda each: each[0])]

    def try_once(self) -> None:
        """Ask for one score, once. Raises TeacherUnusable where the teacher is not there, silent, or lets nobody in."""
        self.asked += 1
        try:
            self._answer(self._client.with_options(max_retries=0), "To be or", "not to be")
        except Exception as error:
            status = getattr(error, "status_code", None)
            if status in _UNUSABLE or type(error).__name__ in _ABSENT:
                raise TeacherUnusable(f"the teacher cannot be asked ({_kind(error)})") from None
            self._failed(error)

    def _work(self, waiting: deque[tuple[int, tuple[str, str]]], scored: SimpleQueue[tuple[int, float | None]]) -> None:
        while True:
            try:
                place, asked = waiting.popleft()
            except IndexError:
                return
            scored.put((place, None if self._is_over else self._score(*asked)))

    def _score(self, prompt: str, completion: str) -> float | None:
        try:
            return self._answer(self._client, prompt, completion)
        except Exception as error:  # whatever a teacher does, the training goes on
            self._failed(error)
            return None

    def _answer(self, client: Any, prompt: str, completion: str) -> float:
        response = client.chat.completions.create(model=self._model, messages=messages(prompt, completion))
        return score_in(response.choices[0].message.content)

    def _failed(self, error: Exception) -> None:
        kind = _kind(error)
        with self._lock:
            if self._is_over:
                return
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
