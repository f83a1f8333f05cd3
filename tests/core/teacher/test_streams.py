"""Streams and raw responses: a call ends when its answer was read, broke, was closed or dropped."""

from __future__ import annotations

import asyncio
import gc
import time

import openai
import pytest

WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def told(used):
    """Tokens sent, received and cached; answers, errors and answers whose tokens are unknown."""
    return used.tokens, used.received, used.cached_tokens, used.samples, used.errors, used.unknown


KNOWN, UNKNOWN, BROKEN = (6, 2, 3, 1, 0, 0), (0, 0, 0, 1, 0, 1), (0, 0, 0, 0, 1, 0)


def in_tasks(server, teacher, ask):
    """Run `ask` with a wrapped client for tasks."""

    async def main():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-some-key", max_retries=0) as plain:
            await ask(teacher.wrap(plain))

    asyncio.run(main())


def test_a_stream_with_usage(client, teacher, server, asked):
    """A stream that was asked for its usage tells the tokens the server counted, in its last event."""
    stream = client.chat.completions.create(**asked, **WITH_USAGE)
    text = "".join(choice.delta.content or "" for event in stream for choice in event.choices)

    used = teacher.take()
    assert (text, isinstance(stream, openai.Stream)) == ("0.5", True)
    assert told(used) == KNOWN
    assert used.tokens == server.sent
    assert teacher.notes() == ()


def test_a_stream_without_usage(client, teacher, asked):
    """Two streams that were not asked for their usage are two unknown answers; the remedy is said once."""
    for _ in range(2):
        list(client.chat.completions.create(**asked, stream=True))

    assert told(teacher.take()) == (0, 0, 0, 2, 0, 2)
    [note] = teacher.notes()
    assert 'stream_options={"include_usage": True}' in note


def test_a_stream_takes_the_time_it_is_read(client, teacher, asked):
    """A stream that is read over 0.1 s has that latency, though its first event came at once."""
    for event in client.chat.completions.create(**asked, **WITH_USAGE):
        if event.usage is None:
            time.sleep(0.025)  # four events before the one with the usage

    assert teacher.take().seconds >= 0.1


@pytest.mark.parametrize("leave", ["close", "with", "break and drop", "drop unread"])
def test_a_stream_that_is_left_early(client, teacher, asked, leave):
    """A stream that is closed, or dropped, before its usage came is answered, with tokens that are unknown."""
    stream = client.chat.completions.create(**asked, **WITH_USAGE)
    if leave == "close":
        next(stream)
        stream.close()
    elif leave == "with":
        with stream:
            next(stream)
    elif leave == "break and drop":
        for _ in stream:
            break
    del stream
    gc.collect()

    assert told(teacher.take()) == UNKNOWN
    [note] = teacher.notes()
    assert "read the stream to its end" in note


@pytest.mark.parametrize("events", [0, 1])
def test_the_time_of_a_dropped_stream_ends_with_its_last_event(client, teacher, asked, events):
    """A stream that is left after one event, or none, and collected 0.2 s later took no longer than until it was left."""
    began = time.perf_counter()
    stream = client.chat.completions.create(**asked, **WITH_USAGE)
    for _ in range(events):
        next(stream)
    left = time.perf_counter()
    time.sleep(0.2)
    del stream
    gc.collect()

    used = teacher.take()
    assert (used.samples, used.unknown) == (1, 1)
    assert used.seconds < left - began


def test_a_stream_that_breaks(client, teacher, server, asked):
    """A connection that is cut in mid-stream raises what the package raises, and is an error, no answer."""
    server.plan.append("cut")
    stream = client.chat.completions.create(**asked, **WITH_USAGE)
    with pytest.raises(openai.APIConnectionError):
        list(stream)

    assert told(teacher.take()) == BROKEN
    assert teacher.errors == {"APIConnectionError": 1}


def test_a_stream_that_ends_without_its_done(client, teacher, server, asked):
    """Where a stream ends after two events without usage and `[DONE]` nothing is raised: an unknown answer, no error."""
    server.plan.append("short")
    assert len(list(client.chat.completions.create(**asked, **WITH_USAGE))) == 2

    assert told(teacher.take()) == UNKNOWN


def test_a_stream_that_is_refused_and_retried(client, teacher, server, asked):
    """A retry before a stream begins is counted, and its tokens too."""
    server.plan.append(500)
    list(client.with_options(max_retries=1).chat.completions.create(**asked, **WITH_USAGE))

    used = teacher.take()
    assert (told(used), used.retries) == (KNOWN, 1)


def test_streams_of_tasks(server, teacher, asked):
    """In a task: a stream read whole, one closed early, one that breaks; 6 tokens, one unknown answer, one error."""

    async def ask(client):
        events = [event async for event in await client.chat.completions.create(**asked, **WITH_USAGE)]
        assert len(events) == 5
        stream = await client.chat.completions.create(**asked, **WITH_USAGE)
        async for _ in stream:
            break
        await stream.close()
        server.plan.append("cut")
        with pytest.raises(openai.APIConnectionError):
            [event async for event in await client.chat.completions.create(**asked, **WITH_USAGE)]

    in_tasks(server, teacher, ask)

    assert told(teacher.take()) == (6, 2, 3, 2, 1, 1)


def test_the_helper_that_streams(client, teacher, asked):
    """`chat.completions.stream` is recorded when it is read, and when it is left early."""
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        content = stream.get_final_completion().choices[0].message.content
    assert content == "0.5"
    assert told(teacher.take()) == KNOWN

    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        next(iter(stream))
    assert told(teacher.take()) == UNKNOWN


def test_the_helper_that_streams_in_a_task(server, teacher, asked):
    """The same for tasks."""

    async def ask(client):
        async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            await stream.get_final_completion()
        async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            await anext(aiter(stream))

    in_tasks(server, teacher, ask)

    assert told(teacher.take()) == (6, 2, 3, 2, 0, 1)


def test_streams_of_responses(client, teacher, server):
    """Responses tell their usage in their last event, whether streamed by `create` or by the helper."""
    list(client.responses.create(model="t", input="one two three", stream=True))
    with client.responses.stream(model="t", input="one two three") as stream:
        stream.until_done()

    used = teacher.take()
    assert (
        (used.tokens, used.received, used.cached_tokens) == (server.sent, server.received, server.cached) == (6, 4, 2)
    )
    assert (used.samples, used.unknown) == (2, 0)


def test_a_response_that_fails_in_its_stream(client, teacher, server):
    """A stream that ends with `response.failed` raises nothing in the package, and is an error all the same."""
    server.finish = "failed"
    events = list(client.responses.create(model="t", input="one two three", stream=True))

    assert events[-1].type == "response.failed"
    assert (teacher.take().errors, dict(teacher.errors)) == (1, {"FailedResponse": 1})


def test_raw_responses(client, teacher, server, asked):
    """A raw response tells its tokens without being parsed, and its retries; a raw stream when it is parsed and read."""
    server.plan.append(429)
    raw = client.with_options(max_retries=2).chat.completions.with_raw_response.create(**asked)
    used = teacher.take()
    assert (told(used), used.retries, raw.retries_taken) == (KNOWN, 1, 1)
    assert raw.parse().usage.prompt_tokens == 6

    list(client.chat.completions.with_raw_response.create(**asked, **WITH_USAGE).parse())
    assert told(teacher.take()) == KNOWN


def test_a_raw_stream_that_the_caller_reads(client, teacher, asked):
    """A raw stream whose lines the caller reads is answered, with tokens that are unknown, said once."""
    raw = client.chat.completions.with_raw_response.create(**asked, **WITH_USAGE)
    lines = list(raw.http_response.iter_lines())

    assert any("usage" in line for line in lines)
    assert told(teacher.take()) == UNKNOWN
    assert len(teacher.notes()) == 1


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("parse", KNOWN),
        ("json", KNOWN),
        ("read", KNOWN),
        ("iter_bytes", UNKNOWN),
        ("iter_lines", UNKNOWN),
        ("request_id", UNKNOWN),
    ],
)
def test_a_response_that_is_read_later(client, teacher, asked, read, expected):
    """A response that is read in its own block tells its tokens where it was read whole, and is unknown elsewhere."""
    with client.chat.completions.with_streaming_response.create(**asked) as response:
        got = getattr(response, read)
        list(got()) if callable(got) else None
        assert teacher.pending().samples == 0

    assert told(teacher.take()) == expected


def test_a_stream_in_a_response_that_is_read_later(client, teacher, asked):
    """A stream that is parsed in such a block tells its tokens at its end."""
    with client.chat.completions.with_streaming_response.create(**asked, **WITH_USAGE) as response:
        list(response.parse())

    assert told(teacher.take()) == KNOWN


def test_responses_that_are_read_later_in_a_task(server, teacher, asked):
    """The same for tasks: a body and a stream, 6 tokens each."""

    async def ask(client):
        async with client.chat.completions.with_streaming_response.create(**asked) as response:
            await response.parse()
        async with client.chat.completions.with_streaming_response.create(**asked, **WITH_USAGE) as response:
            [event async for event in await response.parse()]
        (await client.chat.completions.with_raw_response.create(**asked)).parse()

    in_tasks(server, teacher, ask)

    assert told(teacher.take()) == (18, 6, 9, 3, 0, 0)
