"""Embeddings: what engines send, in the contract's shape."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from functions.chat.engines.engine import End, Event, Failure, Reply
from functions.chat.streams.embeddings import EmbeddingsReply
from tests.engines import text_schema
from tests.engines.behaviours import split_every
from tests.engines.recordings import Recording, recordings
from tests.unit.chat.chunks import dumps

GOOD = [
    each
    for each in recordings("embeddings/*/*")
    if each.status == 200 and each.case not in ("chat_on_this_engine", "dimensions")
]


def read(
    body: bytes, count: int = 1, *, is_base64: bool = False, dimensions: int | None = None
) -> list[Event]:
    reader = EmbeddingsReply(model="tiny", count=count, is_base64=is_base64, dimensions=dimensions)
    for part in split_every(body, 1000):
        assert not reader.feed(part)
    assert not reader.ended
    events = list(reader.flush())
    assert reader.ended
    return events


def reply(events: list[Event]) -> dict[str, Any]:
    value, end = events
    assert isinstance(value, Reply)
    assert isinstance(end, End)
    return value.value


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def of(*embeddings: Any, **more: Any) -> bytes:
    data = [{"index": index, "embedding": each} for index, each in enumerate(embeddings)]
    return dumps({"object": "list", "data": data, **more})


@pytest.mark.parametrize("recorded", GOOD, ids=str)
def test_a_recorded_reply_obeys_the_contract_in_either_format(recorded: Recording) -> None:
    given = recorded.request["body"]["input"]
    count = 1 if isinstance(given, str) else len(given)
    either = []
    for is_base64 in (False, True):
        events = read(recorded.body, count, is_base64=is_base64)
        either.append(text_schema.validate_embeddings(reply(events), count=count, is_base64=is_base64))
    for floats, decoded in zip(*either, strict=True):
        assert floats == pytest.approx(decoded, rel=1e-6)
    assert reply(events)["usage"]["prompt_tokens"] > 0


def test_embeddings_come_in_the_order_of_their_inputs() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]
    value = reply(read(dumps({"data": data}), 2))
    assert text_schema.validate_embeddings(value, count=2) == [[1.0], [2.0]]


def test_an_embedding_without_an_index_is_where_it_stands() -> None:
    data = [{"embedding": [1.0]}, {"index": None, "embedding": [2.0]}]
    value = reply(read(dumps({"data": data}), 2))
    assert text_schema.validate_embeddings(value, count=2) == [[1.0], [2.0]]


BROKEN: dict[str, tuple[bytes, int]] = {
    "one too few": (of([1.0]), 2),
    "one too many": (of([1.0], [1.0]), 1),
    "one twice": (dumps({"data": [{"index": 0, "embedding": [1.0]}] * 2}), 2),
    "an index that is none": (dumps({"data": [{"index": [], "embedding": [1.0]}]}), 1),
    "two lengths": (of([1.0], [1.0, 2.0]), 2),
    "no numbers": (of([]), 1),
    "text": (of(["1"]), 1),
    "booleans": (of([True]), 1),
    "nothing": (of(None), 1),
    "too large a number": (of([1e39]), 1),
    "not a number": (b'{"data": [{"index": 0, "embedding": [NaN]}]}', 1),
    "base64 of infinity": (of(packed(float("inf"))), 1),
    "base64 of half a number": (of(base64.b64encode(b"abc").decode()), 1),
    "no base64": (of("?"), 1),
    "base64 with something else in it": (of(packed(1.0)[:4] + "\n?" + packed(1.0)[4:]), 1),
    "an entry that is none": (dumps({"data": [7]}), 1),
    "no list": (dumps({"data": 7}), 1),
    "an array": (b"[]", 1),
    "a completion": (dumps({"choices": []}), 1),
    "half of it": (of([1.0])[:-5], 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_reply_fails(name: str) -> None:
    body, count = BROKEN[name]
    (failure,) = read(body, count)
    assert isinstance(failure, Failure)
    assert (failure.error.status, failure.error.headers["x-should-retry"]) == (502, "false")


def test_an_error_in_the_reply_is_one() -> None:
    (failure,) = read(dumps({"error": {"message": "x", "code": 429}}))
    assert isinstance(failure, Failure)
    assert failure.error.status == 429


def test_another_number_of_dimensions_than_requested_fails() -> None:
    assert reply(read(of([1.0, 2.0]), dimensions=2))
    (failure,) = read(of([1.0, 2.0]), dimensions=1)
    assert isinstance(failure, Failure)
    assert (failure.error.status, failure.error.param) == (400, "dimensions")


def test_what_an_engine_counts_is_counted() -> None:
    events = read(of([1.0], usage={"prompt_tokens": 3, "total_tokens": 3}))
    assert isinstance(events[-1], End)
    assert events[-1].usage == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
