"""The loop: one invocation after the other, streamed or whole.

It alternates between running the event loop, for the Runtime API and for streams, and calling plain
handlers outside of it, in the main thread, just as the stock runtime does: there they may run event loops
of their own, and Mangum finds this one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from mangum.types import LambdaHandler

from ._cycle import StreamCycle
from ._errors import Fault, MalformedEvent, malformed
from ._events import FunctionInfo, Invocation, LambdaContext
from ._handler import StreamingHandler, scope_and_body, streaming_scope
from ._importer import Handler
from ._log import LambdaLogHandler
from ._report import describe
from ._response import ResponseStream
from ._runtime_api import RuntimeApi

STOP_EARLY_S = 1.5
"""Before Lambda's deadline, to tell the caller; a tenth of a shorter run."""

T = TypeVar("T")

logger = logging.getLogger("lambda_stream")


class InvocationLoop:
    """Feeds invocations to a handler until the environment is shut down."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        api: RuntimeApi,
        handler: Handler,
        function: FunctionInfo,
        log: LambdaLogHandler,
    ) -> None:
        self._loop = loop
        self._api = api
        self._handler = handler
        self._function = function
        self._log = log
        self._stopping = False
        self._current: asyncio.Task[Any] | None = None

    def run(self) -> None:
        """Serve invocations until SIGTERM or SIGINT, also while none comes.

        Raises: RuntimeApiError, OSError: Lambda has no more invocations for this environment.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop)
        try:
            while not self._stopping:
                self._serve(self._until(self._api.next()))
        except asyncio.CancelledError:
            if not self._stopping:
                raise

    def _stop(self) -> None:
        self._stopping = True
        if self._current is not None:
            self._current.cancel()

    def _until(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the event loop until a coroutine is done."""
        task = self._loop.create_task(coroutine)
        self._current = task
        return self._loop.run_until_complete(task)

    def _serve(self, invocation: Invocation) -> None:
        """Answer one invocation, whatever the handler does."""
        self._log.request_id = invocation.request_id
        _export_trace_id(invocation.trace_id)
        try:
            context = LambdaContext(invocation, self._function)
            event = invocation.event()
            request = self._streamed(event, context)
            if request is None:
                posting = self._api.post_result(invocation, *_encode(self._handler(event, context)))
            else:
                posting = self._stream(invocation, request)
        except Exception as error:  # noqa: BLE001 - the runtime outlives what handlers raise
            posting = self._report(invocation, error)
        self._until(posting)

    def _streamed(self, event: Any, context: Any) -> LambdaHandler | None:
        """Return Mangum's view of an event whose reply is to be streamed."""
        if isinstance(self._handler, StreamingHandler):
            return self._handler.streamed(event, context)
        return None

    async def _stream(self, invocation: Invocation, request: LambdaHandler) -> None:
        """Stream one reply, and wait for Lambda to take it, at most until the deadline."""
        stream = self._api.response(invocation)
        try:
            await self._run_app(stream, invocation, request)
            await asyncio.wait((stream.answered,), timeout=max(0, invocation.seconds_left))
        finally:
            stream.abort()
        _check_answer(stream)

    async def _run_app(self, stream: ResponseStream, invocation: Invocation, request: LambdaHandler) -> None:
        """Run the app to its end; it starts while the stream is still being connected."""
        assert isinstance(self._handler, StreamingHandler)
        try:
            scope, body = scope_and_body(request)
        except MalformedEvent as error:
            StreamCycle(_NO_REQUEST, b"", stream, invocation.request_id).fail(malformed(str(error)))
            await self._api.connect(stream)
            return
        cycle = StreamCycle(streaming_scope(scope), body, stream, invocation.request_id)
        cycle.start(self._handler.asgi, stop_after_s(invocation.seconds_left))
        await self._api.connect(stream)
        await cycle.ended()

    async def _report(self, invocation: Invocation, error: Exception) -> None:
        """Report an invocation that has failed without a reply."""
        path = f"/invocation/{invocation.request_id}/error"
        error_type, report = describe(error, invocation.request_id)
        logger.error("%s", report.decode())
        await self._api.post_error(path, error_type, report, invocation)


_NO_REQUEST = {"method": "GET"}


def stop_after_s(seconds_left: float) -> float:
    """Return when to stop the app: early enough for the caller to be told."""
    return max(0, seconds_left - min(STOP_EARLY_S, seconds_left / 10))


def _check_answer(stream: ResponseStream) -> None:
    """Log a reply that Lambda did not take; a socket that broke before its end is logged by then."""
    status = stream.answered.result()
    if status != 202 and (stream.finished or status is not None):
        logger.error(
            "expected 202 for a streamed reply from the Runtime API but got %s", status or "no answer"
        )


def _encode(result: Any) -> tuple[bytes, str]:
    """Return a plain handler's result as Lambda takes it."""
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return json.dumps(result, ensure_ascii=False).encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _export_trace_id(trace_id: str | None) -> None:
    """Put the trace where X-Ray's SDK and OpenTelemetry look for it."""
    if trace_id is None:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    else:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id
