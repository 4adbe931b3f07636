"""HTTP read by read: what arrived when, with no client in between that could hide it."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.engines.recordings import dechunked

END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Read:
    """What one read of the socket brought, and when by `time.monotonic()`."""

    at: float
    data: bytes


@dataclass(frozen=True)
class Reply:
    """A chunked reply: its head, then the reads that brought its chunks."""

    head: bytes
    reads: list[Read]

    @property
    def body(self) -> bytes:
        """Return the body without its framing."""
        return dechunked(b"".join(read.data for read in self.reads))


class Connection:
    """A client's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def post(self, *, connection: str = "keep-alive", **fields: Any) -> None:
        """Send a request without reading the reply."""
        body = json.dumps({**QUESTION, **fields}).encode()
        self._socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Connection: %b\r\nContent-Length: %d\r\n\r\n%b" % (connection.encode(), len(body), body)
        )

    def stream(self, *, connection: str = "keep-alive") -> Reply:
        """Request a stream and read it up to its last chunk."""
        self.post(connection=connection, stream=True)
        head, reads = b"", list[Read]()
        while not head.endswith(b"\r\n\r\n"):
            read = self.read()
            head, blank, rest = (head + read.data).partition(b"\r\n\r\n")
            head += blank
            reads = [Read(read.at, rest)] if rest else []
        while not b"".join(read.data for read in reads[-2:]).endswith(END):
            reads.append(self.read())
            assert reads[-1].data, f"expected the last chunk, but the connection ended after {reads[-2:]}"
        return Reply(head, reads)

    def read(self) -> Read:
        """Read once; no data is the end of the connection."""
        data = self._socket.recv(1 << 20)
        return Read(time.monotonic(), data)


QUESTION: dict[str, Any] = {"model": "default", "messages": [{"role": "user", "content": "Tell me a joke"}]}


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    """Connect to a loopback port."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        yield Connection(sock)
