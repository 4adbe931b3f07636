"""Defaults, limits and whole answers, with a fake engine."""

import copy
import json
from typing import Any

import pytest

from functions.chat.api import validation
from functions.chat.completions import Call, Completions
from functions.chat.errors import ApiError, InvalidRequest, ModelNotFound, Overloaded, UpstreamError
from functions.chat.tally import Tally
from tests.engines import schema
from tests.engines.recordings import Recording, recordings
from tests.unit.chat.chunks import DONE, GOOD, USAGE, finish, role, usage, word
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


def prepared(engine: FakeEngine | None = None, **fields: Any) -> tuple[Completions, Call]:
    body = {"model": "one", "messages": [USER], **fields}
    completions = Completions(TWO, engine or FakeEngine())
    return completions, completions.prepare(body, validation.check(body), "abc")


def sent(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(prepared(**fields)[1].body)
    return body


# what the engine is asked


def test_the_engine_gets_our_defaults_and_its_own_name() -> None:
    assert sent() == {"model": "/weights/one", "messages": [USER], "temperature": 0.7, "max_tokens": 64}


@pytest.mark.parametrize(
    ("asked", "expected"),
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
def test_the_engine_is_always_told_a_limit(asked: dict[str, Any], expected: dict[str, int]) -> None:
    body = sent(**asked)
    assert {key: body[key] for key in body if "tokens" in key} == expected


@pytest.mark.parametrize(("asked", "expected"), [({}, 0.7), ({"temperature": None}, 0.7)])
def test_temperature_has_a_default(asked: dict[str, Any], expected: float) -> None:
    assert sent(**asked)["temperature"] == expected


@pytest.mark.parametrize("temperature", [0, 0.7, 2])
def test_temperature_passes(temperature: float) -> None:
    assert sent(temperature=temperature)["temperature"] == temperature


def test_unknown_fields_pass_and_nulls_do_not() -> None:
    body = sent(top_k=5, chat_template_kwargs={"x": None}, stop=None, seed=None, n=None, min_p=None)
    assert body["top_k"] == 5
    assert body["chat_template_kwargs"] == {"x": None}
    assert not {"stop", "seed", "n", "min_p"} & body.keys()


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}], ids=str)
def test_usage_is_always_asked_of_a_stream(options: dict[str, bool] | None) -> None:
    _, call = prepared(stream=True, stream_options=options)
    assert json.loads(call.body)["stream_options"] == {"include_usage": True}
    assert call.include_usage is bool(options and options.get("include_usage"))


@pytest.mark.parametrize("stream", [False, None])
def test_a_whole_reply_is_asked_for_without_stream_options(stream: bool | None) -> None:
    assert "stream_options" not in sent(stream=stream, stream_options=None)


def test_default_is_the_first_model() -> None:
    _, call = prepared(model="default")
    assert (call.model.id, json.loads(call.body)["model"]) == ("one", "/weights/one")


def test_a_model_may_be_called_default() -> None:
    both = Completions(settings(model("one"), model("default")), FakeEngine())
    assert both.model("default").id == "default"


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
    completions, call = prepared(FakeEngine(copy.deepcopy(reply)), **fields)
    return await completions.complete(call, Tally())


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
@pytest.mark.parametrize("recorded", recordings("*/chat_*"), ids=str)
async def test_recorded_replies_become_valid(recorded: Recording) -> None:
    if recorded.status == 200:
        schema.validate_completion(await completed(json.loads(recorded.body)))


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
async def test_fewer_choices_than_asked_for_are_an_error() -> None:
    with pytest.raises(UpstreamError):
        await completed(REPLY, n=2)


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [{"id": None}, {"id": 7}, {"created": None}, {"usage": None}], ids=str)
async def test_wrong_members_are_replaced(wrong: dict[str, Any]) -> None:
    schema.validate_completion(await completed({**REPLY, **wrong}))


# streams


async def streamed(engine: FakeEngine, **fields: Any) -> list[bytes]:
    completions, call = prepared(engine, stream=True, **fields)
    return [run async for run in completions.stream(call, Tally())]


def public(body: bytes) -> bytes:
    return body.replace(b'"tiny"', b'"one"')


@pytest.mark.anyio
async def test_a_stream_begins_with_nothing_and_ends_with_the_end_marker() -> None:
    engine = FakeEngine(chunks=[GOOD[:100], GOOD[100:]])
    runs = await streamed(engine)
    assert (runs[0], b"".join(runs)) == (b"", public(GOOD))
    assert runs[-1].endswith(DONE)
    assert engine.open_streams == 0


@pytest.mark.anyio
async def test_usage_comes_before_the_end_marker_where_asked() -> None:
    body = role() + finish() + usage() + DONE
    runs = await streamed(FakeEngine(chunks=[body]), stream_options={"include_usage": True})
    assert b"".join(runs) == public(body)


@pytest.mark.anyio
async def test_a_refused_stream_raises_before_anything() -> None:
    completions, call = prepared(FakeEngine(refuses=Overloaded("busy")), stream=True)
    with pytest.raises(Overloaded):
        await anext(completions.stream(call, Tally()))


BREAKS: dict[str, tuple[list[bytes], Exception | None]] = {
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
    chunks, breaks = BREAKS[name]
    engine = FakeEngine(chunks=chunks, breaks=breaks)
    completions, call = prepared(engine, stream=True)
    runs = completions.stream(call, Tally())
    assert await anext(runs) == b""
    with pytest.raises(UpstreamError):
        await anext(runs)
    assert engine.open_streams == 0


@pytest.mark.anyio
@pytest.mark.parametrize("name", BREAKS)
async def test_a_failure_after_the_first_event_is_the_last_event(name: str) -> None:
    chunks, breaks = BREAKS[name]
    engine = FakeEngine(chunks=[role(), *chunks], breaks=breaks)
    body = b"".join(await streamed(engine))
    assert body.startswith(public(role()))
    assert schema.validate_failed_stream(body).error["code"] == "upstream_error"
    assert engine.open_streams == 0


@pytest.mark.anyio
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["no line end", "one line end"])
async def test_an_unterminated_first_event_is_sent_and_then_the_failure(end: bytes) -> None:
    body = b"".join(await streamed(FakeEngine(chunks=[role().rstrip(b"\n") + end])))
    assert len(schema.validate_failed_stream(body).chunks) == 1


@pytest.mark.anyio
async def test_a_break_after_the_end_marker_changes_nothing() -> None:
    engine = FakeEngine(chunks=[GOOD], breaks=UpstreamError("gone"))
    assert b"".join(await streamed(engine)) == public(GOOD)


@pytest.mark.anyio
async def test_a_bug_is_not_taken_for_a_failure_of_the_engine() -> None:
    with pytest.raises(ZeroDivisionError):
        await streamed(FakeEngine(chunks=[role()], breaks=ZeroDivisionError()))


@pytest.mark.anyio
async def test_closing_the_stream_closes_the_engine() -> None:
    engine = FakeEngine(chunks=[role(), word()])
    completions, call = prepared(engine, stream=True)
    runs = completions.stream(call, Tally())
    await anext(runs)
    await anext(runs)
    assert engine.open_streams == 1
    await runs.aclose()
    assert engine.open_streams == 0


@pytest.mark.anyio
async def test_an_engine_error_in_a_whole_reply_passes_through() -> None:
    completions, call = prepared(FakeEngine(refuses=Overloaded("busy")))
    with pytest.raises(ApiError, match="busy"):
        await completions.complete(call, Tally())
