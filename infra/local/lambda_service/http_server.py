"""HTTP for the gateway: uvicorn's protocol on a bound socket, ended at once rather than gracefully.

uvicorn's own server would wait for open streams, tick ten times a second and take the process's signals. A
body goes a shorter way than ASGI's: `scope["client_connection"]` writes each piece as it comes, and reports a
disconnect, without the switch to a task.
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

_KEEP_ALIVE_S = 75
_MAX_HEAD_BYTES = 1024 * 1024
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _HeldHead:
    """A transport that holds the head of a response, and writes it with the first bytes of the body."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._transport, self._head = cycle, cycle.transport, b""

    def write(self, data: bytes) -> None:
        if self._head:
            self._cycle.transport = self._transport
            self._transport.write(self._head + data)
        else:
            self._head = data

    def close(self) -> None:
        self._transport.close()


class ClientConnection:
    """The client of one request. What has been sent by ASGI's `send` comes before what is written here."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._on_disconnect: Callable[[], None] | None = None

    def on_disconnect(self, call: Callable[[], None] | None) -> None:
        """Call a function once the client has disconnected, at once if it has; None ends that."""
        self._on_disconnect = call
        if self._cycle.disconnected:
            self.lose()

    def lose(self) -> None:
        if self._on_disconnect:
            self._on_disconnect()

    def hold_head(self) -> None:
        """Hold the head, which `send` gets next, until there is a piece of the body."""
        self._cycle.transport = cast(asyncio.Transport, _HeldHead(self._cycle))

    def write(self, data: bytes) -> None:
        """Send a piece of the body, framed as the head said; the end is for `send`."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        if cycle.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        else:
            cycle.expected_content_length = max(0, cycle.expected_content_length - len(data))
        cycle.transport.write(data)

    @property
    def is_full(self) -> bool:
        return self._cycle.flow.write_paused

    async def drain(self) -> None:
        """Wait until it takes more, or the client has disconnected."""
        await self._cycle.flow.drain()


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reads the whole target, limits a head, and sends HTTP/1.0 no chunks.

    Only a response with a length says that its connection closes.

    Source: RFC 9112, 3.2.2 "absolute-form" and 6.3 "Message Body Length", read 2026-11-26.
    """

    _head_bytes: int | None = None
    _client: ClientConnection | None = None

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that has not ended after so many bytes, which would fill the memory."""
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response(f"Expected a request's head within {_MAX_HEAD_BYTES} bytes.")

    def on_headers_complete(self) -> None:
        """Take the host from a target that has one: it counts, not the Host header."""
        if absolute := _ABSOLUTE.match(self.url):
            host, target = absolute.groups()
            self.url = target if target.startswith(b"/") else b"/" + target
            others = [field for field in self.headers if field[0] != b"host"]
            self.headers[:] = [*others, (b"host", host)]
        self._head_bytes = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._client:
            self._client.lose()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._client = ClientConnection(cycle)
        cast(dict[str, Any], cycle.scope)["client_connection"] = self._client
        if cycle.scope["http_version"] == "1.0":
            app = partial(_until_close, cycle, app)
        if not cycle.keep_alive:
            app = partial(_close_unannounced, cycle, app)
        super()._start_asgi_task(cycle, app)


async def _close_unannounced(
    cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Callable[[Any], Any]
) -> None:
    """Run an app after whose response the connection closes: without a length, the response does not say so.

    fetch in Node.js takes a stream that broke off as complete if it bears `Connection: close`.
    """

    async def send_unannounced(message: Any) -> None:
        if message["type"] == "http.response.start":
            cycle.keep_alive = b"content-length" not in dict(message["headers"])
        await send(message)
        cycle.keep_alive = False

    await app(scope, receive, send_unannounced)


async def _until_close(
    cycle: RequestResponseCycle, app: Any, scope: Any, receive: Any, send: Callable[[Any], Any]
) -> None:
    """Run an app whose response, where it has no length, ends with the connection.

    One that broke off resets the connection: closed, it would look complete.
    """

    has_length = False

    async def send_unframed(message: Any) -> None:
        nonlocal has_length
        if message["type"] == "http.response.start":
            has_length = b"content-length" in dict(message["headers"])
            cycle.chunked_encoding = None if has_length else False
        elif not has_length:
            cycle.expected_content_length = len(message["body"])
        await send(message)

    await app(scope, receive, send_unframed)
    if not cycle.response_complete:
        cycle.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
        )
        cycle.transport.abort()


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an ASGI app for as long as the context lasts."""
    config = uvicorn.Config(
        app,
        http=GatewayProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()
    state = ServerState()
    protocol = partial(GatewayProtocol, config=config, server_state=state, app_state={})
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
