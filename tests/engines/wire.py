"""One connection of the scripted engine: requests parsed, replies written byte by byte.

Invariant: a request gets `ended_at` when its reply was finished, or `disconnected_at` when the client
disconnected first, never both. Times are `time.monotonic()`, which all processes of one Linux machine share.
"""

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

import httptools

LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass
class Request:
    """A request as received, and when its reply began and ended."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    received_at: float
    client_port: int = 0
    first_byte_at: float | None = None
    ended_at: float | None = None
    disconnected_at: float | None = None

    @cached_property
    def body(self) -> Any:
        """Return the body parsed as JSON; None if it is not JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's fields; empty if the body is not a JSON object."""
        return self.body if isinstance(self.body, dict) else {}

    @property
    def is_open(self) -> bool:
        """Return whether the reply is still under way."""
        return self.ended_at is None and self.disconnected_at is None


class Behaviour(Protocol):
    """Writes the whole reply to one request, well-formed or not."""

    async def __call__(self, request: Request, reply: "Reply", /) -> None: ...


class Observer(Protocol):
    """What a connection needs of the engine that owns it."""

    def behaviour_for(self, request: Request) -> Behaviour: ...
    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def received(self, request: Request) -> None: ...
    def changed(self) -> None: ...
    def failed(self, error: BaseException) -> None: ...


class Reply:
    """Writes raw bytes; nothing is added, checked or corrected."""

    def __init__(self, connection: "Connection", request: Request) -> None:
        self._connection = connection
        self._request = request

    async def head(self, data: bytes) -> None:
        """Write the status line and headers; does not count as the first byte."""
        await self._connection.write(data)

    async def write(self, data: bytes) -> None:
        """Write, then wait until the socket takes more. Cancelled when the client disconnects."""
        if data:
            self._first_byte()
            await self._connection.write(data)

    def finish(self, data: bytes = b"") -> None:
        """Write the last bytes; a client that has them may disconnect, so the reply has ended before."""
        if data:
            self._first_byte()
        self._request.ended_at = time.monotonic()
        self._connection.changed()
        self._connection.transport.write(data)

    async def hang(self) -> None:
        """Wait until the client disconnects or the engine stops."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """End the connection after what was written, without ending the message."""
        self.finish()
        self._connection.transport.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.finish()
        sock = self._connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        self._connection.transport.abort()

    def _first_byte(self) -> None:
        if self._request.first_byte_at is None:
            self._request.first_byte_at = time.monotonic()
            self._connection.changed()


class Connection(asyncio.Protocol):
    """Serves the requests of one connection, one after the other."""

    transport: asyncio.Transport

    def __init__(self, engine: Observer, number: Callable[[], int]) -> None:
        self._engine = engine
        self._number = number
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._headers, self._body = b"", dict[str, str](), b""
        self._waiting = deque[Request]()
        self._current: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.lost = asyncio.Event()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._engine.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def eof_received(self) -> None:
        if self._current is not None:
            self._note_disconnect()
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._note_disconnect()
        if self._task is not None:
            self._task.cancel()
        self.lost.set()
        self._engine.closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # httptools' side

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", {}, b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        url, (_, port, *_) = self._url.decode(), self.transport.get_extra_info("peername")
        request = Request(self._number(), method, url, self._headers, self._body, time.monotonic(), port)
        self._engine.received(request)
        self._waiting.append(request)
        if self._current is None:
            self._answer_next()

    # the replies

    def changed(self) -> None:
        self._engine.changed()

    async def write(self, data: bytes) -> None:
        self.transport.write(data)
        await asyncio.sleep(0)  # a lost connection and other streams get their turn
        await self._writable.wait()

    def _answer_next(self) -> None:
        if not self._waiting or self.transport.is_closing():
            return
        self._current = self._waiting.popleft()
        self._task = asyncio.get_running_loop().create_task(self._answer(self._current))

    async def _answer(self, request: Request) -> None:
        try:
            await self._engine.behaviour_for(request)(request, Reply(self, request))
        except Exception as error:  # noqa: BLE001 - a bug of the script: shown where the engine is stopped
            self._engine.failed(error)
            self.transport.abort()
        request.ended_at = request.ended_at or time.monotonic()
        self._current = None
        self._engine.changed()
        if request.headers.get("connection", "").lower() == "close":
            self.transport.close()
        self._answer_next()

    def _note_disconnect(self) -> None:
        if self._current is not None and self._current.is_open:
            self._current.disconnected_at = time.monotonic()
            self._engine.changed()
