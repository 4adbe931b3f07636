"""One request through the app, and what it sends into a reply.

The app ends in one of these ways, and the reply with it: finished, raised, misbehaved (returned a value,
never started, never finished), stopped at the deadline, or stopped because its caller has disconnected.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from . import _reply
from ._errors import DEADLINE, AppMisbehaved, CallerGone, Failure, FailureHook, FailurePolicy
from ._logger import logger

CANCEL_AFTER_S = 0.1
"""From `http.disconnect` to the app's cancellation: time to close what it holds by itself."""

ABANDON_AFTER_S = 0.3
"""From cancellation to going on without the app."""

_DISCONNECT: Message = {"type": "http.disconnect"}
_BODILESS = (204, 304)


class State(enum.Enum):
    """How far the reply has come, and by that which message the app may send next."""

    REQUEST = "'http.response.start'"
    RESPONSE = "'http.response.body' with more_body=False"
    COMPLETE = "no message after the last"


if TYPE_CHECKING:
    from mangum.types import ASGI, Message, Scope

    class Reply(Protocol):
        """Where a reply goes; `paused` while it takes no more, `on_lost` is called when it breaks."""

        on_lost: Callable[[], None]

        @property
        def paused(self) -> bool: ...

        def begin(self, status: int, headers: _reply.Headers) -> None: ...

        def write(self, body: bytes) -> None: ...

        def finish(self) -> None: ...

        def cut(self, failure: Failure, headers: _reply.Headers, body: bytes) -> None:
            """End a reply that has begun and failed; `headers` and `body` are for one not sent yet."""

        async def drain(self) -> None: ...


def _ignore() -> None:
    """Do nothing: the app has ended."""


class Cycle:
    """Runs the app on one request.

    Source: ASGI HTTP specification 2.4, read 2026-11-22.
    """

    def __init__(self, scope: Scope, body: bytes, reply: Reply, policy: FailurePolicy) -> None:
        self.scope = scope
        self.state = State.REQUEST
        self._reply = reply
        self._policy = policy
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self._closed = False
        self._bodiless = scope["method"] == "HEAD"
        self._headers: list[Any] = []
        self._last = b""
        reply.on_lost = self._disconnect

    def start(self, app: ASGI, stop_after_s: float | None) -> None:
        """Start the app, to be stopped when it has not ended by then."""
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._task = loop.create_task(self.run(app))
        self._timer = None if stop_after_s is None else loop.call_later(stop_after_s, self._expire)

    async def ended(self) -> None:
        """Wait until the app has ended, or was stopped and given up on; cancelled, stop it first."""
        try:
            await self._over
        except asyncio.CancelledError:
            if self._over.cancelled():
                self._over = asyncio.get_running_loop().create_future()
                self._cancel()
                await self._over
            raise
        finally:
            if self._timer:
                self._timer.cancel()

    async def run(self, app: ASGI) -> None:
        """Call the app, and end the reply for it where it did not."""
        try:
            result: object = await app(self.scope, self.receive, self.send)  # type: ignore[func-returns-value]
            if self._closed:
                return
            if self.state is not State.COMPLETE:
                raise AppMisbehaved(f"expected {self.state.value} but the application returned without it")
            if result is not None:
                logger.error("expected the application to return None but got a %s", type(result).__name__)
        except BaseException as error:  # noqa: BLE001 - whatever an app lets out, its caller gets a reply
            if not self._closed:
                self.fail(Failure.raised(error))
        finally:
            self._end()

    async def receive(self) -> Message:
        """Return the request; then, once the caller has gone or the reply is complete, `http.disconnect`."""
        message = await self._messages.get()
        if message is _DISCONNECT:
            self._messages.put_nowait(_DISCONNECT)
        return message

    async def send(self, message: Message) -> None:
        """Take one message of the reply; waits while the Runtime API reads slower than the app sends.

        Raises: CallerGone: the reply cannot be delivered. AppMisbehaved: not the message to send now.
        """
        if self._closed:
            raise CallerGone("the caller of this request has disconnected")
        kind = message["type"]
        if kind == "http.response.body" and self.state is State.RESPONSE:
            self._send_body(message)
        elif kind == "http.response.start" and self.state is State.REQUEST:
            headers = list(message.get("headers", ()))
            self._begin(message["status"], headers)
            self._headers = headers
        else:
            raise AppMisbehaved(f"expected {self.state.value} but got {kind!r}")
        if self._reply.paused:
            await self._reply.drain()

    def fail(self, failure: Failure) -> None:
        """End the reply with a failure: a clean one before its start, a broken one after it."""
        places = "" if self._policy.tracebacks else "".join(f"\n  {at}" for at in failure.frames)
        trace = failure.error if self._policy.tracebacks else None
        logger.error("%s: %s%s", failure.error_type, failure.cause, places, exc_info=trace)
        if self.state is State.COMPLETE:
            return
        sent = tuple((bytes(name), bytes(value)) for name, value in self._headers)
        failure = failure._replace(scope=self.scope, headers=sent, last=self._last)
        body = self._hooked(self._policy.error_body, failure) or _reply.error_body(failure)
        if self.state is State.REQUEST:
            self._begin(failure.status, self._policy.error_headers)
            self._send_body({"body": body})
            return
        ending = self._hooked(self._policy.on_failure, failure)
        if ending and not self._bodiless:
            self._reply.write(ending)
        self._complete()
        self._reply.cut(failure, self._policy.error_headers, body)

    def _hooked(self, hook: FailureHook | None, failure: Failure) -> bytes:
        """Return what the application's hook makes of a failure; b"" without one, or if it fails too."""
        if hook is None:
            return b""
        try:
            return memoryview(hook(failure)).tobytes()
        except Exception:  # noqa: BLE001 - a hook must not keep the reply from ending
            logger.error("expected bytes from a hook for failures but it failed", exc_info=True)
            return b""

    def _begin(self, status: int, headers: _reply.Headers) -> None:
        self._reply.begin(status, headers)
        self.state = State.RESPONSE
        self._bodiless = self._bodiless or status in _BODILESS

    def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if type(body) is not bytes:
            # The app may reuse a mutable buffer as soon as `send` returns.
            body = memoryview(body).tobytes()
        if body and not self._bodiless:
            self._last = body
            self._reply.write(body)
        if not message.get("more_body", False):
            self._complete()
            self._reply.finish()

    def _complete(self) -> None:
        self.state = State.COMPLETE
        self._messages.put_nowait(_DISCONNECT)

    def _disconnect(self) -> None:
        """Report the disconnect to the app; cancel it if it goes on."""
        logger.warning("the reply's socket broke: stopping the application")
        self._close()
        self._rearm(CANCEL_AFTER_S, self._cancel)

    def _expire(self) -> None:
        """Stop the app at the deadline, after an answer to its caller."""
        if self.state is State.COMPLETE:
            logger.error("the application still ran at the deadline, after its reply: stopping it")
        else:
            self.fail(DEADLINE)
        self._cancel()

    def _close(self) -> None:
        self._closed = True
        self._messages.put_nowait(_DISCONNECT)

    def _cancel(self) -> None:
        self._close()
        self._task.cancel()
        self._rearm(ABANDON_AFTER_S, self._abandon)

    def _abandon(self) -> None:
        """Go on without an app that ignores its cancellation."""
        logger.error("the application ignored its cancellation: going on without it")
        self._end()

    def _end(self) -> None:
        # Each would keep the other, and megabytes of a request, until garbage is collected.
        self._reply.on_lost = _ignore
        if not self._over.done():
            self._over.set_result(None)

    def _rearm(self, delay_s: float, action: Callable[[], None]) -> None:
        """Replace what happens next to an app that has not ended."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, action)
