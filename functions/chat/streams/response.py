"""The reply that carries a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.chat.engines.engine import Chunks, End, Event, Failure, Run

from .sse import KEEP_ALIVE

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Writer(Protocol):
    """Writes the events of one reply in the shape of its endpoint."""

    def write(self, event: Run | Chunks) -> bytes:
        """Return what leaves of a piece of a stream."""

    def end(self, event: End | Failure) -> bytes:
        """Return the last bytes of a stream."""

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return a whole reply as it leaves."""


class EventStreamResponse(Response):
    """Send events as they come, and a comment when none comes for a while.

    The reply begins with the first event of a completion, so that a failure in its place gets a status of its
    own, or with a comment, if an engine that has accepted the request stays silent. A caller who disconnects
    ends the events at once, and with them the engine's work.
    """

    def __init__(self, events: AsyncGenerator[Event, None], keep_alive_s: float, writer: Writer) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = list(_HEADERS)
        self._events = events
        self._keep_alive_s = keep_alive_s
        self._writer = writer
        self._begun = self._sending = self._ended = self._stopped = False
        self._free = asyncio.Event()  # no comment is being sent
        self._free.set()
        self._sent_at = monotonic()

    @classmethod
    async def open(
        cls, events: AsyncGenerator[Event, None], keep_alive_s: float, writer: Callable[[], Writer]
    ) -> EventStreamResponse:
        """Wait until an engine has accepted the request.

        Shape:  `writer` makes the writer then.
        Raises: ApiError, of a failure before.
        """
        try:
            if isinstance(event := await anext(events), Failure):
                raise event.error
        except BaseException:
            await events.aclose()
            raise
        return cls(events, keep_alive_s, writer())

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Run until the events end or the caller has disconnected.

        Raises: ApiError, of a failure before the reply has begun.
        """
        pump = asyncio.current_task()
        assert pump

        def stop(_: asyncio.Future[None]) -> None:
            if not (self._ended or self._stopped):  # servers report a disconnect after the end, too
                self._stopped = True
                pump.cancel()

        beside: list[asyncio.Task[None]] = []

        def watch() -> None:
            for each in (self._keep_alive(send), _wait_for_disconnect(receive)):
                task = asyncio.ensure_future(each)
                task.add_done_callback(stop)
                beside.append(task)

        # Once there is something to wait for: what has come by now leaves first.
        soon = asyncio.get_running_loop().call_soon(watch)
        try:
            await self._pump(send)
        except asyncio.CancelledError:
            if not self._stopped or pump.uncancel():  # by another
                raise
        finally:
            self._ended = True
            soon.cancel()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._events.aclose()

    async def _pump(self, send: Send) -> None:
        async for event in self._events:
            if isinstance(event, (Run, Chunks)):
                data, more = self._writer.write(event), True
            elif isinstance(event, Failure) and not self._begun:
                raise event.error
            elif isinstance(event, (End, Failure)):
                data, more = self._writer.end(event), False
            else:
                continue
            if not self._free.is_set():
                await self._free.wait()
            if data or not more:
                self._sending = True
                await self._send(send, data, more=more)
                self._sending = False

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        if not self._begun:
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": more})
        self._ended = not more
        self._sent_at = monotonic()

    async def _keep_alive(self, send: Send) -> None:
        while not self._ended:
            await asyncio.sleep(max(self._sent_at + self._keep_alive_s - monotonic(), 0.001))
            is_late = monotonic() - self._sent_at >= self._keep_alive_s
            if is_late and not self._sending and not self._ended:
                self._free.clear()
                await self._send(send, KEEP_ALIVE)
                self._free.set()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
