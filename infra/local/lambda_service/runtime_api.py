"""Lambda's Runtime API for one sandbox: the server's side.

    starting → idle (the function waits at /next) → busy → idle → …

The next event is for a process of the sandbox only: it holds a prompt, and the caller's key. Others of this
machine are refused, as Linux knows them by their connection; web pages are refused by their headers. A reply
needs no such check: no other process knows the id of the request.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes" and "Building a custom
runtime", read 2026-11-22.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from infra.local.lambda_service.failures import FunctionFailed
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.peer import is_of_session
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

    def became_idle(self) -> None:
        """The function requested its next event."""

    def replied(self) -> None:
        """The reply is over; the function has not requested its next event yet."""

    def failed_init(self, error_type: str, message: str) -> None:
        """The function could not be loaded."""


class RuntimeApiServer:
    """One sandbox's Runtime API on a free loopback port."""

    def __init__(self, observer: RuntimeObserver, *, arn: str, timeout_s: float) -> None:
        self._observer = observer
        self._arn = arn
        self._timeout_s = timeout_s
        self._listener = bind(0)
        self._server: asyncio.Server | None = None
        self._session: int | None = None
        self._poll: RuntimeConnection | None = None
        self._connections: set[RuntimeConnection] = set()
        self._checked: set[RuntimeConnection] = set()
        self._invocation: Invocation | None = None
        self._delivered = False

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
        for connection in list(self._connections):
            connection.abort()

    @property
    def has_connections(self) -> bool:
        return bool(self._connections)

    def invoke(self, invocation: Invocation) -> None:
        """Deliver an event to the function, now or when it next requests one."""
        self._invocation, self._delivered = invocation, self._poll is not None
        if self._poll:
            poll, self._poll = self._poll, None
            poll.respond(self._event_response(invocation))

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
        if self._poll is connection:
            self._poll = None

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
                refusal = self._refusal(request_id, headers)
                if refusal or not self._invocation:
                    return WholeRequest(lambda _: refusal)
                if kind == "error":
                    return WholeRequest(lambda body: self._fail_invocation(reported_error(headers, body)[0]))
                return ResponseRequest(headers, connection, self._invocation.reply, self._observer.replied)
        message = f"Expected a path of the Runtime API, but got {method} {path}"
        return WholeRequest(lambda _: error_response(404, "InvalidPath", message))

    def _is_the_functions(self, connection: RuntimeConnection) -> bool:
        if connection not in self._checked and self._session is not None:
            peer, own = connection.addresses()
            if not is_of_session(self._session, peer, own):
                return False
        self._checked.add(connection)
        return True

    def _refusal(self, request_id: str, headers: Mapping[str, str]) -> RuntimeResponse | None:
        """Return why no reply to an invocation is accepted, None if one is."""
        invocation = self._invocation
        if invocation is None or request_id != invocation.request_id:
            return error_response(400, "InvalidRequestID", "Invalid request ID")
        if headers.get("lambda-runtime-invocation-id", invocation.token) != invocation.token:
            return error_response(410, "InvocationGone", "This invocation is over")
        if invocation.reply.opened:
            return error_response(
                403, "InvalidStateTransition", "The reply to this invocation has begun already"
            )
        return None

    def _fail_init(self, error: str, message: str) -> RuntimeResponse:
        self._observer.failed_init(error, message)
        return ACCEPTED

    def _fail_invocation(self, error: str) -> RuntimeResponse:
        if self._invocation:
            self._invocation.reply.fail(FunctionFailed(f"failed: {error}"))
            self._observer.replied()
        return ACCEPTED

    def _next(self, connection: RuntimeConnection) -> RuntimeResponse | None:
        """Return the event that waits for the function, None if the function waits for one."""
        if not self._is_the_functions(connection):
            return _NOT_FOR_OTHERS
        if self._invocation and not self._delivered:
            self._delivered = True
            return self._event_response(self._invocation)
        if self._invocation:
            self._invocation.reply.fail(FunctionFailed("requested its next event without a reply"))
        self._invocation, self._poll = None, connection
        self._observer.became_idle()
        return None
