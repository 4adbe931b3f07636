"""What the body of a reply is counts, not its headers: events, a completion, an error, or neither.

A row: what the engine sends, for a request of a stream or of a whole reply.
"""

import gzip
import json
from typing import Any

import httpx
import pytest

from tests.engines import events, schema
from tests.engines.behaviours import Completion, Raw, Sse, Status, html
from tests.engines.faults_transport import COMPLETION, EVENTS
from tests.engines.scripted import ScriptedEngine
from tests.engines.wire import Behaviour, Reply, Request
from tests.integration.chat.conftest import Connect
from tests.integration.chat.service import URL, body

pytestmark = pytest.mark.anyio
TEXT = "The capital of France is Paris."
GZIP = {"content-encoding": "gzip"}
PRETTY = json.dumps(json.loads(COMPLETION), indent=2).replace("\n", "\r\n").encode()
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
BARE = b"HTTP/1.1 200 OK\r\n\r\n"


async def sent(client: httpx.AsyncClient, *, stream: bool, **fields: Any) -> httpx.Response:
    return await client.post(URL, json=body(stream=stream, **fields))


STREAMS: dict[str, Behaviour] = {
    "events as JSON": Sse(content_type="application/json"),
    "events as text": Sse(content_type="text/plain; charset=utf-8"),
    "events as a page": Sse(content_type="text/html"),
    "events as nothing": Raw(BARE + EVENTS),
    "events of HTTP/1.0": Raw(b"HTTP/1.0 200 OK\r\n\r\n" + EVENTS),
    "events after blank lines": Sse(events.joined(events.pieces(b"\n\n", b"\r\n"), events.tokens())),
    "events after a byte order mark": Sse(events.bom(events.tokens()), content_type="application/json"),
    "events, one byte at a time": Sse(split=1, content_type="application/json"),
    "compressed events": Status(200, gzip.compress(EVENTS), "text/event-stream", GZIP),
    "a whole completion": Completion(),
    "a whole completion as events": Status(200, COMPLETION, "text/event-stream"),
    "a whole completion, indented": Status(200, PRETTY),
    "a whole completion after white space": Raw(BARE + b"\n   \n" + COMPLETION),
    "a whole completion, compressed": Status(200, gzip.compress(COMPLETION), headers=GZIP),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_read_as_what_it_is(engine: ScriptedEngine, connect: Connect, name: str) -> None:
    engine.behaviour = STREAMS[name]
    async with connect() as client:
        reply = await sent(client, stream=True)
    assert reply.status_code == 200, reply.text
    chunks = schema.validate_stream(reply.content)
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)
    assert len(engine.requests) == 1


WHOLE: dict[str, Behaviour] = {
    "JSON as text": Status(200, COMPLETION, "text/plain"),
    "JSON as events": Status(200, COMPLETION, "text/event-stream"),
    "JSON as a page": Status(200, COMPLETION, "text/html"),
    "JSON as nothing": Raw(BARE + COMPLETION),
    "JSON, indented": Status(200, PRETTY),
    "JSON after white space": Raw(BARE + b"\n   \n" + COMPLETION),
    "JSON after a byte order mark": Status(200, b"\xef\xbb\xbf" + COMPLETION),
    "compressed JSON": Status(200, gzip.compress(COMPLETION), headers=GZIP),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_reply_is_read_as_what_it_is(
    engine: ScriptedEngine, connect: Connect, name: str
) -> None:
    engine.behaviour = WHOLE[name]
    async with connect() as client:
        reply = await sent(client, stream=False)
    assert reply.status_code == 200, reply.text
    assert schema.validate_completion(reply.json())["choices"][0]["message"]["content"] == "Hi"


async def test_a_whole_completion_in_the_place_of_a_stream_loses_nothing(
    engine: ScriptedEngine, connect: Connect
) -> None:
    message = {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [CALL],
        "reasoning_content": "Hm.",
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    completion = {**json.loads(COMPLETION), "choices": [choice], "usage": usage}
    engine.behaviour = Status(200, json.dumps(completion).encode())
    async with connect() as client:
        reply = await sent(client, stream=True, stream_options={"include_usage": True})
    *chunks, last = schema.validate_stream(reply.content, include_usage=True)
    (delta,) = [each["choices"][0]["delta"] for each in chunks]
    assert (delta["content"], delta["reasoning_content"]) == ("Let me see.", "Hm.")
    assert delta["tool_calls"] == [{"index": 0, **CALL}]
    assert last["usage"] == usage


NEITHER: dict[str, Behaviour] = {
    "a page": html(),
    "a page as JSON": Status(200, b"\n<!DOCTYPE html><p>Sign in"),
    "a page as events": Status(200, b"<html>", "text/event-stream"),
    "text": Status(200, b"hello", "text/plain"),
    "lines of JSON": Status(200, b'{"message":{"content":"Hi"}}\n{"done":true}\n', "application/x-ndjson"),
    "no body": Status(200),
    "white space": Status(200, b"  \n "),
    "broken compression": Status(200, b"\x1f\x8b" + b"x" * 100, headers=GZIP),
    "another object": Status(200, b'{"status": "ok"}'),
    "null": Status(200, b"null"),
    "half of the JSON": Status(200, COMPLETION[:50]),
    "half of the JSON, cut": Completion(missing=30),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", NEITHER)
async def test_what_is_no_completion_is_502(
    engine: ScriptedEngine, connect: Connect, name: str, stream: bool
) -> None:
    engine.behaviour = NEITHER[name]
    async with connect() as client:
        reply = await sent(client, stream=stream)
    assert (reply.status_code, schema.validate_error(reply.json())["code"]) == (502, "upstream_error")
    assert reply.headers["x-should-retry"] == "false"
    assert len(engine.requests) == 1


async def test_events_in_the_place_of_a_whole_reply_are_502(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = Sse()
    async with connect() as client:
        reply = await sent(client, stream=False)
    assert (reply.status_code, reply.headers["x-should-retry"]) == (502, "false")


FAULTS = {
    "429": ({"message": "Rate limit exceeded", "code": 429}, 429, "rate_limit_exceeded"),
    "503": ({"message": "Busy", "code": 503}, 503, "server_is_overloaded"),
    "400": ({"message": "maximum context length is 8", "code": 400}, 400, "context_length_exceeded"),
    "500": ({"message": "no", "code": 500}, 502, "upstream_error"),
    "none": ({"message": "no"}, 502, "upstream_error"),
    "text": ("no", 502, "upstream_error"),
}  # fmt: skip


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream", "text/plain"])
@pytest.mark.parametrize("name", FAULTS)
async def test_an_error_in_a_200_has_its_own_status(
    engine: ScriptedEngine, connect: Connect, name: str, kind: str, stream: bool
) -> None:
    fault, status, code = FAULTS[name]
    engine.behaviour = Status(200, json.dumps({"error": fault}, indent=1).encode(), kind)
    async with connect() as client:
        reply = await sent(client, stream=stream)
    assert (reply.status_code, schema.validate_error(reply.json())["code"]) == (status, code)
    assert reply.headers.get("x-should-retry") == ("false" if status == 502 else None)


# sizes


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_whole_reply_that_is_too_large_is_cut_off(
    engine: ScriptedEngine, connect: Connect, stream: bool
) -> None:
    written = 0

    async def endless(_: Request, reply: Reply) -> None:
        nonlocal written
        await reply.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n{"choices": "')
        while True:
            await reply.write(b"x" * 65536)
            written += 65536

    engine.behaviour = endless
    async with connect(MAX_EVENT_BYTES="1000000") as client:
        reply = await sent(client, stream=stream)
    error = schema.validate_error(reply.json())
    assert (reply.status_code, reply.headers["x-should-retry"]) == (502, "false")
    assert "1000000 bytes" in error["message"]
    assert "MAX_EVENT_BYTES" in error["message"]
    assert written < 30_000_000
