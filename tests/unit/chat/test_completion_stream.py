"""The checks of a stream, fed with lists of bytes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat import completion_stream
from functions.chat.completion_stream import CompletionStream, State
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.events import EventSplitter, error_event
from tests.engines import schema
from tests.engines.recordings import Recording, recording, recordings
from tests.unit.chat.chunks import (
    DONE,
    GOOD,
    MODEL,
    SPLITS,
    USAGE,
    choice,
    chunk,
    cut,
    event,
    finish,
    role,
    usage,
    word,
)

RECORDED_MODEL = "smollm2-135m-instruct"
STREAMS = [each for each in recordings("*/stream_*") if each.is_stream]
WHOLE = [each for each in STREAMS if "cut_by_sigterm" not in each.case]
FUZZ = settings(max_examples=150, deadline=None, database=None, derandomize=True)


@dataclass(frozen=True)
class Passed:
    """What a stream let through and how it ended."""

    out: bytes
    state: State
    failure: ApiError | None
    usage: dict[str, Any] | None

    @property
    def chunks(self) -> list[dict[str, Any]]:
        lines = self.out.decode().removesuffix("\n\n").split("\n\n") if self.out else []
        return [json.loads(line.removeprefix("data: ")) for line in lines if not line.endswith("[DONE]")]


def passed(parts: bytes | Iterable[bytes], *, model: str = MODEL, n: int = 1, usage: bool = False) -> Passed:
    stream = CompletionStream(model=model, n=n, include_usage=usage)
    out = [stream.feed(part) for part in ([parts] if isinstance(parts, bytes) else parts)]
    out.append(stream.flush())
    return Passed(b"".join(out), stream.state, stream.failure, stream.usage)


def asked(recorded: Recording) -> tuple[int, bool]:
    """Return `n` and `include_usage` of what was asked when the recording was made."""
    try:
        fields = recorded.request["body"]
    except FileNotFoundError:
        return 1, False
    return fields.get("n", 1), bool(fields.get("stream_options", {}).get("include_usage"))


# splits


@pytest.mark.parametrize("how", SPLITS)
@pytest.mark.parametrize("recorded", STREAMS, ids=str)
def test_a_recording_gives_the_same_bytes_however_it_is_split(recorded: Recording, how: str) -> None:
    n, with_usage = asked(recorded)
    whole = passed(recorded.body, model=RECORDED_MODEL, n=n, usage=with_usage)
    split = passed(cut(recorded.body, how), model=RECORDED_MODEL, n=n, usage=with_usage)
    assert (split.out, split.state, split.usage) == (whole.out, whole.state, whole.usage)
    assert whole.state is (State.DONE if recorded in WHOLE else State.FAILED)


@pytest.mark.parametrize("with_usage", [False, True], ids=["usage hidden", "usage shown"])
@pytest.mark.parametrize("recorded", [r for r in WHOLE if asked(r)[1]], ids=str)
def test_a_recording_obeys_the_contract_with_and_without_usage(recorded: Recording, with_usage: bool) -> None:
    out = passed(recorded.body, model=RECORDED_MODEL, n=asked(recorded)[0], usage=with_usage).out
    schema.validate_stream(out, include_usage=with_usage)


@pytest.mark.parametrize("how", SPLITS)
def test_what_comes_out_is_always_whole_events(how: str) -> None:
    stream = CompletionStream(model=MODEL)
    for part in cut(GOOD, how):
        out = stream.feed(part)
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
    stream = CompletionStream(model=RECORDED_MODEL)
    first, *middle, _, _ = cut(recording(name).body, "per event")
    stream.feed(first)
    second = b'"created":' + str(json.loads(first[6:])["created"]).encode()
    plain = [part for part in middle if second in part]
    assert len(plain) >= 5
    assert [part for part in plain if stream.feed(part) is not part] == []


def test_plain_runs_are_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = CompletionStream(model=MODEL)
    stream.feed(role())

    def fail(*_: object) -> None:
        raise AssertionError("expected no parsing on the hot path")

    monkeypatch.setattr(completion_stream, "read_chunk", fail)
    run = word(" one") + word(" two") * 100
    assert stream.feed(run) is run
    with pytest.raises(AssertionError, match="no parsing"):
        stream.feed(finish())


def test_two_choices_take_the_hot_path_once_both_have_begun() -> None:
    stream = CompletionStream(model=MODEL, n=2)
    stream.feed(role(0))
    stream.feed(role(1))
    run = word(" a", 0) + word(" b", 1)
    assert stream.feed(run) is run


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
    assert (result.out, result.state) == (body, State.DONE)


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
    assert (result.state is State.FAILED) == (result.failure is not None)


@FUZZ
@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"data: ", b"\n\n", b"\r", b"[DONE]", GOOD])))
def test_no_bytes_of_an_engine_raise(parts: list[bytes]) -> None:
    result = passed(parts)
    assert result.state is not State.OPEN


# the splitter


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_splitter_ends_lines_with_lf_and_holds_only_the_remainder(newline: bytes, size: int) -> None:
    body = b"data: 1\n\nid: 2\ndata: 2\n\n: c\n\n"
    given_ = body.replace(b"\n", newline)
    splitter = EventSplitter()
    out = [splitter.feed(given_[at : at + size]) for at in range(0, len(given_), size)]
    assert (b"".join(out) + splitter.flush()).rstrip(b"\n") == body.rstrip(b"\n")
    assert splitter.flush() == b""


def test_the_splitter_gives_the_run_itself_where_nothing_is_left_over() -> None:
    run = word() * 3
    assert EventSplitter().feed(run) is run


def test_an_event_that_never_ends_fails_the_stream() -> None:
    piece = b"data: " + b"x" * (1024 * 1024)
    result = passed([role(), *[piece] * 5])
    assert (result.out, result.state) == (role(), State.FAILED)
    assert isinstance(result.failure, UpstreamError)


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
}


@pytest.mark.parametrize("how", ["1 byte", "7 bytes", "at once"])
@pytest.mark.parametrize("name", FORGIVEN)
def test_forgives(name: str, how: str) -> None:
    body = FORGIVEN[name]
    result = passed([body] if how == "at once" else cut(body, how))
    assert (result.state, result.failure) == (State.DONE, None)
    assert result.out == GOOD


# what fails a stream


BROKEN = {
    "no end marker": (GOOD.removesuffix(DONE), GOOD.removesuffix(DONE)),
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
    "an empty object": (role() + event({}), role()),
    "deep nesting": (role() + b"data: " + b"[" * 200_000 + b"\n\n", role()),
    "NaN": (role() + word().replace(b"1795373005", b"NaN"), role()),
    "detail": (role() + event({"detail": "no"}), role()),
    "choices that are no array": (role() + event(chunk(choices={})), role()),
    "a choice that is no object": (role() + event(chunk(1)), role()),
    "a choice without a delta": (role() + event(chunk({"index": 0})), role()),
    "an index that is no number": (role() + event(chunk(choice({}, index=[]))), role()),
    "a reason that is no string": (role() + finish({}), role()),
    "abort": (role() + word() + finish("abort") + DONE, role() + word()),
    "error as a reason": (role() + finish("error") + DONE, role()),
    "an unknown reason": (role() + finish("tired") + DONE, role()),
    "calls that are no array": (role() + event(chunk(choice({"tool_calls": 1}))), role()),
    "an error": (role() + event({"error": {"message": "m", "code": 500}}) + DONE, role()),
    "an error as a string": (role() + event({"error": "m"}) + DONE, role()),
    "an error in a chunk": (role() + word(error={"message": "m"}) + DONE, role()),
    "an error at first": (event({"error": {"message": "m", "code": 500}}) + DONE, b""),
}


@pytest.mark.parametrize("how", ["1 byte", "7 bytes", "at once"])
@pytest.mark.parametrize("name", BROKEN)
def test_fails_after_what_was_good(name: str, how: str) -> None:
    body, before = BROKEN[name]
    result = passed([body] if how == "at once" or len(body) > 10_000 else cut(body, how))
    assert result.state is State.FAILED
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
@pytest.mark.parametrize("before", [b"", role() + word()], ids=["first", "mid-stream"])
def test_an_error_event_becomes_ours(error: Any, status: int, code: str, before: bytes) -> None:
    result = passed(before + event({"error": error}) + DONE)
    assert result.failure is not None
    assert (result.failure.status, result.failure.code) == (status, code)
    assert (result.out, result.state) == (before, State.FAILED)


@pytest.mark.parametrize("body", [GOOD, role() + b"data: {{{\n\n"], ids=["done", "failed"])
def test_nothing_comes_out_after_the_end(body: bytes) -> None:
    stream = CompletionStream(model=MODEL)
    stream.feed(body)
    ended = (stream.state, stream.failure)
    assert (stream.feed(GOOD), stream.feed(b"data: half"), stream.flush()) == (b"", b"", b"")
    assert (stream.state, stream.failure) == ended


def test_an_error_event_is_an_object_of_four_keys_and_then_the_end_marker() -> None:
    failed = schema.validate_failed_stream(error_event(UpstreamError("gone “away”")))
    assert failed.error["message"] == "gone “away”"


# what is mended


@pytest.mark.parametrize(
    ("given_", "code"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("repetition", "stop")],
)
def test_finish_reasons_are_those_of_the_contract(given_: str, code: str) -> None:
    result = passed(role() + finish(given_) + DONE)
    assert result.out == role() + finish(code) + DONE


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_changes_is_held_to_the_first(field: str) -> None:
    others = {"id": "chatcmpl-2", "object": "chunk", "created": 1795373006, "model": "m2"}
    other: dict[str, Any] = {field: others[field]}
    body = role() + word(**other) + word(**other) + finish(**other) + DONE
    assert passed(body).out == role() + word() * 2 + finish() + DONE


def test_only_the_changed_member_is_spliced() -> None:
    odd = word(extra=[1, 2.50], created=5).replace(b"2.5", b"2.50")
    assert passed(role() + odd + finish() + DONE).out == (
        role() + odd.replace(b'"created":5', b'"created":1795373005') + finish() + DONE
    )


def test_the_model_is_the_public_one() -> None:
    result = passed(GOOD.replace(b'"tiny"', b'"/models/weights"'))
    assert result.out == GOOD


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_is_missing_is_filled_in(field: str) -> None:
    calls = {"tool_calls": [{"index": 0, "id": None, "function": {"name": None, "arguments": "{"}}]}
    without: dict[str, Any] = {field: ...}
    body = role() + event(chunk(choice(calls), **without)) + finish(**without) + DONE
    result = passed(body)
    assert {each[field] for each in result.chunks} == {json.loads(role()[6:])[field]}
    assert result.chunks[1]["choices"][0]["delta"] == calls


@pytest.mark.parametrize("field", ["id", "object", "created", "model"])
def test_identity_that_never_comes_is_made_up(field: str) -> None:
    without: dict[str, Any] = {field: ...}
    body = role(**without) + word(**without) + finish(**without) + DONE
    schema.validate_stream(passed(body).out)


@pytest.mark.parametrize("wrong", [{"id": 7}, {"created": "now"}, {"created": 1.5}], ids=str)
def test_identity_of_the_wrong_type_is_replaced(wrong: dict[str, Any]) -> None:
    schema.validate_stream(passed(role(**wrong) + word(**wrong) + finish(**wrong) + DONE).out)


@pytest.mark.parametrize("key", ["index", "finish_reason"])
def test_members_of_a_choice_that_are_missing_are_filled_in(key: str) -> None:
    first = choice({"role": "assistant", "content": ""})
    later = choice({"content": " word"})
    for each in (first, later):
        del each[key]
    result = passed(event(chunk(first)) + event(chunk(later)) + finish() + DONE)
    assert len(schema.validate_stream(result.out)) == 3


def test_llama_cpp_streams_are_spliced_to_one_time() -> None:
    body = recording("llama.cpp-b11549/stream_basic").body
    assert b'"created":1795373381' in body
    assert b'"created":1795373382' in body
    out = passed(body, model=RECORDED_MODEL).out
    assert b'"created":1795373382' not in out
    assert len(out) == len(body) - len("null") + len('""') + len('"content":""')


@pytest.mark.parametrize("delta", [{"role": "assistant", "content": None}, {"role": "assistant"}, {}])
def test_the_first_delta_has_role_and_empty_content(delta: dict[str, Any]) -> None:
    result = passed(event(chunk(choice(delta))) + word() + finish() + DONE)
    assert result.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("delta", [{}, {"content": None}, {"reasoning": "hm"}])
def test_a_later_delta_has_content(delta: dict[str, Any]) -> None:
    result = passed(role() + event(chunk(choice(delta, "stop"))) + DONE)
    assert result.chunks[1]["choices"][0]["delta"] == {**delta, "content": ""}


def test_the_first_content_gets_a_role_where_the_engine_sent_none() -> None:
    result = passed(word() + finish() + DONE)
    assert result.chunks[0]["choices"][0]["delta"] == {"content": " word", "role": "assistant"}


def test_logprobs_get_the_members_that_they_lack() -> None:
    odd = choice({"content": " word"}, logprobs={"content": []})
    result = passed(role() + event(chunk(odd)) + finish() + DONE)
    assert result.chunks[1]["choices"][0]["logprobs"] == {"content": [], "refusal": None}


def test_a_chunk_spread_over_lines_leaves_as_one() -> None:
    body = GOOD.replace(b',"object"', b',\ndata: "object"')
    assert passed(body).out == GOOD


# tool calls


_ARG = {"index": 0, "function": {"arguments": "{"}}


def call(**function: Any) -> dict[str, Any]:
    return {"index": 0, "id": "call_1", "type": "function", "function": function}


def test_a_call_begins_with_empty_arguments() -> None:
    begin = {"content": None, "tool_calls": [call(name="f")]}
    piece = event(
        chunk(choice({"content": None, "tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}))
    )
    body = role() + event(chunk(choice(begin))) + piece + event(chunk(choice({}, "tool_calls"))) + DONE
    result = passed(body)
    assert result.chunks[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] == ""
    assert piece in result.out
    assert result.chunks[-1]["choices"][0]["delta"] == {}


def test_content_null_is_left_alone_beside_calls() -> None:
    begin = {"role": "assistant", "content": None, "tool_calls": [call(name="f", arguments="")]}
    body = event(chunk(choice(begin))) + event(chunk(choice({"content": None}, "tool_calls"))) + DONE
    assert passed(body).out == body


@pytest.mark.parametrize("calls", [[1], [None], [{"function": None}], [{"function": {}}], [{}]], ids=str)
def test_odd_calls_pass_as_they_came(calls: list[Any]) -> None:
    odd = event(chunk(choice({"tool_calls": calls})))
    assert (
        passed(role() + odd + finish("tool_calls") + DONE).out == role() + odd + finish("tool_calls") + DONE
    )


# choices


def test_every_choice_asked_for_has_to_finish() -> None:
    both = role(0) + role(1) + word("a", 0) + word("b", 1) + finish("stop", 0)
    assert passed(both + finish("length", 1) + DONE, n=2).state is State.DONE
    result = passed(both + DONE, n=2)
    assert (result.state, result.out) == (State.FAILED, both)


def test_a_choice_says_nothing_after_its_finish_reason() -> None:
    both = role(0) + role(1) + finish("stop", 0)
    body = both + word("late", 0) + word("b", 1) + finish("stop", 0) + finish("stop", 1) + DONE
    assert passed(body, n=2).out == both + word("b", 1) + finish("stop", 1) + DONE


@pytest.mark.parametrize("index", [1, -1, "0", None], ids=repr)
def test_a_choice_that_was_not_asked_for_fails_the_stream(index: Any) -> None:
    odd = event(chunk(choice({"role": "assistant", "content": ""}, index=index)))
    result = passed(role() + odd + GOOD)
    assert (result.out, result.state) == (role(), State.FAILED)


def test_a_second_end_with_usage_counts_as_usage_alone() -> None:
    again = event(chunk(choice({"role": "assistant", "content": ""}, None), usage=USAGE))
    body = role() + finish() + again + DONE
    assert passed(body).out == role() + finish() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


# usage


def test_usage_is_hidden_unless_asked_for_but_noted() -> None:
    body = role() + finish() + usage() + DONE
    result = passed(body)
    assert (result.out, result.usage) == (role() + finish() + DONE, USAGE)


def test_usage_asked_for_passes_as_it_came() -> None:
    body = role() + finish() + usage() + DONE
    result = passed(body, usage=True)
    assert (result.out, result.usage) == (body, USAGE)


def test_null_usage_is_hidden_unless_asked_for() -> None:
    body = role(usage=None) + word(usage=None) + finish(usage=None) + usage() + DONE
    assert passed(body).out == role() + word() + finish() + DONE
    assert passed(body, usage=True).out == body


def test_usage_merged_into_the_finish_chunk_gets_a_chunk_of_its_own() -> None:
    body = role() + finish(usage=USAGE) + DONE
    assert passed(body).out == role() + finish() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


def test_continuous_usage_is_shown_once_at_the_end() -> None:
    body = role(usage=USAGE) + word(usage=USAGE) + finish(usage=USAGE) + usage() + DONE
    assert passed(body).out == role() + word() + finish() + DONE
    assert passed(body, usage=True).out == role() + word() + finish() + usage() + DONE


def test_nulls_within_usage_are_dropped() -> None:
    odd = usage(usage={**USAGE, "prompt_tokens_details": None})
    assert passed(role() + finish() + odd + DONE, usage=True).out == role() + finish() + usage() + DONE


def test_empty_choices_with_null_usage_never_come_out() -> None:
    body = role() + usage(usage=None) + finish() + usage() + DONE
    assert passed(body, usage=True).out == role() + finish() + usage() + DONE


def test_a_failed_stream_shows_no_usage() -> None:
    assert passed(role() + usage() + DONE, usage=True).state is State.FAILED
