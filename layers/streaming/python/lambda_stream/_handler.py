"""The handler that a function exports: an ASGI app behind Lambda's calling convention."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

from ._cycle import Cycle
from ._errors import Failure, FailureHook, FailurePolicy, MalformedEvent, malformed
from ._events import Exchange, current
from ._lifespan import Lifespan
from ._logger import logger
from ._requests import GATEWAYS, gateways, http_request, scope_and_body, streaming_scope
from ._scope import without_prefix
from ._whole import WholeReply

if TYPE_CHECKING:
    from mangum.types import LifespanMode, Receive, Scope, Send

    from ._cycle import Reply
    from ._requests import Request

    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
    EventHandler = Callable[[Any, Any], Any]

T = TypeVar("T")

LIFESPAN_MODES = ("auto", "on", "off")

STOP_EARLY_S = 1.5
"""Before Lambda's deadline, to end the reply in time; a tenth of a shorter run."""


class StreamingHandler:
    """Runs an ASGI app as a Lambda handler: streamed by this package's runtime, whole on any other.

    One event loop and one lifespan serve every invocation, so pooled connections outlive each. A handler that
    calls this one, such as a decorated function, streams as well; what it returns is then ignored.

    Shape:  `lifespan`: "auto", "on" or "off". `streams`: the gateways whose replies are streamed.
            `on_failure`: called with a `Failure` once the reply has started, returns the bytes that end its
            body, b"" for none; without it the body is cut. Lambda gets error trailers in either case.
            `error_body`: called with a `Failure` before the start, returns the JSON body of the error reply.
            `error_headers`: what the error reply has beside its content type.
            `on_event`: handles events that are no HTTP requests, like any handler; may be asynchronous.
            `tracebacks`: log the app's exceptions with their texts, which may hold users' data.
            `root_path`: whether the app sees what API Gateway puts before its paths (a stage, a base path).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifespan: LifespanMode = "auto",
        streams: Iterable[str] = GATEWAYS,
        on_failure: FailureHook | None = None,
        error_body: FailureHook | None = None,
        error_headers: Mapping[str, str] | None = None,
        on_event: EventHandler | None = None,
        tracebacks: bool = False,
        root_path: bool = True,
    ) -> None:
        if lifespan not in LIFESPAN_MODES:
            raise ValueError(f"expected lifespan to be one of {LIFESPAN_MODES} but got {lifespan!r}")
        self.app = app
        self.streams = gateways(streams)
        self._policy = FailurePolicy(on_failure, error_body, error_headers, tracebacks)
        self._on_event = on_event
        self._root_path = root_path
        self.adopted = False
        self._lifespan_mode = lifespan
        self._lifespan: Lifespan | None = None
        self._started = False
        self._starting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, event: Any, context: Any) -> Any:
        """Return the app's whole reply to one event, or stream it and return its status alone.

        Raises: RuntimeError: the event is no HTTP request. LifespanFailure: the app refused to start.
        """
        exchange = current.get()
        if exchange is not None:
            run = exchange.run
            if not self.adopted:
                run(exchange.adopt(self))
        else:
            if self.adopted:
                logger.warning(
                    "the handler was called in a thread of its own: its reply is whole, not streamed"
                )
            self._loop = self._loop or asyncio.new_event_loop()
            run = partial(run_on, self._loop)
            if not self._started:
                run(self.start())
        request = http_request(event, context)
        if request is not None:
            return run(self.reply(request, exchange))
        return self._other_event(event, context, run)

    async def reply(self, request: Request, exchange: Exchange | None) -> Any:
        """Return the app's whole reply to a request, or stream it and return its status alone."""
        if exchange is not None and not exchange.replied:
            streams = self.streams if exchange.streams is None else exchange.streams
            if request.gateway in streams:
                return {"statusCode": await exchange.stream(self, request)}
        try:
            reply = WholeReply()
            cycle = self._cycle(*scope_and_body(request), reply)
        except MalformedEvent as error:
            return self._refusal(malformed(str(error)))
        left_ms = getattr(request.context, "get_remaining_time_in_millis", None)
        cycle.start(self.asgi, stop_after_s(left_ms() / 1000) if left_ms else None)
        await cycle.ended()
        return request(reply.response())

    async def start(self) -> None:
        """Start the app's lifespan on this loop, once.

        Raises: LifespanFailure: the app refused to start.
        """
        async with self._starting:
            if not self._started:
                if self._lifespan_mode != "off":
                    lifespan = Lifespan(self.asgi, self._lifespan_mode)
                    await lifespan.start()
                    self._lifespan = lifespan
                self._loop = asyncio.get_running_loop()
                self._started = True

    def close(self) -> None:
        """Shut the app's lifespan down; the handler is of no use after it.

        Raises: LifespanFailure: the app failed to shut down.
        """
        if self._lifespan is not None and self._loop is not None:
            lifespan, self._lifespan = self._lifespan, None
            self._loop.run_until_complete(lifespan.stop())

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app with its lifespan's state."""
        if self._lifespan is not None:
            scope["state"] = self._lifespan.state.copy()
        return await self.app(scope, receive, send)

    def streamed_cycle(self, request: Request, reply: Reply) -> Cycle:
        """Return the cycle that streams the reply to a request.

        Raises: MalformedEvent: the event holds no valid request.
        """
        scope, body = scope_and_body(request)
        return self._cycle(streaming_scope(scope), body, reply)

    def refuse(self, error: MalformedEvent, reply: Reply) -> None:
        """Reply to an event that holds no valid request."""
        Cycle({"method": "GET"}, b"", reply, self._policy).fail(malformed(str(error)))

    def _cycle(self, scope: Scope, body: bytes, reply: Reply) -> Cycle:
        return Cycle(scope if self._root_path else without_prefix(scope), body, reply, self._policy)

    def _other_event(self, event: Any, context: Any, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Any:
        if self._on_event is None:
            raise RuntimeError(
                "expected an HTTP event of a Function URL, API Gateway or a load balancer but got another: "
                "pass StreamingHandler(…, on_event=…) what is to handle such events"
            )
        result = self._on_event(event, context)
        return run(_awaited(result)) if isawaitable(result) else result

    def _refusal(self, failure: Failure) -> dict[str, Any]:
        """Return the reply to a malformed event, in the form that every gateway takes."""
        reply = WholeReply()
        Cycle({"method": "GET"}, b"", reply, self._policy).fail(failure)
        return {
            "statusCode": failure.status,
            "headers": {"content-type": "application/json"},
            "body": reply.response()["body"].decode(),
            "isBase64Encoded": False,
        }


def stop_after_s(seconds_left: float) -> float:
    """Return when to stop the app: early enough to end its reply."""
    return max(0, seconds_left - min(STOP_EARLY_S, seconds_left / 10))


def run_on(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop, from outside of it: where the loop runs, it does so in another thread.

    Raises: RuntimeError: called within an event loop.
    """
    if asyncio._get_running_loop() is not None:
        coroutine.close()
        raise RuntimeError(
            "expected a call from outside of an event loop but got one within: what calls a StreamingHandler "
            "is a plain function, not `async def`"
        )
    if loop.is_running():
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
