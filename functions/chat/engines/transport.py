"""HTTP/1.1 for httpx on asyncio and httptools: what one read of the socket brings is one piece of body.

httpx's own transport returns a chunked body one HTTP chunk at a time, each through pure Python. Engines send
one event in each chunk, so that would be most of the work on an event
(`docs/decisions/0002-engine-transport.md`).

A request is sent once, and once more only if TCP proves that the engine cannot have had all of it
(`docs/decisions/0013-never-run-twice.md`).
"""

from __future__ import annotations

import asyncio
import fcntl
import select
import socket
import ssl
import struct
import termios
from collections.abc import AsyncIterator

import httptools
import httpx

from functions.shared.clock import Clock

HIGH_WATER_BYTES = 256 * 1024
MAX_HEAD_BYTES = 64 * 1024
# How long an idle connection is kept: less than engines (vLLM, llama.cpp: 5 s) and balancers (60 s) keep it.
KEEP_ALIVE_S = {"http": 4.0, "https": 50.0}
# How long an address of a host may take before its next one is tried beside it: that of IPv4 hangs where only
# IPv6 leads out (RFC 8305).
NEXT_ADDRESS_S = 0.25
# After 5 s of silence the other machine is probed every 2 s; one that acknowledges nothing for 15 s is gone.
_PROBES = (
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPALIVE", 5),  # macOS's name for it
    ("TCP_KEEPINTVL", 2),
    ("TCP_KEEPCNT", 5),
    ("TCP_USER_TIMEOUT", 15_000),
)


class EngineTransport(httpx.AsyncBaseTransport):
    """Send requests over kept-alive connections, each used by one request at a time.

    Raises: httpx.ConnectError, httpx.ConnectTimeout: the engine cannot have had the whole request.
            httpx.ReadError: the connection ended before the response began.
            httpx.RemoteProtocolError: the response is broken, or was cut.
            httpx.ReadTimeout: the engine was silent for too long.
    """

    def __init__(self, tls: ssl.SSLContext | None, clock: Clock | None = None) -> None:
        self._tls = tls
        self._clock = clock or Clock()
        self._idle: dict[tuple[str, int], list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response's head; its body is still to be read."""
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%b: %b" % header for header in request.headers.raw]
        content = b"\r\n".join(lines) + b"\r\n\r\n" + await request.aread()
        read_timeout_s: float = request.extensions["timeout"]["read"]
        connection = self._take_idle(request.url)
        if connection is not None:
            try:
                await connection.send(content, read_timeout_s)
            except httpx.ConnectError:
                connection = None  # it was closed while it was idle
        if connection is None:
            connection = await self._connect(request)
            await connection.send(content, read_timeout_s)
        return httpx.Response(
            connection.status, headers=connection.headers, stream=_Body(self, request.url, connection)
        )

    async def aclose(self) -> None:
        """Close the connections that are idle."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def release(self, url: httpx.URL, connection: _Connection) -> None:
        """Take a connection back: kept if its response was read whole, closed otherwise."""
        if connection.is_reusable:
            connection.idle_since = self._clock.elapsed_s()
            self._idle.setdefault(_origin(url), []).append(connection)
        else:
            connection.abort()

    def _take_idle(self, url: httpx.URL) -> _Connection | None:
        connections = self._idle.get(_origin(url), [])
        while connections:
            connection = connections.pop()
            idle_s = self._clock.elapsed_s() - connection.idle_since
            if idle_s < KEEP_ALIVE_S[url.scheme] and connection.is_reusable and not connection.has_input:
                return connection
            connection.abort()
        return None

    async def _connect(self, request: httpx.Request) -> _Connection:
        host, port = _origin(request.url)
        tls = self._tls if request.url.scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(request.extensions["timeout"]["connect"]):
                _, connection = await loop.create_connection(
                    _Connection, host, port, ssl=tls, happy_eyeballs_delay=NEXT_ADDRESS_S
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("the engine did not accept a connection", request=request) from error
        except OSError as error:
            raise httpx.ConnectError("the engine refused the connection", request=request) from error
        return connection


class _Body(httpx.AsyncByteStream):
    def __init__(self, transport: EngineTransport, url: httpx.URL, connection: _Connection) -> None:
        self._transport = transport
        self._url = url
        self._connection: _Connection | None = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (data := await self._connection.read()):
            yield data

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(self._url, connection)


class _Connection(asyncio.Protocol):
    """One connection: `send`, then `read` until b"", then again.

    The upper half is called by the transport, the lower by asyncio and by the parser.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Future[None] | None = None
        self._error: httpx.TransportError | None = None
        self._complete = True
        self._paused = False
        self._reset()
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

    async def send(self, content: bytes, timeout_s: float) -> None:
        """Send a request and wait for the head of its response, all of it within `timeout_s`.

        Raises: httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout, as the
                transport does. The connection is then closed.
        """
        self._reset()
        self._complete = False
        self._timeout_s = timeout_s
        until = self._loop.time() + timeout_s
        self._transport.write(content)
        try:
            if self._transport.is_closing():  # the write failed at once
                raise httpx.ConnectError("the connection had ended before the request was written")
            while not self._has_head:
                await self._wait(until - self._loop.time())
        except BaseException:
            self.abort()
            raise

    async def read(self) -> bytes:
        """Return what has arrived of the body, waiting if nothing has yet; b"" at its end."""
        while not self._pieces:
            if self._complete:
                return b""
            await self._wait(self._timeout_s)
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Close the connection at once: the engine notices and stops."""
        self._transport.abort()

    async def _wait(self, timeout_s: float) -> None:
        """Wait until something has arrived, or the response ends, or the timeout passes."""
        if self._error is not None:
            raise self._error
        self._reading = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._fail, httpx.ReadTimeout("the engine was silent"))
        try:
            await self._reading
        finally:
            timer.cancel()
            self._reading = None
        if self._error is not None and not self._pieces:
            raise self._error

    def _notify_reader(self) -> None:
        if self._reading is not None and not self._reading.done():
            self._reading.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        if not self._complete and self._error is None:
            self._error = error
        self._notify_reader()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES:
            if option := getattr(socket, name, None):
                self._socket.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        if self._complete:  # no request is open: these bytes belong to none
            self.abort()
            return
        self._has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(httpx.RemoteProtocolError("the engine's response is not HTTP"))
            self.abort()
        if not self._has_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._fail(httpx.RemoteProtocolError("the engine's response has too large a head"))
                self.abort()
        if self._size > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._notify_reader()

    def eof_received(self) -> None:
        if self._has_head and self._ends_at_eof:
            self._complete = True
        self._fail(self._ending(is_undelivered=self._has_unacknowledged()))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - after an EOF it is known already
        self._fail(self._ending(is_undelivered=False))

    def _ending(self, *, is_undelivered: bool) -> httpx.TransportError:
        if self._has_begun:
            return httpx.RemoteProtocolError("the engine closed the connection in the middle of its response")
        if is_undelivered:
            return httpx.ConnectError("the engine closed the connection before it had the whole request")
        return httpx.ReadError("the connection to the engine ended before the response began")

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


def _origin(url: httpx.URL) -> tuple[str, int]:
    return url.host, url.port or (443 if url.scheme == "https" else 80)
