"""What holds for every stream that an engine may send: generated ones, valid, odd and broken."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat.errors import UpstreamError
from functions.chat.streams.template import Template
from tests.unit.chat.chunks import DONE, choice, chunk, finish, role, usage
from tests.unit.chat.passing import passed
from tests.unit.chat.said import Said, said_by, said_in, whole

MANY = settings(max_examples=150, deadline=None, database=None, derandomize=True)

TEXT = st.one_of(
    st.sampled_from(
        [
            "",
            "a",
            " word",
            '"',
            "\\",
            "\n\n",
            "\u2028",
            "\x85",
            "é",
            "🙂",
            "\ud83d",
            '"},"finish_reason":"stop"',
            "data: {",
        ]
    ),
    st.text(max_size=6),
)
Steps = list[tuple[str, Any]]
KINDS = ("content", "parts", "reasoning", "reasoning_content", "thinking", "call", "more")


def _several(kind: str) -> st.SearchStrategy[Steps]:
    said = st.tuples(st.sampled_from("fg"), TEXT) if kind == "call" else TEXT
    return st.lists(st.tuples(st.just(kind), said), min_size=1, max_size=4)


STEPS = st.lists(st.sampled_from(KINDS).flatmap(_several), max_size=5).map(
    lambda groups: list(chain(*groups))
)
STYLE = st.fixed_dictionaries(
    {
        "ascii": st.booleans(),
        "spaces": st.booleans(),
        "indices": st.booleans(),
        "roles": st.booleans(),
        "created": st.sampled_from([0, 1795373005, 1795373006]),
        "empty_reason": st.booleans(),
        "extra": st.sampled_from([{}, {"system_fingerprint": "x"}, {"usage": None}]),
        "pings": st.booleans(),
        "done": st.booleans(),
    }
)
CUTS = st.lists(st.integers(1, 300), max_size=20)


def said_of(steps: Steps) -> Said:
    """Return what an engine that takes these steps says."""
    said = Said()
    for kind, value in steps:
        if kind in ("content", "parts"):
            said.text += value
        elif kind == "call":
            said.calls.append((f"id{len(said.calls)}", *value))
        elif kind != "more":
            said.reasoning += value
        elif said.calls:
            call_id, name, text = said.calls[-1]
            said.calls[-1] = (call_id, name, text + value)
    said.finish = "tool_calls" if said.calls else "stop"
    return said


def deltas_of(steps: Steps, style: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield these steps as an engine streams them."""
    count = 0
    for kind, value in steps:
        delta: dict[str, Any] = {"role": "assistant"} if style["roles"] else {}
        if kind == "parts":
            yield {**delta, "content": [{"type": "text", "text": value}]}
        elif kind == "call":
            name, text = value
            call = {"id": f"id{count}", "function": {"name": name, "arguments": text}}
            yield {**delta, "tool_calls": [{**call, **({"index": count} if style["indices"] else {})}]}
            count += 1
        elif kind != "more":
            yield {**delta, kind: value}
        elif count:
            piece: dict[str, Any] = {"function": {"arguments": value}}
            yield {**delta, "tool_calls": [{**piece, **({"index": count - 1} if style["indices"] else {})}]}


def body_of(steps: Steps, style: dict[str, Any]) -> bytes:
    """Return the body of a stream that says these steps."""
    separators = (", ", ": ") if style["spaces"] else (",", ":")
    events = [role()]
    for delta in deltas_of(steps, style):
        fields: dict[str, Any] = {**style["extra"], "created": style["created"]}
        value = chunk(choice(delta, "" if style["empty_reason"] else None), **fields)
        try:
            text = json.dumps(value, ensure_ascii=style["ascii"], separators=separators).encode()
        except UnicodeEncodeError:  # half of a pair, which only an escape can spell
            text = json.dumps(value, separators=separators).encode()
        events.append(b"data: " + text + b"\n\n")
        if style["pings"]:
            events.append(b"event: ping\ndata: {}\n\n")
    return b"".join(events) + finish() + usage() + (DONE if style["done"] else b"")


def split(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


@MANY
@given(steps=STEPS, style=STYLE, cuts=CUTS)
def test_the_caller_gets_all_that_an_engine_streams(
    steps: Steps, style: dict[str, Any], cuts: list[int]
) -> None:
    result = passed(split(body_of(steps, style), cuts), usage=True)
    assert said_in(result, usage=True) == [said_of(steps)]


@MANY
@given(steps=STEPS, style=STYLE, cuts=CUTS, data=st.data())
def test_a_stream_that_is_cut_anywhere_is_whole_or_an_error(
    steps: Steps, style: dict[str, Any], cuts: list[int], data: st.DataObject
) -> None:
    body = body_of(steps, style)
    end = data.draw(st.integers(0, len(body)))
    result = passed(split(body[:end], cuts))
    if result.failure is None:
        assert said_in(result) == [said_of(steps)]
    else:
        assert isinstance(result.failure, UpstreamError)
        assert end < len(body)


@MANY
@given(steps=STEPS, style=STYLE, cuts=CUTS)
def test_what_passes_unread_is_what_reading_would_give(
    steps: Steps, style: dict[str, Any], cuts: list[int]
) -> None:
    parts = list(split(body_of(steps, style), cuts))
    unread = passed(parts, usage=True)
    with patch.object(Template, "of", return_value=None):
        read = passed(parts, usage=True)
    assert unread.chunks == read.chunks
    assert (unread.failure, unread.usage) == (read.failure, read.usage)


@MANY
@given(steps=STEPS)
def test_the_caller_gets_all_of_a_whole_reply(steps: Steps) -> None:
    said = said_of(steps)
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "reasoning": said.reasoning or None}
    message["tool_calls"] = [
        {"id": call_id, "function": {"name": name, "arguments": text}} for call_id, name, text in said.calls
    ]
    only = {"message": message, "finish_reason": "stop"}
    assert said_by(whole({"choices": [only]})) == [said]
