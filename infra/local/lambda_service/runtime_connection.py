"""HTTP/1.1 as a Lambda runtime speaks it: requests one after the other, trailers at their end."""

import asyncio
import http
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import httptools


@dataclass(frozen=True)
class RuntimeResponse:
    """A response of the Runtime API."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


ACCEPTED = RuntimeResponse(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})


def error_response(status: int, error_type: str, message: str) -> RuntimeResponse:
    """Return an error in the Runtime API's form."""
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    return RuntimeResponse(status, body, {"Content-Type": "application/json"})


class RuntimeRequest(Protocol):
    """One request to the Runtime API, as it arrives."""

    def feed(self, data: bytes) -> None:
        """Take some of the request's body."""

    def finish(self, data: bytes, trailers: Mapping[str, str]) -> RuntimeResponse | None:
        """Take the end; None where the response comes later, through `RuntimeConnection.respond`.

        Shape:  `data` is what came of the body with its end.
        """

    def lose(self) -> None:
        """Handle that the connection broke before the end."""


class Router(Protocol):
    """The Runtime API, which handles the requests of its connections."""

    def route(
        self, method: str, path: str, headers: Mapping[str, str], connection: "RuntimeConnection"
    ) -> RuntimeRequest: ...

    def connection_made(self, connection: "RuntimeConnection") -> None: ...

    def stopped_waiting(self, connection: "RuntimeConnection") -> None: ...

    def connection_lost(self, connection: "RuntimeConnection") -> None: ...


class RuntimeConnection(asyncio.Protocol):
    """A function's connection. All that one read brought is passed on at once."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._parser = httptools.HttpRequestParser(self)
        self._request: RuntimeRequest | None = None
        self._pieces: list[bytes] = []
        self._paused = False
        self._keep = True

    # called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._router.connection_made(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        else:
            if self._pieces and self._request:
                self._request.feed(self._take())

    def eof_received(self) -> None:
        # The connection is lost only in the loop's next turn, and takes nothing until then.
        self._router.stopped_waiting(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        request, self._request = self._request, None
        if request:
            request.lose()
        self._router.connection_lost(self)

    # called by the parser

    def on_message_begin(self) -> None:
        self._path, self._headers, self._trailers = b"", dict[str, str](), dict[str, str]()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._trailers if self._request else self._headers
        fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method = self._parser.get_method().decode("latin-1")
        self._request = self._router.route(method, self._path.decode("latin-1"), self._headers, self)

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        request, self._request = self._request, None
        self._keep = self._parser.should_keep_alive()  # known here alone
        response = request.finish(self._take(), self._trailers) if request else None
        if response:
            self.respond(response)

    def _take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return data

    # called by the Runtime API

    def respond(self, response: RuntimeResponse) -> None:
        """Respond to the request that came last."""
        phrase = http.HTTPStatus(response.status).phrase
        fields = {**response.headers, "Content-Length": str(len(response.body))}
        if not self._keep:
            fields["Connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(
            f"HTTP/1.1 {response.status} {phrase}\r\n{head}\r\n".encode("latin-1") + response.body
        )
        if not self._keep:
            self._transport.close()

    def addresses(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """Return the address of the other end, and of this one."""
        peer, own = (self._transport.get_extra_info(name) for name in ("peername", "sockname"))
        return peer, own

    def pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Break the connection at once."""
        self._transport.abort()
