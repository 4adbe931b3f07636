"""HTTP/1.1 on sockets that block, and are kept: the calls of AWS's services that a request waits for.

Python's own client takes 14 ms to import, most of it for the headers of mail; urllib3 takes more.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from urllib.parse import urlsplit

from .aws import MAX_CONNECTIONS, AwsError
from .frozen import Frozen

# A whole response takes at most so many times as long as a part of it may be waited for.
_TIMES = 5
# Bytes of a response beside its body, and of that: DynamoDB's hold 16 MB at most, Lambda's 6.
_MAX_LINES, _MAX_BODY = 256 * 1024, 64 * 1024 * 1024
_PIECE = 65_536


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

        Raises: AwsError: `unreached`, or `lost`; neither, where a header would hold what no header may.
        """
        fields = {**headers, "accept-encoding": "identity", "content-length": str(len(body))}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        if not all(line.isascii() and line.isprintable() for line in lines):
            raise AwsError("InvalidHeaderError", {})  # a token with the end of its line, as a file has it
        connection = self._free_connection() or self._connected()
        try:
            response = connection.send("\r\n".join((*lines, "", "")).encode() + body)
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
            except BaseException:
                plain.close()
                raise
        except TimeoutError:
            raise AwsError("ConnectTimeoutError", {}, unreached=True) from None
        except ssl.SSLError:
            raise AwsError("SSLError", {}, unreached=True) from None
        except (OSError, UnicodeError):  # a name that cannot be encoded as one
            raise AwsError("EndpointConnectionError", {}, unreached=True) from None
        return _Connection(connected, self._read_timeout_s)


class _Connection:
    def __init__(self, connected: socket.socket, timeout_s: float) -> None:
        self._socket, self._timeout_s = connected, timeout_s
        self._received = bytearray()
        self._until, self._left = 0.0, 0
        self.is_open = True

    def was_dropped(self) -> bool:
        """Return whether the server has closed it, or has sent what was not requested.

        What TLS sends for itself is neither: after a handshake, tickets for the next one.
        """
        if self._received:
            return True
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def send(self, request: bytes) -> Response:
        self._until, self._left = time.monotonic() + _TIMES * self._timeout_s, _MAX_LINES
        try:
            self._socket.settimeout(self._timeout_s)
            self._socket.sendall(request)
            return self._response()
        except TimeoutError:
            raise AwsError("ReadTimeoutError", {}, lost=True) from None
        except (OSError, ValueError):
            raise AwsError("ConnectionClosedError", {}, lost=True) from None

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def _response(self) -> Response:
        """Read a response, and find out whether the connection can be used again.

        Raises: ValueError: it is not HTTP/1, or has broken off; OSError.
        """
        status = 100
        while status < 200:
            protocol, _, rest = self._line().partition(" ")
            if not protocol.startswith("HTTP/1.") or rest[3:4].strip():
                raise ValueError
            status, headers = _size(rest[:3], 10), dict[str, str]()
            while line := self._line():
                name, colon, value = line.partition(":")
                name, value = name.lower(), value.strip()
                twice = name == "content-length" and headers.get(name, value) != value
                if not colon or name.strip() != name or twice:
                    raise ValueError
                headers[name] = value
        self.is_open = protocol == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        if "transfer-encoding" in headers:
            body = self._chunks(headers["transfer-encoding"])
        elif status in (204, 304):
            body = b""
        elif "content-length" in headers:
            body = self._exactly(_size(headers["content-length"], 10))
        else:
            while self._more():
                pass
            body, self.is_open = bytes(self._received), False
        return Response(status, headers, body)

    def _chunks(self, coding: str) -> bytes:
        if coding.lower() != "chunked":
            raise ValueError
        body = bytearray()
        while size := _size(self._line().partition(";")[0].rstrip(), 16):
            body += self._exactly(size)
            if self._line() or len(body) > _MAX_BODY:
                raise ValueError
        while self._line():
            pass
        return bytes(body)

    def _line(self) -> str:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > self._left or not self._more():
                raise ValueError
        self._left -= end + 1
        if self._left < 0:
            raise ValueError
        line = self._received[:end].removesuffix(b"\r").decode("latin-1")
        del self._received[: end + 1]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            if not self._more():
                raise ValueError
        content = bytes(self._received[:size])
        del self._received[:size]
        return content

    def _more(self) -> bool:
        """Receive more; return whether there was any.

        Raises: OSError; ValueError: there is too much.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(left, self._timeout_s))
        received = self._socket.recv(_PIECE)
        self._received += received
        if len(self._received) > _MAX_BODY + _MAX_LINES:
            raise ValueError
        return bool(received)


@cache
def _tls(authorities: str | None) -> ssl.SSLContext:
    """Return what verifies servers; to read the certificate store takes 20 ms."""
    return ssl.create_default_context(cafile=authorities)


def _size(text: str, base: int) -> int:
    """Return a size in digits; `int` would take signs, spaces and underscores as well.

    Raises: ValueError, also for what no response of AWS's has.
    """
    if text.strip("0123456789abcdefABCDEF") or (size := int(text, base)) > _MAX_BODY:
        raise ValueError
    return size
