import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.engines import schema

CREATED = 1795373005
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
ERROR = {"error": {"message": "gone", "type": "server_error", "param": None, "code": None}}


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    shape = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": "m"}
    return {**shape, "choices": list(choices), **fields}


def choice(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def sse(*values: object) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(value).encode() for value in values)


FIRST = chunk(choice({"role": "assistant", "content": ""}))
WORD = chunk(choice({"content": "word"}))
LAST = chunk(choice({}, "stop"))
USAGE_CHUNK = chunk(usage=USAGE)
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
GOOD = sse(FIRST, WORD, LAST) + DONE


def test_returns_the_chunks_of_a_good_stream() -> None:
    assert schema.validate_stream(GOOD) == [FIRST, WORD, LAST]


def test_reads_text_finish_reason_and_comments() -> None:
    stream = schema.check_stream(b": keep-alive\n\n" + GOOD)
    assert (stream.text(), stream.finish_reason(), stream.comments) == ("word", "stop", ["keep-alive"])
    assert stream.usage is None


def test_accepts_requested_usage() -> None:
    body = sse(FIRST, WORD | {"usage": None}, LAST, USAGE_CHUNK) + DONE
    assert schema.check_stream(body, include_usage=True).usage == USAGE


def test_accepts_two_choices_in_any_order() -> None:
    second = chunk(choice({"role": "assistant", "content": ""}, index=1))
    end = chunk(choice({}, "length", index=1))
    body = sse(second, FIRST, WORD, end, LAST) + DONE
    assert schema.check_stream(body, n=2).finish_reason(1) == "length"


def test_accepts_tool_calls() -> None:
    rest = {"index": 0, "function": {"arguments": "{}"}}
    calls = [chunk(choice({"tool_calls": [call]})) for call in (CALL, rest)]
    schema.validate_stream(sse(FIRST, *calls, chunk(choice({}, "tool_calls"))) + DONE)


def test_returns_the_error_of_a_failed_stream() -> None:
    failed = schema.validate_failed_stream(sse(FIRST, WORD, ERROR) + DONE)
    assert (failed.chunks, failed.error) == ([FIRST, WORD], ERROR["error"])


def test_a_failed_stream_is_not_a_good_one_nor_the_reverse() -> None:
    with pytest.raises(AssertionError, match="without error"):
        schema.validate_stream(sse(ERROR) + DONE)
    with pytest.raises(AssertionError, match="ended well"):
        schema.validate_failed_stream(GOOD)


def error_with(**fields: object) -> dict[str, Any]:
    return {"error": {**ERROR["error"], **fields}}


BROKEN = {
    "CRLF": (GOOD.replace(b"\n", b"\r\n"), "CR"),
    "no last blank line": (GOOD[:-1], "blank line at the end"),
    "no end marker": (sse(FIRST, LAST), "end with"),
    "two end markers": (GOOD + DONE, "once"),
    "an event after the end marker": (GOOD + sse(WORD), "end with"),
    "a comment after the end marker": (GOOD + b": bye\n\n", "nothing after"),
    "an empty body": (b"", "blank line at the end"),
    "an empty event": (b"data: \n\n" + GOOD, "JSON after"),
    "an extra blank line": (GOOD.replace(DONE, b"\n" + DONE), "one line per event"),
    "data without a space": (GOOD.replace(b"data: {", b"data:{", 1), "expected 'data: ...'"),
    "id line": (b"id: 1\n" + GOOD, "one line per event"),
    "retry event": (b"retry: 1\n\n" + GOOD, "expected 'data: ...'"),
    "event line": (b"event: ping\n" + GOOD, "one line per event"),
    "bare colon": (b":\n\n" + GOOD, "expected 'data: ...'"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, "expected 'data: ...'"),
    "two data lines": (GOOD.replace(b', "object"', b',\ndata: "object"', 1), "one line per event"),
    "half an event": (sse(FIRST) + b'data: {"id"\n\n' + DONE, "JSON after"),
    "not an object": (sse(FIRST, [1], LAST) + DONE, "JSON object"),
    "NaN": (GOOD.replace(str(CREATED).encode(), b"NaN"), "JSON after"),
    "not a chunk": (sse(FIRST, {"detail": "no"}, LAST) + DONE, "CreateChatCompletionStreamResponse"),
    "int code": (sse(FIRST, error_with(code=500)) + DONE, "ErrorResponse"),
    "error without param": (
        sse({"error": {"message": "", "type": "", "code": None}}) + DONE,
        "ErrorResponse",
    ),
    "string error": (sse({"error": "gone"}) + DONE, "ErrorResponse"),
    "engine's keys in the error": (sse(error_with(n_ctx=2048)) + DONE, "error keys"),
    "keys beside the error": (sse(ERROR | {"id": "x"}) + DONE, "the one key"),
    "error in the middle": (sse(FIRST, ERROR, LAST) + DONE, "CreateChatCompletionStreamResponse"),
    "other id": (sse(FIRST, LAST | {"id": "chatcmpl-2"}) + DONE, "one id"),
    "other model": (sse(FIRST, LAST | {"model": "x"}) + DONE, "one model"),
    "other time": (sse(FIRST, LAST | {"created": 1}) + DONE, "one created"),
    "no role": (sse(WORD, LAST) + DONE, "role and content"),
    "null content at first": (
        sse(chunk(choice({"role": "assistant", "content": None})), LAST) + DONE,
        "role and",
    ),
    "no choice at all": (DONE, "expected choices"),
    "no finish reason": (sse(FIRST, WORD) + DONE, "a finish_reason of choice 0"),
    "content after the finish reason": (sse(FIRST, LAST, WORD) + DONE, "nothing of choice 0 after"),
    "two finish reasons": (sse(FIRST, LAST, LAST) + DONE, "nothing of choice 0 after"),
    "unrequested usage": (sse(FIRST, LAST, USAGE_CHUNK) + DONE, "no usage"),
    "unrequested null usage": (sse(FIRST, LAST | {"usage": None}) + DONE, "no usage"),
    "chunk without choices": (sse(FIRST, chunk(), LAST) + DONE, "no usage and no chunk without"),
    "call without a name": (
        sse(FIRST, chunk(choice({"tool_calls": [{"index": 0}]})), LAST) + DONE,
        "id, type",
    ),
    "call begun twice": (
        sse(FIRST, *[chunk(choice({"tool_calls": [CALL]}))] * 2, LAST) + DONE,
        "arguments only",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_names_the_broken_rule(name: str) -> None:
    body, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rule):
        schema.check_stream(body)


@pytest.mark.parametrize(
    "chunks",
    [(FIRST, LAST), (FIRST, USAGE_CHUNK, LAST), (FIRST, WORD | {"usage": USAGE}, LAST, USAGE_CHUNK)],
    ids=["none", "not the last", "early too"],
)
def test_refuses_wrong_requested_usage(chunks: tuple[object, ...]) -> None:
    with pytest.raises(AssertionError, match="expected usage"):
        schema.check_stream(sse(*chunks) + DONE, include_usage=True)


def test_counts_choices() -> None:
    with pytest.raises(AssertionError, match="expected choices"):
        schema.check_stream(GOOD, n=2)


MESSAGE = {"role": "assistant", "content": "hi", "refusal": None}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": CREATED,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE, "logprobs": None, "finish_reason": "stop"}],
    "usage": USAGE,
}
MODEL = {"id": "m", "object": "model", "created": CREATED, "owned_by": "us"}
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("validate", "good", "bad"),
    [
        (schema.validate_completion, COMPLETION, {**COMPLETION, "choices": []}),
        (schema.validate_completion, COMPLETION, {**COMPLETION, "object": "text_completion"}),
        (schema.validate_chunk, FIRST, {**FIRST, "created": "now"}),
        (schema.validate_error, ERROR, {"detail": "no"}),
        (schema.validate_error, ERROR, []),
        (
            schema.validate_models,
            {"object": "list", "data": [MODEL]},
            {"object": "list", "data": [{"id": "m"}]},
        ),
        (schema.validate_request, {"model": "m", "messages": [USER]}, {"model": "m", "messages": []}),
        (schema.validate_request, {"model": "m", "messages": [USER], "top_k": 1}, {"model": "m"}),
    ],
)
def test_validates_bodies(validate: Callable[[object], Any], good: object, bad: object) -> None:
    validate(good)
    with pytest.raises(AssertionError, match="expected"):
        validate(bad)
