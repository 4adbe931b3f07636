"""No fault of an engine makes it run a request twice, whatever the gateway and an official SDK retry.

Each row is what the engine does on one connection, and what the SDK's caller gets. The connection is new, or
kept from an earlier request; every later one would answer well, so a request that is sent again is counted.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionMessageParam
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.chat.app import create_served_app
from functions.chat.engines import connection, refusals
from functions.chat.engines.http import HttpEngine
from tests.engines.faults_transport import (
    COMPLETION,
    EVENTS,
    FIRST_EVENT,
    Conversation,
    Step,
    close,
    good,
    hang,
    pause,
    read,
    read_some,
    reset,
    see,
    send,
    socket_engine,
    whole,
)
from tests.engines.scripted import refusing_engine
from tests.integration.chat.service import MODEL, settings_for
from tests.tls import Authority

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(20)]

LIMITS = {"STREAM_SILENCE_S": "0.3", "REPLY_TIMEOUT_S": "0.3", "CONNECT_TIMEOUT_S": "1"}
ENVOY = b"upstream connect error or disconnect/reset before headers. reset reason: "
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(FIRST_EVENT), FIRST_EVENT)
SHORT = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n"


def error(status: int, message: str = "no", headers: str = "", **fields: object) -> Step:
    fault = {"message": message, "type": "x", "param": None, "code": status, **fields}
    return send(whole(status, json.dumps({"error": fault}).encode(), headers))


def page(status: int, text: bytes = b"<html></html>", headers: str = "") -> Step:
    return send(whole(status, text, headers))


class App:
    """The API, which counts the requests that an SDK sends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.requests = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += scope["type"] == "http"
        await self._app(scope, receive, send)


@dataclass
class Outcome:
    """What a caller of the official SDK got: a status, or 0 for a stream that failed after its start."""

    status: int
    should_retry: str | None
    text: str


@asynccontextmanager
async def sdk_of(base_url: str) -> AsyncIterator[tuple[App, AsyncOpenAI]]:
    settings = settings_for(base_url, **LIMITS)
    engine = HttpEngine(settings)
    app = App(create_served_app(settings, engine))
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    async with AsyncOpenAI(base_url="http://chat/v1", api_key="none", http_client=http) as sdk:
        yield app, sdk
    await engine.aclose()


async def outcome_of(sdk: AsyncOpenAI, *, stream: bool) -> Outcome:
    """Send a request with the SDK's default retries."""
    try:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
        reply = await sdk.chat.completions.create(model=MODEL, messages=messages, stream=stream)
        if isinstance(reply, AsyncStream):
            async for _ in reply:
                pass
    except openai.APIStatusError as failure:
        headers = failure.response.headers
        return Outcome(failure.status_code, headers.get("x-should-retry"), str(failure))
    except openai.APIError as failure:
        return Outcome(0, None, str(failure))
    return Outcome(200, None, "")


@pytest.fixture(autouse=True)
def _retries_without_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(AsyncOpenAI, "_calculate_retry_timeout", lambda *_, **__: 0.001)
    monkeypatch.setattr(refusals, "REFUSED_S", 0.1)
    return iter(())


# On a new connection or on one kept from an earlier request, a whole reply or a stream.
REQUESTS = (
    pytest.param(False, False, id="new, whole"),
    pytest.param(True, True, id="kept, stream"),
    pytest.param(False, True, id="new, stream", marks=pytest.mark.nightly),
    pytest.param(True, False, id="kept, whole", marks=pytest.mark.nightly),
)

# The engine may have run the request: it has read all of it, or that cannot be known. One run, no retry.

MAY_HAVE_RUN: dict[str, tuple[Sequence[Step], int]] = {
    "closes at once": ((read, close), 502),
    "works, then closes": ((read, pause(0.1), close), 502),
    "resets at once": ((read, reset), 502),
    "works, then resets": ((read, pause(0.1), reset), 502),
    "stays silent": ((read, hang), 504),
    "reads nothing and stays silent": ((hang,), 504),
    "500": ((read, error(500)), 502),
    "500 that quotes a prompt": (
        (read, error(500, "Cannot handle: cannot schedule new futures after shutdown")),
        502,
    ),
    "500 whose body never ends": ((read, send(b"HTTP/1.1 500 X\r\ncontent-length: 99\r\n\r\n{"), hang), 502),
    "500 whose body is cut": ((read, send(b"HTTP/1.1 500 X\r\ncontent-length: 99\r\n\r\n{"), close), 502),
    "502": ((read, page(502)), 502),
    "502 of a balancer": ((read, page(502, headers="server: awselb/2.0\r\n")), 502),
    "503 of a proxy that lost the engine": ((read, page(503, ENVOY + b"connection termination")), 502),
    "503 of a proxy, after work": ((read, pause(0.2), page(503)), 502),
    "503 of an engine that has crashed": ((read, error(503, "EngineCore encountered an issue.")), 502),
    "503 of a cache": ((read, page(503, b"<h1>Error 503 Backend fetch failed</h1>")), 502),
    "504": ((read, page(504)), 504),
    "408": ((read, page(408)), 504),
    "507": ((read, page(507)), 502),
    "201": ((read, page(201, COMPLETION)), 502),
    "204": ((read, send(b"HTTP/1.1 204 X\r\n\r\n")), 502),
    "101": ((read, send(b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n\x81\x05hello")), 502),
    "a page": ((read, page(200)), 502),
    "no body": ((read, page(200, b"")), 502),
    "an interim response, then closes": ((read, send(b"HTTP/1.1 102 Processing\r\n\r\n"), close), 502),
    "interim responses without end": ((read, *[send(b"HTTP/1.1 102 X\r\n\r\n"), pause(0.05)] * 20), 504),
    "half a status line, then closes": ((read, send(b"HTTP/1."), close), 502),
    "half a head, then closes": ((read, send(b"HTTP/1.1 200 OK\r\ncontent-ty"), close), 502),
    "half a head, then resets": ((read, send(b"HTTP/1.1 200 OK\r\ncontent-ty"), pause(0.05), reset), 502),
    "half a head, then silence": ((read, send(b"HTTP/1.1 200 OK\r\ncontent-ty"), hang), 504),
    "a head byte by byte": ((read, send(HEAD[:-2] + b"x" * 500, of_each=1)), 504),
    "a head without end": ((read, send(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1_000_000)), 502),
    "headers without end": ((read, send(b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 100_000)), 502),
    "no HTTP": ((read, send(b"\x16\x03\x01 no\r\n\r\n"), close), 502),
    "a head, then closes": ((read, send(SHORT), close), 502),
    "a head, then resets": ((read, send(SHORT), pause(0.05), reset), 502),
    "a head, then silence": ((read, send(SHORT), hang), 504),
    "a bad chunk": ((read, send(HEAD + b"zz\r\n")), 502),
    "no last chunk": ((read, send(HEAD + b"5\r\n{    "), close), 502),
    "two lengths": ((read, send(SHORT[:-2] + b"content-length: 8\r\n\r\n{}")), 502),
    "a list": ((read, page(200, b"[]")), 502),
    "half of the JSON": ((read, page(200, COMPLETION[:40])), 502),
    "a failure in a 200": ((read, error(200, code=500)), 502),
}  # fmt: skip


@pytest.mark.parametrize(("is_kept", "stream"), REQUESTS)
@pytest.mark.parametrize("name", MAY_HAVE_RUN)
async def test_what_may_have_run_is_sent_once(name: str, is_kept: bool, stream: bool) -> None:
    steps, status = MAY_HAVE_RUN[name]
    before = 1 if is_kept else 0
    with socket_engine((read, good) * before + tuple(steps)) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            for _ in range(before):
                assert (await outcome_of(sdk, stream=stream)).status == 200
            outcome = await outcome_of(sdk, stream=stream)
    assert (outcome.status, outcome.should_retry) == (status, "false"), outcome
    assert len(engine.requests) - before <= 1
    assert engine.connections == 1
    assert app.requests - before == 1


# A stream that has begun: the SDK does not repeat it, and neither does the gateway.

BEGUN: dict[str, Sequence[Step]] = {
    "closes": (close,),
    "resets": (pause(0.05), reset),
    "is silent": (hang,),
    "ends early": (send(b"0\r\n\r\n"),),
    "half a chunk, then closes": (send(b"40\r\ndata: {"), close),
    "a bad chunk": (send(b"zz\r\n"),),
    "an error": (send(b"1b\r\ndata: {\"error\":\"gone\"}\n\n\r\n\r\n"),),
}  # fmt: skip


@pytest.mark.parametrize("is_kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("name", BEGUN)
async def test_a_stream_that_breaks_is_not_begun_again(name: str, is_kept: bool) -> None:
    before = 1 if is_kept else 0
    steps = (read, send(HEAD + CHUNK), pause(0.02), *BEGUN[name])
    with socket_engine((read, good) * before + steps) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            for _ in range(before):
                await outcome_of(sdk, stream=True)
            outcome = await outcome_of(sdk, stream=True)
    assert outcome.status == 0, outcome
    assert (len(engine.requests), engine.connections, app.requests) == (before + 1, 1, before + 1)


# The engine has not run the request, which is sent again: how often the engine reads it and the SDK sends it.

HAS_NOT_RUN: dict[str, tuple[Sequence[Step], int, int]] = {
    "full": ((read, error(503)), 2, 1),
    "loading": ((read, page(503, b"Loading model", "content-type: text/plain\r\n")), 2, 1),
    "a proxy without an engine": ((read, page(503, ENVOY + b"connection failure")), 2, 1),
    "full for a while": ((read, error(503, headers="retry-after: 7\r\n")), 2, 2),
    "full, after a while": ((read, pause(0.2), error(503)), 2, 1),
    "drains": ((read, error(500, "cannot schedule new futures after shutdown")), 2, 1),
    "429": ((read, error(429)), 2, 2),
    "429 in a 200": ((read, page(200, b'{"error": {"message": "Rate limit exceeded", "code": 429}}')), 2, 2),
}


@pytest.mark.parametrize(("is_kept", "stream"), REQUESTS)
@pytest.mark.parametrize("name", HAS_NOT_RUN)
async def test_what_has_not_run_is_sent_again(name: str, is_kept: bool, stream: bool) -> None:
    steps, reads, requests = HAS_NOT_RUN[name]
    before = 1 if is_kept else 0
    with socket_engine((read, good) * before + (*steps, read, good)) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            for _ in range(before):
                await outcome_of(sdk, stream=stream)
            assert (await outcome_of(sdk, stream=stream)).status == 200
    assert (len(engine.requests) - before, app.requests - before) == (reads, requests)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refused_connection_is_left_to_the_sdk_to_try_again(stream: bool) -> None:
    with refusing_engine() as base_url:
        async with sdk_of(base_url) as (app, sdk):
            outcome = await outcome_of(sdk, stream=stream)
    assert (outcome.status, outcome.should_retry, app.requests) == (502, None, 3)


# Connections that end around the write: whichever comes first, the request is run once at most.


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "end",
    [(close,), (reset,), (pause(0.05), close), (pause(0.05), reset)],
    ids=["closed", "reset", "closed later", "reset later"],
)
async def test_a_kept_connection_that_ended_while_it_was_idle_is_replaced(
    end: Sequence[Step], stream: bool
) -> None:
    with socket_engine((read, good, *end)) as engine:
        async with sdk_of(engine.base_url) as (_, sdk):
            assert (await outcome_of(sdk, stream=stream)).status == 200
            await asyncio.sleep(0.1)
            assert (await outcome_of(sdk, stream=stream)).status == 200
    assert (len(engine.requests), engine.connections) == (2, 2)


@pytest.mark.parametrize("end", [close, reset], ids=["closed", "reset"])
async def test_an_end_that_the_event_loop_has_not_seen_yet_is_found_before_the_write(end: Step) -> None:
    """As after a freeze: the end of the connection and the next request are there at once."""
    with socket_engine((read, good, pause(0.05), end)) as engine:
        async with sdk_of(engine.base_url) as (_, sdk):
            assert (await outcome_of(sdk, stream=False)).status == 200
            time.sleep(0.15)  # noqa: ASYNC251 - the loop is stopped, as the environment was
            assert (await outcome_of(sdk, stream=False)).status == 200
    assert (len(engine.requests), engine.connections) == (2, 2)


async def test_a_close_that_crosses_the_request_is_proved_by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is written after the engine has closed, and before that is known here."""
    monkeypatch.setattr(connection.Connection, "has_input", False)
    with socket_engine((read, good, pause(0.05), close)) as engine:
        async with sdk_of(engine.base_url) as (_, sdk):
            assert (await outcome_of(sdk, stream=False)).status == 200
            time.sleep(0.15)  # noqa: ASYNC251 - the loop is stopped, so that it cannot see the end
            assert (await outcome_of(sdk, stream=False)).status == 200
    assert (len(engine.requests), engine.connections) == (2, 2)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("is_kept", [False, True], ids=["new", "kept"])
@pytest.mark.parametrize("end", [close, reset], ids=["close", "reset"])
@pytest.mark.parametrize("seen", [(), (see,), (read_some,)], ids=["unseen", "unread", "read in part"])
async def test_an_end_beside_the_write_is_proved_or_final(
    seen: Sequence[Step], end: Step, is_kept: bool, stream: bool
) -> None:
    before = 1 if is_kept else 0
    with socket_engine((read, good) * before + (*seen, end)) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            for _ in range(before):
                await outcome_of(sdk, stream=stream)
            outcome = await outcome_of(sdk, stream=stream)
    runs = len(engine.requests) - before
    assert (outcome.status, outcome.should_retry, runs) in {(200, None, 1), (502, "false", 0)}
    assert app.requests - before == 1


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    authority = Authority(tmp_path, "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority.server("localhost")


@pytest.mark.parametrize("end", [close, reset], ids=["close", "reset"])
@pytest.mark.parametrize("worked", [(), (pause(0.05),)], ids=["at once", "after work"])
async def test_over_tls_nothing_is_proved_and_nothing_sent_again(
    tls: ssl.SSLContext, worked: Sequence[Step], end: Step
) -> None:
    with socket_engine((*(read, good) * 2, read, *worked, end), tls=tls) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            before = [await outcome_of(sdk, stream=True) for _ in range(2)]
            assert [each.status for each in before] == [200, 200], before
            outcome = await outcome_of(sdk, stream=True)
    assert (outcome.status, outcome.should_retry) == (502, "false")
    assert (len(engine.requests), engine.connections, app.requests) == (3, 1, 3)


async def test_over_tls_a_connection_that_ended_while_it_was_idle_is_replaced(tls: ssl.SSLContext) -> None:
    with socket_engine((read, good, close), tls=tls) as engine:
        async with sdk_of(engine.base_url) as (_, sdk):
            assert (await outcome_of(sdk, stream=True)).status == 200
            await asyncio.sleep(0.1)
            assert (await outcome_of(sdk, stream=True)).status == 200
    assert (len(engine.requests), engine.connections) == (2, 2)


async def test_an_engine_whose_certificate_is_not_trusted_gets_no_request(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with socket_engine((read, good), tls=tls) as engine:
        async with sdk_of(engine.base_url) as (_, sdk):
            outcome = await outcome_of(sdk, stream=True)
    assert (outcome.status, outcome.should_retry, engine.requests) == (502, None, [])


# A response that is cut, at every third byte: framing, head, JSON, events.

WHOLE_RESPONSE = whole(200, COMPLETION, "content-type: application/json\r\n")
CHUNKED_RESPONSE = HEAD + b"".join(
    b"%x\r\n%b\n\n\r\n" % (len(each) + 2, each) for each in EVENTS.removesuffix(b"\n\n").split(b"\n\n")
)


@pytest.mark.parametrize("end", [close, reset], ids=["close", "reset"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_response_that_is_cut_anywhere_is_a_failure(end: Step, stream: bool) -> None:
    response = CHUNKED_RESPONSE if stream else WHOLE_RESPONSE
    cuts = range(0, response.index(b"data: [DONE]") if stream else len(response), 3)

    def cut(of: Conversation) -> None:
        of.sock.sendall(response[: cuts[engine.connections - 1]])

    steps = (read, cut, end)
    with socket_engine(steps, later=steps) as engine:
        async with sdk_of(engine.base_url) as (app, sdk):
            outcomes = [await outcome_of(sdk, stream=stream) for _ in cuts]
    assert {outcome.status for outcome in outcomes} <= {0, 502}
    assert all(outcome.should_retry == "false" for outcome in outcomes if outcome.status)
    assert len(engine.requests) == engine.connections == app.requests == len(cuts)
