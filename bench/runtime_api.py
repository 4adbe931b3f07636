"""A Lambda Runtime API on blocking sockets: it starts a function, invokes it, and times its responses."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bundle import CHAT, ROOT
from bench.client import completion

# -S: without the test environment's packages.
PYTHON = (sys.executable, "-S")
STOCK = (*PYTHON, "-m", "awslambdaric")
_PRELUDE_END = b"\0" * 8


@dataclass(frozen=True)
class Reply:
    """One streamed reply. Units: seconds from the event's delivery to the first body byte, and to the end."""

    first_byte_s: float
    total_s: float
    size: int
    tail: bytes


class Function:
    """A function in a child process, waiting for its next event."""

    def __init__(self, child: subprocess.Popen[bytes], listener: socket.socket, started_at: float) -> None:
        self.pid = child.pid
        self._listener, self.started_at = listener, started_at
        self._next, _ = listener.accept()
        self._await_next()

    def invoke(self, event: Mapping[str, Any]) -> Reply:
        """Deliver an event and read the whole streamed reply."""
        began = time.perf_counter()
        self._deliver(event)
        reply, _ = self._listener.accept()
        with reply:
            result = _read(reply, began)
            reply.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            self._await_next()
        return result

    def first_event_s(self, event: Mapping[str, Any]) -> float:
        """Deliver the first event; return the time from the process's start to the first byte of the body."""
        delivered = time.perf_counter()
        return delivered - self.started_at + self.invoke(event).first_byte_s

    def first_reply_s(self, event: Mapping[str, Any], expected: bytes) -> float:
        """Deliver the first event; return the time from the process's start to the end of its reply."""
        reply = self.reply_to(event)
        took = time.perf_counter() - self.started_at
        assert expected in reply, reply
        return took

    def _deliver(self, event: Mapping[str, Any]) -> None:
        payload = json.dumps(event).encode()
        deadline = int(time.time() * 1000) + 900_000
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            f"Lambda-Runtime-Aws-Request-Id: 00000000-0000-0000-0000-000000000000\r\n"
            f"Lambda-Runtime-Deadline-Ms: {deadline}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:chat\r\n\r\n"
        )
        self._next.sendall(head.encode() + payload)

    def reply_to(self, event: Mapping[str, Any]) -> bytes:
        """Deliver an event and return what is posted back, head and body, streamed or not.

        Unlike `invoke` it works with any runtime, and at most once.
        """
        self._deliver(event)
        posted: dict[socket.socket, bytes] = {self._next: b""}
        while True:
            ready, _, _ = select.select([self._listener, *posted], [], [], 60)
            assert ready, "the function posted no reply"
            for source in ready:
                if source is self._listener:
                    connection, _ = self._listener.accept()
                    posted[connection] = b""
                    continue
                data = source.recv(262144)
                posted[source] += data
                if not data:
                    del posted[source]
                elif _is_whole(posted[source]):
                    return posted[source]

    def _await_next(self) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            data = self._next.recv(65536)
            assert data, f"the function ended before its next event: {request!r}"
            request += data
        assert b"/runtime/invocation/next" in request, request


def _is_whole(request: bytes) -> bool:
    """Return whether an HTTP request with a body has arrived, whichever way its length is given."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(end) and (len(body) >= int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n"))


def _read(reply: socket.socket, began: float) -> Reply:
    """Read a chunked POST to its end; the body starts with the first chunk after the prelude's."""
    head = b""
    first = 0.0
    while not first:
        head += reply.recv(262144)
        place = head.find(_PRELUDE_END)
        # 10: the zeros, and the end of the prelude's chunk; then the length of the first chunk of the body.
        if place > 0 and head.find(b"\n", place + 10) > 0:
            first = time.perf_counter() - began
    size, tail = len(head), head[-200:]
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        data = reply.recv(262144)
        assert data, "the function closed its reply before the end"
        size += len(data)
        tail = (tail + data)[-200:]
    return Reply(first, time.perf_counter() - began, size, tail)


def wrapped(root: Path = ROOT) -> tuple[str, ...]:
    """Return the command of a function on the streaming layer of a checkout, whatever its wrapper's name."""
    files = (path for path in (root / "layers/streaming").iterdir() if path.is_file())
    (wrapper,) = (path for path in files if os.access(path, os.X_OK))
    return (str(wrapper), *PYTHON, "/var/runtime/bootstrap.py")


@contextmanager
def function(
    command: Sequence[str] = (),
    handler: str = "functions/chat/handler.handler",
    packages: Path = CHAT,
    root: Path = ROOT,
    **environ: str,
) -> Iterator[Function]:
    """Start a function as Lambda does, until its first `/next`; by default on the layer of its checkout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{root}:{packages}",
            "LAMBDA_TASK_ROOT": str(root),
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "_HANDLER": handler,
            **environ,
        }
        began = time.perf_counter()
        child = subprocess.Popen(
            command or wrapped(root), cwd=root, env=environment, stdout=subprocess.DEVNULL
        )
        try:
            yield Function(child, listener, began)
        finally:
            child.kill()
            child.wait()


def chat_event(model: str, tokens: int) -> dict[str, Any]:
    """Return a Function URL event that requests a completion."""
    return http_event("/v1/chat/completions", json.dumps(completion(model, tokens)))


def response_event(model: str, tokens: int) -> dict[str, Any]:
    """Return a Function URL event that requests the same as a response."""
    body = {"model": model, "input": "Tell me a joke", "max_output_tokens": tokens, "stream": True}
    return http_event("/v1/responses", json.dumps(body))


def hello_event() -> dict[str, Any]:
    """Return a Function URL event that gets `/`."""
    event = {**http_event("/", ""), "body": None}
    event["requestContext"]["http"]["method"] = "GET"
    return event


def http_event(path: str, body: str) -> dict[str, Any]:
    """Return a Function URL event that posts JSON."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "localhost"},
        "requestContext": {
            "domainName": "localhost",
            "http": {
                "method": "POST",
                "path": path,
                "sourceIp": "127.0.0.1",
                "protocol": "HTTP/1.1",
                "userAgent": "bench",
            },
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": False,
    }


def models(base_url: str) -> str:
    """Return MODELS for the scripted engine's behaviours."""
    entry = {"base_url": base_url, "max_tokens_limit": 1_000_000}
    return json.dumps(dict.fromkeys(("scripted", "flat", "varied", "paced"), entry))
