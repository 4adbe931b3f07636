"""A client on blocking sockets, which adds little of its own to what it measures."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

_END = b"\r\n0\r\n\r\n"
# Against the tokens that end a turn of the embedded SmolLM2.
_NO_END = {"0": -100, "2": -100}


def completion(model: str, tokens: int) -> dict[str, Any]:
    """Return the fields of a streamed completion of exactly that many tokens, also from a real engine."""
    messages = [{"role": "user", "content": "Tell me a joke"}]
    fields = {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
    return {**fields, "temperature": 0, "logit_bias": _NO_END}


@dataclass(frozen=True)
class Timing:
    """Units: seconds from sending the request to the first byte of the body, and to its end."""

    first_byte_s: float
    total_s: float
    events: int


class Client:
    """One kept-alive connection to an OpenAI-compatible server, whose paths may have a prefix."""

    def __init__(self, port: int, prefix: str = "", key: str = "") -> None:
        self._prefix, self._key = prefix, key
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def complete(self, model: str, tokens: int) -> Timing:
        """Stream one completion to its end."""
        messages = [{"role": "user", "content": "Tell me a joke"}]
        body = json.dumps(
            {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
        ).encode()
        head = (
            f"POST {self._prefix}/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._socket.sendall(head.encode() + body)
        return self._read(began)

    def _read(self, began: float) -> Timing:
        data = b""
        while b"data:" not in data:
            data += self._received()
        assert data.startswith(b"HTTP/1.1 200"), data
        first = time.perf_counter() - began
        events = data.count(b"data:")
        while not data.endswith(_END):
            tail = data[-6:]
            data = tail + self._received()
            events += data.count(b"data:") - tail.count(b"data:")
        return Timing(first, time.perf_counter() - began, events)

    def _received(self) -> bytes:
        data = self._socket.recv(262144)
        assert data, "the server closed the connection in the middle of a reply"
        return data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
