import asyncio
import logging

import pytest
import pytest_asyncio

pytestmark = pytest.mark.llm_eval
log = logging.getLogger("app.async")


@pytest.fixture
async def connection():
    await asyncio.sleep(0.001)
    state = {"open": True, "loop": asyncio.get_running_loop()}
    yield state
    await asyncio.sleep(0.001)
    state["open"] = False
    print("closed")


@pytest.fixture(scope="module")
async def pool():
    await asyncio.sleep(0.001)
    return asyncio.get_running_loop()


@pytest.fixture
async def broken_connection():
    await asyncio.sleep(0.001)
    raise ConnectionError("refused")


@pytest_asyncio.fixture
async def other_connection():
    await asyncio.sleep(0.001)
    yield asyncio.get_running_loop()


@pytest.mark.parametrize("i", range(5))
async def test_awaits(connection, pool, i):
    print(f"before {i}")
    await asyncio.sleep(0.02)
    log.warning("after %s", i)
    assert connection["open"]
    assert connection["loop"] is pool is asyncio.get_running_loop()
    assert i != 3


async def test_raises():
    await asyncio.sleep(0.01)
    raise ValueError("from a coroutine")


async def test_skips():
    await asyncio.sleep(0.01)
    pytest.skip("from a coroutine")


@pytest.mark.xfail
async def test_is_expected_to_fail():
    await asyncio.sleep(0.01)
    raise AssertionError


async def test_exits_the_process():
    raise SystemExit(3)


async def test_is_cancelled():
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def test_gathers():
    await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(5)))
    print(await asyncio.to_thread(lambda: "from a thread"))
    raise AssertionError("to see the output")


async def test_with_a_broken_fixture(broken_connection):
    raise AssertionError


def test_that_is_sync_with_an_async_fixture(connection):
    assert connection["open"]


class TestMethods:
    @pytest.fixture
    async def named(self):
        await asyncio.sleep(0.001)
        return "named"

    async def test_method(self, named):
        await asyncio.sleep(0.01)
        assert named == "named"


@pytest.mark.asyncio
@pytest.mark.parametrize("i", range(3))
async def test_by_pytest_asyncio(other_connection, i):
    await asyncio.sleep(0.02)
    print(f"number {i}")
    assert other_connection is asyncio.get_running_loop()
    assert i != 1


@pytest.mark.asyncio(loop_scope="session")
async def test_on_the_session_loop():
    await asyncio.sleep(0.01)


async def test_runs(llm_eval):
    import os

    import httpx

    async def ask():
        url = os.environ["STANDIN_URL"] + "/v1/chat/completions"
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "question"}]}
        async with httpx.AsyncClient() as client:
            return (await client.post(url, json=body)).json()["choices"][0]["message"]["content"]

    result = await llm_eval.arun(ask)
    assert "question" in result.text
