"""Reasoning in tags at the beginning of a content: moved to where it belongs, wherever the pieces end."""

import json
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Any

import pytest

from functions.chat.engines.engine import Chunks, End, Failure, Reply, Run
from functions.chat.streams.chat import ChatReply, ChatStream

# What the model writes → its reasoning and its text.
WRITTEN = {
    "one block": ("<reasoning>Let me see</reasoning>Paris.", "Let me see", "Paris."),
    "a block in each piece": (
        "<reasoning>Let</reasoning><reasoning> me</reasoning>Paris",
        "Let me",
        "Paris",
    ),
    "white space around it": ("\n <reasoning>a</reasoning>\n\nParis", "a", "\n\nParis"),
    "no tags": ("Paris.", "", "Paris."),
    "nothing but white space": ("\n ", "", "\n "),
    "what looks like a tag": ("<reason>x</reason>", "", "<reason>x</reason>"),
    "never closed": ("<reasoning>Let me < see </reas", "Let me < see </reas", ""),
    "cut in the first tag": ("<reas", "", "<reas"),
    "quoted in the text": ("Use <reasoning>x</reasoning>.", "", "Use <reasoning>x</reasoning>."),
    "quoted after the reasoning": (
        "<reasoning>a</reasoning>Use <reasoning>x</reasoning>",
        "a",
        "Use <reasoning>x</reasoning>",
    ),
    "half a tag in the reasoning": ("<reasoning>a </reason b</reasoning>c", "a </reason b", "c"),
    "empty reasoning": ("<reasoning></reasoning>c", "", "c"),
}


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "openai.gpt-oss-20b-1:0",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def said(feeds: Iterable[bytes], n: int = 1) -> list[tuple[str, str]]:
    """Return the reasoning and the text of each choice of a stream, as a client adds them up."""
    stream = ChatStream(model="gpt-oss", n=n, tagged=True)
    events = [each for data in feeds for each in stream.feed(data)] + list(stream.flush())
    assert isinstance(events[-1], End), events
    sent = b"".join(each.data for each in events if isinstance(each, Chunks | Run))
    totals = [["", ""] for _ in range(n)]
    for line in sent.decode().split("\n\n"):
        if line:
            (choice,) = json.loads(line.removeprefix("data: "))["choices"]
            delta = choice["delta"]
            assert delta.get("reasoning") == delta.get("reasoning_content")
            totals[choice["index"]][0] += delta.get("reasoning", "")
            totals[choice["index"]][1] += delta["content"]
    return [(reasoning, text) for reasoning, text in totals]


def streamed(pieces: Iterable[str], finish: str = "stop") -> list[bytes]:
    deltas = [event({"role": "assistant", "content": ""}), *(event({"content": piece}) for piece in pieces)]
    return [*deltas, event({}, finish), b"data: [DONE]\n\n"]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_stream_may_be_cut_anywhere(name: str) -> None:
    written, *expected = WRITTEN[name]
    cuts = [(), *((at,) for at in range(1, len(written)))]
    if len(written) <= 20:
        cuts += combinations(range(1, len(written)), 2)
    cuts.append(tuple(range(1, len(written))))
    for places in cuts:
        ends = (0, *places, len(written))
        pieces = [written[start:end] for start, end in pairwise(ends)]
        events = streamed(pieces)
        for feeds in (events, [b"".join(events)]):
            assert said(feeds) == [tuple(expected)], places


@pytest.mark.parametrize("name", WRITTEN)
def test_a_whole_reply(name: str) -> None:
    written, reasoning, text = WRITTEN[name]
    reply = ChatReply(model="gpt-oss", n=1, request_id="r", tagged=True)
    message = {"role": "assistant", "content": written}
    reply.feed(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())
    first, _ = reply.flush()
    assert isinstance(first, Reply)
    (choice,) = first.value["choices"]
    assert choice["message"].get("reasoning", "") == reasoning
    assert choice["message"]["content"] == (text if text or not reasoning else None)


def test_each_choice_has_its_own() -> None:
    first, second = "<reasoning>a</reasoning>b", "<reasoning>c</reasoning>d"
    pieces = [event({"content": letter}, index=index) for pair in zip(first, second, strict=True)
              for index, letter in enumerate(pair)]  # fmt: skip
    ends = [event({}, "stop", 0), event({}, "stop", 1), b"data: [DONE]\n\n"]
    assert said([*pieces, *ends], n=2) == [("a", "b"), ("c", "d")]


def test_reasoning_of_its_own_name_has_no_tags_beside_it() -> None:
    deltas = [event({"reasoning_content": "a"}), event({"content": "<reasoning>b</reasoning>"})]
    assert said([*deltas, event({}, "stop")]) == [("a", "<reasoning>b</reasoning>")]


def test_the_text_after_the_reasoning_passes_unread() -> None:
    stream = ChatStream(model="gpt-oss", tagged=True)
    for written in ("<reasoning>a", "b</reasoning>", "Paris", "."):
        (came,) = stream.feed(event({"content": written}))
        assert isinstance(came, Chunks)
    assert isinstance(stream.feed(event({"content": " is"}))[0], Run)


def test_the_end_before_a_finish_is_a_failure() -> None:
    stream = ChatStream(model="gpt-oss", tagged=True)
    stream.feed(event({"content": "<reas"}))
    assert isinstance(stream.flush()[-1], Failure)
