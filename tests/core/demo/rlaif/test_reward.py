"""The reward function, with a teacher that misbehaves when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import openai
import pytest
from local_server import Server
from local_server import serving as misbehaving

from steersman.demo.rlaif.reward import TeacherReward, TeacherUnusable
from steersman.demo.rlaif.rule import score
from steersman.demo.rlaif.teacher_server import MODEL, serving

KEY = "sk-planted-0123456789abcdef"


@pytest.fixture
def server() -> Iterator[Server]:
    """A teacher that answers 0.5, or what its plan says."""
    with misbehaving() as server:
        yield server


@pytest.fixture
def said() -> list[str]:
    """What was said."""
    return []


@pytest.fixture
def reward(server: Server, said: list[str]) -> Iterator[TeacherReward]:
    """A reward function that asks it once for each completion."""
    client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=0.5)
    with client, TeacherReward(client, "t", said.append) as reward:
        yield reward


def test_every_completion_has_its_own_score(said: list[str]) -> None:
    """Twenty completions asked four at once come back in their order, each with the score of the rule."""
    texts = [f"the function {'z' * n}" for n in range(20)]
    with (
        serving() as server,
        openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as client,
        TeacherReward(client, MODEL, said.append) as reward,
    ):
        rewards = reward(["a prompt"] * 20, texts, trainer_state=None)
    assert rewards == [pytest.approx(score(text), abs=1e-4) for text in texts]
    assert (reward.asked, reward.failures, said) == (20, {}, [])


def test_what_goes_wrong_is_no_reward_is_counted_and_said_once(
    server: Server, reward: TeacherReward, said: list[str]
) -> None:
    """Of nine answers two are scores; the other seven are None, counted by kind, and each kind is said once."""
    server.plan.extend([429, 500, 500, "bad json", "prose", "stall", "no usage"])
    rewards = reward(["p"] * 8, ["c"] * 8)
    server.score = "NaN"
    rewards += reward(["p"], ["c"])
    assert sorted(str(each) for each in rewards) == ["0.5", "0.5", *["None"] * 7]
    assert reward.failures["RateLimitError, status 429"] == 1
    assert reward.failures["InternalServerError, status 500"] == 2
    assert sum(reward.failures.values()) == 7
    assert len(said) == len(reward.failures) == len({*said})
    assert not any(KEY in line for line in said)  # this teacher quotes the key in its errors


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_teacher_that_lets_nobody_in(server: Server, reward: TeacherReward, status: int) -> None:
    """A first question that is turned away ends the demo, with the status and without the key."""
    server.plan.append(status)
    with pytest.raises(TeacherUnusable, match=f"status {status}") as raised:
        reward.try_once()
    assert KEY not in str(raised.value)


def test_a_teacher_that_is_not_there(said: list[str]) -> None:
    """So does one that cannot be reached."""
    with serving() as gone:
        url = gone.url
    with (
        openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client,
        TeacherReward(client, "t", said.append) as reward,
        pytest.raises(TeacherUnusable, match="APIConnectionError"),
    ):
        reward.try_once()
    assert said == []


def test_a_teacher_that_is_silent(server: Server, reward: TeacherReward, said: list[str]) -> None:
    """So does one that takes longer for its first answer, a second, than it is given, half of one."""
    server.plan.append("stall")
    with pytest.raises(TeacherUnusable, match=r"^the teacher cannot be asked \(APITimeoutError\)$"):
        reward.try_once()
    assert said == []


def test_an_open_call_is_not_waited_for(server: Server, said: list[str]) -> None:
    """An end while four of eight calls hang comes at once: four are never made, and nothing is said of the others."""
    server.delay = 1.0
    client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0, timeout=0.5)
    with client, TeacherReward(client, "t", said.append) as reward:
        asking = threading.Thread(target=reward, args=(["p"] * 8, ["c"] * 8), daemon=True)
        asking.start()
        while server.requests < 4:
            time.sleep(0.01)
        began = time.perf_counter()
    assert time.perf_counter() - began < 0.3
    asking.join()
    assert (server.requests, reward.failures, said) == (4, {}, [])


def test_a_first_answer_that_is_bad_is_no_end(server: Server, reward: TeacherReward, said: list[str]) -> None:
    """A first answer of 500 is counted and said, and the training may begin."""
    server.plan.append(500)
    reward.try_once()
    assert (reward.asked, reward.failures) == (1, {"InternalServerError, status 500": 1})
    assert len(said) == 1


def test_calls_are_made_four_at_once(server: Server, reward: TeacherReward) -> None:
    """Eight answers of a fifth of a second each take two fifths and not eight."""
    server.delay = 0.2
    began = time.perf_counter()
    assert reward(["p"] * 8, ["c"] * 8) == [0.5] * 8
    assert 0.4 <= time.perf_counter() - began < 1.2
