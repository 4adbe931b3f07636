"""Whatever value an engine puts anywhere, what leaves is valid in its shape, or a failure."""

import copy
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from functions.chat.engines.engine import End, Event, Failure, Reader, Reply
from functions.chat.json_text import dump
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.completions import Assembled, TextReply, TextStream
from functions.chat.streams.embeddings import EmbeddingsReply
from functions.chat.streams.response import Writer
from tests.engines import schema, text_schema
from tests.engines.responses import check_response_stream, validate_response
from tests.unit.chat.chunks import DONE, USAGE, choice, chunk, dumps, event
from tests.unit.chat.streams.test_responses import writer as response_writer

VALUES = [None, 7, -1, "a", [], [7], {"a": "b"}]
COUNTED = {**USAGE, "prompt_tokens_details": {"cached_tokens": 1}}
TOKEN = {"token": "a", "logprob": -1, "bytes": [97]}
LOGPROBS = {"content": [{**TOKEN, "top_logprobs": [TOKEN]}], "refusal": None}
TEXT_LOGPROBS = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}], "text_offset": [0]}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DELTA = {"role": "assistant", "content": "a", "reasoning": "b", "refusal": "c"}
MESSAGE = {**DELTA, "tool_calls": [CALL], "function_call": None}
CHOICES = [
    choice(DELTA, logprobs=LOGPROBS),
    choice({"tool_calls": [CALL]}),
    choice({"function_call": CALL["function"]}),
]
TEXTS = [
    {"id": "cmpl-1", "created": 7, "choices": [{"index": 0, "text": "a", "logprobs": TEXT_LOGPROBS}]},
    {"choices": [{"index": 0, "text": "a", "logprobs": LOGPROBS, "finish_reason": "stop"}], "usage": COUNTED},
]
FINISH = chunk(choice({}, "stop"))
EMBEDDING = {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]}


def odd(sample: Any) -> Iterator[Any]:
    """Yield a sample with each of its values in turn replaced by each odd one, or left out."""
    for path in list(paths_of(sample)):
        for value in [*VALUES, ...]:
            changed = copy.deepcopy(sample)
            inner = changed
            for step in path[:-1]:
                inner = inner[step]
            if value is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield changed


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for step in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, step)
        yield from paths_of(value[step], (*path, step))


def read(reader: Reader, body: bytes) -> list[Event]:
    events = [*reader.feed(body), *reader.flush()]
    assert isinstance(events[-1], End | Failure)
    return events


def stream_of(values: list[Any]) -> bytes:
    return b"".join(event(value) for value in values) + DONE


@pytest.mark.parametrize("sample", CHOICES, ids=range(len(CHOICES)))
def test_a_streamed_response_is_valid(sample: Any) -> None:
    for changed in odd({"choices": [sample], "usage": COUNTED}):
        its = response_writer()
        events = read(ChatStream(model="tiny", as_values=True), stream_of([chunk(**changed), FINISH]))
        sent = [its.end(each) if isinstance(each, End | Failure) else its.write(each) for each in events]  # type: ignore[arg-type]
        check_response_stream(b"".join(sent))


Check = Callable[[dict[str, Any]], Any]


def check_whole(reader: Callable[[], Reader], body: bytes, check: Check, write: Writer | None = None) -> None:
    for each in read(reader(), body):
        if isinstance(each, Reply):
            value = write.whole(each.value) if write else each.value
            check(json.loads(dump(value)))


def test_a_whole_response_is_valid() -> None:
    reader = partial(ChatReply, model="tiny", n=1, request_id="r")
    only = {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": LOGPROBS}]}
    for changed in odd({**only, "usage": COUNTED}):
        check_whole(reader, dumps(changed), validate_response, response_writer())
        check_whole(reader, dumps(changed), schema.validate_completion)


@pytest.mark.parametrize("sample", TEXTS, ids=range(len(TEXTS)))
def test_a_completion_is_valid(sample: Any) -> None:
    streamed = partial(TextStream, model="tiny", logprobs=1, include_usage=True)
    for changed in odd(sample):
        body = stream_of([changed if value is sample else value for value in TEXTS])
        events = read(streamed(), body)
        if isinstance(events[-1], End):
            data = b"".join(each.data for each in events[:-1])  # type: ignore[union-attr]
            text_schema.check_stream(data + DONE, include_usage=b'"usage":{' in data)
        check = partial(text_schema.validate_completion, n=1)
        check_whole(lambda: Assembled(streamed(as_values=True)), body, check)
        check_whole(partial(TextReply, model="tiny", n=1, logprobs=1, request_id="r"), dumps(changed), check)


def test_embeddings_are_valid() -> None:
    reader = partial(EmbeddingsReply, model="tiny", count=1, is_base64=False)
    for changed in odd({"object": "list", "data": [EMBEDDING], "usage": COUNTED}):
        check_whole(reader, dumps(changed), partial(text_schema.validate_embeddings, count=1))
