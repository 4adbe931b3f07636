"""The stream of a chat completion, fed with lists of bytes."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat import json_text
from functions.chat.engines.engine import Chunks, Event, Failure, Run
from functions.chat.errors import UpstreamError
from functions.chat.streams import whole
from functions.chat.streams.chat import ChatReply, ChatStream
from tests.engines import schema
from tests.engines.recordings import Recording, distinct, recording, recordings
from tests.unit.chat.chunks import (
    DONE,
    GOOD,
    MODEL,
    SPLITS,
    choice,
    chunk,
    cut,
    event,
    finish,
    role,
    word,
)
from tests.unit.chat.passing import passed, sent

RECORDED_MODEL = "smollm2-135m-instruct"
STREAMS = distinct((each for each in recordings("*/stream_*") if each.is_stream), lambda each: each.shape)
WHOLE = [each for each in STREAMS if "cut_by_sigterm" not in each.case]
FUZZ = settings(max_examples=150, deadline=None, database=None, derandomize=True)


def options_of(recorded: Recording) -> tuple[int, bool]:
    """Return `n` and `include_usage` of the recorded request."""
    try:
        fields = recorded.request["body"]
    except FileNotFoundError:
        return 1, False
    return fields.get("n", 1), bool(fields.get("stream_options", {}).get("include_usage"))


def unread(events: Sequence[Event]) -> bytes:
    """Return the bytes of the one run that these events must be."""
    (run,) = events
    assert isinstance(run, Run)
    return run.data


# splits


@pytest.mark.parametrize("recorded", STREAMS, ids=str)
def test_a_recording_gives_the_same_bytes_when_it_is_split(recorded: Recording) -> None:
    n, with_usage = options_of(recorded)
    whole = passed(recorded.body, model=RECORDED_MODEL, n=n, usage=with_usage)
    split = passed(cut(recorded.body, "7 bytes"), model=RECORDED_MODEL, n=n, usage=with_usage)
    assert (split.out, split.done, split.usage) == (whole.out, whole.done, whole.usage)
    assert whole.done is (recorded in WHOLE)


@pytest.mark.parametrize("with_usage", [False, True], ids=["usage hidden", "usage shown"])
@pytest.mark.parametrize("recorded", [r for r in WHOLE if options_of(r)[1]], ids=str)
def test_a_recording_obeys_the_contract_with_and_without_usage(recorded: Recording, with_usage: bool) -> None:
    out = passed(recorded.body, model=RECORDED_MODEL, n=options_of(recorded)[0], usage=with_usage).out
    schema.validate_stream(out, include_usage=with_usage)


@pytest.mark.parametrize("how", SPLITS)
def test_what_comes_out_is_always_whole_events(how: str) -> None:
    stream = ChatStream(model=MODEL)
    for part in cut(GOOD, how):
        out = sent(stream.feed(part))
        assert out == b"" or out.endswith(b"\n\n")


# the hot path


@pytest.mark.parametrize(
    "name",
    [
        "vllm-0.32.0/stream_basic",
        "vllm-0.32.0/stream_unicode",
        "llama.cpp-b11549/stream_basic",
        "llama.cpp-b11549/stream_unicode",
    ],
)
def test_the_same_object_comes_out_for_every_plain_event_of_an_engine(name: str) -> None:
    stream = ChatStream(model=RECORDED_MODEL)
    first, second, *middle, _, _ = cut(recording(name).body, "per event")
    stream.feed(first)
    stream.feed(second)
    created = b'"created":' + str(json.loads(first[6:])["created"]).encode()
    plain = [part for part in middle if created in part]
    assert len(plain) >= 5
    assert [part for part in plain if unread(stream.feed(part)) is not part] == []


def test_plain_runs_are_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ChatStream(model=MODEL)
    stream.feed(role() + word())

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("expected no parsing on the hot path")

    monkeypatch.setattr(whole, "parse", fail)
    run = word(" one") + word(" two") * 100
    assert unread(stream.feed(run)) is run
    with pytest.raises(AssertionError, match="no parsing"):
        stream.feed(finish())


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("extra", ["\n", "\n\n", "\n\n\n", "\r\n"])
def test_line_ends_too_many_between_events_change_nothing(extra: str, size: int) -> None:
    parts = [role(), word(), word(" two"), word(" three"), finish(), DONE]
    body = b"".join(part + extra.encode() for part in parts)
    split = [body[start : start + size] for start in range(0, len(body), size)]
    assert passed(split).out == passed(parts).out


def test_of_a_run_that_ends_the_reply_only_the_end_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(*arguments: Any, **options: Any) -> Any:
        parsed.append(arguments[0])
        return json_text.parse(*arguments, **options)

    monkeypatch.setattr(whole, "parse", parse)
    stream = ChatStream(model=MODEL)
    events = stream.feed(role() + word(" one") + word(" two") * 100 + finish() + DONE)
    assert len(parsed) == 3
    assert sent(events) + DONE == passed([role(), word(" one"), *[word(" two")] * 100, finish(), DONE]).out


def test_what_changes_in_each_event_alike_is_changed_unread() -> None:
    stream = ChatStream(model=MODEL)
    other: dict[str, Any] = {"model": "/models/weights", "created": 1795373006}
    stream.feed(role() + word(**other))
    assert unread(stream.feed(word(" é", **other) + word(' "a"', **other))) == word(" é") + word(' "a"')


def test_reasoning_takes_the_hot_path_under_both_names() -> None:
    def thought(text: str) -> bytes:
        return event(chunk(choice({"reasoning": text})))

    stream = ChatStream(model=MODEL)
    stream.feed(role() + thought("a"))
    run = passed([role(), thought("b"), thought("c"), finish(), DONE]).out
    assert unread(stream.feed(thought("b") + thought("c"))) in run
    (empty,) = stream.feed(thought("b") + thought(""))
    assert isinstance(empty, Chunks)
    assert empty.values[1]["choices"][0]["delta"] == {"content": ""}


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\u0085"], ids=ascii)
def test_what_could_end_a_line_leaves_escaped_on_the_hot_path(text: str) -> None:
    result = passed([role() + word(), word(f"a{text}b") + word()])
    assert text not in result.out.decode()
    assert result.chunks[2]["choices"][0]["delta"]["content"] == f"a{text}b"


def test_halves_of_a_character_in_two_events_fail_the_stream() -> None:
    first, second = word("é").replace(b"\xa9", b""), word("é").replace(b"\xc3", b"")
    result = passed([role() + word(), first + second])
    assert (result.out, result.done) == (role() + word(), False)


def test_an_event_that_differs_in_more_than_its_text_is_read() -> None:
    stream = ChatStream(model=MODEL)
    stream.feed(role() + word())
    for odd in (
        role(),
        word(extra=1),
        word().replace(b" word", b" wo\\xrd"),
        word() + word()[:-1] + b" \n",
    ):
        assert not any(isinstance(each, Run) for each in stream.feed(odd))


@pytest.mark.parametrize("name", ["stream_basic", "stream_unicode", "stream_length", "stream_stop"])
def test_vllm_events_pass_byte_for_byte_but_for_the_empty_last_delta(name: str) -> None:
    body = recording(f"vllm-0.32.0/{name}").body
    expected = body.replace(b'"delta":{}', b'"delta":{"content":""}')
    assert passed(body, model=RECORDED_MODEL).out == expected


NASTY = [
    '"finish_reason":"stop"',
    '"finish_reason":null',
    "data: {",
    "data: [DONE]\n\n",
    "[DONE]",
    "\n\n",
    "\r\n\r\n",
    "}\n\ndata: {",
    '"usage":{"prompt_tokens":1}',
    '"error":{"message":"no"}',
    '"tool_calls":[',
    '"logprobs":{',
    '"delta":{"content":"',
    '\\"finish_reason\\":\\"stop\\"',
    '"id":"chatcmpl-2"',
    '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795373005,"model":"tiny"',
    "\ufeff",
    "\u2028\u0085",
    "\\",
    "\\u0022",
    "🙂",
]
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=8)
CUTS = st.lists(st.integers(1, 400), max_size=30)


@FUZZ
@given(texts=TEXTS, cuts=CUTS, escaped=st.booleans())
def test_no_text_of_a_model_confuses_the_stream(texts: list[str], cuts: list[int], escaped: bool) -> None:
    def content(text: str) -> bytes:
        value = chunk(choice({"content": text}))
        return b"data: " + json.dumps(value, ensure_ascii=escaped, separators=(",", ":")).encode() + b"\n\n"

    body = role() + b"".join(map(content, texts)) + finish() + DONE
    result = passed(_cut_at(body, cuts))
    for separator in "\u0085\u2028\u2029":
        body = body.replace(separator.encode(), f"\\u{ord(separator):04x}".encode())
    assert (result.out, result.done) == (body, True)


def _cut_at(body: bytes, sizes: list[int]) -> Iterable[bytes]:
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DELTA = JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(("role", "content", "tool_calls"), JSON))
CHOICE = JSON | st.fixed_dictionaries(
    {}, optional={"index": JSON, "delta": DELTA, "finish_reason": JSON, "logprobs": JSON}
)
CHUNK = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "object", "created", "model", "usage", "error"), JSON),
        "choices": JSON | st.lists(CHOICE, max_size=3),
    },
)


@FUZZ
@given(value=JSON | CHUNK, begun=st.booleans(), with_usage=st.booleans())
def test_no_json_of_an_engine_raises(value: Any, begun: bool, with_usage: bool) -> None:
    result = passed([role() if begun else b"", event(value), GOOD], usage=with_usage)
    assert result.done == (result.failure is None)


@FUZZ
@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"data: ", b"\n\n", b"\r", b"[DONE]", GOOD])))
def test_no_bytes_of_an_engine_raise(parts: list[bytes]) -> None:
    result = passed(parts)
    assert result.done == (result.failure is None)


# framing that is forgiven


FORGIVEN = {
    "CRLF": GOOD.replace(b"\n", b"\r\n"),
    "CR": GOOD.replace(b"\n", b"\r"),
    "id lines": GOOD.replace(b"data: ", b"id: 7\ndata: "),
    "retry lines": GOOD.replace(b"data: ", b"retry: 10\ndata: "),
    "event lines": GOOD.replace(b"data: ", b"event: message\ndata: "),
    "comment lines": GOOD.replace(b"data: ", b": hello\ndata: "),
    "lines after the data": GOOD.replace(b"\n\n", b"\nid: 7\n\n"),
    "comment events": GOOD.replace(b"data: ", b": keep-alive\n\ndata: "),
    "bare colons": GOOD.replace(b"data: ", b":\n\ndata: "),
    "empty data": GOOD.replace(b"data: ", b"data: \n\ndata: "),
    "empty data, no space": GOOD.replace(b"data: ", b"data:\n\ndata: "),
    "a field of no value": GOOD.replace(b"data: ", b"data\n\ndata: "),
    "ping events": GOOD.replace(b"data: ", b"event: ping\n\ndata: "),
    "retry events": GOOD.replace(b"data: ", b"retry: 10\n\ndata: "),
    "id events": GOOD.replace(b"data: ", b"id: 7\n\ndata: "),
    "unknown fields": GOOD.replace(b"data: ", b"x: {}\ndata: "),
    "blank lines": GOOD.replace(b"\n\n", b"\n\n\n\n\n"),
    "no space": GOOD.replace(b"data: ", b"data:"),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "several data lines": GOOD.replace(b',"object"', b',\ndata: "object"'),
    "unterminated end marker": GOOD[:-2],
    "end marker with one line end": GOOD[:-1],
    "end marker with half a CRLF": GOOD[:-2] + b"\r",
    "more after the end marker": GOOD + word() + DONE,
    "garbage after the end marker": GOOD + b"data: {{{\n\n",
    "an error after the end marker": GOOD + event({"error": {"message": "x"}}),
    "empty choices": event(chunk()) + GOOD,
    "null choices": event(chunk(choices=None)) + GOOD,
    "no end marker": GOOD.removesuffix(DONE),
    "no end marker, no last line": GOOD.removesuffix(DONE)[:-2],
    "ping events with data": GOOD.replace(b"data: ", b"event: ping\ndata: {}\n\ndata: "),
    "ping events with text": GOOD.replace(b"data: ", b"event: ping\ndata: 2026-11-26\n\ndata: "),
    "ping objects": GOOD.replace(b"data: ", b'data: {"type": "ping"}\n\ndata: '),
    "empty objects": GOOD.replace(b"data: ", b"data: {}\n\ndata: "),
}


@pytest.mark.parametrize("name", FORGIVEN)
def test_odd_framing_is_accepted(name: str) -> None:
    body = FORGIVEN[name]
    for parts in (body, cut(body, "1 byte")):
        result = passed(parts)
        assert (result.done, result.failure) == (True, None)
        assert result.out == GOOD


# what fails a stream


BROKEN = {
    "no end marker, half an event": (GOOD.removesuffix(DONE) + word()[:40], GOOD.removesuffix(DONE)),
    "no finish reason": (role() + word(), role() + word()),
    "end marker without a finish reason": (role() + word() + DONE, role() + word()),
    "only the end marker": (DONE, b""),
    "nothing": (b"", b""),
    "only comments": (b": keep-alive\n\n" * 3, b""),
    "half an event at the end": (role() + word()[:40], role()),
    "half a character at the end": (role() + word("é")[: word("é").index(b"\xa9")], role()),
    "garbage": (role() + b"data: {{{\n\n" + GOOD, role()),
    "garbage at first": (b"\x00\xff\n\ndata: \xff\n\n", b""),
    "not UTF-8": (role() + b'data: {"a":"\xff\xfe"}\n\n', role()),
    "an array": (role() + event([1]), role()),
    "a number": (role() + event(1), role()),
    "null": (role() + event(None), role()),
    "deep nesting": (role() + b"data: " + b"[" * 200_000 + b"\n\n", role()),
    "NaN": (role() + word().replace(b"1795373005", b"NaN"), role()),
    "detail": (role() + event({"detail": "no"}), role()),
    "choices that are no array": (role() + event(chunk(choices={})), role()),
    "a choice that is no object": (role() + event(chunk(1)), role()),
    "a completion of another kind": (role() + event(chunk({"index": 0, "text": "Hi"})), role()),
    "an infinite number": (role() + word(extra=1).replace(b'"extra":1', b'"extra":1e999'), role()),
    "bare JSON": (role() + b'{"error": {"message": "m"}}\n\n' + GOOD, role()),
    "an error by its event's name": (role() + b'event: error\ndata: {"message": "m"}\n\n' + GOOD, role()),
    "an error by its object": (role() + event({"object": "error", "message": "m", "code": 500}), role()),
    "text after the finish reason": (role() + finish() + word("late") + DONE, role() + finish()),
    "an index that is no number": (role() + event(chunk(choice({}, index=[]))), role()),
    "a reason that is no string": (role() + finish({}), role()),
    "abort": (role() + word() + finish("abort") + DONE, role() + word()),
    "error as a reason": (role() + finish("error") + DONE, role()),
    "an unknown reason": (role() + finish("tired") + DONE, role()),
    "calls that are no array": (role() + event(chunk(choice({"tool_calls": 1}))), role()),
    "an error": (role() + event({"error": {"message": "m", "code": 500}}) + DONE, role()),
    "an error as a string": (role() + event({"error": "m"}) + DONE, role()),
    "an error in a chunk": (role() + word(error={"message": "m"}) + DONE, role()),
    "an error in a choice": (role() + event(chunk(choice({}, "stop", error={"code": 502}))), role()),
    "an error at first": (event({"error": {"message": "m", "code": 500}}) + DONE, b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_fails_after_its_good_part(name: str) -> None:
    body, before = BROKEN[name]
    for parts in (body, cut(body, "1 byte") if len(body) < 10_000 else body):
        result = passed(parts)
        assert not result.done
        assert isinstance(result.failure, UpstreamError)
        assert result.out == before


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"message": "maximum context length is 2048 tokens", "code": 400}, 400, "context_length_exceeded"),
        ({"message": "no", "type": "BadRequestError", "code": 400}, 400, "invalid_value"),
        ({"message": "no", "code": 404}, 404, "model_not_found"),
        ({"message": "no", "code": 429}, 429, "rate_limit_exceeded"),
        ({"message": "no", "code": 503}, 503, "server_is_overloaded"),
        ({"message": "no", "code": 500}, 502, "upstream_error"),
        ({"message": "no", "code": "x"}, 502, "upstream_error"),
        ({"message": "no"}, 502, "upstream_error"),
        ("Unauthorized", 502, "upstream_error"),
        (["no"], 502, "upstream_error"),
    ],
)
def test_an_error_event_becomes_ours(error: Any, status: int, code: str) -> None:
    for before in (b"", role() + word()):
        result = passed(before + event({"error": error}) + DONE)
        assert result.failure is not None
        assert (result.failure.status, result.failure.code) == (status, code)
        assert (result.out, result.done) == (before, False)


@pytest.mark.parametrize("body", [GOOD, role() + b"data: {{{\n\n"], ids=["done", "failed"])
def test_nothing_comes_out_after_the_end(body: bytes) -> None:
    stream = ChatStream(model=MODEL)
    stream.feed(body)
    assert stream.ended
    assert [*stream.feed(GOOD), *stream.feed(b"data: half"), *stream.flush()] == []


@pytest.mark.parametrize("body", [b'{"choices": []}', b"half"], ids=["incomplete", "no JSON"])
def test_a_whole_reply_comes_at_the_end_of_the_body(body: bytes) -> None:
    reply = ChatReply(model=MODEL, n=1, request_id="abc")
    assert (list(reply.feed(body)), reply.ended) == ([], False)
    (failure,) = reply.flush()
    assert isinstance(failure, Failure)
    assert reply.ended
