"""Lambda's Runtime API for one environment: the side that Lambda keeps.

    starting → idle (the function waits at /next) → busy → idle → …

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" and "Building a custom
runtime", read 2026-11-22.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Protocol

from infra.local.errors import FunctionFailed
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.runtime_calls import NextCall, RefusedCall, ReportCall, ResponseCall
from infra.local.lambda_service.runtime_connection import Answer, Call, Connection, refusal

_ROOT = "/2018-06-01/runtime/"


class Observer(Protocol):
    """Who is told how the environment fares."""

    def became_idle(self) -> None:
        """The function asked for its next event."""

    def replied(self) -> None:
        """The reply is over; the function has not asked for its next event yet."""

    def failed_init(self, error_type: str) -> None:
        """The function could not be loaded."""


class RuntimeApi:
    """One environment's Runtime API on a free loopback port."""

    def __init__(self, observer: Observer, *, arn: str, timeout_s: float) -> None:
        self._observer = observer
        self._arn = arn
        self._timeout_s = timeout_s
        self._poll: Connection | None = None
        self._connections: set[Connection] = set()
        self._invocation: Invocation | None = None
        self._delivered = False

    async def listen(self) -> str:
        """Open the listener; return its address for AWS_LAMBDA_RUNTIME_API."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Stop listening and break every connection."""
        self._server.close()
        for connection in list(self._connections):
            connection.abort()

    @property
    def connected(self) -> bool:
        return bool(self._connections)

    def invoke(self, invocation: Invocation) -> None:
        """Hand an event to the function, now or when it next asks."""
        self._invocation, self._delivered = invocation, self._poll is not None
        if self._poll:
            poll, self._poll = self._poll, None
            poll.answer(self._next_answer(invocation))

    def _next_answer(self, invocation: Invocation) -> Answer:
        fields = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self._timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
            "Lambda-Runtime-Invocation-Id": invocation.token,
        }
        return Answer(200, invocation.event, fields)

    # what connections tell

    def joined(self, connection: Connection) -> None:
        self._connections.add(connection)

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if self._poll is connection:
            self._poll = None

    def route(self, method: str, path: str, headers: Mapping[str, str], connection: Connection) -> Call:
        """Find what a request asks for, and whether the function may ask it now."""
        match method, *path.removeprefix(_ROOT).split("/"):
            case "GET", "invocation", "next":
                return NextCall(partial(self._next, connection))
            case "POST", "init", "error":
                return ReportCall(headers, self._observer.failed_init)
            case "POST", "invocation", request_id, "response" | "error" as kind:
                return self._route_reply(request_id, kind, headers, connection)
        return RefusedCall(
            refusal(404, "InvalidPath", f"Expected a path of the Runtime API, but got {method} {path}")
        )

    def _route_reply(
        self, request_id: str, kind: str, headers: Mapping[str, str], connection: Connection
    ) -> Call:
        invocation = self._invocation
        if invocation is None or request_id != invocation.request_id:
            return RefusedCall(refusal(400, "InvalidRequestID", "Invalid request ID"))
        if headers.get("lambda-runtime-invocation-id", invocation.token) != invocation.token:
            return RefusedCall(refusal(410, "InvocationGone", "This invocation is over"))
        if invocation.reply.opened:
            return RefusedCall(
                refusal(403, "InvalidStateTransition", "The reply to this invocation has begun already")
            )
        if kind == "error":
            return ReportCall(headers, self._failed)
        return ResponseCall(headers, connection, invocation.reply, self._observer.replied)

    def _failed(self, error_type: str) -> None:
        if self._invocation:
            self._invocation.reply.fail(FunctionFailed(f"failed: {error_type}"))
            self._observer.replied()

    def _next(self, connection: Connection) -> Answer | None:
        """Let the function wait for its next event, or hand it the one that waits for it."""
        if self._invocation and not self._delivered:
            self._delivered = True
            return self._next_answer(self._invocation)
        if self._invocation:
            self._invocation.reply.fail(FunctionFailed("asked for its next event without a reply"))
        self._invocation, self._poll = None, connection
        self._observer.became_idle()
        return None
