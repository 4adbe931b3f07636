"""The handler that a function exports: an ASGI app behind Lambda's calling convention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_args

from mangum import Mangum
from mangum.exceptions import LifespanFailure
from mangum.protocols import LifespanCycle
from mangum.types import LambdaHandler, LifespanMode, Receive, Scope, Send

from . import _reply
from ._errors import MalformedEvent, malformed
from ._rest_api import APIGateway

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

FRONT_DOORS = ("HTTPGateway", "APIGateway")
"""What can carry a stream: payload v2 (Function URL) and payload v1 (REST API), as Mangum names them."""

_BROKEN_EVENT = (AttributeError, LookupError, TypeError, ValueError)


class StreamingHandler:
    """Runs an ASGI app as a Lambda handler: streamed by this package's runtime, whole on any other.

    One event loop and one lifespan serve every invocation, so pooled connections outlive each.
    """

    def __init__(
        self, app: ASGIApp, *, lifespan: LifespanMode = "auto", streams: Iterable[str] = FRONT_DOORS
    ) -> None:
        if lifespan not in get_args(LifespanMode):
            raise ValueError(f"expected lifespan to be one of {get_args(LifespanMode)} but got {lifespan!r}")
        self.app = app
        self.streams = front_doors(streams)
        self._lifespan_mode = lifespan
        self._lifespan: LifespanCycle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Return the app's whole reply to one event.

        Raises: RuntimeError: the event is no HTTP request. LifespanFailure: the app refused to start.
        """
        self.start()
        asyncio.set_event_loop(self._loop)
        try:
            scope_and_body(self._mangum.infer(event, context))
        except MalformedEvent as error:
            return _refusal(error)
        return self._mangum(event, context)

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Start the app's lifespan on a loop that is not running; once, later calls do nothing.

        Raises: LifespanFailure: the app refused to start.
        """
        if self._loop is not None:
            return
        loop = loop or asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._mangum = Mangum(self.asgi, lifespan="off", custom_handlers=[APIGateway])
        if self._lifespan_mode != "off":
            self._lifespan = self._started_lifespan(self._lifespan_mode)
        self._loop = loop

    def close(self) -> None:
        """Shut the app's lifespan down; the handler is of no use after it."""
        if self._lifespan is not None:
            lifespan, self._lifespan = self._lifespan, None
            lifespan.__exit__(None, None, None)

    def _started_lifespan(self, mode: LifespanMode) -> LifespanCycle:
        lifespan = LifespanCycle(self.asgi, mode)
        lifespan.__enter__()
        if mode == "on" and lifespan.shutdown_event.is_set():
            raise LifespanFailure("expected the application to start but it ended its lifespan: see its log")
        return lifespan

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with its lifespan's state."""
        if self._lifespan is not None:
            scope["state"] = self._lifespan.lifespan_state.copy()
        return await self.app(scope, receive, send)

    def streamed(self, event: Any, context: Any) -> LambdaHandler | None:
        """Return Mangum's view of an event whose reply is to be streamed, None for any other event."""
        try:
            request = self._mangum.infer(event, context)
        except (RuntimeError, *_BROKEN_EVENT):
            return None
        return request if type(request).__name__ in self.streams else None


def front_doors(names: Iterable[str]) -> frozenset[str]:
    """Return the named front doors.

    Raises: ValueError: one of them cannot stream.
    """
    chosen = frozenset(names)
    if not chosen <= set(FRONT_DOORS):
        raise ValueError(f"expected streams to name some of {FRONT_DOORS} but got {sorted(chosen)}")
    return chosen


def scope_and_body(request: LambdaHandler) -> tuple[Scope, bytes]:
    """Return the ASGI scope and the body of an event.

    Raises: MalformedEvent: the event is of a known kind, but holds no valid request.
    """
    try:
        return request.scope, request.body
    except _BROKEN_EVENT as error:
        raise MalformedEvent(f"the event holds no valid request: {type(error).__name__}") from error


def streaming_scope(scope: Scope) -> Scope:
    """Return a scope that says what a stream is.

    `send` raises OSError once the caller has gone (ASGI 2.4), and no coding is acceptable for the body:
    compression would hold a stream back, and its header does not pass.
    """
    headers = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
    return {**scope, "headers": headers, "asgi": {"version": "3.0", "spec_version": "2.4"}}


def _refusal(error: MalformedEvent) -> dict[str, Any]:
    """Return the reply to a malformed event, in the form that every front door takes."""
    failure = malformed(str(error))
    return {
        "statusCode": failure.status,
        "headers": {"content-type": "application/json"},
        "body": _reply.error_body(failure).decode(),
        "isBase64Encoded": False,
    }
