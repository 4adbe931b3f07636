"""When events arrive, and what stops when a client disconnects, over a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.engines import events, schema
from tests.engines.behaviours import Chat, End, Hang, Sse, chunk, head
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Reply, Request
from tests.integration.chat.counting import Counting
from tests.integration.chat.service import URL, body

pytestmark = pytest.mark.anyio
Serve = Callable[..., str]
STOP_S = 0.2


@asynccontextmanager
async def streaming(address: str, **fields: Any) -> AsyncIterator[httpx.Response]:
    async with (
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=10) as client,
        client.stream("POST", URL, json=body(stream=True, **fields)) as reply,
    ):
        yield reply


async def time_to_notice(engine: ScriptedEngine, since: float) -> float:
    """Return how long the engine took to notice the disconnect."""
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)
    return engine.disconnects[0] - since


async def test_every_event_arrives_when_the_engine_sends_it(engine: ScriptedEngine, serve: Serve) -> None:
    engine.behaviour = Sse(events.tokens(5, pace_s=0.05))
    async with streaming(serve()) as reply:
        arrivals = [(time.monotonic(), data) async for data in reply.aiter_raw()]
    assert arrivals[-1][0] - arrivals[0][0] >= 0.1  # of 0.2, as the first may be read late
    assert len(arrivals) >= 6
    assert all(data.endswith(b"\n\n") for _, data in arrivals)
    schema.validate_stream(b"".join(data for _, data in arrivals))


async def test_the_body_ends_at_once_after_the_end_marker(engine: ScriptedEngine, serve: Serve) -> None:
    engine.behaviour = Sse(end=End.HANG)
    async with streaming(serve()) as reply:
        began = time.monotonic()
        content = await reply.aread()
    schema.validate_stream(content)
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "busy"])
async def test_a_client_that_disconnects_stops_the_engine(
    engine: ScriptedEngine, serve: Serve, silent: bool
) -> None:
    engine.behaviour = (
        Sse(events.first(events.tokens(), 3), End.HANG)
        if silent
        else Sse(events.tokens(100_000, pace_s=0.005))
    )
    async with streaming(serve()) as reply:
        arriving = reply.aiter_raw()
        await anext(arriving)
        since = time.monotonic()
    assert 0 <= await time_to_notice(engine, since) < STOP_S


async def test_a_client_that_does_not_read_and_disconnects_stops_the_engine(
    engine: ScriptedEngine, serve: Serve
) -> None:
    engine.behaviour = Sse(events.batches(events.tokens(200_000), 200))
    async with streaming(serve()) as reply:
        arriving = reply.aiter_raw()
        await anext(arriving)
        await asyncio.sleep(0.2)
        since = time.monotonic()
    assert 0 <= await time_to_notice(engine, since) < STOP_S


async def test_a_disconnect_before_the_first_event_but_after_a_comment_stops_the_engine(
    engine: ScriptedEngine, serve: Serve
) -> None:
    engine.behaviour = Sse(events.pieces(), End.HANG)
    async with streaming(serve(KEEP_ALIVE_S="0.05")) as reply:
        arriving = reply.aiter_raw()
        assert await anext(arriving) == events.KEEP_ALIVE
        since = time.monotonic()
    assert 0 <= await time_to_notice(engine, since) < STOP_S


async def test_comments_arrive_while_the_engine_is_silent(engine: ScriptedEngine, serve: Serve) -> None:
    engine.behaviour = Sse(events.tokens(first_s=0.3))
    async with streaming(serve(KEEP_ALIVE_S="0.05")) as reply:
        stream = schema.check_stream(await reply.aread())
    assert stream.error is None
    assert len(stream.comments) >= 3


async def late_end(request: Request, reply: Reply) -> None:
    """Send a whole stream, and the end of the message a moment later, as engines do."""
    await reply.head(head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
    for piece in events.tokens()(request):
        if isinstance(piece, bytes):
            await reply.write(chunk(piece))
    await asyncio.sleep(0.03)
    reply.finish(b"0\r\n\r\n")


@pytest.mark.parametrize("behaviour", [Chat(), late_end], ids=["at once", "late end"])
async def test_a_connection_to_the_engine_outlives_a_stream(
    engine: ScriptedEngine, serve: Serve, behaviour: Any
) -> None:
    engine.behaviour = counting = Counting(behaviour)
    address = serve()
    for _ in range(3):
        async with streaming(address) as reply:
            schema.validate_stream(await reply.aread())
        await asyncio.sleep(0.06)
    assert len(engine.requests) == 3
    assert len(counting.connections) == 1


async def test_streams_run_concurrently(engine: ScriptedEngine, serve: Serve) -> None:
    engine.behaviour = Sse(events.tokens(4, pace_s=0.05))
    address, began = serve(), time.monotonic()

    async def one() -> bytes:
        async with streaming(address) as reply:
            return await reply.aread()

    for content in await asyncio.gather(*(one() for _ in range(8))):
        schema.validate_stream(content)
    assert time.monotonic() - began < 8 * 0.2


async def test_a_failure_before_the_first_event_has_a_status_over_a_real_server_too(
    engine: ScriptedEngine, serve: Serve
) -> None:
    engine.behaviour = Hang()
    async with streaming(serve(STREAM_SILENCE_S="0.1")) as reply:
        assert reply.status_code == 504
        schema.validate_error((await reply.aread()) and reply.json())
