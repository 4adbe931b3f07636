"""The gateway: an ASGI app that behaves as a Lambda Function URL with RESPONSE_STREAM.

A failure before the reply begins is a 502. After that the connection is closed without the end that HTTP's
framing requires: a reply that broke off must not look complete.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Protocol

from infra.local.console import Console, RequestLine
from infra.local.lambda_service.callers import Callers
from infra.local.lambda_service.decoders import ReplyHead
from infra.local.lambda_service.failures import ClientDisconnected, Refused, RequestFailure, Starting
from infra.local.lambda_service.function_url import MAX_BYTES, encode_event
from infra.local.lambda_service.http_server import ClientConnection
from infra.local.lambda_service.invocation import Invocation, new_trace_id
from infra.local.lambda_service.reply import FunctionReply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TOO_LARGE = '{"Message":"Request must be smaller than 6291456 bytes"}'


class Invoker(Protocol):
    """A function that can be invoked."""

    async def invoke(self, invocation: Invocation) -> FunctionReply: ...


class Gateway:
    """Responds to each request with the reply of the function behind its path.

    Shape:  `routes` are (path prefix of whole segments, function); the first that matches wins. `waiting_for`
            names what is not ready; until it is empty, no function is invoked.
    """

    def __init__(
        self,
        routes: Sequence[tuple[str, Invoker]],
        console: Console,
        callers: Callers | None = None,
        waiting_for: Collection[str] = (),
    ) -> None:
        self._routes = routes
        self._console = console
        self._callers = callers or Callers()
        self._waiting_for = waiting_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = RequestLine(scope["method"], scope["raw_path"].decode("latin-1"), self._console.clock_s())
        client: ClientConnection = scope["client_connection"]
        response = _Response(line, send, client, self._console.clock_s, head_only=scope["method"] == "HEAD")
        try:
            body = await _read(receive)
            self._callers.check(scope)
            if self._waiting_for:
                raise Starting(scope["path"], self._waiting_for)
            invocation = _invocation(scope, body, response.request_id)
            reply = await self.function_at(scope["path"]).invoke(invocation)
            client.on_disconnect(reply.abandon)
            await response.begin(await reply.head(), with_body=reply.has_body)
            await response.end(await reply.pass_to(response))
        except RequestFailure as failure:
            line.outcome = str(failure)
            await response.fail(failure)
        finally:
            client.on_disconnect(None)
            self._console.log_request(line)

    def function_at(self, path: str) -> Invoker:
        """Return the function behind a path.

        Raises: Refused, if there is none.
        """
        for prefix, function in self._routes:
            if path == prefix or path.startswith(f"{prefix.rstrip('/')}/"):
                return function
        raise Refused(403, '{"Message":"Forbidden"}', "no function for this path")


class _Response:
    """The HTTP response to one request, and its line on the console."""

    def __init__(
        self,
        line: RequestLine,
        send: Send,
        client: ClientConnection,
        clock_s: Callable[[], float],
        *,
        head_only: bool,
    ) -> None:
        self._line, self._send, self._client, self._clock_s = line, send, client, clock_s
        self._bodiless = head_only
        self.request_id = str(uuid.uuid4())

    async def begin(self, head: ReplyHead, *, with_body: bool) -> None:
        """Send the head, with the body that follows at once if there is one."""
        self._line.status = head.status
        self._bodiless = self._bodiless or head.bodiless
        self._line.request_id = dict(head.headers).get(b"x-request-id", b"").decode("latin-1")
        fields = [
            (b"date", _date(int(time.time()))),
            (b"x-amzn-requestid", self.request_id.encode()),
            *head.headers,
        ]
        if with_body and not self._bodiless:
            self._client.hold_head()
        await self._send({"type": "http.response.start", "status": head.status, "headers": fields})

    def write(self, data: bytes) -> None:
        if not self._bodiless:
            self._count(data)
            self._client.write(data)

    @property
    def is_full(self) -> bool:
        return self._client.is_full

    async def drain(self) -> None:
        await self._client.drain()

    async def end(self, data: bytes) -> None:
        """Send the last piece and the end."""
        if data and not self._bodiless:
            self._count(data)
        body = b"" if self._bodiless else data
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _count(self, data: bytes) -> None:
        if self._line.first_byte_s is None:
            self._line.first_byte_s = self._clock_s()
        self._line.bytes_sent += len(data)

    async def fail(self, failure: RequestFailure) -> None:
        """Respond in place of the function, unless the response has begun or the client has disconnected."""
        if self._line.status or isinstance(failure, ClientDisconnected):
            return
        refused = failure if isinstance(failure, Refused) else Refused(502, "Internal Server Error", "")
        body = refused.message.encode()
        fields = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
        await self.begin(ReplyHead(refused.status, (*fields, *refused.headers)), with_body=True)
        await self.end(body)


@lru_cache(1)
def _date(now_s: int) -> bytes:
    return formatdate(now_s, usegmt=True).encode()


async def _read(receive: Receive) -> bytes | None:
    """Read a request to its end, even if it is refused: its client would not read an earlier response.

    Shape:  None for a body that is too large.
    """
    body, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        size += len(message["body"])
        if size <= MAX_BYTES:
            body += message["body"]
        more = message["more_body"]
    return bytes(body) if size <= MAX_BYTES else None


def _invocation(scope: Mapping[str, Any], body: bytes | None, request_id: str) -> Invocation:
    trace_id = dict(scope["headers"]).get(b"x-amzn-trace-id", b"").decode("latin-1") or new_trace_id()
    if body is not None:
        event = encode_event(scope, body, request_id=request_id, trace_id=trace_id, now_s=time.time())
        if len(event) <= MAX_BYTES:
            return Invocation(event, trace_id, request_id)
    raise Refused(413, _TOO_LARGE, "request too large")
