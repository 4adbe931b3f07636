"""The front door: an ASGI app that behaves as a Lambda Function URL with RESPONSE_STREAM.

A failure before the reply begins is a 502. After that the connection is closed without the end that HTTP's
framing asks for: a reply that broke off must not look complete.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from email.utils import formatdate
from typing import Any, Protocol

from infra.local.console import Console, Visit
from infra.local.errors import CallerLeft, Failure, Refused
from infra.local.lambda_service.decoders import Head
from infra.local.lambda_service.function_url import MAX_BYTES, encode_event
from infra.local.lambda_service.invocation import Invocation, new_trace_id
from infra.local.lambda_service.reply import Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_TOO_LARGE = '{"Message":"Request must be smaller than 6291456 bytes"}'


class Invoker(Protocol):
    """A function that can be asked."""

    async def invoke(self, invocation: Invocation) -> Reply: ...


class FrontDoor:
    """Answers each request with what the function behind its path replies.

    Shape:  `routes` are (path prefix of whole segments, function); the first that fits wins.
    """

    def __init__(self, routes: Sequence[tuple[str, Invoker]], console: Console) -> None:
        self._routes = routes
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(scope["method"], scope["raw_path"].decode("latin-1"), self._console.clock_s())
        try:
            await self._answer(scope, receive, _Caller(visit, send, self._console.clock_s))
        except Failure as failure:
            visit.outcome = str(failure)
        finally:
            self._console.visited(visit)

    async def _answer(self, scope: Scope, receive: Receive, caller: "_Caller") -> None:
        try:
            body = await _read_body(receive)
            invocation = _invocation(scope, body)
            caller.request_id = invocation.request_id
            reply = await self._function(scope["path"]).invoke(invocation)
            await _relay(reply, receive, caller)
        except Failure as failure:
            await caller.refuse(failure)
            raise

    def _function(self, path: str) -> Invoker:
        for prefix, function in self._routes:
            if path == prefix or path.startswith(f"{prefix.rstrip('/')}/"):
                return function
        raise Refused(403, '{"Message":"Forbidden"}', "no function for this path")


class _Caller:
    """The client, as far as the reply is concerned."""

    def __init__(self, visit: Visit, send: Send, clock_s: Callable[[], float]) -> None:
        self._visit, self._send, self._clock_s = visit, send, clock_s
        self.request_id = ""

    async def begin(self, head: Head) -> None:
        self._visit.status = head.status
        fields = [
            (b"date", formatdate(usegmt=True).encode()),
            (b"x-amzn-requestid", self.request_id.encode()),
            *head.headers,
        ]
        await self._send({"type": "http.response.start", "status": head.status, "headers": fields})

    async def pass_on(self, data: bytes) -> None:
        if self._visit.first_byte_s is None:
            self._visit.first_byte_s = self._clock_s()
        self._visit.bytes_sent += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, failure: Failure) -> None:
        """Answer in the function's place, unless the reply has begun or nobody is there."""
        if self._visit.status or isinstance(failure, CallerLeft):
            return
        refused = failure if isinstance(failure, Refused) else Refused(502, "Internal Server Error", "")
        body = refused.message.encode()
        fields = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
        await self.begin(Head(refused.status, fields))
        await self.pass_on(body)
        await self.end()


async def _relay(reply: Reply, receive: Receive, caller: _Caller) -> None:
    leaving = asyncio.create_task(_abandon_when_left(reply, receive))
    try:
        head = await reply.head()
        await caller.begin(head)
        while data := await reply.read():
            if not head.bodiless:
                await caller.pass_on(data)
        await caller.end()
    finally:
        leaving.cancel()


async def _abandon_when_left(reply: Reply, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reply.abandon()


async def _read_body(receive: Receive) -> bytes:
    """Read a body, to its end even if it is too large: its sender would not see an earlier answer."""
    body, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        size += len(message["body"])
        if size <= MAX_BYTES:
            body += message["body"]
        more = message["more_body"]
    if size > MAX_BYTES:
        raise Refused(413, _TOO_LARGE, "request too large")
    return bytes(body)


def _invocation(scope: Mapping[str, Any], body: bytes) -> Invocation:
    given = dict(scope["headers"]).get(b"x-amzn-trace-id", b"").decode("latin-1")
    request_id, trace_id = str(uuid.uuid4()), given or new_trace_id()
    event = encode_event(scope, body, request_id=request_id, trace_id=trace_id, now_s=time.time())
    if len(event) > MAX_BYTES:
        raise Refused(413, _TOO_LARGE, "request too large")
    return Invocation(event, trace_id, request_id)
