"""HTTP/1.1 as a Lambda runtime speaks it: requests one after the other, trailers at their end."""

import asyncio
import http
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import httptools


@dataclass(frozen=True)
class Answer:
    """What the Runtime API answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


ACCEPTED = Answer(202, b'{"status":"OK"}\n', {"Content-Type": "application/json"})


def refusal(status: int, error_type: str, message: str) -> Answer:
    """Say no in the Runtime API's own form."""
    body = json.dumps({"errorMessage": message, "errorType": error_type}).encode()
    return Answer(status, body, {"Content-Type": "application/json"})


class Call(Protocol):
    """One request to the Runtime API, as it comes."""

    def feed(self, data: bytes) -> None:
        """Take some of the request's body."""

    def finish(self, trailers: Mapping[str, str]) -> Answer | None:
        """Take the end; None where the answer comes later, through `Connection.answer`."""

    def lose(self) -> None:
        """Learn that the connection broke before the end."""


class Router(Protocol):
    """What a request asks for."""

    def route(self, method: str, path: str, headers: Mapping[str, str], connection: "Connection") -> Call: ...

    def joined(self, connection: "Connection") -> None: ...

    def left(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """A function's connection. All that one read brought is handed on at once."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._parser = httptools.HttpRequestParser(self)
        self._call: Call | None = None
        self._pieces: list[bytes] = []
        self._paused = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._router.joined(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()
        else:
            self._hand_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        call, self._call = self._call, None
        if call:
            call.lose()
        self._router.left(self)

    # the parser's side

    def on_message_begin(self) -> None:
        self._path, self._headers, self._trailers = b"", dict[str, str](), dict[str, str]()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._trailers if self._call else self._headers
        fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        method = self._parser.get_method().decode("latin-1")
        self._call = self._router.route(method, self._path.decode("latin-1"), self._headers, self)

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._hand_on()
        call, self._call = self._call, None
        answer = call.finish(self._trailers) if call else None
        if answer:
            self.answer(answer)

    def _hand_on(self) -> None:
        if self._pieces and self._call:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self._call.feed(data)

    # the Runtime API's side

    def answer(self, answer: Answer) -> None:
        """Answer the request that came last."""
        keep = self._parser.should_keep_alive()
        phrase = http.HTTPStatus(answer.status).phrase
        fields = {**answer.headers, "Content-Length": str(len(answer.body))}
        if not keep:
            fields["Connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._transport.write(
            f"HTTP/1.1 {answer.status} {phrase}\r\n{head}\r\n".encode("latin-1") + answer.body
        )
        if not keep:
            self._transport.close()

    def pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Break the connection, as a caller that went away does."""
        self._transport.abort()
