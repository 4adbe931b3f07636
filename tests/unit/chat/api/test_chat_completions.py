"""Defaults, limits and replies of the endpoint, with a fake engine."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from functions.chat.api import chat_schema
from functions.chat.api.chat_completions import create_chat_completion, engine_request
from functions.chat.api.models import find_model
from functions.chat.api.service import Invocation, Service
from functions.chat.engines.engine import EngineRequest, joined
from functions.chat.errors import ApiError, InvalidRequest, ModelNotFound, Overloaded, UpstreamError
from functions.chat.usage import Meter
from functions.shared.keys import Keyring
from tests.engines import schema
from tests.engines.recordings import Recording, distinct, recordings
from tests.unit.chat.chunks import DONE, GOOD, USAGE, finish, role, usage
from tests.unit.chat.fakes import USER, FakeEngine, model, settings

TWO = settings(model("one", served_name="/weights/one"), model("two", max_tokens_limit=8), max_messages=3)
REPLY: dict[str, Any] = {
    "id": "chatcmpl-7",
    "object": "chat.completion",
    "created": 1795373005,
    "model": "/weights/one",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Paris", "refusal": None, "audio": None},
            "logprobs": None,
            "finish_reason": "stop",
            "stop_reason": None,
        }
    ],
    "usage": {**USAGE, "prompt_tokens_details": None},
    "system_fingerprint": None,
    "service_tier": None,
    "prompt_logprobs": None,
}


def prepared(**fields: Any) -> EngineRequest:
    body = {"model": "one", "messages": [USER], **fields}
    checked = chat_schema.check(body)
    return engine_request(body, checked, find_model(checked.model, TWO), TWO, "abc")


def sent(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(joined(prepared(**fields).body))
    return body


async def called(engine: FakeEngine, **fields: Any) -> tuple[Response, list[Message]]:
    """Call the endpoint; return its response, and the messages that this sends."""
    service = Service(settings=TWO, engine=engine, keyring=Keyring(None), meter=Meter())
    body = json.dumps({"model": "one", "messages": [USER], **fields}).encode()

    async def receive() -> Message:
        if body_sent:
            await asyncio.Event().wait()
        body_sent.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    body_sent: list[bool] = []
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    invocation = Invocation(request_id="abc", reply_id="req_1", remaining_ms=None)
    scope = {"type": "http", "method": "POST", "headers": [], "state": {"invocation": invocation}}
    response = await create_chat_completion(service, Request(scope, receive))
    await response(scope, receive, send)
    return response, messages


# what the engine gets


def test_the_engine_gets_our_defaults_and_its_own_name() -> None:
    assert sent() == {"model": "/weights/one", "messages": [USER], "temperature": 0.7, "max_tokens": 64}


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ({}, {"max_tokens": 64}),
        ({"max_tokens": 0}, {"max_tokens": 64}),
        ({"max_tokens": None}, {"max_tokens": 64}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"max_tokens": 256}, {"max_tokens": 256}),
        ({"max_completion_tokens": None}, {"max_tokens": 64}),
        ({"max_completion_tokens": 9}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 7}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": 9, "max_tokens": 0}, {"max_completion_tokens": 9}),
        ({"max_completion_tokens": None, "max_tokens": 7}, {"max_tokens": 7}),
    ],
    ids=str,
)
def test_the_engine_always_gets_a_limit(requested: dict[str, Any], expected: dict[str, int]) -> None:
    body = sent(**requested)
    assert {key: body[key] for key in body if "tokens" in key} == expected


@pytest.mark.parametrize(("requested", "expected"), [({}, 0.7), ({"temperature": None}, 0.7)])
def test_temperature_has_a_default(requested: dict[str, Any], expected: float) -> None:
    assert sent(**requested)["temperature"] == expected


@pytest.mark.parametrize("temperature", [0, 0.7, 2])
def test_temperature_passes(temperature: float) -> None:
    assert sent(temperature=temperature)["temperature"] == temperature


def test_the_fields_of_the_engine_pass_and_nulls_do_not() -> None:
    body = sent(top_k=5, chat_template_kwargs={"x": None}, stop=None, seed=None, n=None, min_p=None)
    assert body["top_k"] == 5
    assert body["chat_template_kwargs"] == {"x": None}
    assert not {"stop", "seed", "n", "min_p"} & body.keys()


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}], ids=str)
def test_usage_is_always_requested_of_a_stream(options: dict[str, bool] | None) -> None:
    request = prepared(stream=True, stream_options=options)
    assert json.loads(joined(request.body))["stream_options"] == {"include_usage": True}
    assert isinstance(request.reader, partial)
    assert request.reader.keywords["include_usage"] is bool(options and options.get("include_usage"))


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"continuous_usage_stats": True}, False),
        ({"include_usage": True, "continuous_usage_stats": True}, True),
        ({"include_usage": True}, False),
    ],
    ids=str,
)
def test_usage_in_every_chunk_is_shown_beside_that_at_the_end(options: dict[str, bool], shown: bool) -> None:
    request = prepared(stream=True, stream_options=options)
    assert isinstance(request.reader, partial)
    assert request.reader.keywords["continuous_usage"] is shown
    assert request.reader.keywords["max_event_bytes"] == TWO.max_event_bytes


@pytest.mark.parametrize(("choice", "expected"), [("auto", False), ("required", True)])
@pytest.mark.parametrize("stream", [False, True])
def test_the_reader_knows_whether_a_call_has_to_come(stream: bool, choice: str, expected: bool) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = prepared(stream=stream, tools=tools, tool_choice=choice)
    assert isinstance(request.reader, partial)
    assert request.reader.keywords["expects_call"] is expected


@pytest.mark.parametrize("stream", [False, None])
def test_a_whole_reply_is_requested_without_stream_options(stream: bool | None) -> None:
    assert "stream_options" not in sent(stream=stream, stream_options=None)


def test_the_default_is_the_first_model() -> None:
    request = prepared(model="default")
    assert (request.model.id, json.loads(joined(request.body))["model"]) == ("one", "/weights/one")


def test_a_model_may_be_called_default() -> None:
    assert find_model("default", settings(model("one"), model("default"))).id == "default"


@pytest.mark.parametrize("name", ["gpt-4", "One", "one ", "x" * 5000])
def test_an_unknown_model_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound) as raised:
        prepared(model=name)
    assert len(raised.value.message) < 200


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": [USER] * 4}, "messages", "array_above_max_length"),
        ({"n": 9}, "n", "integer_above_max_value"),
        ({"max_tokens": 257}, "max_tokens", "integer_above_max_value"),
        ({"max_completion_tokens": 257}, "max_completion_tokens", "integer_above_max_value"),
        ({"model": "two", "max_tokens": 9}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": 257, "max_completion_tokens": 1}, "max_tokens", "integer_above_max_value"),
    ],
    ids=str,
)
def test_limits_hold(fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        prepared(**fields)
    assert (raised.value.param, raised.value.code) == (param, code)
    assert "at most 3" in raised.value.message or "<=" in raised.value.message


# whole replies


async def completed(reply: Any, **fields: Any) -> dict[str, Any]:
    response, _ = await called(FakeEngine(json.dumps(reply).encode()), **fields)
    value: dict[str, Any] = json.loads(bytes(response.body))
    return value


@pytest.mark.anyio
async def test_a_reply_has_the_public_model_and_no_nulls_of_the_engine() -> None:
    assert await completed(REPLY) == {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1795373005,
        "model": "one",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Paris", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


@pytest.mark.anyio
async def test_a_bare_reply_is_completed() -> None:
    reply = await completed({"choices": [{"message": {}, "finish_reason": "length"}]})
    assert schema.validate_completion(reply)["id"] == "chatcmpl-abc"


@pytest.mark.anyio
@pytest.mark.parametrize("recorded", distinct(recordings("*/chat_*"), lambda each: each.shape), ids=str)
async def test_recorded_replies_become_valid(recorded: Recording) -> None:
    if recorded.status == 200:
        reply = json.loads(recorded.body)
        schema.validate_completion(await completed(reply, n=len(reply["choices"])))


CHOICE = REPLY["choices"][0]
NO_REASONS: list[Any] = [None, "abort", "error", [], {}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        None,
        "Paris",
        7,
        [],
        {},
        {"error": {"message": "no"}},
        {**REPLY, "choices": None},
        {**REPLY, "choices": []},
        {**REPLY, "choices": {}},
        {**REPLY, "choices": [None]},
        {**REPLY, "choices": ["Paris"]},
        {**REPLY, "choices": [{**CHOICE, "message": None}]},
        {**REPLY, "choices": [{**CHOICE, "message": "Paris"}]},
        *({**REPLY, "choices": [{**CHOICE, "finish_reason": no}]} for no in NO_REASONS),
        {**REPLY, "choices": [{key: CHOICE[key] for key in CHOICE if key != "finish_reason"}]},
    ],
    ids=str,
)
async def test_an_incomplete_reply_is_an_error(reply: Any) -> None:
    with pytest.raises(UpstreamError):
        await completed(reply)


@pytest.mark.anyio
async def test_fewer_choices_than_requested_are_an_error() -> None:
    with pytest.raises(UpstreamError):
        await completed(REPLY, n=2)


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [{"id": None}, {"id": 7}, {"created": None}, {"usage": None}], ids=str)
async def test_wrong_members_are_replaced(wrong: dict[str, Any]) -> None:
    schema.validate_completion(await completed({**REPLY, **wrong}))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"id": NaN}', b"[" * 100_000, b"\xff"], ids=lambda b: str(b[:12])
)
async def test_a_reply_that_is_not_json_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        await called(FakeEngine(body))


# streams


async def streamed(engine: FakeEngine, **fields: Any) -> list[bytes]:
    _, (start, *rest) = await called(engine, stream=True, **fields)
    assert start["status"] == 200
    assert [message["more_body"] for message in rest] == [True] * (len(rest) - 1) + [False]
    return [message["body"] for message in rest]


def public(body: bytes) -> bytes:
    return body.replace(b'"tiny"', b'"one"')


@pytest.mark.anyio
async def test_a_stream_ends_with_the_end_marker() -> None:
    engine = FakeEngine(GOOD[:100], GOOD[100:])
    bodies = await streamed(engine)
    assert (b"".join(bodies), bodies[-1]) == (public(GOOD), DONE)
    assert engine.open_streams == 0


@pytest.mark.anyio
async def test_usage_comes_before_the_end_marker_where_requested() -> None:
    body = role() + finish() + usage() + DONE
    assert b"".join(await streamed(FakeEngine(body), stream_options={"include_usage": True})) == public(body)


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_of_the_engine_raises(stream: bool) -> None:
    with pytest.raises(ApiError, match="busy"):
        await called(FakeEngine(refuses=Overloaded("busy")), stream=stream)


BREAKS: dict[str, tuple[list[bytes], ApiError | None]] = {
    "nothing": ([], None),
    "a break": ([], UpstreamError("gone")),
    "comments, then a break": ([b": keep-alive\n\n"], UpstreamError("gone")),
    "garbage": ([b"data: {{{\n\n"], None),
    "an error": ([b'data: {"error":{"message":"no"}}\n\n'], None),
    "half an event": ([role()[:30]], None),
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", BREAKS)
async def test_a_failure_before_the_first_event_raises(name: str) -> None:
    pieces, breaks = BREAKS[name]
    engine = FakeEngine(*pieces, breaks=breaks)
    with pytest.raises(UpstreamError):
        await called(engine, stream=True)
    assert engine.open_streams == 0


@pytest.mark.anyio
@pytest.mark.parametrize("name", BREAKS)
async def test_a_failure_after_the_first_event_is_the_last_event(name: str) -> None:
    pieces, breaks = BREAKS[name]
    engine = FakeEngine(role(), *pieces, breaks=breaks)
    body = b"".join(await streamed(engine))
    assert body.startswith(public(role()))
    assert schema.validate_failed_stream(body).error["code"] == "upstream_error"
    assert engine.open_streams == 0


@pytest.mark.anyio
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no line end", "one line end"])
async def test_an_unterminated_first_event_is_sent_and_then_the_failure(end: bytes) -> None:
    body = b"".join(await streamed(FakeEngine(role().rstrip(b"\n") + end)))
    assert len(schema.validate_failed_stream(body).chunks) == 1


@pytest.mark.anyio
async def test_a_bug_is_not_reported_as_a_failure_of_the_engine() -> None:
    with pytest.raises(ZeroDivisionError):
        await streamed(FakeEngine(role(), breaks=ZeroDivisionError()))
