"""The loop: one invocation after the other, streamed or whole.

An app's requests are served within the event loop. Any other handler is called outside of it, in the main
thread, just as the stock runtime does: there it may run event loops of its own. A `StreamingHandler` that it
calls finds the current exchange, and runs this loop to stream its reply.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from ._errors import Fault, LifespanFailure, MalformedEvent
from ._events import Exchange, FunctionInfo, Invocation, LambdaContext, current
from ._handler import StreamingHandler, stop_after_s
from ._importer import Handler
from ._log import LambdaLogHandler
from ._logger import logger
from ._report import describe
from ._requests import http_request
from ._runtime_api import RuntimeApi

if TYPE_CHECKING:
    from ._requests import Request

T = TypeVar("T")

FAILURES = (Exception, SystemExit, KeyboardInterrupt)
"""What the runtime outlives of a handler's; a cancellation is the runtime's own."""


class InvocationLoop:
    """Feeds invocations to a handler until the environment is shut down."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        api: RuntimeApi,
        function: FunctionInfo,
        log: LambdaLogHandler,
        streams: frozenset[str] | None,
    ) -> None:
        self._loop = loop
        self._api = api
        self._function = function
        self._log = log
        self._streams = streams
        self._adopted: list[StreamingHandler] = []
        self._stopping = False
        self._current: asyncio.Task[Any] | None = None

    async def adopt(self, handler: StreamingHandler) -> None:
        """Start an app on this event loop, once; `close` shuts it down.

        Raises: LifespanFailure: the app refused to start.
        """
        await handler.start()
        if not handler.adopted:
            handler.adopted = True
            self._adopted.append(handler)

    def run(self, handler: Handler) -> None:
        """Serve invocations until SIGTERM or SIGINT, also while none comes.

        Raises: RuntimeApiError, OSError: Lambda has no more invocations for this environment.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not the loop's own handlers: uvloop loses signals that come while it is not running.
            signal.signal(number, lambda *_: self._loop.call_soon_threadsafe(self._stop))
        try:
            self._serve_all(handler)
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    def close(self) -> None:
        """Shut all apps down."""
        for handler in self._adopted:
            try:
                handler.close()
            except LifespanFailure:
                logger.error("the application failed to shut down", exc_info=True)

    def _stop(self) -> None:
        self._stopping = True
        if self._current is not None:
            self._current.cancel()

    def _serve_all(self, handler: Handler) -> None:
        while not self._stopping:
            self._call(handler, *self._until(self._next(handler)))

    def _until(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the event loop until a coroutine is done, also where a task beside it ends with `sys.exit`."""
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(coroutine)
        self._current = task
        while True:
            try:
                return self._loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done():
                    raise
                logger.error("a task of the application raised %s: going on without it", type(error).__name__)

    async def _next(self, handler: Handler) -> tuple[Exchange, Any, LambdaContext]:
        """Return the next invocation that is served outside of the event loop."""
        while True:
            exchange = self._exchange(await self._api.next(), self._until)
            self._log.only = exchange
            _export_trace_id(exchange.invocation.trace_id)
            if arguments := await self._serve(handler, exchange, self._api):
                return exchange, *arguments

    def _call(self, handler: Handler, exchange: Exchange, event: Any, context: LambdaContext) -> None:
        """Reply to one invocation by a function, whatever that does."""
        current.set(exchange)
        try:
            result = handler(event, context)
            if exchange.replied:
                return
            posting = self._api.post_result(exchange.invocation, *encode(result))
        except FAILURES as error:
            posting = self._failed(exchange, error, self._api)
        self._until(posting)

    async def _serve(
        self, handler: Handler, exchange: Exchange, api: RuntimeApi
    ) -> tuple[Any, LambdaContext] | None:
        """Reply to an app's request, whatever the app does; returns the arguments for any other call."""
        try:
            event, context = exchange.event(), LambdaContext(exchange.invocation, self._function)
            request = http_request(event, context) if type(handler) is StreamingHandler else None
            if type(handler) is not StreamingHandler or request is None:
                return event, context
            result = await handler.reply(request, exchange)
            if exchange.replied:
                return None
            posting = api.post_result(exchange.invocation, *encode(result))
        except FAILURES as error:
            posting = self._failed(exchange, error, api)
        await posting
        return None

    def _exchange(self, invocation: Invocation, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Exchange:
        """Return the exchange of an invocation, the current one from now on."""
        exchange = Exchange(invocation, streams=self._streams, adopt=self.adopt, run=run, stream=self._stream)
        current.set(exchange)
        return exchange

    async def _failed(self, exchange: Exchange, error: BaseException, api: RuntimeApi) -> None:
        """Log what a handler raised, and post it unless the invocation has its reply."""
        invocation = exchange.invocation
        error_type, report = describe(error, invocation.request_id)
        logger.error("%s", report.decode())
        if not exchange.replied:
            path = f"/invocation/{invocation.request_id}/error"
            await api.post_error(path, error_type, report, invocation)

    async def _stream(self, invocation: Invocation, handler: StreamingHandler, request: Request) -> int:
        """Stream one reply, wait for Lambda to take it, at most until the deadline, and return its status."""
        stream = self._api.response(invocation)
        try:
            await request.decode()
            try:
                cycle = handler.streamed_cycle(request, stream)
            except MalformedEvent as error:
                handler.refuse(error, stream)
                await self._api.connect(stream)
            else:
                cycle.start(handler.asgi, stop_after_s(invocation.seconds_left))
                # The app begins before the stream connects, which has time until the first chunk.
                await asyncio.sleep(0)
                await self._api.connect(stream)
                await cycle.ended()
            expiry = self._loop.call_later(max(0, invocation.seconds_left), stream.abort)
            await stream.answered
            expiry.cancel()
        finally:
            stream.abort()
        answer = stream.answered.result()
        # A socket that broke before the end of the reply has been logged by then.
        if answer != 202 and (stream.finished or answer is not None):
            logger.error(
                "expected 202 for a streamed reply from the Runtime API but got %s", answer or "no answer"
            )
        return stream.status


def encode(result: Any) -> tuple[bytes, str]:
    """Return a plain handler's result as Lambda takes it."""
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return json.dumps(result, ensure_ascii=False).encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _export_trace_id(trace_id: str | None) -> None:
    """Put the trace where X-Ray's SDK and OpenTelemetry look for it.

    The process has one such variable: this is right only while invocations are served one at a time.
    """
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
