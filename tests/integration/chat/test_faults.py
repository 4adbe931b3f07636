"""What the caller gets when the engine fails: a status before the first event, an error event after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from functions.chat.engines import http
from tests.engines import events, schema
from tests.engines.behaviours import (
    Completion,
    Drop,
    End,
    Hang,
    InTurn,
    Raw,
    Reset,
    Sse,
    Status,
    fastapi_error,
    html,
    plain_error,
    string_error,
    vllm_error,
)
from tests.engines.scripted import ScriptedEngine, refusing_engine
from tests.engines.wire import Behaviour
from tests.integration.chat.conftest import Connect
from tests.integration.chat.service import URL, body, connected

pytestmark = pytest.mark.anyio
SHORT = {"STREAM_SILENCE_S": "0.1", "REPLY_TIMEOUT_S": "0.1", "CONNECT_TIMEOUT_S": "0.5"}
DRAINING = vllm_error(500, "cannot schedule new futures after shutdown")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
SOME = events.first(events.tokens(), 4)


async def complete(client: httpx.AsyncClient, *, stream: bool) -> httpx.Response:
    return await client.post(URL, json=body(stream=stream))


def check(reply: httpx.Response, status: int, code: str) -> None:
    assert (reply.status_code, schema.validate_error(reply.json())["code"]) == (status, code)


# before the first event: behaviour, status, code, how often the engine is called

REFUSED: dict[str, tuple[Behaviour, int, str, int]] = {
    "drops": (Drop(), 502, "upstream_error", 1),
    "resets": (Reset(), 502, "upstream_error", 1),
    "full": (vllm_error(503), 503, "server_is_overloaded", 3),
    "drains": (DRAINING, 502, "upstream_error", 3),
    "refuses the key as a failure": (vllm_error(500, "Invalid API key"), 502, "upstream_error", 1),
    "500": (vllm_error(500), 502, "upstream_error", 1),
    "500 in plain text": (plain_error(500), 502, "upstream_error", 1),
    "502": (html(502), 502, "upstream_error", 1),
    "400": (vllm_error(400), 400, "invalid_value", 1),
    "422": (fastapi_error(422, [{"loc": ["body"]}]), 400, "invalid_value", 1),
    "401": (string_error(401), 502, "upstream_error", 1),
    "429": (vllm_error(429), 429, "rate_limit_exceeded", 1),
    "204": (Status(204), 502, "upstream_error", 1),
    "hangs": (Hang(), 504, "timeout", 1),
    "html": (html(), 502, "upstream_error", 1),
    "text": (Status(200, b"hello", "text/plain"), 502, "upstream_error", 1),
    "a huge refusal": (plain_error(500, "x" * 3_000_000), 502, "upstream_error", 1),
    "garbage": (Raw(b"\x16\x03\x01garbage\r\n\r\n"), 502, "upstream_error", 1),
    "half a head": (Raw(b"HTTP/1.1 200 OK\r\ncontent-ty"), 502, "upstream_error", 1),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", REFUSED)
async def test_a_fault_before_the_first_event_has_a_status(
    engine: ScriptedEngine, connect: Connect, name: str, stream: bool
) -> None:
    engine.behaviour, status, code, times = REFUSED[name]
    async with connect(**SHORT) as client:
        check(await complete(client, stream=stream), status, code)
    assert len(engine.requests) == times


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_engine_that_refuses_connections(stream: bool) -> None:
    with refusing_engine() as base_url:
        async with connected(base_url) as client:
            check(await complete(client, stream=stream), 502, "upstream_error")


WHOLE: dict[str, Behaviour] = {
    "no finish reason": Completion(finish=None),
    "abort": Completion(finish="abort"),
    "no choices": Completion(without=["choices"]),
    "truncated JSON": Completion(keep=100),
    "empty": Completion(keep=0),
    "shorter than its length": Completion(missing=5),
    "only a head": Raw(HEAD + b"content-length: 100\r\n\r\n"),
    "cut chunk": Raw(HEAD + b'transfer-encoding: chunked\r\n\r\n40\r\n{"id"'),
    "no last chunk": Raw(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "bad chunk": Raw(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "a list": Status(200, b"[]"),
    "an error with 200": Status(200, b'{"error": {"message": "no"}}'),
    "not UTF-8": Status(200, b'{"a": "\xff"}'),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_an_incomplete_whole_reply_is_an_error_and_never_requested_again(
    engine: ScriptedEngine, connect: Connect, name: str
) -> None:
    engine.behaviour = WHOLE[name]
    async with connect() as client:
        check(await complete(client, stream=False), 502, "upstream_error")
    assert len(engine.requests) == 1


EARLY: dict[str, Behaviour] = {
    "ends at once": Sse(events.pieces()),
    "only comments": Sse(events.pieces(events.KEEP_ALIVE * 3)),
    "only the end marker": Sse(events.pieces(events.DONE)),
    "garbage events": Sse(events.pieces(b"data: {{{\n\n")),
    "half an event": Sse(events.first(events.tokens(), 0, cut=20)),
    "an error event": Sse(events.pieces(b'data: {"error":{"message":"no","code":500}}\n\n', events.DONE)),
    "cut": Sse(events.pieces(), End.CUT),
    "reset": Sse(events.pieces(events.KEEP_ALIVE), End.RESET),
    "half a chunk": Sse(events.pieces(), End.HALF_CHUNK),
}


@pytest.mark.parametrize("name", EARLY)
async def test_a_stream_that_breaks_before_its_first_event_has_a_status(
    engine: ScriptedEngine, connect: Connect, name: str
) -> None:
    engine.behaviour = EARLY[name]
    async with connect() as client:
        check(await complete(client, stream=True), 502, "upstream_error")
    assert len(engine.requests) == 1


LATE: dict[str, Behaviour] = {
    "ends early": Sse(SOME),
    "ends without a finish reason": Sse(events.tokens(finish=None)),
    "abort": Sse(events.tokens(finish="abort")),
    "half an event": Sse(events.first(events.tokens(), 4, cut=50)),
    "half an event, cut": Sse(events.first(events.tokens(), 4, cut=50), End.CUT),
    "half an event in pieces, cut": Sse(events.first(events.tokens(), 4, cut=50), End.CUT, 7),
    "cut": Sse(SOME, End.CUT),
    "half a chunk": Sse(SOME, End.HALF_CHUNK),
    "garbage": Sse(events.insert(events.tokens(), 4, b"data: \xff{{\n\n")),
    "garbage in pieces": Sse(events.insert(events.tokens(), 4, b"data: \xff{{\n\n"), split=7),
    "html": Sse(events.insert(events.tokens(), 4, b"<html>\n\ndata: <html>\n\n")),
    "an error event": Sse(events.insert(SOME, 4, b'data: {"error":"gone"}\n\n', events.DONE)),
    "detail": Sse(events.insert(SOME, 4, b'data: {"detail":"gone"}\n\n')),
    "an endless event": Sse(events.insert(SOME, 4, b"data: " + b"x" * 5_000_000)),
    "an unterminated event": Sse(events.each(events.first(events.tokens(), 1), bytes.rstrip)),
}


@pytest.mark.parametrize("name", LATE)
async def test_a_stream_that_breaks_later_ends_with_an_error_event(
    engine: ScriptedEngine, connect: Connect, name: str
) -> None:
    engine.behaviour = LATE[name]
    async with connect() as client:
        reply = await complete(client, stream=True)
    failed = schema.validate_failed_stream(reply.content)
    assert failed.error["code"] == "upstream_error"
    assert failed.chunks
    assert len(engine.requests) == 1


async def test_a_reset_in_the_middle_ends_with_an_error_event(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.behaviour = Sse(events.joined(SOME, events.pieces(0.1, b"data: ")), End.RESET)
    async with connect() as client:
        reply = await complete(client, stream=True)
    assert schema.validate_failed_stream(reply.content).error["code"] == "upstream_error"


@pytest.mark.parametrize("end", [End.CUT, End.HALF_CHUNK, End.RESET, End.HANG], ids=str)
async def test_a_fault_after_the_end_marker_changes_nothing(
    engine: ScriptedEngine, connect: Connect, end: End
) -> None:
    engine.behaviour = Sse(end=end)
    async with connect() as client:
        reply = await complete(client, stream=True)
    schema.validate_stream(reply.content)


async def test_silence_in_the_middle_ends_with_an_error_event(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.behaviour = Sse(SOME, End.HANG)
    async with connect(STREAM_SILENCE_S="0.1") as client:
        reply = await complete(client, stream=True)
    assert schema.validate_failed_stream(reply.content).error["code"] == "timeout"
    await asyncio.to_thread(engine.wait_until, lambda: engine.disconnects)


async def test_silence_before_the_first_event_is_filled_and_ends_with_an_error_event(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.behaviour = Sse(events.pieces(), End.HANG)
    async with connect(KEEP_ALIVE_S="0.02", STREAM_SILENCE_S="0.6") as client:
        reply = await complete(client, stream=True)
    assert reply.status_code == 200
    stream = schema.check_stream(reply.content)
    assert len(stream.comments) >= 3
    assert (stream.chunks, (stream.error or {})["code"]) == ([], "timeout")


async def test_silence_before_the_first_event_and_no_comment_yet_has_a_status(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.behaviour = Sse(events.pieces(), End.HANG)
    async with connect(STREAM_SILENCE_S="0.1") as client:
        check(await complete(client, stream=True), 504, "timeout")


async def test_silence_in_the_middle_is_filled(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = Sse(events.insert(events.tokens(), 4, 0.2))
    async with connect(KEEP_ALIVE_S="0.02") as client:
        reply = await complete(client, stream=True)
    stream = schema.check_stream(reply.content)
    assert stream.error is None
    assert len(stream.comments) >= 3


async def test_comments_of_the_engine_hold_off_the_timeout_but_not_our_comments(
    engine: ScriptedEngine, connect: Connect
) -> None:
    waits = [each for _ in range(12) for each in (0.05, events.KEEP_ALIVE)]
    engine.behaviour = Sse(events.insert(events.tokens(), 4, *waits))
    async with connect(KEEP_ALIVE_S="0.1", STREAM_SILENCE_S="0.4") as client:
        reply = await complete(client, stream=True)
    stream = schema.check_stream(reply.content)
    assert stream.error is None
    assert 3 <= len(stream.comments) <= 6


# retries

TRANSIENT: dict[str, Behaviour] = {
    "503": vllm_error(503),
    "drains": DRAINING,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", TRANSIENT)
async def test_one_transient_fault_is_hidden_from_the_caller(
    engine: ScriptedEngine, connect: Connect, name: str, stream: bool
) -> None:
    engine.behaviour = InTurn([TRANSIENT[name]])
    async with connect() as client:
        reply = await complete(client, stream=stream)
    assert reply.status_code == 200
    assert len(engine.requests) == 2


async def test_the_third_attempt_may_succeed(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = InTurn([DRAINING, vllm_error(503)])
    async with connect() as client:
        assert (await complete(client, stream=True)).status_code == 200
    assert len(engine.requests) == 3


async def test_attempts_are_spaced(
    engine: ScriptedEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BACKOFF_S", (0.05, 0.1))
    engine.behaviour = vllm_error(503)
    async with connect() as client:
        await complete(client, stream=True)
    first, second, third = (request.received_at for request in engine.requests)
    assert 0.05 <= second - first < third - second


async def test_every_attempt_is_the_same_request(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = InTurn([vllm_error(503), vllm_error(503)])
    async with connect() as client:
        await complete(client, stream=False)
    first, second, third = ((request.raw, request.headers) for request in engine.requests)
    assert first == second == third


# what must not leak


async def test_an_engines_cookies_and_redirects_are_not_followed(
    engine: ScriptedEngine, connect: Connect
) -> None:
    """A cookie would bind every caller to one task behind a balancer."""
    headers = {"set-cookie": "AWSALB=1; Path=/", "location": "http://[nowhere"}
    engine.behaviour = InTurn([Status(307, headers=headers)])
    async with connect() as client:
        check(await complete(client, stream=True), 502, "upstream_error")
        assert (await complete(client, stream=True)).status_code == 200
    assert [request.headers.get("cookie") for request in engine.requests] == [None, None]


@asynccontextmanager
async def no_stream_left_open(engine: ScriptedEngine) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(engine.wait_until, lambda: engine.open_streams == 0, 1.0)


@pytest.mark.parametrize(
    "behaviour",
    [
        Sse(events.joined(events.pieces(b"<html>"), events.tokens(100_000))),
        Sse(events.joined(events.pieces(b"data: {{{\n\n"), events.tokens(100_000))),
        Sse(events.joined(SOME, events.pieces(b"data: {{{\n\n"), events.tokens(100_000))),
        Sse(events.joined(events.tokens(), events.tokens(100_000))),
    ],
    ids=["a page", "garbage first", "garbage later", "more after the end"],
)
async def test_an_abandoned_stream_stops_the_engine(
    engine: ScriptedEngine, connect: Connect, behaviour: Behaviour
) -> None:
    engine.behaviour = behaviour
    async with connect() as client:
        await complete(client, stream=True)
        async with no_stream_left_open(engine):
            pass
        assert engine.disconnects
