"""What engines send in the field, one table for each kind: streamed and whole, with what has to leave."""

import json
import re
from typing import Any

import pytest

from functions.chat.errors import ApiError, UpstreamError
from tests.unit.chat.chunks import DONE, MODEL, USAGE, choice, chunk, event, finish, role, usage, word
from tests.unit.chat.passing import Passed, passed
from tests.unit.chat.said import Said, said_by, said_in, whole

OURS = re.compile(r"call_[0-9a-f]{24}")


def stream(*deltas: Any, reason: Any = "stop") -> bytes:
    return b"".join(event(chunk(choice(delta))) for delta in deltas) + finish(reason) + DONE


def completion(message: Any, reason: Any = "stop", **choice_fields: Any) -> dict[str, Any]:
    only = {"index": 0, "message": message, "finish_reason": reason, **choice_fields}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [only],
        "usage": USAGE,
    }


def known(calls: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Replace ids of ours, which differ each time."""
    return [("ours" if OURS.fullmatch(call_id) else call_id, name, text) for call_id, name, text in calls]


# Tool calls: pieces of `tool_calls`, each list of one delta; and what the calls have to be.


def f(arguments: Any = ..., name: Any = "f", **more: Any) -> dict[str, Any]:
    inner = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not ...}
    return {"function": inner, **more}


def args(text: Any, **more: Any) -> dict[str, Any]:
    return f(text, name=..., **more)


CALLS: dict[str, tuple[list[Any], list[tuple[str, str, str]]]] = {
    "no index": (
        [[f("{", id="a1")], [args("}")], [f("{}", id="a2")]],
        [("a1", "f", "{}"), ("a2", "f", "{}")],
    ),
    "no index, in one list": ([[f("{}", id="a1"), f("{}", id="a2")]], [("a1", "f", "{}"), ("a2", "f", "{}")]),
    "index 0 for every call": (
        [[f("{}", id="a1", index=0)], [f("{}", id="a2", index=0)]],
        [("a1", "f", "{}"), ("a2", "f", "{}")],
    ),
    "index from 1": (
        [[f("{", id="a", index=1)], [args("}", index=1)], [f("{}", id="b", index=2)]],
        [("a", "f", "{}"), ("b", "f", "{}")],
    ),
    "null index": ([[f("{", id="a", index=None)], [args("}", index=None)]], [("a", "f", "{}")]),
    "interleaved": (
        [
            [f("", id="a", index=0)],
            [f("", "g", id="b", index=1)],
            [args("{}", index=0)],
            [args("[]", index=1)],
        ],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "interleaved by id": (
        [[f("", id="a")], [f("", "g", id="b")], [args("{}", id="a")], [args("[]", id="b")]],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "id, type and name in every piece": (
        [[f(text, id="a", type="function", index=0)] for text in ("", '{"x":', "1}", "")],
        [("a", "f", '{"x":1}')],
    ),
    "name in every piece, no id": (
        [[f(text, index=0)] for text in ("", '{"x":', "1}", "")],
        [("ours", "f", '{"x":1}')],
    ),
    "no ids, whole calls": (
        [[f('{"x":1}')], [f('{"x":2}')]],
        [("ours", "f", '{"x":1}'), ("ours", "f", '{"x":2}')],
    ),
    "no ids, whole calls under one index": (
        [[f("{}", index=0)], [f("{}", "g", index=0)]],
        [("ours", "f", "{}"), ("ours", "g", "{}")],
    ),
    "no ids, one list": ([[f(""), f("")]], [("ours", "f", ""), ("ours", "f", "")]),
    "empty ids": ([[f("{", id="", index=0)], [args("}", id="", index=0)]], [("ours", "f", "{}")]),
    "null members later": (
        [
            [f("{", id="a", index=0)],
            [{"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": "}"}}],
        ],
        [("a", "f", "{}")],
    ),
    "number as id": ([[f("{", id=7)], [args("}", id=7)]], [("7", "f", "{}")]),
    "the id comes late": ([[f("{", index=0)], [args("}", index=0, id="a")]], [("ours", "f", "{}")]),
    "the name comes late": (
        [[{"index": 0, "id": "a"}], [f("{", index=0)], [args("}", index=0)]],
        [("a", "f", "{}")],
    ),
    "the name comes after arguments": ([[args("{", index=0, id="a")], [f("}", index=0)]], [("a", "f", "{}")]),
    "one id for two calls": (
        [[f("{}", id="a", index=0)], [f("{}", "g", id="a", index=1)]],
        [("a", "f", "{}"), ("ours", "g", "{}")],
    ),
    "arguments as an object": ([[f({"x": 1}, id="a")]], [("a", "f", '{"x":1}')]),
    "arguments as an array": ([[f([1], id="a")]], [("a", "f", "[1]")]),
    "parameters in place of arguments": (
        [[{"id": "a", "function": {"name": "f", "parameters": {"x": 1}}}]],
        [("a", "f", '{"x":1}')],
    ),
    "two pieces of a call in one list": ([[f("{", id="a", index=0), args("}", index=0)]], [("a", "f", "{}")]),
    "null arguments": ([[f(None, id="a", index=0)], [args("{}", index=0)]], [("a", "f", "{}")]),
    "no arguments": ([[f(id="a", index=0)]], [("a", "f", "")]),
    "no inner object": ([[{"id": "a", "name": "f", "arguments": {"x": 1}}]], [("a", "f", '{"x":1}')]),
    "an object in place of the array": ([f("{}", id="a")], [("a", "f", "{}")]),
    "no type": ([[f("{}", id="a", index=0)]], [("a", "f", "{}")]),
    "another type": ([[f("{}", id="a", index=0, type="tool")]], [("a", "f", "{}")]),
    "custom": ([[{"id": "a", "type": "custom", "custom": {"name": "c", "input": "x"}}]], [("a", "c", "x")]),
    "two objects as a custom input": (
        [[{"id": "a", "type": "custom", "custom": {"name": "c", "input": '{"x":1}\n{"x":2}'}}]],
        [("a", "c", '{"x":1}\n{"x":2}')],
    ),
    "nothing in a list": ([[], [None], [{}], [{"index": 0, "function": {}}]], []),
    "null": ([None], []),
}
# The contract has no custom calls in a stream; a whole reply has no pieces.
ONLY_WHOLE = {"custom", "two objects as a custom input"}
ONLY_STREAMED = {
    name for name, (lists, calls) in CALLS.items() if sum(map(len, filter(None, lists))) > len(calls)
}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - ONLY_WHOLE))
def test_streamed_calls_are_whole(name: str) -> None:
    lists, expected = CALLS[name]
    deltas = [{"tool_calls": pieces} for pieces in lists]
    result = passed(role() + stream(*deltas, reason="tool_calls" if expected else "stop"))
    (said,) = said_in(result)
    assert known(said.calls) == expected


@pytest.mark.parametrize("name", sorted(CALLS.keys() - ONLY_STREAMED))
def test_whole_calls_are_in_the_shape_of_the_contract(name: str) -> None:
    lists, expected = CALLS[name]
    calls = (
        lists[0]
        if lists == [None] or isinstance(lists[0], dict)
        else [each for pieces in lists for each in pieces]
    )
    reply = whole(completion({"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"))
    (said,) = said_by(reply)
    assert known(said.calls) == expected
    assert isinstance(reply, dict)
    message = reply["choices"][0]["message"]
    assert bool(expected) == ("tool_calls" in message)
    assert not any("index" in call for call in message.get("tool_calls", ()))


def test_a_stream_that_begins_with_a_call_has_a_first_delta_as_any_other() -> None:
    result = passed(stream({"tool_calls": [f("{}", id="a")]}, reason="tool_calls"))
    (said,) = said_in(result)
    assert said.calls == [("a", "f", "{}")]
    assert result.chunks[0]["choices"][0]["delta"]["content"] == ""


AMBIGUOUS: dict[str, list[Any]] = {
    "arguments of no call": [[args("{}")]],
    "arguments under an index of no call": [[f("{}", id="a", index=0)], [args("{}", index=1)]],
    "one id under two indices": [[f("{", id="a", index=0)], [args("}", id="a", index=1)]],
    "two names of one call": [[f("", id="a")], [f("", "g", id="a")]],
    "a name in two pieces": [[f("", "get_", id="a", index=0)], [f("{}", "weather", index=0)]],
    "a call that comes again whole": [[f('{"x":', id="a")], [args("1}")], [f('{"x":1}', id="a")]],
    "another name in the middle of arguments": [[f("{", index=0)], [f("}", "g", index=0)]],
    "arguments after an object": [[f({"x": 1}, id="a")], [args("{}", id="a")]],
    "an object after arguments": [[f("{", id="a")], [args({"x": 1}, id="a")]],
    "an empty object before the arguments": [[f("{}", id="a", index=0)], [args('{"x":1}', index=0)]],
    "the arguments twice": [[f('{"x":{}}', id="a", index=0)], [args(' {"x":{}}', index=0)]],
    "no name": [[{"id": "a", "function": {"arguments": "{}"}}]],
    "text": ["f()"],
    "a number": [[1]],
    "an index that is none": [[f("{}", id="a", index="0")]],
    "a negative index": [[f("{}", id="a", index=-1)]],
    "an id that is none": [[f("{}", id=["a"])]],
    "a name that is none": [[f("{}", name=["f"], id="a")]],
    "a function that is none": [[{"id": "a", "function": "f"}]],
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_call_fails_the_stream(name: str) -> None:
    result = passed(role() + stream(*({"tool_calls": each} for each in AMBIGUOUS[name]), reason="tool_calls"))
    assert isinstance(result.failure, UpstreamError)
    assert "x-should-retry" in result.failure.headers


# What a message says: the delta or message, and the choice that has to leave.

MESSAGES: dict[str, tuple[dict[str, Any], Said]] = {
    "text": ({"content": "Hello"}, Said("Hello")),
    "no calls": ({"content": "Hi", "tool_calls": []}, Said("Hi")),
    "null calls": ({"content": "Hi", "tool_calls": None, "function_call": None, "audio": None}, Said("Hi")),
    "text parts": (
        {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        Said("Hello"),
    ),
    "one part": ({"content": {"type": "text", "text": "Hello"}}, Said("Hello")),
    "output_text": (
        {"content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
        Said("Hello"),
    ),
    "a part without a type": ({"content": [{"text": "Hello"}]}, Said("Hello")),
    "a null text": ({"content": [{"type": "text", "text": None}]}, Said()),
    "strings as parts": ({"content": ["Hel", "lo"]}, Said("Hello")),
    "no parts": ({"content": []}, Said()),
    "text in place of content": ({"content": None, "text": "Hello"}, Said("Hello")),
    "text beside content": ({"content": "Hello", "text": "Hello"}, Said("Hello")),
    "empty audio and call": ({"content": "Hi", "audio": {}, "function_call": {}}, Said("Hi")),
    "thinking": (
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hello"}]},
        Said("Hello", "hm"),
    ),
    "nested thinking": (
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        Said(reasoning="hm"),
    ),
    "a refusal part": ({"content": [{"type": "refusal", "refusal": "No"}]}, Said(refusal="No")),
    "a refusal": ({"content": None, "refusal": "No"}, Said(refusal="No")),
    "reasoning": ({"content": None, "reasoning": "hm"}, Said(reasoning="hm")),
    "reasoning_content": ({"content": None, "reasoning_content": "hm"}, Said(reasoning="hm")),
    "thinking beside the text": ({"content": "Hi", "thinking": "hm"}, Said("Hi", "hm")),
    "reasoning_text": ({"content": "Hi", "reasoning_text": "hm"}, Said("Hi", "hm")),
    "both names": ({"content": "Hi", "reasoning": "hm", "reasoning_content": "hm"}, Said("Hi", "hm")),
    "one name empty": ({"content": "Hi", "reasoning": "", "reasoning_content": "hm"}, Said("Hi", "hm")),
    "null reasoning": ({"content": "Hi", "reasoning": None, "reasoning_content": None}, Said("Hi")),
    "reasoning parts": ({"reasoning": [{"type": "text", "text": "hm"}], "content": ""}, Said(reasoning="hm")),
    "nothing": ({}, Said()),
    "another role": ({"role": "model", "content": "Hi"}, Said("Hi")),
    "line separators": ({"content": "a\u2028b\u2029c\u0085d"}, Said("a\u2028b\u2029c\u0085d")),
    "half of a pair": ({"content": "a\ud83d"}, Said("a\ud83d")),
}


@pytest.mark.parametrize("begun", [False, True], ids=["first", "later"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_delta_says_all_that_the_engine_said(name: str, begun: bool) -> None:
    delta, expected = MESSAGES[name]
    body = b"".join(
        event(chunk(choice(d))) for d in ([{"role": "assistant", "content": ""}] if begun else [])
    )
    odd = (b"data: " + _ascii(chunk(choice(delta))) + b"\n\n") * 3
    result = passed(body + odd + finish() + DONE)
    (said,) = said_in(result)
    thrice = Said(expected.text * 3, expected.reasoning * 3, expected.refusal * 3, finish="stop")
    assert said == thrice
    assert not re.search("[\u0085\u2028\u2029]", result.out.decode())


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_says_all_that_the_engine_said(name: str) -> None:
    message, expected = MESSAGES[name]
    reply = whole(completion(message, "length"))
    (said,) = said_by(reply)
    expected.finish = "length"
    assert said == expected
    assert isinstance(reply, dict)
    assert not {"tool_calls", "function_call", "thinking"} & reply["choices"][0]["message"].keys()
    is_silent = not (expected.reasoning or expected.refusal)
    assert (reply["choices"][0]["message"]["content"] is not None) or not is_silent


def _ascii(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


LOST: dict[str, Any] = {
    "an image": {"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
    "an unknown part": {"content": [{"type": "text", "text": "a"}, {"type": "tool_result", "x": 1}]},
    "a part of no text": {"content": [{"type": "text"}]},
    "a number": {"content": 7},
    "a null part": {"content": [None]},
    "reasoning that contradicts itself": {"reasoning": "a", "reasoning_content": "b"},
    "reasoning of another kind": {"reasoning": 7},
    "a call as text": {"function_call": "f()"},
}


@pytest.mark.parametrize("choices", [7, True, "x", [7], [[]]], ids=str)
def test_choices_that_are_none_fail_the_reply(choices: Any) -> None:
    assert isinstance(passed(role() + event({"choices": choices})).failure, UpstreamError)
    assert isinstance(whole({"choices": choices}), UpstreamError)


@pytest.mark.parametrize("name", LOST)
def test_what_would_be_lost_fails_the_reply(name: str) -> None:
    assert isinstance(passed(role() + stream(LOST[name])).failure, UpstreamError)
    assert isinstance(whole(completion(LOST[name])), UpstreamError)


def test_a_function_call_of_the_old_kind_has_a_name() -> None:
    assert isinstance(whole(completion({"function_call": {"arguments": "{}"}})), UpstreamError)
    reply = whole(completion({"function_call": {"name": "f", "arguments": {"x": 1}}}, "function_call"))
    assert isinstance(reply, dict)
    call = reply["choices"][0]["message"]["function_call"]
    assert call == {"name": "f", "arguments": '{"x":1}'}


@pytest.mark.parametrize(
    "line",
    [
        word().replace(b"data:", b"Data:"),
        b"\0" + word(),
        word().replace(b"data: ", b"data "),
        b'error: {"code":500}\n\n',
    ],
)
def test_an_object_in_no_field_of_an_event_fails_the_stream(line: bytes) -> None:
    assert isinstance(passed(role() + line + finish() + DONE).failure, UpstreamError)


def test_an_error_within_a_choice_is_one() -> None:
    failed = {"error": {"code": 429, "message": "Rate limit exceeded"}}
    streamed = passed(
        role() + word("Hi") + event(chunk({**choice({"content": ""}, "stop"), **failed})) + DONE
    )
    for failure in (streamed.failure, whole(completion({"content": "Hi"}, **failed))):
        assert isinstance(failure, ApiError)
        assert failure.status == 429


def test_log_probabilities_are_complete() -> None:
    sent = {"content": [{"token": "Hi", "logprob": -1, "top_logprobs": [{"token": "Hi", "logprob": -1}]}]}
    bare = {"content": [{"token": "Hi", "logprob": -1, "bytes": [72, 105], "top_logprobs": None}]}
    for logprobs, alternatives in ((sent, [{"bytes": None, "token": "Hi", "logprob": -1}]), (bare, [])):
        streamed = passed(
            role() + event(chunk(choice({"content": "Hi"}, logprobs=logprobs))) + finish() + DONE
        )
        said_in(streamed)
        reply = whole(completion({"content": "Hi"}, logprobs=logprobs))
        assert isinstance(reply, dict)
        for left in (streamed.chunks[1], reply):
            assert left["choices"][0]["logprobs"]["content"][0]["top_logprobs"] == alternatives
    impossible = {"content": [{"token": "Hi", "logprob": None}]}
    reply = whole(completion({"content": "Hi"}, logprobs=impossible))
    assert isinstance(reply, dict)
    assert reply["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999
    for no_logprobs in (7, "x", {"content": [7]}, {"content": 7}, {"content": [{"token": "Hi"}]}):
        assert isinstance(whole(completion({"content": "Hi"}, logprobs=no_logprobs)), UpstreamError)


# Finish reasons: what comes, and what leaves; None for an engine that did not end by itself.

REASONS = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn", "repetition", "STOP"), "stop"),
    **dict.fromkeys(("COMPLETE", "FINISHED", "end_of_turn", "stop_words", "FINISH_REASON_STOP"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "MAX_TOKENS", "token_limit"), "length"),
    **dict.fromkeys(("max_new_tokens", "out_of_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("tool_calls", "tool_use", "TOOL_CALL", "tool-calls"), "tool_calls"),
    **dict.fromkeys(("content_filter", "SAFETY", "guardrail_intervened", "content-filter"), "content_filter"),
    **dict.fromkeys(("content_filter: RECITATION", "PROHIBITED_CONTENT", "sensitive"), "content_filter"),
    "function_call": "function_call",
    **dict.fromkeys(
        ("abort", "error", "tired", "ABORT", "OTHER", "network_error", "MALFORMED_FUNCTION_CALL")
    ),
    **dict.fromkeys(("function_call_filter: MALFORMED_FUNCTION_CALL", "insufficient_system_resource")),
}


@pytest.mark.parametrize("reason", REASONS)
def test_finish_reasons_are_those_of_the_contract(reason: str) -> None:
    result, reply = (
        passed(role() + stream({"content": "Hi"}, reason=reason)),
        whole(completion({"content": "Hi"}, reason)),
    )
    if expected := REASONS[reason]:
        assert [said_in(result), said_by(reply)] == [[Said("Hi", finish=expected)]] * 2
    else:
        assert isinstance(result.failure, UpstreamError)
        assert isinstance(reply, UpstreamError)


@pytest.mark.parametrize("reason", ["stop", "STOP", "eos_token", "length", "content_filter", "tool_calls"])
def test_a_call_that_ended_by_itself_is_why_the_choice_ended(reason: str) -> None:
    calls = {"content": None, "tool_calls": [f("{}", id="a", index=0)]}
    expected = reason if reason in ("length", "content_filter") else "tool_calls"
    (streamed,), (said,) = (
        said_in(passed(role() + stream(calls, reason=reason))),
        said_by(whole(completion(calls, reason))),
    )
    assert (streamed.finish, said.finish) == (expected, expected)


@pytest.mark.parametrize("reason", [None, "", "null", 7, {}, []], ids=repr)
def test_a_whole_reply_has_a_finish_reason(reason: Any) -> None:
    assert isinstance(whole(completion({"content": "Hi"}, reason)), UpstreamError)


# Streams as a whole: bodies, and what has to leave of them.

BODIES: dict[str, tuple[bytes, Said]] = {
    "empty reasons while it runs": (
        b"".join(event(chunk(choice({"content": t}, ""))) for t in ("Hel", "lo")) + finish() + usage() + DONE,
        Said("Hello", finish="stop"),
    ),
    "null as text while it runs": (
        role() + event(chunk(choice({"content": "Hi"}, "null"))) + finish() + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "comments while it waits": (
        b": OPENROUTER PROCESSING\n\n" * 3 + role() + word("Hi") + finish() + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "spaces around the data": (
        (role() + word("Hi") + finish() + usage() + DONE)
        .replace(b"data: ", b"data:  ")
        .replace(b"\n\n", b" \n\n"),
        Said("Hi", finish="stop"),
    ),
    "an empty error": (
        role(error=None) + word("Hi", error={}) + finish(error="") + usage(error=None) + DONE,
        Said("Hi", finish="stop"),
    ),
    "what a filter found, before, between and after": (
        event({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []})
        + role()
        + event(chunk({"index": 0, "finish_reason": None, "content_filter_results": {}}, id="", created=0))
        + word("Hi")
        + finish()
        + event(chunk({"index": 0, "finish_reason": None, "content_filter_offsets": {}}, id="", created=0))
        + usage()
        + DONE,
        Said("Hi", finish="stop"),
    ),
    "members that are null or of another type": (
        role(system_fingerprint=None, metadata=None)
        + word("Hi", system_fingerprint=7)
        + finish(service_tier=None)
        + usage()
        + DONE,
        Said("Hi", finish="stop"),
    ),
    "a tier of service of its own": (
        role(service_tier="on_demand") + word("Hi", service_tier="on_demand") + finish() + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "empty logprobs": (
        event(chunk(choice({"content": "Hi"}, logprobs={}))) + finish(logprobs=[]) + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "usage with null choices": (
        role() + word("Hi") + finish() + event({"usage": USAGE, "choices": None}) + DONE,
        Said("Hi", finish="stop"),
    ),
    "null events": (
        b"data: null\n\n" + role() + word("Hi") + b"data: null\n\n" + finish() + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "usage without choices": (
        role() + word("Hi") + finish() + event({"usage": USAGE}) + DONE,
        Said("Hi", finish="stop"),
    ),
    "usage without an end marker": (role() + word("Hi") + finish() + usage(), Said("Hi", finish="stop")),
    "no end marker": (role() + word("Hi") + finish(usage=USAGE), Said("Hi", finish="stop")),
    "spaces after the end marker": (
        role() + word("Hi") + finish() + usage() + DONE.replace(b"]", b"]  "),
        Said("Hi", finish="stop"),
    ),
    "null errors": (
        role()
        + word("H", error=None)
        + event(chunk(choice({"content": "i"}, error=None)))
        + finish()
        + usage(),
        Said("Hi", finish="stop"),
    ),
    "nulls within usage": (
        role()
        + word("Hi")
        + finish()
        + usage(usage={**USAGE, "x": None, "details": {"cached": None}})
        + DONE,
        Said("Hi", finish="stop"),
    ),
    "a choice without a delta": (
        role() + word("Hi") + event(chunk({"index": 0, "finish_reason": "stop"})) + usage() + DONE,
        Said("Hi", finish="stop"),
    ),
    "a message in place of deltas": (
        event(
            chunk(
                {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
                usage=USAGE,
            )
        ),
        Said("Hi", finish="stop"),
    ),
    "a whole reply as the body": (
        _ascii(completion({"role": "assistant", "content": "Hi"})),
        Said("Hi", finish="stop"),
    ),
    "no index": (
        role(0)
        + event(chunk({"delta": {"content": "Hi"}}))
        + event(chunk({"finish_reason": "stop"}))
        + usage()
        + DONE,
        Said("Hi", finish="stop"),
    ),
    "the role in every delta": (
        b"".join(event(chunk(choice({"role": "assistant", "content": t}))) for t in "Hi")
        + finish()
        + usage()
        + DONE,
        Said("Hi", finish="stop"),
    ),
    "spaces in the JSON": (
        (role() + word("H") + word("i") + finish() + usage()).replace(b'":', b'": ').replace(b',"', b', "')
        + DONE,
        Said("Hi", finish="stop"),
    ),
}


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("name", BODIES)
def test_a_complete_answer_is_one(name: str, pieces: str) -> None:
    body, expected = BODIES[name]
    parts = [body] if pieces == "whole" else [body[i : i + 1] for i in range(len(body))]
    result = passed(parts, usage=True)
    assert said_in(result, usage=True) == [expected]
    assert result.usage in (USAGE, {**USAGE, "details": {}})
    assert b'"error"' not in result.out


@pytest.mark.parametrize("size", [5, 17])
def test_an_event_is_as_large_as_the_setting_allows(size: int) -> None:
    text = "x" * (size * 1024 * 1024)
    body = role() + word(text) + finish() + DONE
    result = passed([body[start : start + 65536] for start in range(0, len(body), 65536)])
    if size < 16:
        assert said_in(result) == [Said(text, finish="stop")]
    else:
        assert result.failure is not None
        assert "more than 16777216 bytes" in str(result.failure)
        assert "MAX_EVENT_BYTES" in str(result.failure)


# Usage, and calls that the request requires.


@pytest.mark.parametrize(
    "sent", [{}, [], "7", {"prompt_tokens": "3"}, {"prompt_tokens": True}, None], ids=repr
)
def test_what_is_no_count_is_left_out(sent: Any) -> None:
    body = role() + finish() + usage(usage=sent) + DONE
    assert passed(body, usage=True).usage is None
    assert isinstance(reply := whole({**completion({"content": ""}), "usage": sent}), dict)
    assert "usage" not in reply


def test_a_count_is_completed() -> None:
    for sent in ({"prompt_tokens": 3, "total_tokens": 5}, {"prompt_tokens": 3, "completion_tokens": 2}):
        assert passed(role() + finish() + usage(usage=sent) + DONE, usage=True).usage == USAGE


def test_details_of_a_count_are_numbers() -> None:
    sent = {**USAGE, "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 0}, "queue_time": 0.1}
    counted = {**sent, "prompt_tokens_details": {"audio_tokens": 0}}
    assert passed(role() + finish() + usage(usage=sent) + DONE, usage=True).usage == counted
    assert isinstance(
        reply := whole({**completion({"content": ""}), "usage": sent, "service_tier": "x"}), dict
    )
    assert reply["usage"] == counted
    assert "service_tier" not in reply


def test_continuous_usage_is_shown_where_it_was_requested() -> None:
    body = role(usage=USAGE) + word(usage=USAGE) + finish(usage=USAGE) + usage() + DONE
    assert passed(body, usage=True, continuous_usage=True).out == body


def _expecting(body: bytes) -> Passed:
    return passed(body, expects_call=True)


def test_a_required_call_that_comes_as_prose_is_an_error() -> None:
    for failure in (
        _expecting(role() + word("I would call f.") + finish() + DONE).failure,
        whole(completion({"content": "I would call f."}), expects_call=True),
    ):
        assert isinstance(failure, ApiError)
        assert (failure.status, failure.code, failure.headers["x-should-retry"]) == (
            502,
            "upstream_error",
            "false",
        )
        assert "tool_choice" in str(failure)


def test_a_required_call_may_be_cut_by_the_limit() -> None:
    assert _expecting(role() + word("I") + finish("length") + DONE).failure is None
    assert isinstance(whole(completion({"content": "I"}, "length"), expects_call=True), dict)


def test_a_required_call_passes() -> None:
    calls = {"tool_calls": [f("{}", id="a", index=0)]}
    for reason in ("stop", "tool_calls"):
        assert _expecting(role() + stream(calls, reason=reason)).failure is None
        assert isinstance(whole(completion(calls, reason), expects_call=True), dict)


def test_several_choices_keep_their_calls_apart() -> None:
    def call(index: int, piece: dict[str, Any]) -> bytes:
        return event(chunk(choice({"tool_calls": [piece]}, index=index)))

    body = (
        role(0)
        + role(1)
        + call(0, f("{", id="a"))
        + call(1, f("[", id="a"))
        + call(0, args("}"))
        + call(1, args("]"))
    )
    first, second = said_in(passed(body + finish("stop", 0) + finish("stop", 1) + DONE, n=2), n=2)
    assert (first.calls, second.calls) == ([("a", "f", "{}")], [("a", "f", "[]")])


@pytest.mark.parametrize("count", [1, 3])
def test_a_whole_reply_has_as_many_choices_as_were_requested(count: int) -> None:
    reply = completion({"content": "Hi"})
    reply["choices"] = [{**reply["choices"][0], "index": index} for index in range(count)]
    assert isinstance(whole(reply, n=2), UpstreamError)


def test_a_model_is_named_as_the_caller_named_it() -> None:
    assert isinstance(reply := whole(completion({"content": "Hi"})), dict)
    assert reply["model"] == MODEL
