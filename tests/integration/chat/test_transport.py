"""The engine's HTTP, against a real socket."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from functions.chat.engines.transport import HIGH_WATER_BYTES, EngineTransport
from tests.engines.behaviours import Hang, InTurn, Raw, Status
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Reply, Request
from tests.integration.chat.counting import Counting

pytestmark = pytest.mark.anyio
OK = Status(200, b"ok")
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[httpx.AsyncClient]:
    transport = EngineTransport(None)
    async with httpx.AsyncClient(transport=transport, base_url=engine.base_url, timeout=2) as client:
        yield client


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"content-length: 2\r\n\r\nok",
        HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx-trailer: 1\r\n\r\n",
        HEAD + b"\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\nx-early: 1\r\n\r\n" + HEAD + b"content-length: 2\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"content-length: 2\r\n\r\nok",
    ],
    ids=["length", "chunks", "extensions", "until the end", "HTTP/1.0", "100", "103"],
)
@pytest.mark.parametrize("size", [1, 1000])
async def test_reads_every_framing(
    engine: ScriptedEngine, client: httpx.AsyncClient, raw: bytes, size: int
) -> None:
    async def in_pieces(_: Request, reply: Reply) -> None:
        for at in range(0, len(raw), size):
            await reply.write(raw[at : at + size])
        reply.close()

    engine.behaviour = in_pieces
    reply = await client.post("/")
    assert (reply.status_code, reply.content) == (200, b"ok")
    assert "x-early" not in reply.headers


@pytest.mark.parametrize("status", [204, 304])
async def test_reads_replies_without_a_body(
    engine: ScriptedEngine, client: httpx.AsyncClient, status: int
) -> None:
    engine.behaviour = counting = Counting(InTurn([Raw(b"HTTP/1.1 %d X\r\n\r\n" % status)], OK))
    assert (await client.post("/")).content == b""
    await asyncio.sleep(0.05)  # the engine closes the connection after its reply
    assert (await client.post("/")).content == b"ok"
    assert len(counting.connections) == 2


async def test_a_reply_left_unread_does_not_stall_the_next(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    """It has arrived whole, and reading was paused because it was not read."""
    engine.behaviour = InTurn([Status(200, b"x" * (HIGH_WATER_BYTES + 1000))], OK)
    async with client.stream("POST", "/"):
        await asyncio.sleep(0.1)
    assert (await client.post("/")).content == b"ok"


async def test_a_reader_that_waits_pauses_the_engine(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    size = 64 * 1024 * 1024
    engine.behaviour = Status(200, b"x" * size)
    async with client.stream("POST", "/") as reply:
        arriving = reply.aiter_raw()
        first = await anext(arriving)
        await asyncio.sleep(0.1)
        second = await anext(arriving)
        assert len(first) + len(second) < 4 * HIGH_WATER_BYTES
        rest = sum([len(data) async for data in arriving])
    assert len(first) + len(second) + rest == size


async def test_concurrent_requests_have_connections_of_their_own(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.behaviour = counting = Counting(OK)
    replies = await asyncio.gather(*(client.post("/") for _ in range(5)))
    assert [reply.content for reply in replies] == [b"ok"] * 5
    assert 1 <= len(counting.connections) <= 5
    before = len(counting.connections)
    await client.post("/")
    assert len(counting.connections) == before


@pytest.mark.parametrize("header", [b"connection: close\r\n", b""], ids=["by header", "by EOF"])
async def test_a_connection_that_ends_is_not_used_again(
    engine: ScriptedEngine, client: httpx.AsyncClient, header: bytes
) -> None:
    length = b"content-length: 2\r\n" if header else b""
    engine.behaviour = counting = Counting(InTurn([Raw(HEAD + header + length + b"\r\nok")], OK))
    assert (await client.post("/")).content == b"ok"
    assert (await client.post("/")).content == b"ok"
    assert len(counting.connections) == 2


async def test_an_unrequested_second_response_never_reaches_a_caller(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    one = HEAD + b"content-length: 2\r\n\r\n"
    engine.behaviour = InTurn([Raw(one + b"ok" + one + b"no")], OK)
    assert (await client.post("/")).content == b"ok"
    assert (await client.post("/")).content == b"ok"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01",
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
    ],
    ids=["no HTTP", "half a head", "bad chunk", "no status"],
)
async def test_a_broken_reply_differs_from_a_missing_one(
    engine: ScriptedEngine, client: httpx.AsyncClient, raw: bytes
) -> None:
    engine.behaviour = Raw(raw)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/")


async def test_a_cancelled_request_stops_the_engine(
    engine: ScriptedEngine, client: httpx.AsyncClient
) -> None:
    engine.behaviour = Hang()
    task = asyncio.ensure_future(client.post("/"))
    await asyncio.to_thread(engine.wait_until, lambda: engine.requests)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)
