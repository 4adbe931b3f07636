"""No step of a large request, or of a large reply, keeps the event loop from others for longer than 10 ms.

CPU time, the best of a few: other processes have little part in it. Each takes a quarter of that, or half.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from lambda_stream._events import Invocation

from functions.chat.api import body, chat_completions, chat_schema, media
from functions.chat.engines.engine import Reply
from functions.chat.json_text import dump
from functions.chat.streams.chat import ChatReply
from functions.chat.streams.embeddings import EmbeddingsReply
from tests.unit.chat.fakes import model, settings

OF = model(max_tokens_limit=4096)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo+" * 410_000}}
TEXT = 'The quick brown fox jumps over the "lazy" dog; 13 of them.\n'
BODIES = {
    "an image of 5 MB": [{"type": "text", "text": TEXT}, IMAGE],
    "a text of 1 MB": TEXT * 17_000,
    "a text of 0.6 MB, not ASCII": "Größe, 東京. " * 35_000,
}


def cpu_s(work: Callable[[], Any]) -> float:
    """Return the CPU time that work takes, the best of a few."""
    took = []
    for _ in range(5):
        began = time.thread_time()
        work()
        took.append(time.thread_time() - began)
    return min(took)


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_no_step_of_a_request_is_long(content: Any) -> None:
    sent = {"model": "tiny", "messages": [{"role": "user", "content": content}]}
    raw = json.dumps(sent, ensure_ascii=False).encode()
    event = json.dumps({"body": raw.decode()}, ensure_ascii=False).encode()
    parsed = body.parse_json(raw)
    checked = chat_schema.check(parsed)

    def request() -> None:
        chat_completions.engine_request(parsed, checked, OF, settings(OF), "abc")

    steps: dict[str, Callable[[], Any]] = {
        "event": Invocation("1", event, 0).event,
        "parse": lambda: body.parse_json(raw),
        "check": lambda: chat_schema.check(parsed),
        "media": lambda: asyncio.run(media.check(media.media_of(checked.messages), OF)),
        "request": request,
    }
    took = {name: cpu_s(step) for name, step in steps.items()}
    assert max(took.values()) <= 0.010, took


def embeddings() -> bytes:
    numbers = random.Random(1)
    data = [
        {"index": index, "embedding": [numbers.gauss(0, 0.03) for _ in range(1024)]} for index in range(46)
    ]
    return json.dumps({"data": data, "usage": {"prompt_tokens": 9, "total_tokens": 9}}).encode()


def completion() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT * 17_000}, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 1, "choices": [choice]}).encode()


@pytest.mark.parametrize(
    ("reader", "reply"),
    [
        (lambda: ChatReply(model="tiny", n=1, request_id="abc"), completion()),
        (lambda: EmbeddingsReply(model="tiny", count=46, is_base64=False), embeddings()),
    ],
    ids=["a text of 1 MB", "embeddings of 1 MB"],
)
def test_no_step_of_a_whole_reply_is_long(reader: Callable[[], Any], reply: bytes) -> None:
    read: list[Any] = []

    def flush() -> None:
        reading = reader()
        reading.feed(reply)
        read[:] = reading.flush()

    took = {"read": cpu_s(flush), "write": cpu_s(lambda: dump(read[0].value))}
    assert isinstance(read[0], Reply)
    assert max(took.values()) <= 0.010, took
