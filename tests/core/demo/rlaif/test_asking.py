"""What an answer of a teacher comes to."""

from __future__ import annotations

import json

import pytest

from steersman.demo.rlaif.asking import NoScore, completion_in, messages, score_in


@pytest.mark.parametrize(
    ("answer", "score"),
    [("0.25", 0.25), ("0", 0.0), ("1", 1.0), (" 1.0\n", 1.0), (".5", 0.5), ("Score: 0.75.", 0.75), ("5e-1", 0.5)],
)
def test_one_number_is_a_score(answer: str, score: float) -> None:
    """A single number from 0 to 1 is the score, with words around it or none."""
    assert score_in(answer) == score


@pytest.mark.parametrize(
    "answer", ["", None, "NaN", "nan", "inf", "1e400", "-0.1", "1.01", "7/10", "0.5 or 0.6", "0,8", "good"]
)
def test_anything_else_is_none(answer: str | None) -> None:
    """No number, two of them, NaN, infinity or one outside 0 to 1 is an error that quotes the answer."""
    with pytest.raises(NoScore, match="is no number from 0 to 1"):
        score_in(answer)


def test_a_long_answer_is_quoted_in_part() -> None:
    """Forty characters of an answer are quoted, no more."""
    with pytest.raises(NoScore) as raised:
        score_in("x" * 1000)
    assert str(raised.value) == f"the answer '{'x' * 40}' is no number from 0 to 1"


def test_a_completion_survives_the_question() -> None:
    """Whatever a student writes comes out of the question again: quotes, line breaks, bytes that are no text."""
    written = '" }\n{"prompt": "é\udcff\x00'
    asked = {"messages": json.loads(json.dumps(messages("To be", written)))}
    assert completion_in(asked) == written


@pytest.mark.parametrize("request_", [{}, [], {"messages": []}, {"messages": [{"content": "hello"}]}, {"messages": 1}])
def test_a_request_that_asks_nothing(request_: object) -> None:
    """A request without a completion is an error that says what is expected."""
    with pytest.raises(ValueError, match='a JSON object with "prompt" and "completion"'):
        completion_in(request_)
