"""A wrapped client: it is what it was, and every call it makes is recorded as the server counted it."""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor

import openai
import pydantic
import pytest

from steersman.teacher import Teacher

KEY = "sk-some-key"


def counts(used):
    """Answers, tokens sent, received and cached."""
    return used.samples, used.tokens, used.received, used.cached_tokens


def failures(used):
    """Answers, retries, errors and answers whose tokens are unknown."""
    return used.samples, used.retries, used.errors, used.unknown


CALLS = {
    "chat": lambda client, asked: client.chat.completions.create(**asked),
    "parse": lambda client, asked: client.chat.completions.parse(**asked),
    "completions": lambda client, _: client.completions.create(model="t", prompt="one two three"),
    "responses": lambda client, _: client.responses.create(model="t", input="one two three"),
    "post": lambda client, asked: client.post("/chat/completions", cast_to=object, body=asked),
    "raw": lambda client, asked: client.chat.completions.with_raw_response.create(**asked),
    "raw client": lambda client, asked: client.with_raw_response.chat.completions.create(**asked),
    "options": lambda client, asked: client.with_options(timeout=4).chat.completions.create(**asked),
    "copy": lambda client, asked: client.copy().copy(timeout=4).chat.completions.create(**asked),
}


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
def test_every_way_to_ask(client, teacher, server, asked, ask):
    """However the client is asked, one call is one sample with the tokens that the server counted, and nothing else."""
    ask(client, asked)

    used = teacher.take()
    assert counts(used) == server.counts
    assert failures(used) == (1, 0, 0, 0)
    assert used.tokens > 0
    assert teacher.notes() == ()


@pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)
def test_every_way_to_ask_in_a_task(aclient, teacher, server, asked, ask):
    """The client for tasks records the same."""

    async def main():
        async with aclient:
            await ask(aclient, asked)

    asyncio.run(main())

    used = teacher.take()
    assert counts(used) == server.counts
    assert failures(used) == (1, 0, 0, 0)


def test_embeddings(client, teacher, server):
    """Three words to embed are 3 tokens sent and none received, which is known and no fault."""
    client.embeddings.create(model="t", input="one two three", encoding_format="float")

    used = teacher.take()
    assert (used.tokens, used.received) == (server.sent, 0) == (3, 0)
    assert failures(used) == (1, 0, 0, 0)


def test_what_is_no_call_to_a_teacher(client, teacher):
    """Other endpoints are not recorded, not even when they fail."""
    with pytest.raises(openai.APIStatusError):
        client.models.list()

    assert failures(teacher.take()) == (0, 0, 0, 0)


def test_the_client_that_was_given_stays_as_it_is(server, teacher, asked):
    """The plain client answers and records nothing, though its resources were in use before it was wrapped."""
    with openai.OpenAI(base_url=server.base_url, api_key=KEY) as plain:
        plain.chat.completions.create(**asked)
        wrapped = teacher.wrap(plain)
        plain.chat.completions.create(**asked)
        assert teacher.take().samples == 0
        wrapped.chat.completions.create(**asked)

    assert teacher.take().samples == 1
    assert type(plain) is openai.OpenAI


def test_it_is_what_it_was(client, aclient):
    """It is an instance of the public class, under its name, with its settings; its own copies are as well."""
    assert isinstance(client, openai.OpenAI)
    assert isinstance(aclient, openai.AsyncOpenAI)
    assert (type(client).__name__, client.max_retries, client.timeout) == ("OpenAI", 0, 5)
    assert isinstance(client.with_options(max_retries=3), openai.OpenAI)
    assert client.with_options(max_retries=3).max_retries == 3
    assert repr(client).startswith("<openai.OpenAI object at ")


def test_a_client_that_is_wrapped_twice(client, teacher, asked):
    """The same teacher again counts once; another one counts instead, and leaves the first client as it was."""
    teacher.wrap(client).chat.completions.create(**asked)
    assert teacher.take().samples == 1

    other = Teacher()
    other.wrap(client).chat.completions.create(**asked)
    assert (teacher.take().samples, other.take().samples) == (0, 1)

    client.chat.completions.create(**asked)
    assert (teacher.take().samples, other.take().samples) == (1, 0)


def test_clients_of_other_classes(server, teacher, asked):
    """A client for Azure and one of the user's own class are recorded, whatever their constructors take."""

    class Mine(openai.OpenAI):
        def __init__(self):
            super().__init__(base_url=server.base_url, api_key=KEY)

    azure = openai.AzureOpenAI(azure_endpoint=server.base_url, api_key=KEY, api_version="2024-06-01")
    for plain in (Mine(), azure):
        with plain:
            wrapped = teacher.wrap(plain)
            wrapped.chat.completions.create(**asked)
            assert isinstance(wrapped, type(plain))

    used = teacher.take()
    assert counts(used) == server.counts
    assert used.samples == 2


@pytest.mark.parametrize("stranger", ["http://127.0.0.1/v1", None, openai, object()])
def test_a_stranger_is_refused(teacher, stranger):
    """What is no client of the package is refused before anything is asked, with what to do instead."""
    with pytest.raises(
        TypeError, match=r"expected an OpenAI or AsyncOpenAI client .*; for another one use `with teach"
    ):
        teacher.wrap(stranger)


def test_retries_that_had_success(client, teacher, server, asked):
    """Two answers of 429 and then a sound one are one sample and 2 retries, as the server counted 3 requests."""
    server.plan.extend([429, 429])
    client.with_options(max_retries=4).chat.completions.create(**asked)

    used = teacher.take()
    assert failures(used) == (1, server.requests - 1, 0, 0) == (1, 2, 0, 0)
    assert counts(used) == server.counts


@pytest.mark.parametrize(
    ("behaviour", "kind", "raised"),
    [
        (500, "InternalServerError (status 500)", openai.InternalServerError),
        (429, "RateLimitError (status 429)", openai.RateLimitError),
        ("stall", "APITimeoutError", openai.APITimeoutError),
    ],
)
def test_a_teacher_that_fails_for_ever(client, teacher, server, asked, behaviour, kind, raised):
    """A call that fails with its 2 retries is one error of its kind, raised as the package raises it, and no sample."""
    server.plan.extend([behaviour] * 3)
    timeout = 0.2 if behaviour == "stall" else 5
    with pytest.raises(raised) as error:
        client.with_options(max_retries=2, timeout=timeout).chat.completions.create(**asked)

    used = teacher.take()
    assert type(error.value) is raised
    assert failures(used) == (0, server.requests - 1, 1, 0) == (0, 2, 1, 0)
    assert (used.tokens, used.latencies, teacher.errors) == (0, {}, {kind: 1})


def test_an_error_that_is_not_retried(client, teacher, server, asked):
    """401 is an error at once."""
    server.plan.append(401)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(max_retries=4).chat.completions.create(**asked)

    assert failures(teacher.take()) == (0, 0, 1, 0)
    assert teacher.errors == {"AuthenticationError (status 401)": 1}


def test_retries_in_a_task(aclient, teacher, server, asked):
    """A call in a task counts its retry, and the answer after it."""
    server.plan.append(429)

    async def main():
        async with aclient:
            await aclient.with_options(max_retries=2).chat.completions.create(**asked)

    asyncio.run(main())

    assert failures(teacher.take()) == (1, 1, 0, 0)


def test_nobody_there(teacher, asked):
    """A port where nobody listens is a connection error."""
    plain = openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key=KEY, max_retries=0)
    with plain, pytest.raises(openai.APIConnectionError):
        teacher.wrap(plain).chat.completions.create(**asked)

    assert failures(teacher.take()) == (0, 0, 1, 0)
    assert teacher.errors == {"APIConnectionError": 1}


def test_malformed_json(client, teacher, server, asked):
    """An answer that is cut-off JSON is an error, of whatever kind the package raises."""
    server.plan.append("bad json")
    with pytest.raises(ValueError) as error:
        client.chat.completions.create(**asked)

    assert failures(teacher.take()) == (0, 0, 1, 0)
    assert teacher.errors == {type(error.value).__name__: 1}


@pytest.mark.parametrize("behaviour", ["no usage", "prose"])
def test_an_answer_without_usage(client, teacher, server, asked, behaviour):
    """Answers that tell no usage are unknown, said once; training goes on with the answer."""
    server.plan.extend([behaviour] * 2)
    for _ in range(2):
        client.chat.completions.create(**asked)

    used = teacher.take()
    assert (failures(used), used.tokens) == ((2, 0, 0, 2), 0)
    assert len(teacher.notes()) == 1


@pytest.mark.parametrize("behaviour", ["negative", "text", "nan", "huge", "bool"])
def test_a_malformed_usage(client, teacher, server, asked, behaviour):
    """A usage whose tokens sent are no number counts the 2 received; the answer is unknown, said once; none raises."""
    server.plan.extend([behaviour] * 2)
    for _ in range(2):
        assert client.chat.completions.create(**asked).choices[0].message.content == "0.5"

    used = teacher.take()
    assert (failures(used), used.tokens, used.received) == ((2, 0, 0, 2), 0, 4)
    [note] = teacher.notes()
    assert "no number of tokens sent" in note


@pytest.mark.parametrize("behaviour", ["list", "empty"])
def test_a_usage_that_is_something_else(client, teacher, server, asked, behaviour):
    """A usage that is a list, or an empty object, is unknown and raises nothing."""
    server.plan.append(behaviour)
    client.chat.completions.create(**asked)

    assert failures(teacher.take()) == (1, 0, 0, 1)


def test_a_score_that_is_nan(client, teacher, server, asked):
    """A score of NaN is the user's affair: the call is answered, and its tokens count."""

    class Score(pydantic.BaseModel):
        score: float

    server.score = '{"score": NaN}'
    answer = client.chat.completions.parse(**asked, response_format=Score)

    assert math.isnan(answer.choices[0].message.parsed.score)
    assert counts(teacher.take()) == server.counts


def test_an_answer_that_does_not_parse(client, teacher, server, asked):
    """An answer that is no such object raises the package's own error, and counts as one."""

    class Score(pydantic.BaseModel):
        score: float

    server.score = "no score"
    with pytest.raises(pydantic.ValidationError):
        client.chat.completions.parse(**asked, response_format=Score)

    assert failures(teacher.take()) == (0, 0, 1, 0)


def test_an_answer_that_was_cut_off(client, teacher, server, asked):
    """An answer cut off at its limit is an error of `parse`, which holds the answer: its tokens are known."""
    server.finish = "length"
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**asked)

    used = teacher.take()
    assert failures(used) == (0, 0, 1, 0)
    assert (used.tokens, used.received) == (server.sent, server.received) == (6, 2)


def test_threads(client, teacher, server, asked):
    """8 threads with 20 calls each, every fifth refused once: 160 samples, the tokens and retries the server counted."""
    server.plan.extend([429, *["answer"] * 4] * 32)
    patient = client.with_options(max_retries=8)

    def ask(_):
        for _ in range(20):
            patient.chat.completions.create(**asked)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))

    used = teacher.take()
    assert counts(used) == server.counts == (160, 960, 320, 480)
    assert failures(used) == (160, server.requests - 160, 0, 0)
    assert used.retries >= 32
    assert server.busy * 0.99 <= used.seconds
    assert sum(used.latencies.values()) == 160


def test_tasks(aclient, teacher, server, asked):
    """40 tasks at once with answers after 50 ms: the tokens the server counted, in less than their latencies summed."""
    server.delay = 0.05

    async def main():
        async with aclient:
            await asyncio.gather(*(aclient.chat.completions.create(**asked) for _ in range(40)))

    asyncio.run(main())

    used = teacher.take()
    assert counts(used) == server.counts == (40, 240, 80, 120)
    assert server.busy * 0.99 <= used.seconds < 40 * 0.05


def test_a_call_by_hand_around_the_client(client, teacher, server, asked):
    """A call told by hand around a call of the wrapped client is not counted twice, and said."""
    with teacher() as call:
        call.used(client.chat.completions.create(**asked))

    assert counts(teacher.take()) == server.counts
    assert any("nothing is counted twice" in note for note in teacher.notes())
