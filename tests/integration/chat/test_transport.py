"""The engine's HTTP, against a real socket."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import pytest

from functions.chat.engines import transport as transport_module
from functions.chat.engines.connection import (
    HIGH_WATER_BYTES,
    Arrival,
    ConnectError,
    ProtocolError,
    ReadTimeout,
)
from functions.chat.engines.engine import Body, joined
from functions.chat.engines.transport import KEEP_ALIVE_S, EngineTransport
from functions.shared.clock import Clock
from tests.engines.behaviours import Hang, InTurn, Raw, Status
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Reply, Request
from tests.integration.chat.caller import Caller
from tests.integration.chat.counting import Counting

pytestmark = pytest.mark.anyio
OK = Status(200, b"ok")
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def client(engine: ScriptedEngine) -> AsyncIterator[Caller]:
    with Caller(engine.base_url) as client:
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
async def test_reads_every_framing(engine: ScriptedEngine, client: Caller, raw: bytes, size: int) -> None:
    async def in_pieces(_: Request, reply: Reply) -> None:
        for at in range(0, len(raw), size):
            await reply.write(raw[at : at + size])
        reply.close()

    engine.behaviour = in_pieces
    reply = await client.post("/")
    assert (reply.status, reply.content) == (200, b"ok")
    assert "x-early" not in reply.headers


@pytest.mark.parametrize("status", [204, 304])
async def test_reads_replies_without_a_body(engine: ScriptedEngine, client: Caller, status: int) -> None:
    engine.behaviour = counting = Counting(InTurn([Raw(b"HTTP/1.1 %d X\r\n\r\n" % status)], OK))
    assert (await client.post("/")).content == b""
    await asyncio.sleep(0.05)  # the engine closes the connection after its reply
    assert (await client.post("/")).content == b"ok"
    assert len(counting.connections) == 2


async def test_a_reply_left_unread_does_not_stall_the_next(engine: ScriptedEngine, client: Caller) -> None:
    """It has arrived whole, and reading was paused because it was not read."""
    engine.behaviour = InTurn([Status(200, b"x" * (HIGH_WATER_BYTES + 1000))], OK)
    reply = await client.send("/")
    await asyncio.sleep(0.1)
    reply.close()
    assert (await client.post("/")).content == b"ok"


async def test_a_reader_that_waits_pauses_the_engine(engine: ScriptedEngine, client: Caller) -> None:
    size = 64 * 1024 * 1024
    engine.behaviour = Status(200, b"x" * size)
    reply = await client.send("/")
    first = len(await reply.read())
    await asyncio.sleep(0.1)
    second = len(await reply.read())
    assert first + second < 4 * HIGH_WATER_BYTES
    rest = 0
    while data := await reply.read():
        rest += len(data)
    reply.close()
    assert first + second + rest == size


async def test_concurrent_requests_have_connections_of_their_own(
    engine: ScriptedEngine, client: Caller
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
    engine: ScriptedEngine, client: Caller, header: bytes
) -> None:
    length = b"content-length: 2\r\n" if header else b""
    engine.behaviour = counting = Counting(InTurn([Raw(HEAD + header + length + b"\r\nok")], OK))
    assert (await client.post("/")).content == b"ok"
    assert (await client.post("/")).content == b"ok"
    assert len(counting.connections) == 2


async def test_an_unrequested_second_response_never_reaches_a_caller(
    engine: ScriptedEngine, client: Caller
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
    engine: ScriptedEngine, client: Caller, raw: bytes
) -> None:
    engine.behaviour = Raw(raw)
    with pytest.raises(ProtocolError):
        await client.post("/")


@pytest.mark.parametrize(
    "body", [b"", b"abc", (b"a", memoryview(b"xbx")[1:2], b"c")], ids=["", "one", "pieces"]
)
async def test_sends_a_body_as_its_length_says(engine: ScriptedEngine, client: Caller, body: Body) -> None:
    engine.behaviour = OK
    await client.post("/v1", body)
    (request,) = engine.requests
    assert request.raw == joined(body)
    assert request.headers["content-length"] == str(len(joined(body)))
    assert request.headers["host"] == f"127.0.0.1:{engine.port}"


@pytest.mark.parametrize("body", [b"", (b"a", b"")], ids=["none", "an empty piece"])
async def test_a_connection_that_is_kept_takes_no_time(
    engine: ScriptedEngine, client: Caller, body: Body
) -> None:
    """From Python 3.12 on, asyncio writes for ever what is empty."""
    engine.behaviour = OK
    await client.post("/v1", body)
    before = time.thread_time()
    await asyncio.sleep(0.2)
    assert time.thread_time() - before < 0.1


async def test_headers_are_found_by_their_names_in_lower_case(engine: ScriptedEngine, client: Caller) -> None:
    engine.behaviour = Raw(HEAD + b"Retry-AFTER: 7\r\nx-a: 1\r\nX-A: \xe9\r\ncontent-length: 0\r\n\r\n")
    assert (await client.post("/")).headers == {"retry-after": "7", "x-a": "1, \xe9", "content-length": "0"}


async def test_a_url_that_leads_nowhere_is_an_engine_that_was_not_reached(client: Caller) -> None:
    client.base_url = "http://127.0.0.1:99999"
    with pytest.raises(ConnectError):
        await client.post("/")


async def test_a_cancelled_request_stops_the_engine(engine: ScriptedEngine, client: Caller) -> None:
    engine.behaviour = Hang()
    task = asyncio.ensure_future(client.post("/"))
    await asyncio.to_thread(engine.wait_until, lambda: engine.requests)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)


async def test_64_streams_at_once_read_what_is_theirs(engine: ScriptedEngine, client: Caller) -> None:
    """All their connections read into one buffer."""
    bodies = [b"%d:" % number * 20_000 for number in range(64)]

    async def echo(request: Request, reply: Reply) -> None:
        await reply.write(HEAD + b"content-length: %d\r\n\r\n" % len(request.raw))
        for at in range(0, len(request.raw), 1500):
            await reply.write(request.raw[at : at + 1500])
            await asyncio.sleep(0)
        reply.finish()

    engine.behaviour = counting = Counting(echo)
    for _ in range(2):
        replies = await asyncio.gather(*(client.post("/", body) for body in bodies))
        assert [reply.content for reply in replies] == bodies
    assert len(counting.connections) == 64


async def test_what_arrives_lets_its_reader_go_on_at_once() -> None:
    """Not in the next turn of the loop."""
    arrival = Arrival()
    steps = []

    async def read() -> None:
        await arrival
        steps.append("read")

    def come() -> None:
        arrival.come()
        steps.append("come")

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(come)
    await reader
    assert steps == ["read", "come"]


async def test_a_reader_that_is_cancelled_wants_nothing_more(engine: ScriptedEngine, client: Caller) -> None:
    async def begin(_: Request, reply: Reply) -> None:
        await reply.write(HEAD + b"\r\n")
        await reply.hang()

    engine.behaviour = begin
    reply = await client.send("/")
    reading = asyncio.create_task(reply.read())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    reply.close()
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)


async def test_each_wait_may_last_as_long_as_the_timeout(engine: ScriptedEngine) -> None:
    """All waits of a response have one timer."""

    async def slow(_: Request, reply: Reply) -> None:
        await reply.write(HEAD + b"\r\n")
        for piece in [b"x"] * 6:
            await asyncio.sleep(0.1)
            await reply.write(piece)
        await reply.hang()

    engine.behaviour = slow
    with Caller(engine.base_url, read_timeout_s=0.3) as client:
        reply = await client.send("/")
        began = time.monotonic()
        for _ in range(6):
            assert await reply.read() == b"x"
        last = time.monotonic()
        with pytest.raises(ReadTimeout):
            await reply.read()
        assert last - began > 0.5
        assert 0.2 < time.monotonic() - last < 0.6
        reply.close()


async def test_a_shorter_timeout_follows_a_longer_one(engine: ScriptedEngine) -> None:
    engine.behaviour = InTurn([OK], Hang())
    with Caller(engine.base_url, read_timeout_s=60) as client:
        await client.post("/")
        client.read_timeout_s = 0.1
        with pytest.raises(ReadTimeout):
            await client.post("/")


# idle connections and silent machines


class Clocks:
    """The wall clock, and the one that stops while the environment is frozen."""

    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 10.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)


IDLE = KEEP_ALIVE_S["http"]


@pytest.mark.parametrize(
    ("wall_s", "steady_s", "connections"),
    [
        (IDLE - 0.1, IDLE - 0.1, 1),
        (IDLE, IDLE, 2),
        (600.0, 0.1, 2),
        (-600.0, IDLE - 0.1, 1),
        (-600.0, IDLE, 2),
    ],
    ids=["used again", "too old", "frozen for minutes", "clock set back", "clock set back, too old"],
)
async def test_an_idle_connection_is_used_again_for_a_few_seconds(
    engine: ScriptedEngine, wall_s: float, steady_s: float, connections: int
) -> None:
    engine.behaviour = counting = Counting(OK)
    clocks = Clocks()
    with Caller(engine.base_url, EngineTransport(None, clocks.clock())) as client:
        await client.post("/")
        clocks.wall += wall_s
        clocks.steady += steady_s
        await client.post("/")
    assert len(counting.connections) == connections


async def test_idle_connections_that_are_too_old_are_all_closed(engine: ScriptedEngine) -> None:
    engine.behaviour = OK
    clocks = Clocks()
    with Caller(engine.base_url, EngineTransport(None, clocks.clock())) as client:
        await asyncio.gather(*(client.post("/") for _ in range(5)))
        clocks.steady += IDLE
        await client.post("/")
        await asyncio.to_thread(engine.wait_until, lambda: engine.connections == 1)


async def test_connections_of_a_peak_are_closed_when_later_ones_end(engine: ScriptedEngine) -> None:
    engine.behaviour = OK
    clocks = Clocks()
    with Caller(engine.base_url, EngineTransport(None, clocks.clock())) as client:
        await asyncio.gather(*(client.post("/") for _ in range(5)))
        assert engine.connections == 5
        clocks.steady += IDLE - 0.1
        await client.post("/")
        clocks.steady += 0.1
        await client.post("/")
        await asyncio.to_thread(engine.wait_until, lambda: engine.connections == 1)


async def test_an_address_that_hangs_costs_a_moment(
    engine: ScriptedEngine, client: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.behaviour = OK
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def addresses(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, engine.port))
            for ip in ("127.0.0.9", "127.0.0.1")
        ]

    async def hanging(sock: socket.socket, address: tuple[str, int]) -> None:
        await (asyncio.sleep(60) if address[0] == "127.0.0.9" else connect(sock, address))

    monkeypatch.setattr(loop, "getaddrinfo", addresses)
    monkeypatch.setattr(loop, "sock_connect", hanging)
    monkeypatch.setattr(transport_module, "NEXT_ADDRESS_S", 0.05)
    client.base_url = f"http://engine.example:{engine.port}"
    assert (await client.post("/")).content == b"ok"


async def test_every_connection_is_probed(engine: ScriptedEngine, client: Caller) -> None:
    """So that a machine that has gone, or a NAT gateway that forgot it, costs seconds and not the timeout."""
    engine.behaviour = OK
    await client.post("/")
    ((connection,),) = client.transport._idle.values()
    sock = connection._socket
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    for name, most in (
        ("TCP_KEEPIDLE", 10),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 5),
        ("TCP_USER_TIMEOUT", 20_000),
    ):
        if option := getattr(socket, name, None):
            assert 1 <= sock.getsockopt(socket.IPPROTO_TCP, option) <= most, name


def test_a_machine_that_vanishes_is_noticed_within_seconds() -> None:
    """In a network of its own, from which the engine's address is taken away."""
    isolated = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*isolated, "ip", "address"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a test have a network of its own")
    script = [sys.executable, "-m", "tests.integration.chat.black_hole"]
    ended = subprocess.run([*isolated, *script], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr
    failures = json.loads(ended.stdout)
    assert (failures["kept"][0], failures["begun"][0]) == ("ReadError", "ProtocolError")
    assert max(seconds for _, seconds in failures.values()) < 10
