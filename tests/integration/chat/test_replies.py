"""Replies, whole and streamed: bodies and headers."""

import gzip
import json
import re
from typing import Any

import httpx
import pytest

from tests.engines import events, schema
from tests.engines.behaviours import Chat, InTurn, Sse, Status, vllm_error
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.conftest import Connect
from tests.integration.chat.counting import Counting
from tests.integration.chat.service import MODEL, URL, body
from tests.integration.chat.test_errors import check_headers

pytestmark = pytest.mark.anyio
USERS_BODY = {
    "model": "default",
    "messages": [{"role": "user", "content": "Tell me a joke"}],
    "max_tokens": 0,
    "temperature": 0.7,
    "top_p": 1,
    "n": 1,
    "stream": False,
}


async def test_the_users_own_body_works_and_the_engine_never_sees_zero(
    engine: ScriptedEngine, connect: Connect
) -> None:
    async with connect() as client:
        headers = {"authorization": "beareryour_api_key_here"}
        reply = await client.post(URL, json=USERS_BODY, headers=headers)
    assert schema.validate_completion(reply.json())["model"] == MODEL
    (request,) = engine.requests
    assert request.fields == {**USERS_BODY, "model": MODEL, "max_tokens": 1024}
    assert "authorization" not in request.headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_every_reply_has_its_headers(connect: Connect, stream: bool) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=stream))
    assert reply.status_code == 200
    check_headers(reply)


async def test_a_stream_has_exactly_the_headers_of_one(connect: Connect) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    expected = {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }
    assert expected.items() <= dict(reply.headers).items()
    assert "content-length" not in reply.headers


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/default", "/health", "/docs", "/openapi.json"])
async def test_the_other_routes_have_these_headers_too(connect: Connect, path: str) -> None:
    async with connect() as client:
        reply = await client.get(path)
    assert reply.status_code == 200
    check_headers(reply)


@pytest.mark.parametrize("request_id", ["abc", "A-b_9", "x" * 64])
async def test_the_callers_request_id_reaches_the_engine(
    engine: ScriptedEngine, connect: Connect, request_id: str
) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True), headers={"x-request-id": request_id})
    assert engine.requests[0].headers["x-request-id"] == request_id
    assert schema.validate_stream(reply.content)[0]["id"] == f"chatcmpl-{request_id}"
    assert reply.headers["x-request-id"] != request_id


@pytest.mark.parametrize("request_id", [None, "", "a b", "x" * 65, "a/b", "é".encode(), "a\tb"], ids=repr)
async def test_an_odd_request_id_is_replaced_by_ours(
    engine: ScriptedEngine, connect: Connect, request_id: str | None
) -> None:
    headers = {} if request_id is None else {"x-request-id": request_id}
    async with connect() as client:
        reply = await client.post(URL, json=body(), headers=headers)
    assert f"req_{engine.requests[0].headers['x-request-id']}" == reply.headers["x-request-id"]


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}], ids=str)
async def test_usage_is_requested_of_the_engine_and_shown_on_request(
    engine: ScriptedEngine, connect: Connect, options: Any
) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True, stream_options=options))
    shown = bool(options and options["include_usage"])
    stream = schema.check_stream(reply.content, include_usage=shown)
    assert (stream.usage is not None) is shown
    assert engine.requests[0].fields["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_several_choices(connect: Connect, stream: bool) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=stream, n=3))
    if stream:
        assert schema.check_stream(reply.content, n=3).text(2) == " word" * 8
    else:
        assert len(schema.validate_completion(reply.json())["choices"]) == 3


@pytest.mark.parametrize("model", ["default", "other"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_model_of_a_reply_is_the_public_one(connect: Connect, model: str, stream: bool) -> None:
    async with connect() as client:
        reply = await client.post(URL, json=body(model=model, stream=stream))
    expected = MODEL if model == "default" else "other"
    values = schema.validate_stream(reply.content) if stream else [reply.json()]
    assert {value["model"] for value in values} == {expected}


async def test_the_engine_s_key_is_sent_and_the_caller_s_is_not(
    engine: ScriptedEngine, connect: Connect
) -> None:
    models = {MODEL: {"base_url": engine.base_url, "key_variable": "ENGINE_KEY"}}
    async with connect(MODELS=json.dumps(models), ENGINE_KEY="sk-engine") as client:
        await client.post(URL, json=body(), headers={"authorization": "Bearer sk-caller"})
    assert engine.requests[0].headers["authorization"] == "Bearer sk-engine"


async def test_the_caller_s_trace_reaches_the_engine(engine: ScriptedEngine, connect: Connect) -> None:
    trace = {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "rojo=00f067aa0ba902b7",
    }
    async with connect() as client:
        await client.post(URL, json=body(), headers=trace)
        await client.post(URL, json=body(), headers={**trace, "traceparent": "not one"})
    first, second = (request.headers for request in engine.requests)
    assert {name: first.get(name) for name in trace} == trace
    assert not trace.keys() & second.keys()


async def test_models_are_listed_in_order_without_a_completion(
    engine: ScriptedEngine, connect: Connect
) -> None:
    async with connect() as client:
        listed = schema.validate_models((await client.get("/v1/models")).json())
        one = (await client.get("/v1/models/default")).json()
    assert [model["id"] for model in listed["data"]] == [MODEL, "other"]
    assert one == listed["data"][0]
    assert {request.path for request in engine.received_requests} == {"/v1/models"}


async def test_a_name_with_slashes_is_a_model_too(engine: ScriptedEngine, connect: Connect) -> None:
    models = {"org/name": {"base_url": engine.base_url}}
    async with connect(MODELS=json.dumps(models)) as client:
        reply = await client.get("/v1/models/org/name")
    assert reply.json()["id"] == "org/name"


STAGES = {
    "CRLF": events.crlf(events.tokens()),
    "no space": events.no_space(events.tokens()),
    "several lines": events.multi_line(events.tokens()),
    "byte order mark": events.bom(events.tokens()),
    "id lines": events.before_each(events.tokens(), b"id: 1\n"),
    "retry lines": events.before_each(events.tokens(), b"retry: 1\n"),
    "event lines": events.before_each(events.tokens(), b"event: message\n"),
    "pings": events.before_each(events.tokens(), b"event: ping\n\n"),
    "empty events": events.before_each(events.tokens(), b"data: \n\n"),
    "comments": events.before_each(events.tokens(), events.KEEP_ALIVE),
    "batches": events.batches(events.tokens(), 4),
    "unrequested usage": events.tokens(usage="always"),
    "no usage": events.tokens(usage="never"),
    "more after the end": events.joined(events.tokens(), events.tokens()),
}


@pytest.mark.parametrize("name", STAGES)
async def test_whatever_the_framing_the_stream_is_the_same(
    engine: ScriptedEngine, connect: Connect, name: str
) -> None:
    headers = {"x-request-id": "same"}
    async with connect() as client:
        plain = await client.post(URL, json=body(stream=True), headers=headers)
        for split in (None, 7):
            engine.behaviour = Sse(STAGES[name], split=split)
            reply = await client.post(URL, json=body(stream=True), headers=headers)
            schema.validate_stream(reply.content)
            assert reply.content == plain.content


async def test_requests_one_after_the_other_share_a_connection(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.behaviour = counting = Counting(Chat())
    async with connect() as client:
        for stream in (True, False, True, True, False):
            reply = await client.post(URL, json=body(stream=stream))
            assert reply.status_code == 200
    assert len(counting.connections) == 1


async def test_a_refusal_leaves_the_connection_usable(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = counting = Counting(InTurn([vllm_error(400), vllm_error(404)]))
    async with connect() as client:
        replies = [await client.post(URL, json=body(stream=True)) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [400, 404, 200]
    assert len(counting.connections) == 1


async def test_processing_time_is_whole_milliseconds(connect: Connect) -> None:
    async with connect() as client:
        reply: httpx.Response = await client.post(URL, json=body())
    assert re.fullmatch(r"\d{1,4}", reply.headers["openai-processing-ms"])


async def test_a_whole_reply_that_is_compressed_all_the_same_is_read(
    engine: ScriptedEngine, connect: Connect
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}
    reply = json.dumps({"id": "chatcmpl-1", "created": 1795373005, "choices": [choice]}).encode()
    engine.behaviour = Status(200, gzip.compress(reply), headers={"content-encoding": "gzip"})
    async with connect() as client:
        replies = [(await client.post(URL, json=body())).json() for _ in range(2)]
    assert [each["choices"][0]["message"]["content"] for each in replies] == ["Paris", "Paris"]
