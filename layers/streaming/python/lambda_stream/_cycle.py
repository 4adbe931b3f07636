"""One request through the app, its reply streamed.

The app ends in one of these ways, and the reply with it: finished, raised, misbehaved (returned a value,
never started, never finished), stopped at the deadline, or stopped because nobody reads any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mangum.protocols.http import HTTPCycle, HTTPCycleState
from mangum.types import ASGI, Message, Scope

from . import _reply
from ._errors import DEADLINE, AppMisbehaved, CallerGone, Failure
from ._response import ResponseStream

CANCEL_AFTER_S = 0.1
"""From `http.disconnect` to the app's cancellation: time to close what it holds by itself."""

ABANDON_AFTER_S = 0.3
"""From cancellation to going on without the app."""

_DISCONNECT: Message = {"type": "http.disconnect"}
_BODILESS = (204, 304)
_EXPECTED = {
    HTTPCycleState.REQUEST: "'http.response.start'",
    HTTPCycleState.RESPONSE: "'http.response.body' with more_body=False",
    HTTPCycleState.COMPLETE: "no message after the last",
}

logger = logging.getLogger("lambda_stream")


class StreamCycle(HTTPCycle):
    """Runs the app on one request and streams what it sends.

    Source: ASGI HTTP specification 2.4, read 2026-11-22.
    """

    def __init__(self, scope: Scope, body: bytes, stream: ResponseStream, request_id: str) -> None:
        super().__init__(scope, body)
        self._stream = stream
        self._request_id = request_id
        self._closed = False
        self._bodiless = scope["method"] == "HEAD"
        self._event_stream = False
        self._last = b""
        stream.on_lost = self._disconnect

    def start(self, app: ASGI, stop_after_s: float) -> None:
        """Start the app, to be stopped when it has not ended by then."""
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self.run(app))
        self._task.add_done_callback(self._end)
        self._timer = loop.call_later(stop_after_s, self._expire)

    async def ended(self) -> None:
        """Wait until the app has ended, or was stopped and given up on; cancelled, stop it first."""
        try:
            await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self._cancel()
            await self._over
            raise
        finally:
            self._timer.cancel()

    async def run(self, app: ASGI) -> None:
        """Call the app, and end the reply for it where it did not."""
        try:
            result: object = await app(self.scope, self.receive, self.send)  # type: ignore[func-returns-value]
            self._check_ended(result)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever an app lets out, its caller gets a reply
            if not self._closed:
                self.fail(Failure.raised(error))

    async def receive(self) -> Message:
        """Return the request, then, once nobody reads the reply or it is complete, `http.disconnect`."""
        message = await self.app_queue.get()
        if message is _DISCONNECT:
            self.app_queue.put_nowait(_DISCONNECT)
        return message

    async def send(self, message: Message) -> None:
        """Take one message of the reply; waits while the Runtime API reads slower than the app sends.

        Raises: CallerGone: the reply cannot be delivered. AppMisbehaved: not the message to send now.
        """
        if self._closed:
            raise CallerGone("nobody reads this reply any more")
        kind = message["type"]
        if kind == "http.response.body" and self.state is HTTPCycleState.RESPONSE:
            self._send_body(message)
        elif kind == "http.response.start" and self.state is HTTPCycleState.REQUEST:
            self._send_start(message)
        else:
            raise AppMisbehaved(f"expected {_EXPECTED[self.state]} but got {kind!r}")
        if self._stream.paused:
            await self._stream.drain()

    def fail(self, failure: Failure) -> None:
        """End the reply with a failure: a clean one before its start, a broken one after it."""
        logger.error(
            "%s: %s%s", failure.error_type, failure.cause, "".join(f"\n  {at}" for at in failure.frames)
        )
        if self.state is HTTPCycleState.REQUEST:
            self._send_start({"status": failure.status, "headers": _reply.ERROR_HEADERS})
            self._send_body({"body": _reply.error_body(failure)})
        elif self.state is HTTPCycleState.RESPONSE:
            if self._event_stream and not self._bodiless:
                self._stream.write(_reply.error_events(failure, self._last))
            self._complete(_reply.error_trailers(failure, self._request_id))

    def _send_start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        prelude = _reply.prelude(message["status"], headers)
        self.status = message["status"]
        self.state = HTTPCycleState.RESPONSE
        self._bodiless = self._bodiless or self.status in _BODILESS
        self._event_stream = _reply.is_event_stream(headers)
        self._stream.write(prelude)

    def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if type(body) is not bytes:
            # The app may reuse a mutable buffer as soon as `send` returns.
            body = memoryview(body).tobytes()
        if body and not self._bodiless:
            self._last = body
            self._stream.write(body)
        if not message.get("more_body", False):
            self._complete(_reply.END)

    def _complete(self, end: bytes) -> None:
        self.state = HTTPCycleState.COMPLETE
        self._stream.finish(end)
        self.app_queue.put_nowait(_DISCONNECT)

    def _check_ended(self, result: object) -> None:
        """Name the way in which an app that returned has misbehaved."""
        if self._closed:
            return
        if self.state is not HTTPCycleState.COMPLETE:
            raise AppMisbehaved(f"expected {_EXPECTED[self.state]} but the application returned without it")
        if result is not None:
            logger.error("expected the application to return None but got a %s", type(result).__name__)

    def _disconnect(self) -> None:
        """Tell the app that nobody reads any more; cancel it if it goes on."""
        logger.warning("the reply's socket broke: stopping the application")
        self._close()
        self._rearm(CANCEL_AFTER_S, self._cancel)

    def _expire(self) -> None:
        """Stop the app at the deadline, the caller being told first."""
        if self.state is HTTPCycleState.COMPLETE:
            logger.error("the application still ran at the deadline, after its reply: stopping it")
        else:
            self.fail(DEADLINE)
        self._cancel()

    def _close(self) -> None:
        self._closed = True
        self.app_queue.put_nowait(_DISCONNECT)

    def _cancel(self) -> None:
        self._close()
        self._task.cancel()
        self._rearm(ABANDON_AFTER_S, self._abandon)

    def _abandon(self) -> None:
        """Go on without an app that ignores its cancellation."""
        logger.error("the application ignored its cancellation: going on without it")
        self._end()

    def _end(self, _task: asyncio.Task[None] | None = None) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _rearm(self, delay_s: float, action: Callable[[], None]) -> None:
        """Replace what happens next to an app that has not ended."""
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, action)
