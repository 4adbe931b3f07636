"""The JSON of a call, as a grammar makes an engine write it, becomes the call."""

import json
from typing import Any

import pytest

from functions.chat.engines.engine import Chunks, End, Event, Failure, Reply, Run
from functions.chat.errors import UpstreamError
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.grammar_call import GrammarCalls
from tests.engines import schema
from tests.unit.chat.chunks import DONE, MODEL, USAGE, choice, chunk, event, finish, role, usage, word

CALL = '{\n  "name": "f",\n  "arguments": {\n    "city": "Zürich"\n  }\n}'
# What the engine wrote, and why it stopped → the call's arguments, the text beside it, and the reason.
WRITTEN: dict[str, tuple[str, str, str | None, str | None, str]] = {
    "a call": (CALL, "stop", '{"city":"Zürich"}', None, "tool_calls"),
    "no arguments": ('{"name":"f","arguments":{}}', "stop", "{}", None, "tool_calls"),
    "cut in the arguments": (CALL[:-6], "length", CALL[32:-6], None, "length"),
    "cut before them": (CALL[:10], "length", None, CALL[:10], "length"),
    "cut at once": ("", "length", None, "", "length"),
    "whole at the limit": (CALL, "length", '{"city":"Zürich"}', None, "length"),
}


def streamed(*events: bytes, n: int = 1, include_usage: bool = False) -> list[Event]:
    reader = GrammarCalls(ChatStream(model=MODEL, n=n, include_usage=include_usage))
    out: list[Event] = []
    for each in events:
        out += reader.feed(each)
    out += reader.flush()
    assert reader.ended
    assert list(reader.flush()) == []
    return out


def whole(text: str | None, reason: str) -> list[Event]:
    reader = GrammarCalls(ChatReply(model=MODEL, n=1, request_id="abc"))
    body = {"choices": [{"message": {"content": text}, "finish_reason": reason}], "usage": USAGE}
    assert list(reader.feed(json.dumps(body).encode())) == []
    return list(reader.flush())


def check_calls(calls: list[dict[str, Any]], arguments: str | None) -> None:
    assert [call["function"] for call in calls] == (
        [] if arguments is None else [{"name": "f", "arguments": arguments}]
    )
    assert all(call["id"].startswith("call_") and call["type"] == "function" for call in calls)


@pytest.mark.parametrize("case", WRITTEN)
def test_a_whole_reply_has_the_call(case: str) -> None:
    text, stopped, arguments, content, reason = WRITTEN[case]
    reply, end = whole(text, stopped)
    assert isinstance(reply, Reply)
    only = schema.validate_completion(reply.value)["choices"][0]
    check_calls(only["message"].get("tool_calls", []), arguments)
    assert (only["message"]["content"], only["finish_reason"]) == (content, reason)
    assert end == End(USAGE)


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("case", WRITTEN)
def test_a_stream_has_the_call_at_its_end(case: str, include_usage: bool) -> None:
    text, stopped, arguments, content, reason = WRITTEN[case]
    pieces = [word(letter) for letter in text]
    events = streamed(role(), *pieces, finish(stopped), usage(), DONE, include_usage=include_usage)
    *held, chunks, end = events
    assert all(isinstance(each, Run) and each.data == b"" for each in held)
    assert isinstance(chunks, Chunks)
    checked = schema.check_stream(chunks.data + DONE, include_usage=include_usage)
    assert checked.chunks == chunks.values
    assert checked.text() == (content or "")
    calls = [call for each in checked.choices() for call in each["delta"].get("tool_calls", ())]
    check_calls(calls, arguments)
    assert checked.finish_reason() == reason
    assert end == End(USAGE)


def test_what_is_held_back_counts() -> None:
    events = streamed(role(), *(word(letter) for letter in CALL), finish(), DONE)
    assert sum(each.tokens for each in events if isinstance(each, Run | Chunks)) == len(CALL)


def test_each_choice_has_its_call() -> None:
    pieces = [word(letter, index) for letter in CALL for index in (0, 1)]
    *_, chunks, _ = streamed(role(), role(1), *pieces, finish(), finish(index=1), DONE, n=2)
    assert isinstance(chunks, Chunks)
    checked = schema.check_stream(chunks.data + DONE, n=2)
    ids = {
        call["id"]
        for i in (0, 1)
        for each in checked.choices(i)
        for call in each["delta"].get("tool_calls", ())
    }
    assert len(ids) == 2


def test_thoughts_leave_beside_the_call() -> None:
    thought = event(chunk(choice({"reasoning_content": "Hm"})))
    *_, chunks, _ = streamed(role(), thought, word(CALL), finish(), DONE)
    assert isinstance(chunks, Chunks)
    assert chunks.values[0]["choices"][0]["delta"]["reasoning_content"] == "Hm"


NO_CALLS = ["Paris is warm.", "", "{}", "[]", '"f"', "7", '{"name":"f"}', '{"arguments":{}}', CALL[:-1]]


@pytest.mark.parametrize("text", NO_CALLS)
def test_other_text_is_a_failure(text: str) -> None:
    for events in (whole(text, "stop"), streamed(role(), word(text), finish(), usage(), DONE)):
        failure = events[-1]
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, UpstreamError)
        assert failure.error.headers["x-should-retry"] == "false"
        assert failure.usage == USAGE
        assert not any(isinstance(each, Reply | Chunks | End) for each in events)


def test_failures_of_the_engine_pass() -> None:
    (failure,) = whole(None, "abort")
    assert isinstance(failure, Failure)
    *_, failure = streamed(role(), word("{"))
    assert isinstance(failure, Failure)
