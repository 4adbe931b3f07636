"""Requests to engines, over kept-alive connections (`connection.py`).

A request is sent once, and once more only if TCP proves that the engine cannot have had all of it
(`docs/decisions/0013-never-run-twice.md`).
"""

from __future__ import annotations

import asyncio
import ssl
import string
import zlib
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from functions.shared.clock import Clock

from .connection import ConnectError, Connection, ConnectTimeout, ProtocolError
from .engine import Body

# How much one read of a socket may bring.
READ_BYTES = 256 * 1024
# How long an idle connection is kept: less than engines (vLLM, llama.cpp: 5 s) and balancers (60 s) keep it.
KEEP_ALIVE_S = {"http": 4.0, "https": 50.0}
# How long an address of a host may take before its next one is tried beside it: that of IPv4 hangs where only
# IPv6 leads out (RFC 8305).
NEXT_ADDRESS_S = 0.25
# What stays as it is in the path of a URL, escapes included.
_UNQUOTED = "".join(sorted({*string.punctuation} - {*'"#<>?`{}'}))


class Request(NamedTuple):
    """One request; what frames its body, and the host, are added to its headers."""

    method: str
    url: str
    headers: Mapping[str, str]
    connect_timeout_s: float
    read_timeout_s: float
    body: Body = b""


class Address(NamedTuple):
    """Where a URL leads to.

    Shape:  `host` as sockets want it, `authority` as the header of that name has it, `target` as the request
            line has it.
    """

    scheme: str
    host: str
    port: int
    authority: str
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What connections are shared by."""
        return self[:3]

    @classmethod
    def of(cls, url: str) -> Address:
        """Read an http(s) URL without a user; what may not stand in its path is escaped."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
        authority = f"[{host}]" if ":" in host else host
        usual = 443 if parts.scheme == "https" else 80
        port = parts.port or usual
        target = quote(parts.path or "/", _UNQUOTED) + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port, authority if port == usual else f"{authority}:{port}", target)


# A function has few engines, each with a few URLs.
_address_of = lru_cache(Address.of)


class EngineTransport:
    """Send requests over kept-alive connections, each used by one request at a time."""

    def __init__(self, tls: ssl.SSLContext | None, clock: Clock | None = None) -> None:
        self._tls = tls
        self._clock = clock or Clock()
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}

    async def send(self, request: Request) -> Response:
        """Send a request and return the response's head; its body is still to be read.

        Raises: TransportError.
        """
        try:
            address = _address_of(request.url)
        except ValueError as error:
            raise ConnectError("the engine's URL has no valid host or port") from error
        pieces = [request.body] if isinstance(request.body, bytes) else request.body
        fields = {"host": address.authority, **request.headers}
        if request.method != "GET":
            fields["content-length"] = str(sum(map(len, pieces)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"{request.method} {address.target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")
        content = (head, *pieces)
        connection = self._take_idle(address)
        if connection is not None:
            try:
                await connection.send(content, request.read_timeout_s)
            except ConnectError:
                connection = None  # it was closed while it was idle
        if connection is None:
            connection = await self._connect(address, request.connect_timeout_s)
            await connection.send(content, request.read_timeout_s)
        return Response(self, connection)

    def close(self) -> None:
        """Close the connections that are idle."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def release(self, connection: Connection) -> None:
        """Take a connection back: kept if its response was read whole, closed otherwise."""
        if not connection.is_reusable:
            connection.abort()
            return
        connection.idle_since = self._clock.elapsed_s()
        idle = self._idle.setdefault(connection.origin, [])
        idle.append(connection)
        while not self._is_fresh(idle[0]):  # of the time when more requests ran at once
            idle.pop(0).abort()

    def _take_idle(self, address: Address) -> Connection | None:
        idle = self._idle.get(address.origin, [])
        while idle:
            connection = idle.pop()  # the youngest
            if self._is_fresh(connection) and connection.is_reusable and not connection.has_input:
                return connection
            connection.abort()
        return None

    def _is_fresh(self, connection: Connection) -> bool:
        """Return whether a connection has been idle for less time than its engine keeps it."""
        return self._clock.elapsed_s() - connection.idle_since < KEEP_ALIVE_S[connection.origin[0]]

    async def _connect(self, address: Address, timeout_s: float) -> Connection:
        tls = self._tls if address.scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    partial(Connection, self._buffer),
                    address.host,
                    address.port,
                    ssl=tls,
                    happy_eyeballs_delay=NEXT_ADDRESS_S,
                )
        except TimeoutError as error:
            raise ConnectTimeout("the engine did not accept a connection") from error
        except OSError as error:
            raise ConnectError("the engine refused the connection") from error
        connection.origin = address.origin
        return connection


class Response:
    """A response whose head has come.

    Shape:  `headers` by their names in lower case, repeated ones joined by a comma. `read` returns what has
            arrived of the body, waiting if nothing has yet, and b"" at its end; not after `close`.
    Raises: `read`: ReadTimeout, ProtocolError.
    """

    def __init__(self, transport: EngineTransport, connection: Connection) -> None:
        self.status = connection.status
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in connection.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._transport = transport
        self._connection: Connection | None = connection
        self.read: Callable[[], Coroutine[Any, Any, bytes]] = connection.read
        # Requests want no compression, but what stands before an engine may compress.
        if self.headers.get("content-encoding", "").lower() in ("gzip", "x-gzip", "deflate"):
            inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress
            self.read = partial(_inflated, connection, inflate)

    def close(self) -> None:
        """Give the connection back; one whose response is not at its end is closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.release(connection)


async def _inflated(connection: Connection, inflate: Callable[[bytes], bytes]) -> bytes:
    while data := await connection.read():
        try:
            if inflated := inflate(data):
                return inflated
        except zlib.error as error:
            raise ProtocolError("the engine's response is not compressed as it says") from error
    return b""
