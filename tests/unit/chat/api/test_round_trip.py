"""What we hand out, we take back: a reply as a message of the next request."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.api import body, chat_schema
from functions.chat.api.chat_completions import engine_request
from functions.chat.engines.engine import Reply, joined
from functions.chat.engines.kinds import ENGINES
from functions.chat.json_text import dump
from functions.chat.streams.chat import ChatReply
from tests.engines import schema
from tests.engines.recordings import Recording, recordings
from tests.unit.chat.fakes import USER, model, settings
from tests.unit.chat.passing import passed
from tests.unit.chat.streams.test_properties import MANY, STEPS, STYLE, TEXT, body_of

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
MAYBE = st.none() | TEXT
ARGUMENTS = st.sampled_from(["{}", "", '{"a": null}', '{"a": "', '"Paris"', "null", "[1]"]) | TEXT
CALLS = st.lists(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": st.just("f"), "arguments": ARGUMENTS})},
        optional={"id": st.sampled_from(["a", "b", ""]), "type": st.just("function"), "index": st.just(0)},
    ),
    max_size=3,
)
# Messages as engines send them whole.
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", "model"]),
        "content": MAYBE,
        "reasoning": MAYBE,
        "refusal": MAYBE,
        "tool_calls": st.none() | CALLS,
        "function_call": st.none() | st.just({"name": "f", "arguments": "{"}),
        "audio": st.none() | st.just({"id": "a", "data": "AAAA", "expires_at": 1, "transcript": "Hi"}),
        "annotations": st.sampled_from([None, [], [{"type": "url_citation"}]]),
        "reasoning_details": st.sampled_from([None, [], [{"text": None}]]),
        "provider_specific_fields": st.sampled_from([None, {"a": None}]),
    },
)
READERS = [name for name, kind in ENGINES.items() if kind.reasoning and not kind.takes_all]
REASONS = st.sampled_from(["stop", "length", "tool_calls", "eos_token", "content_filter"])


def accepted_back(message: dict[str, Any], engine: str = "vllm") -> dict[str, Any]:
    """Append a reply's message to its history, as clients do; return it as the engine is sent it."""
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        for call in message.get("tool_calls", ())
    ]
    history = [USER, message, *results, USER]
    raw = json.dumps({"model": "tiny", "messages": history, "tools": TOOLS}).encode()
    parsed = body.parse_json(raw)
    tiny = model(engine=engine)
    request = engine_request(parsed, chat_schema.check(parsed), tiny, settings(tiny), "abc")
    sent = json.loads(joined(request.body))
    schema.validate_engine_request(sent, reasoning=ENGINES[engine].reasoning)
    assert len(sent["messages"]) == len(history)
    turn: dict[str, Any] = sent["messages"][1]
    for call in turn.get("tool_calls", ()):
        assert isinstance(json.loads(call["function"]["arguments"]), dict)
    assert turn.get("content") is not None or turn.get("tool_calls") or engine in ("openai", "litellm")
    return turn


def whole(message: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return the message that a caller gets of an engine's."""
    reader = ChatReply(model="tiny", n=1, request_id="abc")
    reader.feed(json.dumps({"choices": [{"message": message, "finish_reason": reason}]}).encode())
    reply = reader.flush()[0]
    assert isinstance(reply, Reply)
    left: dict[str, Any] = json.loads(dump(reply.value))["choices"][0]["message"]
    return left


def merged(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message of a stream, as clients put it together."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for delta in (choice["delta"] for each in chunks for choice in each["choices"]):
        for name in ("content", "reasoning", "reasoning_content"):
            if delta.get(name) is not None:
                message[name] = (message.get(name) or "") + delta[name]
        for piece in delta.get("tool_calls", ()):
            calls = message.setdefault("tool_calls", [])
            if piece["index"] == len(calls):
                calls.append(piece)
            else:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return message


def texts_of(message: dict[str, Any]) -> tuple[str, str, int]:
    thoughts = message.get("reasoning") or message.get("reasoning_content") or ""
    content = message.get("content") or message.get("refusal") or ""
    # Half of a surrogate pair is not sent on.
    content, thoughts = (text.encode("utf-8", "replace").decode() for text in (content, thoughts))
    return content, thoughts, len(message.get("tool_calls", ())) or "function_call" in message


@MANY
@given(MESSAGES, REASONS, st.sampled_from(READERS))
def test_every_whole_reply_is_accepted_back(message: dict[str, Any], reason: str, engine: str) -> None:
    reply = whole(message, reason)
    turn = accepted_back(reply, engine)
    assert texts_of(turn) == texts_of(reply)


@MANY
@given(STEPS, STYLE)
def test_every_stream_is_accepted_back(steps: Any, style: dict[str, Any]) -> None:
    stream = passed(body_of(steps, style))
    message = merged(stream.chunks)
    assert texts_of(accepted_back(message)) == texts_of(message)


RECORDED = [each for each in recordings("*/chat_*") if each.status == 200]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("recorded", RECORDED, ids=str)
def test_recorded_replies_are_accepted_back(recorded: Recording, engine: str) -> None:
    choice = json.loads(recorded.body)["choices"][0]
    accepted_back(whole(choice["message"], choice["finish_reason"]), engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "assistant", "content": "Hi", "tool_calls": []}, "stop"),
        ({"content": None, "reasoning_content": "Let me think"}, "length"),
        ({"content": "", "tool_calls": None}, "length"),
        ({"content": None}, "length"),
        ({}, "stop"),
        ({"content": None, "refusal": "I cannot."}, "content_filter"),
        ({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a'}}]}, "length"),
        ({"content": "x", "reasoning": "y", "annotations": [], "audio": None, "function_call": None}, "stop"),
    ],
    ids=str,
)
def test_what_the_field_reported_is_accepted_back(message: Any, reason: str, engine: str) -> None:
    accepted_back(whole(message, reason), engine)
