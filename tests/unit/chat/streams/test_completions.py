"""Completions of a text: what engines send, streamed and whole, in the contract's shape."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat.engines.engine import Chunks, End, Event, Failure, Reader, Reply, Run
from functions.chat.engines.kinds import ENGINES
from functions.chat.errors import UpstreamError
from functions.chat.streams.completions import Assembled, TextReply, TextStream
from functions.chat.streams.echo import EchoWriter
from functions.chat.streams.template import Template
from tests.engines import text_schema
from tests.engines.behaviours import split_every
from tests.engines.recordings import Recording, recording, recordings
from tests.unit.chat.chunks import DONE, dumps, event

GOOD = [each for each in recordings("completions/*/*") if each.status == 200]
STREAMS = [each for each in GOOD if each.is_stream and "cut" not in each.case]
WHOLE = [each for each in GOOD if not each.is_stream]
VLLM, LLAMA = "completions/vllm-0.32.0", "completions/llama.cpp-b11549"


def options_of(recorded: Recording) -> dict[str, Any]:
    """Return what the reader is given for a recorded request."""
    body = recorded.request["body"]
    prompt, n = body["prompt"], body.get("n") or 1
    prompts = 1 if isinstance(prompt, str) or isinstance(prompt[0], int) else len(prompt)
    kind = ENGINES[recorded.engine.split("/")[1].partition("-")[0]]
    return {
        "model": "tiny",
        "n": prompts * n,
        "each": n,
        "logprobs": body.get("logprobs"),
        "counts_by_choice": kind.counts_by_choice,
    }


def reply_reader(options: dict[str, Any]) -> TextReply:
    return TextReply(model=options["model"], n=options["n"], logprobs=options["logprobs"], request_id="abc")


def read(reader: Reader, parts: bytes | Iterable[bytes]) -> list[Event]:
    """Return all events of a body, of which the last one alone ends it."""
    events: list[Event] = []
    for part in [parts] if isinstance(parts, bytes) else parts:
        events += reader.feed(part)
    events += reader.flush()
    assert [isinstance(each, End | Failure) for each in events] == [False] * (len(events) - 1) + [True]
    assert reader.ended
    return events


def sent(events: Iterable[Event]) -> bytes:
    return b"".join(each.data for each in events if isinstance(each, Run | Chunks))


def whole(events: list[Event]) -> dict[str, Any]:
    """Return the reply that all but the counted events are."""
    reply, end = (each for each in events if not isinstance(each, Run))
    assert isinstance(reply, Reply)
    assert isinstance(end, End)
    return reply.value


@pytest.mark.parametrize("recorded", STREAMS, ids=str)
def test_a_recorded_stream_obeys_the_contract_however_it_is_split(recorded: Recording) -> None:
    options = options_of(recorded)
    for include_usage in (False, True):
        results = [
            sent(read(TextStream(**options, include_usage=include_usage), parts)) + DONE
            for parts in (recorded.body, split_every(recorded.body, 7))
        ]
        assert results[0] == results[1]
        has_usage = b'"usage":{' in recorded.body  # only on request, from vLLM
        text_schema.check_stream(results[0], n=options["n"], include_usage=include_usage and has_usage)


@pytest.mark.parametrize("recorded", WHOLE, ids=str)
def test_a_recorded_whole_reply_obeys_the_contract(recorded: Recording) -> None:
    options = options_of(recorded)
    reply = whole(read(reply_reader(options), recorded.body))
    text_schema.validate_completion(reply, n=options["n"])
    came = json.loads(recorded.body)
    assert [choice["text"] for choice in reply["choices"]] == [choice["text"] for choice in came["choices"]]


@pytest.mark.parametrize("recorded", STREAMS, ids=str)
def test_a_stream_is_assembled_into_the_whole_reply_that_it_is(recorded: Recording) -> None:
    options = options_of(recorded)
    events = read(Assembled(TextStream(**options, as_values=True)), split_every(recorded.body, 7))
    reply = text_schema.validate_completion(whole(events), n=options["n"])
    stream = text_schema.check_stream(sent(read(TextStream(**options), recorded.body)) + DONE, n=options["n"])
    for choice in reply["choices"]:
        pieces = stream.choices(choice["index"])
        assert choice["text"] == stream.text(choice["index"])
        assert choice["finish_reason"] == pieces[-1]["finish_reason"]
        tokens = [token for piece in pieces if piece["logprobs"] for token in piece["logprobs"]["tokens"]]
        assert (choice["logprobs"] or {"tokens": []})["tokens"] == tokens
    assert sum(each.tokens for each in events if isinstance(each, Run)) == sum(
        bool(choice["text"]) for chunk in stream.chunks for choice in chunk["choices"]
    )


@pytest.mark.parametrize(
    ("name", "prompt", "completion"),
    [("stream_n2", 4, 8), ("stream_list", 5, 8), ("stream_basic", 4, 12)],
)
def test_the_choices_of_llama_cpp_are_counted_together_and_their_prompt_once(
    name: str, prompt: int, completion: int
) -> None:
    recorded = recording(f"{LLAMA}/{name}")
    reply = whole(read(Assembled(TextStream(**options_of(recorded), as_values=True)), recorded.body))
    usage = reply["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, completion)
    assert usage["total_tokens"] == prompt + completion


def test_log_probabilities_of_chat_become_those_of_completions() -> None:
    for name in ("logprobs", "stream_logprobs"):
        ours = []
        for engine in (VLLM, LLAMA):
            recorded = recording(f"{engine}/{name}")
            options = options_of(recorded)
            if recorded.is_stream:
                reader: Reader = Assembled(TextStream(**options, as_values=True))
            else:
                reader = reply_reader(options)
            logprobs = whole(read(reader, recorded.body))["choices"][0]["logprobs"]
            tops = [set(top) for top in logprobs["top_logprobs"]]
            ours.append((logprobs["tokens"], logprobs["text_offset"], [len(top) for top in tops]))
            assert all(token in top for token, top in zip(logprobs["tokens"], tops, strict=True))
        assert ours[0] == ours[1] == ([",", " the", " city"], [0, 1, 5], [2, 2, 2])


def test_no_likeliest_tokens_are_left_where_none_were_requested() -> None:
    recorded = recording(f"{LLAMA}/logprobs")
    reader = TextReply(model="tiny", n=1, logprobs=0, request_id="abc")
    logprobs = whole(read(reader, recorded.body))["choices"][0]["logprobs"]
    assert [list(top) for top in logprobs["top_logprobs"]] == [[","], [" the"], [" city"]]


@pytest.mark.parametrize("recorded", recordings("completions/*/stream_cut*"), ids=str)
def test_a_stream_that_was_cut_fails(recorded: Recording) -> None:
    for reader in (TextStream(model="tiny"), Assembled(TextStream(model="tiny", as_values=True))):
        last = read(reader, recorded.body)[-1]
        assert isinstance(last, Failure)
        assert isinstance(last.error, UpstreamError)


# by hand


def chunk(text: Any = "", finish: Any = None, index: Any = 0, **more: Any) -> bytes:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    return event(
        {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "x", "choices": [choice], **more}
    )


FINISH = chunk("", "stop")
BROKEN = {
    "no finish reason": chunk("a") + DONE,
    "one of two choices": None,
    "a chat completion": event({"choices": [{"index": 0, "delta": {"content": "a"}}]}) + FINISH + DONE,
    "a text that is none": chunk(["a"]) + FINISH + DONE,
    "an index that is none": chunk("a", index=1) + FINISH + DONE,
    "text after the end": FINISH + chunk("a") + DONE,
    "an error": chunk("a") + event({"error": {"message": "x", "code": 500}}) + DONE,
    "aborted": chunk("a", "abort") + DONE,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_fails(name: str) -> None:
    body = BROKEN[name] or chunk("a") + FINISH + DONE
    n = 1 if BROKEN[name] else 2
    for parts in (body, split_every(body, 1)):
        last = read(TextStream(model="tiny", n=n), parts)[-1]
        assert isinstance(last, Failure)
        assert isinstance(last.error, UpstreamError)


@pytest.mark.parametrize(
    "reply",
    [
        {"choices": []},
        {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "text": "a", "finish_reason": None}]},
        {"choices": [{"index": "0", "text": "a", "finish_reason": "stop"}]},
        {"choices": [{"index": 0, "text": "a", "finish_reason": "stop", "logprobs": {"tokens": 7}}]},
        {"choices": [{"index": 0, "text": "a", "finish_reason": "stop", "logprobs": {"content": [7]}}]},
        [],
        {"object": "list", "data": []},
    ],
    ids=str,
)
def test_a_broken_reply_fails(reply: Any) -> None:
    (failure,) = read(TextReply(model="tiny", n=1, logprobs=1, request_id="abc"), dumps(reply))
    assert isinstance(failure, Failure)
    assert failure.error.status == 502


def test_choices_come_in_order() -> None:
    choices = [{"index": index, "text": str(index), "finish_reason": "stop"} for index in (1, 0)]
    reply = whole(read(TextReply(model="tiny", n=2, request_id="abc"), dumps({"choices": choices})))
    assert [choice["text"] for choice in reply["choices"]] == ["0", "1"]
    assert reply["id"] == "cmpl-abc"


TEXT = st.one_of(
    st.sampled_from(
        ["", " word", '"', "\\", "\n\n", "\u2028", "é", "🙂", '","finish_reason":"stop"', "data: {"]
    ),
    st.text(max_size=6),
)


def body_of(texts: list[tuple[int, str]], n: int, *, more: dict[str, Any]) -> bytes:
    begun = b"".join(chunk("", index=index, **more) for index in range(n))
    said = b"".join(chunk(text, index=index % n, **more) for index, text in texts)
    return begun + said + b"".join(chunk("", "stop", index, **more) for index in range(n)) + DONE


def split(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(
    texts=st.lists(st.tuples(st.integers(0, 2), TEXT), max_size=8),
    n=st.integers(1, 3),
    more=st.sampled_from([{}, {"timings": {"a": 1}}, {"id": "chatcmpl-7"}]),
    cuts=st.lists(st.integers(1, 300), max_size=12),
)
def test_the_caller_gets_all_texts_of_a_stream_however_it_is_cut(
    texts: list[tuple[int, str]], n: int, more: dict[str, Any], cuts: list[int]
) -> None:
    body = body_of(texts, n, more=more)
    events = read(TextStream(model="tiny", n=n), split(body, cuts))
    stream = text_schema.check_stream(sent(events) + DONE, n=n)
    for index in range(n):
        assert stream.text(index) == "".join(text for at, text in texts if at % n == index)
    with patch.object(Template, "of", return_value=None):
        unsplit = sent(read(TextStream(model="tiny", n=n), body))
    assert sent(events) == unsplit
    assert sum(each.tokens for each in events if isinstance(each, Run | Chunks)) >= sum(
        bool(text) for _, text in texts
    )


def test_plain_pieces_of_text_pass_unread() -> None:
    for engine in (VLLM, LLAMA):
        parts = [part + b"\n\n" for part in recording(f"{engine}/stream_basic").body.split(b"\n\n")]
        stream = TextStream(model="tiny")
        for part in parts[:2]:
            assert not any(isinstance(each, Run) for each in stream.feed(part))
        (run,) = stream.feed(b"".join(parts[2:9]))
        assert isinstance(run, Run)
        assert run.tokens == 7


# echo


def test_each_choice_of_a_stream_begins_with_its_prompt() -> None:
    body = body_of([(0, "a"), (1, "b"), (2, "c"), (3, "d"), (0, "e")], 4, more={})
    writer = EchoWriter(["One ", "Two "], 2)
    events = read(TextStream(model="tiny", n=4), split_every(body, 50))
    out = b"".join(writer.write(each) for each in events if isinstance(each, Run | Chunks))
    stream = text_schema.check_stream(out + DONE, n=4)
    assert [stream.text(index) for index in range(4)] == ["One ae", "One b", "Two c", "Two d"]


def test_each_choice_of_a_reply_begins_with_its_prompt() -> None:
    choices = [{"index": index, "text": str(index)} for index in range(4)]
    reply = EchoWriter(["One ", "Two "], 2).whole({"id": "cmpl-1", "choices": choices})
    assert [choice["text"] for choice in reply["choices"]] == ["One 0", "One 1", "Two 2", "Two 3"]
