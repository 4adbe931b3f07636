"""HTTP/1.1 on sockets that block, and are kept: the calls of AWS's services that a request waits for.

Python's own client takes 14 ms to import, most of it for the headers of mail; urllib3 takes more.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import BinaryIO
from urllib.parse import urlsplit

from .aws import MAX_CONNECTIONS, AwsError
from .frozen import Frozen

_MAX_LINE = 65_536


class Response(Frozen):
    """A whole response. Shape: `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """One server, and the connections to it that are free; any thread may use it.

    Shape:  `authorities`: a file of certificate authorities in place of the system's.
    """

    def __init__(
        self, url: str, *, connect_timeout_s: float, read_timeout_s: float, authorities: str | None = None
    ) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._connect_timeout_s, self._read_timeout_s = connect_timeout_s, read_timeout_s
        self._authorities = authorities
        self._free: deque[_Connection] = deque()

    def connect(self) -> None:
        """Open a connection ahead of the first request.

        Raises: AwsError.
        """
        self._free.append(self._connected())

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send a request and return the response to it.

        Raises: AwsError: `unreached`, or `lost`.
        """
        fields = {**headers, "accept-encoding": "identity", "content-length": str(len(body))}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        connection = self._free_connection() or self._connected()
        try:
            response = connection.send("\r\n".join((*lines, "", "")).encode("latin-1") + body)
        except BaseException:
            connection.close()
            self.close()  # those of before are no better: a second try gets a new one
            raise
        if connection.is_open and len(self._free) < MAX_CONNECTIONS:
            self._free.append(connection)
        else:
            connection.close()
        return response

    def close(self) -> None:
        """Close the connections that are free."""
        with suppress(IndexError):
            while True:
                self._free.pop().close()

    def _free_connection(self) -> _Connection | None:
        with suppress(IndexError):
            while True:
                connection = self._free.pop()
                if not connection.was_dropped():
                    return connection
                connection.close()
        return None

    def _connected(self) -> _Connection:
        try:
            plain = socket.create_connection((self._host, self._port), self._connect_timeout_s)
            try:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connected = plain
                if self._is_secure:
                    connected = _tls(self._authorities).wrap_socket(plain, server_hostname=self._host)
                connected.settimeout(self._read_timeout_s)
            except BaseException:
                plain.close()
                raise
        except TimeoutError:
            raise AwsError("ConnectTimeoutError", {}, unreached=True) from None
        except ssl.SSLError:
            raise AwsError("SSLError", {}, unreached=True) from None
        except (OSError, UnicodeError):  # a name that cannot be encoded as one
            raise AwsError("EndpointConnectionError", {}, unreached=True) from None
        return _Connection(connected)


class _Connection:
    def __init__(self, connected: socket.socket) -> None:
        self._socket, self._file = connected, connected.makefile("rb")
        self.is_open = True

    def was_dropped(self) -> bool:
        """Return whether the server has closed it, or has sent what was not requested."""
        polled = select.poll()
        polled.register(self._socket, select.POLLIN)
        return bool(polled.poll(0))

    def send(self, request: bytes) -> Response:
        try:
            self._socket.sendall(request)
            response, self.is_open = _response(self._file)
        except TimeoutError:
            raise AwsError("ReadTimeoutError", {}, lost=True) from None
        except (OSError, ValueError):
            raise AwsError("ConnectionClosedError", {}, lost=True) from None
        return response

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._socket.close()


@cache
def _tls(authorities: str | None) -> ssl.SSLContext:
    """Return what verifies servers; to read the certificate store takes 20 ms."""
    return ssl.create_default_context(cafile=authorities)


def _response(file: BinaryIO) -> tuple[Response, bool]:
    """Read a response; return also whether the connection can be used again.

    Raises: ValueError: it is not HTTP/1, or has broken off.
    """
    status = 100
    while 100 <= status < 200:
        protocol, _, rest = _line(file).partition(" ")
        if not protocol.startswith("HTTP/1."):
            raise ValueError
        status, headers = int(rest[:3]), dict[str, str]()
        while line := _line(file):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    stays = protocol == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if "transfer-encoding" in headers:
        pieces = []
        while size := int(_line(file).partition(";")[0], 16):
            pieces.append(_exactly(file, size))
            _line(file)
        while _line(file):
            pass
        body = b"".join(pieces)
    elif "content-length" in headers:
        body = _exactly(file, int(headers["content-length"]))
    else:
        body, stays = file.read(), False
    return Response(status, headers, body), stays


def _line(file: BinaryIO) -> str:
    line = file.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise ValueError
    return line.rstrip(b"\r\n").decode("latin-1")


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if size < 0 or len(content) < size:
        raise ValueError
    return content
