"""The reward function: every completion is scored by the teacher; one it cannot score has no reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from steersman.demo.rlaif.asking import messages, score_in

CALLS_AT_ONCE = 4
_TOKENS = 16
"""How long an answer may be: a number needs no more."""


class TeacherReward:
    """Ask a teacher, several calls at once. TRL logs it as `rewards/teacher/mean`.

    An answer that is late, an error or no number from 0 to 1 gives no reward for that completion. It is counted in
    `failures`, by what went wrong, and each kind is told to `say` once.
    """

    __name__ = "teacher"

    def __init__(self, client: Any, model: str, say: Callable[[str], None]) -> None:
        self._client, self._model, self._say = client, model, say
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="teacher")
        self._lock = Lock()
        self.asked = 0
        self.failures: dict[str, int] = {}

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], **_: Any) -> list[float | None]:
        """Return the score of each completion, from 0 to 1, or None."""
        self.asked += len(completions)
        return [*self._pool.map(self._score, prompts, completions)]

    def close(self) -> None:
        """Let go of the threads; calls that wait are dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _score(self, prompt: str, completion: str) -> float | None:
        import openai

        try:
            response = self._client.chat.completions.create(
                model=self._model, messages=messages(prompt, completion), max_tokens=_TOKENS, temperature=0
            )
            return score_in(response.choices[0].message.content)
        except (openai.OpenAIError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._failed(error)
            return None

    def _failed(self, error: Exception) -> None:
        kind = type(error).__name__ if not isinstance(error, ValueError) else "no score"
        with self._lock:
            is_new = kind not in self.failures
            self.failures[kind] = self.failures.get(kind, 0) + 1
        if is_new:
            self._say(f"the teacher gave no score ({kind}: {str(error)[:200]}); such completions have no reward")
