"""Lambda's Runtime API for one sandbox: the server's side.

    starting → idle (the function waits at /next) → busy → idle → …

A function of N slots waits at /next up to N times at once, each on a connection of its own, and is busy with
as many invocations. A reply names its invocation; a request for the next event does not: it is taken for that
of a slot whose reply is over.

The next event is for a process of the sandbox only: it holds a prompt, and the caller's key. Others of this
machine are refused, as Linux knows them by their connection; web pages are refused by their headers. A reply
needs no such check: no other process knows the id of the request.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" and "Building a custom
runtime", read 2026-11-22.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from infra.local.lambda_service.failures import FunctionFailed
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.peer import peers_of_session
from infra.local.lambda_service.runtime_connection import (
    ACCEPTED,
    RuntimeConnection,
    RuntimeRequest,
    RuntimeResponse,
    error_response,
)
from infra.local.lambda_service.runtime_requests import ResponseRequest, WholeRequest, reported_error
from infra.local.loopback import HOST, bind, is_named

_ROOT = "/2018-06-01/runtime/"
_OF_BROWSERS = ("origin", "sec-fetch-site")


_NOT_FOR_PAGES = error_response(403, "Forbidden", "The Runtime API is not for web pages")
_NOT_FOR_OTHERS = error_response(403, "Forbidden", "Only the function's own process gets its events")


class RuntimeObserver(Protocol):
    """The sandbox, notified of what its function does."""

    def became_idle(self, ended: Invocation | None) -> None:
        """The function requested an event, after the one that ended if there was one."""

    def replied(self) -> None:
        """A reply is over; the function has not requested an event in its place yet."""

    def failed_init(self, error_type: str, message: str) -> None:
        """The function could not be loaded."""


class RuntimeApiServer:
    """One sandbox's Runtime API on a free loopback port."""

    def __init__(self, observer: RuntimeObserver, *, arn: str, timeout_s: float, slots: int = 1) -> None:
        self._observer = observer
        self._arn = arn
        self._timeout_s = timeout_s
        self._slots = slots
        self._listener = bind(0)
        self._server: asyncio.Server | None = None
        self._session: int | None = None
        self._polls: dict[RuntimeConnection, None] = {}
        self.closing = False
        self._connections: set[RuntimeConnection] = set()
        self._checked: set[RuntimeConnection] = set()
        self._unchecked: list[RuntimeConnection] = []
        self._checking: asyncio.Task[None] | None = None
        self._undelivered: deque[Invocation] = deque()
        # By request id: those that the function works on, and those to which it has replied since.
        self._open: dict[str, Invocation] = {}
        self._replied: dict[str, Invocation] = {}

    @property
    def address(self) -> str:
        """Its address for AWS_LAMBDA_RUNTIME_API; connections wait there until they are served."""
        return f"{HOST}:{self._listener.getsockname()[1]}"

    async def serve(self, session: int) -> None:
        """Serve the processes of a session."""
        self._session = session
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RuntimeConnection(self), sock=self._listener)

    def close(self) -> None:
        """Stop listening and break every connection."""
        if self._server:
            self._server.close()
        self._listener.close()
        if self._checking:
            self._checking.cancel()
        for connection in list(self._connections):
            connection.abort()

    @property
    def has_connections(self) -> bool:
        return bool(self._connections)

    @property
    def requested(self) -> int:
        """How many events the function waits for."""
        return len(self._polls)

    @property
    def unanswered(self) -> int:
        """How many invocations are without a reply, or within it."""
        return len(self._open)

    def invoke(self, invocation: Invocation) -> None:
        """Deliver an event to the function, now or when it next requests one."""
        self._open[invocation.request_id] = invocation
        if self._polls:
            poll, _ = self._polls.popitem()
            poll.respond(self._event_response(invocation))
        else:
            self._undelivered.append(invocation)

    def _event_response(self, invocation: Invocation) -> RuntimeResponse:
        fields = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self._timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
            "Lambda-Runtime-Invocation-Id": invocation.token,
        }
        return RuntimeResponse(200, invocation.event, fields)

    # called by connections

    def connection_made(self, connection: RuntimeConnection) -> None:
        self._connections.add(connection)

    def connection_lost(self, connection: RuntimeConnection) -> None:
        self._connections.discard(connection)
        self._checked.discard(connection)
        self.stopped_waiting(connection)

    def stopped_waiting(self, connection: RuntimeConnection) -> None:
        if connection in self._polls:
            del self._polls[connection]
            self.closing = not self._polls  # a function that is stopped waits for no more events

    def route(
        self, method: str, path: str, headers: Mapping[str, str], connection: RuntimeConnection
    ) -> RuntimeRequest:
        """Find what handles a request: the event, the reply or an error, or a refusal."""
        if not is_named(headers.get("host", HOST)) or any(name in headers for name in _OF_BROWSERS):
            return WholeRequest(lambda _: _NOT_FOR_PAGES)
        match method, *path.removeprefix(_ROOT).split("/"):
            case "GET", "invocation", "next":
                return WholeRequest(lambda _: self._next(connection))
            case "POST", "init", "error" if self._is_the_functions(connection):
                return WholeRequest(lambda body: self._fail_init(*reported_error(headers, body)))
            case "POST", "invocation", request_id, "response" | "error" as kind:
                invocation = self._open.get(request_id) or self._replied.get(request_id)
                refusal = _refusal(invocation, headers)
                if refusal or not invocation:
                    return WholeRequest(lambda _: refusal)
                if kind == "error":
                    return WholeRequest(
                        lambda body: self._fail_invocation(invocation, reported_error(headers, body)[0])
                    )
                return ResponseRequest(
                    headers, connection, invocation.reply, lambda: self._end_reply(invocation)
                )
        message = f"Expected a path of the Runtime API, but got {method} {path}"
        return WholeRequest(lambda _: error_response(404, "InvalidPath", message))

    def _is_the_functions(self, connection: RuntimeConnection) -> bool:
        peer, own = connection.addresses()
        return (
            self._session is None
            or connection in self._checked
            or peer in peers_of_session(self._session, [peer], own)
        )

    def _fail_init(self, error: str, message: str) -> RuntimeResponse:
        self._observer.failed_init(error, message)
        return ACCEPTED

    def _fail_invocation(self, invocation: Invocation, error: str) -> RuntimeResponse:
        invocation.reply.fail(FunctionFailed(f"failed: {error}"))
        self._end_reply(invocation)
        return ACCEPTED

    def _end_reply(self, invocation: Invocation) -> None:
        if self._open.pop(invocation.request_id, None):
            self._replied[invocation.request_id] = invocation
            self._observer.replied()

    def _next(self, connection: RuntimeConnection) -> RuntimeResponse | None:
        """Return the event that waits for the function, None if the function waits for one."""
        if self._session is not None and connection not in self._checked:
            self._unchecked.append(connection)
            if not self._checking:
                self._checking = asyncio.create_task(self._check(self._session))
            return None
        if self._undelivered:
            return self._event_response(self._undelivered.popleft())
        ended = self._ended()
        self._polls[connection] = None
        self.closing = False
        self._observer.became_idle(ended)
        return None

    async def _check(self, session: int) -> None:
        """Look up who waits at /next for the first time; in a thread, as it would hold up all streams."""
        while self._unchecked:
            _, own = self._unchecked[0].addresses()
            waiting = {connection.addresses()[0]: connection for connection in self._unchecked}
            self._unchecked.clear()
            ours = await asyncio.to_thread(peers_of_session, session, waiting, own)
            for peer, connection in waiting.items():
                if connection in self._connections:
                    self._checked |= {connection} if peer in ours else set()
                    response = self._next(connection) if peer in ours else _NOT_FOR_OTHERS
                    if response:
                        connection.respond(response)
        self._checking = None

    def _ended(self) -> Invocation | None:
        """Return the invocation whose slot is free now that the function requests an event, None if none is.

        Of several slots, one without a reply may be busy still: a runtime may request an event early.
        """
        if self._replied:
            return self._replied.pop(next(iter(self._replied)))
        if len(self._open) + len(self._polls) < self._slots:
            return None
        for invocation in self._open.values():
            if self._slots == 1 or invocation.reply.over:
                invocation.reply.fail(FunctionFailed("requested its next event without a reply"))
                return self._open.pop(invocation.request_id)
        return None


def _refusal(invocation: Invocation | None, headers: Mapping[str, str]) -> RuntimeResponse | None:
    """Return why no reply to an invocation is accepted, None if one is."""
    if invocation is None:
        return error_response(400, "InvalidRequestID", "Invalid request ID")
    if headers.get("lambda-runtime-invocation-id", invocation.token) != invocation.token:
        return error_response(410, "InvocationGone", "This invocation is over")
    if invocation.reply.opened:
        return error_response(403, "InvalidStateTransition", "The reply to this invocation has begun already")
    return None
