"""One connection to an engine: HTTP/1.1 on asyncio and httptools.

What one read of the socket brings is one piece of body. Engines send one event in each HTTP chunk; a client
that returns the chunks one at a time, each through pure Python, spends most of its work on an event there
(`docs/decisions/0002-engine-transport.md`, `0032-no-http-client.md`).
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from contextvars import Context
from time import monotonic

import httptools

HIGH_WATER_BYTES = 256 * 1024
MAX_HEAD_BYTES = 64 * 1024
# After 5 s of silence the other machine is probed every 2 s; one that acknowledges nothing for 15 s is gone.
_PROBES = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPALIVE", 5),  # macOS's name for it
    ("TCP_KEEPINTVL", 2),
    ("TCP_KEEPCNT", 5),
    ("TCP_USER_TIMEOUT", 15_000),
)


class TransportError(Exception):
    """No response, or not all of it."""


class ConnectError(TransportError):
    """The engine cannot have had the whole request."""


class ConnectTimeout(ConnectError):
    """It accepted no connection in time."""


class ReadError(TransportError):
    """The connection ended before the response began."""


class ReadTimeout(TransportError):
    """The engine was silent for too long."""


class ProtocolError(TransportError):
    """The response is broken, or was cut."""


class Arrival(asyncio.Future[None]):
    """A future that one task waits for, and that lets it go on at once, within `come`.

    After `set_result` it goes on in the loop's next turn, which costs more than reading the event did.
    """

    def add_done_callback(self, callback: Callable[..., object], *, context: Context | None = None) -> None:
        """Note how the task goes on."""
        self._callback, self._context = callback, context
        super().add_done_callback(callback, context=context)

    def come(self) -> None:
        """Let the task go on; to be called by the loop, not within a task."""
        assert self._context is not None, "expected a task to wait"
        self.remove_done_callback(self._callback)
        self.set_result(None)
        self._context.run(self._callback, self)


class Connection(asyncio.BufferedProtocol):
    """One connection: `send`, then `read` until b"", then again.

    The upper half is called by the transport, the lower by asyncio and by the parser.
    Shape:  what a read of the socket brings is in `buffer` until it is parsed, at once: connections share it.
            Without one, asyncio would map and unmap 256 KiB for each event.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._reading: Arrival | None = None
        self._silent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._error: TransportError | None = None
        self._complete = True
        self._paused = False
        self._reset()
        # Of the pool that keeps it.
        self.origin = ("", "", 0)
        self.idle_since = 0.0

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._has_begun = False
        self._has_head = False
        self._ends_at_eof = True
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    @property
    def is_reusable(self) -> bool:
        """Return whether the last response was complete and the connection can carry another request."""
        return (
            self._complete
            and not self._paused
            and self._error is None
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()
            and (not self._has_head or self._keeps_alive)
        )

    @property
    def has_input(self) -> bool:
        """Return whether something has arrived that was not read yet: on an idle connection, its end."""
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def send(self, content: Sequence[bytes | memoryview], timeout_s: float) -> None:
        """Send a request, piece by piece, and wait for the head of its response, all within `timeout_s`.

        Raises: ConnectError, ReadError, ReadTimeout, ProtocolError. The connection is then closed.
        """
        self._reset()
        self._complete = False
        self._timeout_s = timeout_s
        self._silent_at = monotonic() + timeout_s
        self._stop_watching()  # the last request may have had longer
        try:
            # From Python 3.12 on, asyncio keeps an empty piece, and has the socket polled until it is closed;
            # on a connection that has ended, it polls the descriptor, which may be another's by then.
            if not self._transport.is_closing():
                self._transport.writelines([piece for piece in content if piece])
            if self._transport.is_closing():  # or the write failed at once
                raise ConnectError("the connection had ended before the request was written")
            while not self._has_head:
                await self._arrival()
            if self._error is not None and not self._pieces:
                raise self._error
        except BaseException:
            self.abort()
            raise

    async def read(self) -> bytes:
        """Return what has arrived of the body, waiting if nothing has yet; b"" at its end.

        Raises: ReadTimeout, ProtocolError.
        """
        while not self._pieces:
            if self._complete:
                return b""
            self._silent_at = monotonic() + self._timeout_s
            await self._arrival()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Close the connection at once: the engine notices and stops."""
        self._stop_watching()
        self._transport.abort()

    def _arrival(self) -> Arrival:
        """Return what waits until something has arrived, or the response ends, or it is `_silent_at`.

        Raises: TransportError, which has come before.
        """
        if self._error is not None:
            raise self._error
        if self._timer is None:
            self._watch()
        self._reading = Arrival(loop=self._loop)
        return self._reading

    def _watch(self) -> None:
        """Fail a wait at `_silent_at`; reads move that on, which costs less than a timer for each."""
        left_s = self._silent_at - monotonic()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._watch)
            return
        self._timer = None
        if self._reading is not None and not self._reading.done():
            self._fail(ReadTimeout("the engine was silent"))

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(self, error: TransportError) -> None:
        if not self._complete and self._error is None:
            self._error = error
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.set_result(None)

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES:
            if option := getattr(socket, name, None):
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - it does not grow
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._complete:  # no request is open: these bytes belong to none
            self.abort()
            return
        self._has_begun = True
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ProtocolError("the engine's response is not HTTP"))
            self.abort()
        if not self._has_head:
            self._head_size += nbytes
            if self._head_size > MAX_HEAD_BYTES:
                self._fail(ProtocolError("the engine's response has too large a head"))
                self.abort()
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.come()
        if self._size > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        if self._has_head and self._ends_at_eof:
            self._complete = True
        self._fail(self._ending(is_undelivered=self._has_unacknowledged()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - after an EOF it is known already
        self._stop_watching()
        self._fail(self._ending(is_undelivered=False))

    def _ending(self, *, is_undelivered: bool) -> TransportError:
        if self._has_begun:
            return ProtocolError("the engine closed the connection in the middle of its response")
        if is_undelivered:
            return ConnectError("the engine closed the connection before it had the whole request")
        return ReadError("the connection to the engine ended before the response began")

    def _has_unacknowledged(self) -> bool:
        """Return whether the engine's machine closed the connection before it had all of the request.

        Whatever it sends acknowledges what it has received, the end of the connection too. Of TLS nothing is
        known: its own last record counts as well.
        """
        if self._transport.get_extra_info("ssl_object"):
            return False
        if self._transport.get_write_buffer_size():
            return True
        try:
            queued = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:  # not on this platform
            return False
        return bool(struct.unpack("i", queued)[0])

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_head:
            return  # a trailer
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._ends_at_eof = False

    def on_headers_complete(self) -> None:
        if self._has_head:
            return  # a second response to one request
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers.clear()  # an interim response: the final one follows
            return
        self._has_head = True
        self._keeps_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if self._complete:  # of a second response
            self.abort()
            return
        self._pieces.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        self._complete = self._has_head
        self._stop_watching()
