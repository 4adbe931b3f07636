"""What real engines do in the place of accepting a request: whether another one gets it, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines.fallback import Fallback
from functions.chat.engines.http import HttpEngine
from functions.chat.settings import Settings
from tests.engines import schema
from tests.engines.behaviours import (
    Drop,
    End,
    Raw,
    Reset,
    Sse,
    Status,
    html,
    llama_error,
    plain_error,
    vllm_error,
)
from tests.engines.scripted import ScriptedEngine, refusing_engine, scripted_engine_here
from tests.engines.wire import Behaviour
from tests.integration.chat.service import URL, body, client_of

pytestmark = pytest.mark.anyio

MOVES: dict[str, Behaviour] = {
    "full": vllm_error(503),
    "full, without JSON": plain_error(503),
    "loads its model": llama_error(503, "Loading model"),
    "limited": vllm_error(429),
    "quota": vllm_error(402),
    "key": vllm_error(401),
    "no access": vllm_error(403),
    "drains": vllm_error(500, "cannot schedule new futures after shutdown"),
}
STAYS: dict[str, tuple[Behaviour, int]] = {
    "fails": (vllm_error(500), 502),
    "a proxy lost it": (Status(503, b"upstream connect error: reset reason: connection termination"), 502),
    "a page": (html(), 502),
    "times out": (vllm_error(504), 504),
    "gave up": (vllm_error(408), 504),
    "drops": (Drop(), 502),
    "resets": (Reset(), 502),
    "no HTTP": (Raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 502),
    "invalid": (vllm_error(400), 400),
    "no such model": (vllm_error(404), 404),
    "limited, too late": (Status(200, b'{"error": {"message": "Rate limit exceeded", "code": 429}}'), 429),
}


@asynccontextmanager
async def joined(first: str, second: str, **more: float) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the API in front of two engines, of which the second answers for the first."""
    models = {
        "smollm2-135m-instruct": {"base_url": first, "fallback": ["other"], **more},
        "other": {"base_url": second, "listed": False},
    }
    settings = Settings.from_environment({"MODELS": json.dumps(models)})
    engine = Fallback(HttpEngine(settings))
    async with client_of(create_served_app(settings, engine)) as client:
        yield client
    await engine.aclose()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", MOVES)
async def test_what_has_not_run_is_answered_by_the_other(
    engine: ScriptedEngine, name: str, stream: bool
) -> None:
    engine.behaviour = MOVES[name]
    async with scripted_engine_here() as other, joined(engine.base_url, other.base_url) as client:
        reply = await client.post(URL, json=body(stream=stream))
        assert (reply.status_code, reply.headers["x-model"], len(other.requests)) == (200, "other", 1)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", STAYS)
async def test_what_may_have_run_or_is_wrong_stays(engine: ScriptedEngine, name: str, stream: bool) -> None:
    engine.behaviour, status = STAYS[name]
    async with scripted_engine_here() as other, joined(engine.base_url, other.base_url) as client:
        reply = await client.post(URL, json=body(stream=stream))
        assert (reply.status_code, len(engine.requests), other.requests) == (status, 1, [])


async def test_a_refused_connection_is_answered_by_the_other(engine: ScriptedEngine) -> None:
    with refusing_engine() as first:
        async with joined(first, engine.base_url) as client:
            for _ in range(2):
                assert (await client.post(URL, json=body())).headers["x-model"] == "other"


async def test_a_late_stream_goes_on_at_the_other_engine_and_stops_at_its_own(engine: ScriptedEngine) -> None:
    engine.behaviour = Sse(lambda _: [60.0], end=End.HANG)  # a status, and then nothing
    async with (
        scripted_engine_here() as other,
        joined(engine.base_url, other.base_url, hedge_after_s=0.1) as client,
    ):
        reply = await client.post(URL, json=body(stream=True))
    assert (reply.status_code, reply.headers["x-model"]) == (200, "other")
    schema.validate_stream(reply.content)
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)
    assert (len(engine.disconnects), len(other.requests)) == (1, 1)
