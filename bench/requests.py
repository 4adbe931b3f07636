"""Large requests and whole replies, beside the same bytes sent on unread: CPU time of the function.

The other side is `unparsed.py`, on the same layer and transport.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import statistics
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bundle import CHAT, ROOT
from bench.measures import Row, alternating, cpu_s
from bench.runtime_api import Function, function, http_event

KB, MB = 1000, 1_000_000
_EMBEDDINGS, _DIMENSIONS = 46, 1024
_STREAM = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
_TEXT = 'The quick brown fox jumps over the "lazy" dog; 13 of them.\n'


@dataclass(frozen=True)
class _Case:
    """A request and the reply to it; `goal` is how much of the throughput of the other side is expected."""

    what: str
    request: Mapping[str, Any]
    reply: bytes
    goal: float | None = 0.5


def measure(rounds: int = 30) -> list[Row]:
    """Return two rows of each case: throughput, and the longest step of the event loop."""
    return [row for case in _cases() for row in _rows(case, rounds)]


def _cases() -> list[_Case]:
    image = "data:image/png;base64," + base64.b64encode(random.Random(1).randbytes(3_700_000)).decode()
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": image}}]
    inputs = {"model": "m", "input": ["Hi"] * _EMBEDDINGS}
    return [
        _Case("request of 100 kB, text", _chat(_text(100 * KB), stream=True), _STREAM),
        _Case("request of 5 MB, an image", _chat(content, stream=True), _STREAM),
        _Case("whole reply of 1 MB, text", _chat("Hi"), _whole(_text(MB))),
        # Beyond the goals: what is read character by character, and numbers.
        _Case("request of 1 MB, text", _chat(_text(MB), stream=True), _STREAM, goal=None),
        _Case("whole reply of 1 MB, embeddings", inputs, _embeddings(), goal=None),
    ]


def _rows(case: _Case, rounds: int) -> list[Row]:
    path = "/v1/embeddings" if "input" in case.request else "/v1/chat/completions"
    event = http_event(path, json.dumps(case.request, ensure_ascii=False))
    with ExitStack() as stack:
        engine = stack.enter_context(_engine(case.reply))
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()), "longest")
        served = {"base_url": engine, "serves": ["chat", "embeddings"], "max_tokens_limit": 4096}
        environ = {"MODELS": json.dumps({"m": served}), "MAX_BODY_BYTES": "6000000", "ENGINE": engine}

        def start(handler: str, **more: str) -> Function:
            return stack.enter_context(function((), handler, CHAT, ROOT, **environ, **more))

        ours = start("functions/chat/handler.handler")
        unread = start("bench/unparsed.handler")
        probed = start("bench/longest_step.handler", LONGEST_STEP=str(place))

        def longest_step_s() -> float:
            probed.invoke(event)
            return float(place.read_text())

        sides = (
            lambda: cpu_s(ours.pid, lambda: ours.invoke(event)),
            lambda: cpu_s(unread.pid, lambda: unread.invoke(event)),
            longest_step_s,
        )
        alternating(3, *sides)
        ours_s, unread_s, longest_s = (statistics.median(each) for each in alternating(rounds, *sides))
    ratio = unread_s / ours_s
    return [
        Row(
            case.what,
            f"{ours_s * 1000:.2f} ms",
            f"{unread_s * 1000:.2f} ms the same bytes, unread",
            f"{ratio:.2f} x",
            f">= {case.goal} x" if case.goal else "",
            ratio >= case.goal if case.goal else None,
        ),
        Row(
            "- longest step of the event loop",
            f"{longest_s * 1000:.2f} ms",
            "",
            "",
            "<= 10 ms",
            longest_s <= 0.010,
        ),
    ]


def _text(size: int) -> str:
    return (_TEXT * (size // len(_TEXT) + 1))[:size]


def _chat(content: Any, *, stream: bool = False) -> dict[str, Any]:
    return {"model": "m", "stream": stream, "messages": [{"role": "user", "content": content}]}


def _whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 9, "completion_tokens": len(text) // 4, "total_tokens": 9 + len(text) // 4}
    whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps({**whole, "usage": usage}).encode()


def _embeddings() -> bytes:
    numbers = random.Random(1)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [numbers.gauss(0, 0.03) for _ in range(_DIMENSIONS)],
        }
        for index in range(_EMBEDDINGS)
    ]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return json.dumps({"object": "list", "data": data, "model": "m", "usage": usage}).encode()


@contextmanager
def _engine(reply: bytes) -> Iterator[str]:
    """Serve one reply to every request, in threads; return the base URL."""
    kind = b"text/event-stream" if reply.startswith(b"data:") else b"application/json"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(reply))

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            while requests.readline():
                length = 0
                while (line := requests.readline()) != b"\r\n":
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                requests.read(length)
                connection.sendall(head + reply)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
