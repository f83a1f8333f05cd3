"""Keys, prompts and answers are never kept: what a teacher holds is numbers, and sentences of our own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging

import openai
import pytest
import torch
from attrs import fields
from local_server import KEY

import steersman
from steersman.teacher import Teacher
from steersman.teacher.tally import Tally

PROMPT, ANSWER = "a-planted-prompt", "a-planted-answer"
PLANTED = (KEY, PROMPT, ANSWER)


def everything_of(teacher: Teacher) -> str:
    """The representation of every field of a teacher and of its tally."""
    tally = teacher._tally
    held = [getattr(tally, each.name) for each in fields(Tally)]
    return repr((teacher, tally, teacher(), held, teacher.take(), teacher.notes(), teacher.errors))


def found(text: str) -> list[str]:
    """What was planted and is in a text."""
    return [planted for planted in PLANTED if planted in text]


@pytest.fixture
def question():
    """A question that nobody must see."""
    return {"model": "t", "messages": [{"role": "user", "content": PROMPT}]}


def test_a_key_in_errors_that_the_server_echoes(client, teacher, server, question, caplog):
    """A refusal that quotes the key in its message leaves it with the user's exception, and nowhere of ours."""
    server.plan.extend([401, 500, "bad json", "text", "nan"])
    with caplog.at_level(logging.DEBUG, logger="steersman"):
        for _ in range(5):
            try:
                client.chat.completions.create(**question)
            except (openai.APIError, ValueError) as error:
                said = str(error)
                assert KEY in said or "no" not in said
    assert teacher.pending().errors == 3
    assert found(everything_of(teacher)) == []
    assert [record for record in caplog.records if record.name.startswith("steersman")] == []


def test_answers_are_not_kept(client, teacher, server, question):
    """Answers, streams and raw responses leave numbers alone."""
    server.score = ANSWER
    assert client.chat.completions.create(**question).choices[0].message.content == ANSWER
    list(client.chat.completions.create(**question, stream=True))
    client.chat.completions.with_raw_response.create(**question)
    with teacher() as call:
        call.used({"choices": [{"message": {"content": ANSWER}}], "usage": {"prompt_tokens": KEY}})
    with pytest.raises(RuntimeError), teacher():
        raise RuntimeError(KEY)

    assert found(everything_of(teacher)) == []
    assert found(repr(client) + repr(call)) == []


def test_a_wrapped_client_has_the_key_where_it_had_it(client):
    """The client keeps its key where the package puts it, and shows it no more than the plain one does."""
    assert client.api_key == KEY
    assert KEY not in repr(client)
    assert [name for name, value in vars(client).items() if value == KEY] == ["api_key"]


def test_nothing_keeps_an_answer_alive(client, teacher, question):
    """When the user lets go of an answer, it is gone: neither the teacher nor its calls hold it."""
    answer = client.chat.completions.create(**question)
    kind = type(answer)
    del answer
    gc.collect()

    assert teacher.take().samples == 1
    assert [each for each in gc.get_objects() if type(each) is kind] == []


def test_a_call_in_a_task_that_is_refused(aclient, teacher, server, question):
    """The client for tasks keeps no more."""
    server.plan.append(403)

    async def main():
        async with aclient:
            with pytest.raises(openai.PermissionDeniedError, match=KEY):
                await aclient.chat.completions.create(**question)

    asyncio.run(main())

    assert found(everything_of(teacher)) == []


def test_a_run_whose_rewards_ask_over_http(client, teacher, server, question, tmp_path, capsys, caplog):
    """Six steps, two calls refused in words that quote the key: the ledger is the server's count, no file tells more."""
    server.score = ANSWER
    server.plan.extend(["answer", 401, "answer", 500])
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    settings = {"use": ["token-accounting"]}
    with (
        caplog.at_level(logging.DEBUG, logger="steersman"),
        steersman.attach(optimizer, settings, folder=tmp_path, teacher=teacher) as run,
    ):
        for step in range(1, 7):
            with contextlib.suppress(openai.APIStatusError):
                client.chat.completions.create(**question)
            optimizer.step()
            run.log(step, loss=1.0)

    total = run.session.supervisor.run.ledgers["teacher"].total
    told = (total.samples, total.tokens, total.received, total.cached_tokens)
    assert (told, total.errors) == (server.counts, 2)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"journal.jsonl"} <= {path.name for path in files}
    assert [path.name for path in files if found(path.read_bytes().decode(errors="replace"))] == []
    printed = capsys.readouterr()
    assert found(printed.out + printed.err + caplog.text) == []


def test_a_run_that_ends_by_an_error_that_quotes_the_key(client, teacher, server, question, tmp_path):
    """An error of the client that ends the run is journaled without its words."""
    server.plan.append(401)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    with (
        pytest.raises(openai.AuthenticationError, match=KEY),
        steersman.attach(optimizer, {"use": [], "console": False}, folder=tmp_path, teacher=teacher) as run,
    ):
        run.log(1, loss=1.0)
        client.chat.completions.create(**question)

    text = (tmp_path / "steersman" / "journal.jsonl").read_text()
    assert "AuthenticationError" in text
    assert found(text) == []
