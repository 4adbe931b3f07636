"""A response made of a chat completion says what that said, in OpenAI's events and their order."""

import json
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat.engines.engine import Chunks, Event, Failure, Reply, Run
from functions.chat.errors import (
    ApiError,
    InvalidRequest,
    ModelWarming,
    Overloaded,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.response_items import CalledAs, CallItem
from functions.chat.streams.responses import ResponseWriter
from tests.engines.behaviours import split_every
from tests.engines.recordings import Recording, recordings
from tests.engines.responses import check_response_stream, events_of, text_of, validate_response
from tests.unit.chat.chunks import DONE, MODEL, choice, chunk, dumps, event, finish, role, usage, word
from tests.unit.chat.passing import passed
from tests.unit.chat.said import Said, said_by, said_in
from tests.unit.chat.streams.test_properties import CUTS, MANY, STEPS, STYLE, Steps, body_of, said_of, split

NUMBER = "0123456789abcdef" * 2
BASE: dict[str, Any] = {
    "model": MODEL,
    "instructions": None,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "metadata": {},
    "temperature": 0.7,
    "top_p": 1,
}
CALLS = {
    "shell__run": CalledAs("function", "run", "shell"),
    "patch": CalledAs("custom", "patch"),
}


COUNTED = {
    "prompt_tokens": 3,
    "prompt_tokens_details": {"cached_tokens": 1},
    "completion_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TOO_LONG = InvalidRequest("too long", code="context_length_exceeded")


def writer() -> ResponseWriter:
    return ResponseWriter(BASE, CALLS, NUMBER, now=lambda: 1795373005.5)


def written(events: Iterable[Event]) -> bytes:
    """Return what leaves of these events of a stream."""
    its = writer()
    out = b""
    for each in events:
        if isinstance(each, Run | Chunks):
            out += its.write(each)
        else:
            assert not isinstance(each, Reply)
            out += its.end(each)  # type: ignore[arg-type]
    return out


def streamed(parts: bytes | Iterable[bytes]) -> dict[str, Any]:
    """Pass a chat completion's stream; return the response, after its events have been checked."""
    reader = ChatStream(model=MODEL, as_values=True)
    events = [each for part in ([parts] if isinstance(parts, bytes) else parts) for each in reader.feed(part)]
    return check_response_stream(written([*events, *reader.flush()]))


def whole(body: bytes) -> dict[str, Any]:
    reader = ChatReply(model=MODEL, n=1, request_id="r")
    reader.feed(body)
    reply = next(each for each in reader.flush() if isinstance(each, Reply))
    return validate_response(writer().whole(reply.value))


def said_of_response(response: dict[str, Any]) -> Said:
    """Put a response's items together as what a chat completion says."""
    said = Said(text=text_of(response))
    for item in response["output"]:
        if item["type"] == "function_call":
            said.calls.append((item["call_id"], item["name"], item["arguments"]))
        for part in item.get("content", ()):
            said.reasoning += part["text"] if part["type"] == "reasoning_text" else ""
            said.refusal += part.get("refusal", "")
    reason = (response["incomplete_details"] or {}).get("reason")
    finished = "tool_calls" if said.calls else "stop"
    said.finish = {"max_output_tokens": "length", None: finished}.get(reason, reason)
    return said


def types(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


STREAMS = [
    each
    for each in recordings("*/stream_*")
    if each.status == 200 and "n2" not in each.case and "sigterm" not in each.case
]
WHOLE = [
    each
    for each in recordings("*/chat_*")
    if each.status == 200 and not each.is_stream and "n2" not in each.case
]


@pytest.mark.parametrize("recording", STREAMS, ids=str)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_recorded_stream_says_the_same_as_a_response(recording: Recording, size: int) -> None:
    response = streamed(split_every(recording.body, size))
    result = passed(recording.body)
    (said,) = said_in(result)
    found = said_of_response(response)
    if said.finish == "length":
        assert response["status"] == response["output"][-1]["status"] == "incomplete"
    assert found == said
    assert response["usage"]["output_tokens"] == (result.usage or {}).get("completion_tokens", 0)


@pytest.mark.parametrize("recording", WHOLE, ids=str)
def test_a_recorded_whole_reply_says_the_same_as_a_response(recording: Recording) -> None:
    reader = ChatReply(model=MODEL, n=1, request_id="r")
    reader.feed(recording.body)
    reply = next(each for each in reader.flush() if isinstance(each, Reply)).value
    response = whole(recording.body)
    assert [said_of_response(response)] == said_by(reply)
    assert response["usage"]["input_tokens"] == reply["usage"]["prompt_tokens"]


@MANY
@given(steps=STEPS, style=STYLE, cuts=CUTS)
def test_a_response_says_all_that_an_engine_streams(
    steps: Steps, style: dict[str, Any], cuts: list[int]
) -> None:
    response = streamed(split(body_of(steps, style), cuts))
    found, expected = said_of_response(response), said_of(steps)
    expected.calls = [(call_id, name, text or "{}") for call_id, name, text in expected.calls]
    found.text, expected.text = _utf8(found.text), _utf8(expected.text)
    assert found == expected


def _utf8(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@MANY
@given(steps=STEPS, style=STYLE, size=st.integers(0, 2000))
def test_a_stream_that_is_cut_anywhere_is_whole_or_failed(
    steps: Steps, style: dict[str, Any], size: int
) -> None:
    body = body_of(steps, style)
    response = streamed(body[:size])
    if size >= len(body):
        assert response["status"] == "completed"
    assert response["status"] in ("completed", "failed")


def tool(place: int, text: str, name: str = "", **fields: Any) -> bytes:
    """Return the event of a piece of a call; the first has its name."""
    function = {"name": name, "arguments": text} if name else {"arguments": text}
    begun = {"id": f"call_{place}", "type": "function"} if name else {}
    return event(chunk(choice({"tool_calls": [{"index": place, **begun, "function": function, **fields}]})))


def test_one_item_is_open_at_a_time_and_each_is_written_in_full() -> None:
    response = streamed(
        role()
        + event(chunk(choice({"reasoning_content": "Let me"})))
        + event(chunk(choice({"reasoning_content": " see."})))
        + word("It is")
        + word(" here.")
        + event(chunk(choice({"refusal": "No more."})))
        + event(chunk(choice({"reasoning": "Hm."})))
        + tool(0, '{"a"', "f")
        + tool(0, ": 1}")
        + finish("tool_calls")
        + usage(usage=COUNTED)
        + DONE
    )
    digits = NUMBER
    assert response["output"] == [
        {
            "id": f"rs_{digits}0",
            "type": "reasoning",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Let me see."}],
        },
        {
            "id": f"msg_{digits}1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "It is here.", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "No more."},
            ],
        },
        {
            "id": f"rs_{digits}2",
            "type": "reasoning",
            "status": "completed",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "Hm."}],
        },
        {
            "id": f"fc_{digits}3",
            "type": "function_call",
            "call_id": "call_0",
            "name": "f",
            "arguments": '{"a": 1}',
            "status": "completed",
        },
    ]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 8,
    }
    assert (response["id"], response["created_at"]) == (f"resp_{digits}", 1795373005)


@pytest.mark.parametrize(
    "pieces",
    [
        [(0, '{"a": 1}', "f"), (1, '{"b": 2}', "g")],
        [(0, '{"a"', "f"), (1, '{"b"', "g"), (0, ": 1}", ""), (1, ": 2}", "")],
        [(0, "", "f"), (1, "", "g"), (1, '{"b": 2}', ""), (0, '{"a": 1}', "")],
        [(0, '{"a"', "f"), (1, '{"b": 2}', "g"), (0, ": 1}", ""), (1, "", ""), (0, "", "")],
    ],
    ids=["in turn", "mixed", "the later first", "with nothing more"],
)
def test_calls_whose_pieces_are_mixed_leave_one_after_the_other(pieces: list[tuple[int, str, str]]) -> None:
    response = streamed(role() + b"".join(tool(*each) for each in pieces) + finish("tool_calls") + DONE)
    assert said_of_response(response).calls == [("call_0", "f", '{"a": 1}'), ("call_1", "g", '{"b": 2}')]


@settings(MANY, max_examples=30)
@given(
    arguments=st.lists(st.sampled_from(['{"a": {"b": 1}}', "{}", '{"a": "}"} ', '{"cut', ""]), max_size=4),
    order=st.lists(st.integers(-1, 3), max_size=60),
)
def test_however_calls_and_text_are_mixed_each_is_whole(arguments: list[str], order: list[int]) -> None:
    rest = dict(enumerate(arguments))
    places: dict[int, int] = {}  # as the engine numbers them, in the order in which they begin
    body, words = role(), ""
    for place in [*order, *(place for place in rest for _ in range(20))]:
        if place < 0:
            words += " word"
            body += word()
        elif place in rest:
            name = "" if place in places else f"f{place}"
            number = places.setdefault(place, len(places))
            body += tool(number, rest[place][:1], name)
            rest[place] = rest[place][1:]
    said = said_of_response(streamed(body + finish() + DONE))
    assert said.text == words
    assert sorted((name, text.rstrip()) for _, name, text in said.calls) == [
        (f"f{place}", text.rstrip() or "{}") for place, text in enumerate(arguments)
    ]


@pytest.mark.timeout(20)
def test_long_calls_may_be_mixed() -> None:
    """Each piece is looked at a few times, however many are held back: it took minutes."""
    pieces = b"".join(tool(place, " word", "") for _ in range(2000) for place in (0, 1))
    body = role() + tool(0, '{"a": "', "f") + tool(1, '{"a": "', "g") + pieces
    response = streamed(body + tool(0, '"}') + tool(1, '"}') + finish("tool_calls") + DONE)
    arguments = f'{{"a": "{" word" * 2000}"}}'
    assert said_of_response(response).calls == [("call_0", "f", arguments), ("call_1", "g", arguments)]


@pytest.mark.parametrize(("reason", "arguments"), [("tool_calls", "{}"), ("stop", "{}"), ("length", "")])
def test_a_call_without_arguments_has_those_of_none_unless_it_was_cut(reason: str, arguments: str) -> None:
    message = {"content": None, "tool_calls": [{"id": "call_0", "function": {"name": "f", "arguments": ""}}]}
    body = dumps({"choices": [{"message": message, "finish_reason": reason}]})
    for response in (streamed(role() + tool(0, "", "f") + finish(reason) + DONE), whole(body)):
        assert said_of_response(response).calls == [("call_0", "f", arguments)]


def test_a_function_call_of_the_old_kind_is_a_call() -> None:
    old = [{"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ": 1}"}]
    deltas = b"".join(event(chunk(choice({"function_call": each}))) for each in old)
    response = streamed(role() + deltas + finish("function_call") + DONE)
    ((_, *call),) = said_of_response(response).calls
    assert call == ["f", '{"a": 1}']
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    body = dumps({"choices": [{"message": message, "finish_reason": "function_call"}]})
    assert types(whole(body)) == ["function_call"]
    both = choice({**message, "tool_calls": [{"id": "a", "function": message["function_call"]}]})
    assert types(streamed(role() + event(chunk(both)) + finish("tool_calls") + DONE)) == ["function_call"]


def test_text_between_the_pieces_of_a_call_comes_after_it() -> None:
    body = role() + tool(0, '{"a"', "f") + word("So.") + tool(0, ": 1}") + finish("tool_calls") + DONE
    response = streamed(body)
    assert types(response) == ["function_call", "message"]
    assert said_of_response(response).calls == [("call_0", "f", '{"a": 1}')]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"input": "*** Begin\\n\\"é\\""}', '*** Begin\n"é"'),
        (' {\n "input" : "line\nline"}', "line\nline"),
        ('{"input": "cut \\u00e9 \\u00', "cut é "),
        ('{"input": ""}', ""),
        ('{"patch": "x"}', '{"patch": "x"}'),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_custom_tool_is_called_with_its_input(arguments: str, given: str) -> None:
    pieces = [arguments[:9], arguments[9:]]
    response = streamed(
        role() + tool(0, pieces[0], "patch") + tool(0, pieces[1]) + finish("tool_calls") + DONE
    )
    (item,) = response["output"]
    assert item == {
        "id": f"ctc_{NUMBER}0",
        "type": "custom_tool_call",
        "call_id": "call_0",
        "name": "patch",
        "input": given,
    }


def test_reading_a_long_input_keeps_little_beside_it() -> None:
    item = CallItem({"index": 0, "id": "a"}, CALLS["patch"], NUMBER, 0)
    item.pieces.append('{"input": "' + "a\\n" * 300_000)
    tracemalloc.start()
    try:
        assert len(item.input()) == 600_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000, "it was 130 bytes for each"
    finally:
        tracemalloc.stop()


def test_a_function_of_a_namespace_has_its_own_name() -> None:
    response = streamed(role() + tool(0, "{}", "shell__run") + finish("tool_calls") + DONE)
    (item,) = response["output"]
    assert (item["namespace"], item["name"]) == ("shell", "run")


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_response_ends_as_its_completion_did(reason: str, status: str, details: Any) -> None:
    response = streamed(role() + word() + finish(reason) + DONE)
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"][-1]["status"] == status


def test_a_reply_of_nothing_is_an_empty_message() -> None:
    (item,) = streamed(role() + finish() + DONE)["output"]
    assert item["content"] == [{"type": "output_text", "text": "", "annotations": [], "logprobs": []}]


def test_log_probabilities_are_in_the_deltas_and_in_the_part() -> None:
    other = {"token": "x", "logprob": -1, "bytes": [120]}
    token = {"token": " é", "logprob": -0.5, "bytes": None, "top_logprobs": [other]}
    of = {"logprobs": {"content": [token]}}
    body = (
        role()
        + event(chunk(choice({"content": ""}, **of)))
        + event(chunk(choice({"content": " é"}, **of)))
        + event(chunk(choice({"content": ""}, "stop", **of)))
        + DONE
    )
    (part,) = streamed(body)["output"][0]["content"]
    assert [each["bytes"] for each in part["logprobs"]] == [[32, 195, 169]] * 3
    reader = ChatStream(model=MODEL, as_values=True)
    (delta,) = [each for each in events_of(written([*reader.feed(body), *reader.flush()])) if "delta" in each]
    assert (
        delta["logprobs"]
        == [{"token": " é", "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -1}]}] * 2
    )


def test_log_probabilities_of_what_the_model_thought_are_not_those_of_its_text() -> None:
    each_of = [{"content": [{"token": text, "logprob": -1}]} for text in ("Hm", "So")]
    thought = event(chunk(choice({"reasoning": "Hm"}, logprobs=each_of[0])))
    said = event(chunk(choice({"content": "So"}, logprobs=each_of[1])))
    _, message = streamed(role() + thought + said + finish() + DONE)["output"]
    assert [each["token"] for each in message["content"][0]["logprobs"]] == ["So"]
    tokens = [{"token": each, "logprob": -1} for each in ("Hm", "</think>", "So", " it", "<end>")]
    said_whole = {"content": "So it", "reasoning": "Hm"}
    only = {"message": said_whole, "finish_reason": "stop", "logprobs": {"content": tokens}}
    _, message = whole(dumps({"choices": [only]}))["output"]
    assert [each["token"] for each in message["content"][0]["logprobs"]] == ["So", " it"]


@pytest.mark.parametrize("begun", [b"", role(), role() + word(), role() + tool(0, "{", "f")])
@pytest.mark.parametrize(
    ("error", "code", "known"),
    [
        (UpstreamError("broken"), "upstream_error", "server_error"),
        (UpstreamTimeout("late"), "timeout", "server_error"),
        (ModelWarming("m", retry_after_s=5), "model_warming", "server_error"),
        (Overloaded("full"), "server_is_overloaded", "rate_limit_exceeded"),
        (RateLimited("often"), "rate_limit_exceeded", "rate_limit_exceeded"),
        (TOO_LONG, "context_length_exceeded", "invalid_prompt"),
        (InvalidRequest("wrong"), "invalid_request_error", "invalid_prompt"),
    ],
)
def test_a_failure_is_an_error_event_and_then_a_failed_response(
    begun: bytes, error: ApiError, code: str, known: str
) -> None:
    events: list[Event] = [*ChatStream(model=MODEL, as_values=True).feed(begun)]
    sent = events_of(written([*events, Failure(error, {"prompt_tokens": 3})]))
    assert sent[-2]["error"] == {"message": error.message, "type": error.type, "param": None, "code": code}
    response = sent[-1]["response"]
    assert response["error"] == {"code": known, "message": error.message}
    assert response["usage"]["input_tokens"] == 3
    assert [item["status"] for item in response["output"]] == ["incomplete"] * len(response["output"])
    check_response_stream(written([*events, Failure(error)]))


def test_line_separators_and_half_pairs_leave_as_escapes() -> None:
    body = role() + event(chunk(choice({"content": "a\u2028b\x85"}))) + finish() + DONE
    half = json.dumps(chunk(choice({"content": "\ud83d"}))).encode()
    reader = ChatStream(model=MODEL, as_values=True)
    body = role() + b"data: " + half + b"\n\n" + body.removeprefix(role())
    out = written([*reader.feed(body), *reader.flush()])
    assert len(out.decode().splitlines()) == out.count(b"\n")
    assert text_of(check_response_stream(out)) == "\ud83da\u2028b\x85"
