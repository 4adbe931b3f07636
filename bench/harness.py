"""What is around a function: an engine that keeps a schedule, and a Runtime API for many invocations at once.

The engine sends whether or not the function keeps up. The text of an event is the time of its sending; the
event has left the function when the kernel has it for the Runtime API's socket, whenever it is read there.
"""

from __future__ import annotations

import heapq
import json
import random
import re
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from bench.runtime_api import chat_event
from tests.engines.events import DONE, Chunks
from tests.engines.wire import Request

MODEL = "paced"
_HOST = "127.0.0.1"
# Linux's number for the option, and for its control message: two longs, s and ns.
_SO_TIMESTAMPNS = 35
_STAMP = struct.Struct("qq")
_STAMP_SPACE = socket.CMSG_SPACE(_STAMP.size)
_SENT = re.compile(rb'"content":"(\d{19})"')
_NO_TIME = "0" * 19
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
# Done at most of what is due before sockets are read, and the other way round.
_TURN = 16


class Loop:
    """Calls what belongs to a socket that can be read, and what is due; finer than asyncio's timers."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sources: dict[int, socket.socket] = {}
        self._readers: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[float, int, Callable[[float], float | None]]] = []
        self._number = 0

    def listen(self, accepted: Callable[[socket.socket], None], stamped: bool = False) -> socket.socket:
        """Listen on a free port; with `stamped`, the kernel notes when something comes."""
        listener = socket.create_server((_HOST, 0), backlog=1024)
        if stamped:
            listener.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

        def accept() -> None:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted(connection)

        self.read(listener, accept)
        return listener

    def read(self, source: socket.socket, ready: Callable[[], None]) -> None:
        """Call when a socket can be read."""
        self._sources[source.fileno()] = source
        self._readers[source.fileno()] = ready
        self._epoll.register(source, select.EPOLLIN)

    def replace(self, source: socket.socket, ready: Callable[[], None]) -> None:
        """Call something else when a socket can be read."""
        self._readers[source.fileno()] = ready

    def close(self, source: socket.socket) -> None:
        """Close a socket that is read."""
        self._epoll.unregister(source)
        del self._readers[source.fileno()], self._sources[source.fileno()]
        source.close()

    def close_all(self) -> None:
        """Close all sockets that are read."""
        for source in list(self._sources.values()):
            self.close(source)
        self._epoll.close()

    def at(self, due_s: float, call: Callable[[float], float | None]) -> None:
        """Call with the time for which it was due, of `time.monotonic`; again at the time that it returns."""
        self._number += 1
        heapq.heappush(self._due, (due_s, self._number, call))

    def run(self, until: Callable[[], object], limit_s: float = 60) -> None:
        """Serve until something is true."""
        last_s = time.monotonic() + limit_s
        while not until():
            assert time.monotonic() < last_s, f"expected an end within {limit_s} s"
            for _ in range(_TURN):
                if not self._due or self._due[0][0] > time.monotonic():
                    break
                due_s, number, call = self._due[0]
                again_s = call(due_s)
                if again_s is None:
                    heapq.heappop(self._due)
                else:
                    heapq.heapreplace(self._due, (again_s, number, call))
            wait_s = self._due[0][0] - time.monotonic() if self._due else 0.05
            # epoll's own timeout is in ms.
            select.select((self._epoll,), (), (), min(max(wait_s, 0), 0.05))
            for descriptor, _ in self._epoll.poll(0, _TURN):
                self._readers[descriptor]()

    def run_for(self, seconds: float) -> None:
        """Serve for so long."""
        end_s = time.monotonic() + seconds
        self.run(lambda: time.monotonic() >= end_s, seconds + 60)


class Engine:
    """Opens a stream for each request; from `begin` to `end`, sends events on all.

    Shape: `late_s` is how long after its moment each event was sent.
    """

    def __init__(self, loop: Loop) -> None:
        self.late_s: list[float] = []
        self._loop = loop
        self._random = random.Random(0)
        self._open: list[tuple[socket.socket, Chunks]] = []
        self._generation = 0
        self.port: int = loop.listen(self._accepted).getsockname()[1]

    @property
    def base_url(self) -> str:
        """Return what an OpenAI client takes as its base URL."""
        return f"http://{_HOST}:{self.port}/v1"

    @property
    def streams(self) -> int:
        """Return how many streams are open."""
        return len(self._open)

    def begin(self, rate: float) -> None:
        """Send so many events a second on each stream, from a random moment on."""
        interval_s = 1 / rate
        for connection, chunks in self._open:
            start, end = _chunk(chunks.content(0, _NO_TIME)).split(_NO_TIME.encode())
            send = partial(self._send, connection, start, end, self._generation, interval_s)
            self._loop.at(time.monotonic() + self._random.random() * interval_s, send)

    def end(self) -> None:
        """End all streams, well."""
        for connection, chunks in self._open:
            last = (chunks.finish(0, "length"), chunks.usage(1), DONE)
            connection.sendall(b"".join(map(_chunk, last)) + _LAST_CHUNK)
        self._open.clear()
        self._generation += 1

    def _accepted(self, connection: socket.socket) -> None:
        request = b""

        def ready() -> None:
            nonlocal request
            data = b""
            with suppress(ConnectionResetError):
                data = connection.recv(65536)
            request += data
            if not data:
                assert all(connection is not each for each, _ in self._open), "a stream was broken off"
                self._loop.close(connection)
            elif _is_whole(request):
                assert request.startswith(b"POST "), f"expected completions alone, but got {request!r}"
                request = b""
                self._stream(connection)

        self._loop.read(connection, ready)

    def _stream(self, connection: socket.socket) -> None:
        chunks = Chunks(Request(len(self._open), "POST", "", {}, json.dumps({"model": MODEL}).encode(), 0.0))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + _chunk(chunks.role(0)))
        self._open.append((connection, chunks))

    def _send(
        self,
        connection: socket.socket,
        start: bytes,
        end: bytes,
        generation: int,
        interval_s: float,
        due_s: float,
    ) -> float | None:
        if generation != self._generation:
            return None
        self.late_s.append(time.monotonic() - due_s)
        connection.send(b"%b%d%b" % (start, time.time_ns(), end))
        return due_s + interval_s


class RuntimeApi:
    """Gives an event to any `GET /next` that waits, of one process or of many, and reads streamed replies.

    Shape: `waiting` has the connections of those; `gaps` has, for each event of a reply, when the engine sent
           it and how long it took to leave the function, in ns; `ended` counts replies.
    """

    def __init__(self, loop: Loop) -> None:
        self.waiting: deque[socket.socket] = deque()
        self.gaps: list[tuple[int, int]] = []
        self.ended = 0
        self._loop = loop
        self._number = 0
        listener = loop.listen(lambda connection: _Caller(self, loop, connection).read(), stamped=True)
        self.address = f"{_HOST}:{listener.getsockname()[1]}"

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Give an event to the one that has waited longest."""
        self._number += 1
        payload = json.dumps(event).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            f"Lambda-Runtime-Aws-Request-Id: 00000000-0000-0000-0000-{self._number:012}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 900_000}\r\n"
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:chat\r\n\r\n"
        )
        self.waiting.popleft().sendall(head.encode() + payload)


class _Caller:
    """A function's connection: for its `GET /next`, one after the other, or for one streamed reply."""

    def __init__(self, api: RuntimeApi, loop: Loop, connection: socket.socket) -> None:
        self._api, self._loop, self._connection = api, loop, connection
        self._held = b""

    def read(self) -> None:
        """Read its requests from now on."""
        self._loop.read(self._connection, self._request)

    def _request(self) -> None:
        data = self._connection.recv(65536)
        head, end, rest = (self._held + data).partition(b"\r\n\r\n")
        if not data:
            self._loop.close(self._connection)
            if self._connection in self._api.waiting:
                self._api.waiting.remove(self._connection)
        elif not end:
            self._held = head
        elif head.startswith(b"GET /2018-06-01/runtime/invocation/next "):
            self._held = b""
            self._api.waiting.append(self._connection)
        else:
            assert b"response-mode: streaming" in head.lower(), f"expected a streamed reply: {head + rest!r}"
            self._held = rest
            self._loop.replace(self._connection, self._reply)

    def _reply(self) -> None:
        data, ancillary, _, _ = self._connection.recvmsg(65536, _STAMP_SPACE)
        assert data, f"the function closed its reply before the end: {self._held!r}"
        seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
        left_ns, end = seconds * 1_000_000_000 + nanoseconds, 0
        held = self._held + data
        for sent in _SENT.finditer(held):
            sent_ns, end = int(sent[1]), sent.end()
            self._api.gaps.append((sent_ns, left_ns - sent_ns))
        # Long enough for what one read has cut in two.
        self._held = held[end:][-100:]
        assert b"\r\nLambda-Runtime-Function-Error" not in held, held
        if held.endswith(b"\r\n" + _LAST_CHUNK):
            assert b"data: [DONE]" in held, held
            self._connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            self._loop.close(self._connection)
            self._api.ended += 1


def paced_event() -> dict[str, Any]:
    """Return a Function URL event that requests a completion without a near end."""
    return chat_event(MODEL, 1_000_000)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)
