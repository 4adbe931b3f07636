"""The reply that carries a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.chat.engines.engine import Chunks, End, Event, Failure, Run

from .sse import KEEP_ALIVE

_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


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

    A caller who disconnects ends the events at once, and with them the engine's work.
    """

    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        first: asyncio.Future[Event],
        keep_alive_s: float,
        writer: Writer,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._events = events
        self._first = first
        self._keep_alive_s = keep_alive_s
        self._writer = writer
        self._lock = asyncio.Lock()
        self._ended = False
        self._sent_at = 0.0

    @classmethod
    async def open(
        cls, events: AsyncGenerator[Event, None], keep_alive_s: float, writer: Callable[[], Writer]
    ) -> EventStreamResponse:
        """Wait for the first event of the reply, so that a failure in its place gets a status of its own.

        An engine that has accepted the request but stays silent is waited for within the stream.
        Shape:  `writer` makes the writer, once an engine has accepted the request.
        Raises: ApiError, of a failure before the first event.
        """
        first: asyncio.Future[Event] | None = None
        try:
            if isinstance(event := await anext(events), Failure):
                raise event.error
            first = asyncio.ensure_future(anext(events))
            await asyncio.wait({first}, timeout=keep_alive_s)
            if first.done() and isinstance(event := first.result(), Failure):
                raise event.error
        except BaseException:
            if first:
                await _cancel(first)
            await events.aclose()
            raise
        return cls(events, first, keep_alive_s, writer())

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Run until the events end or the caller has disconnected."""
        pump = asyncio.ensure_future(self._pump(send))
        beside = [
            asyncio.ensure_future(self._keep_alive(send)),
            asyncio.ensure_future(_wait_for_disconnect(receive)),
        ]
        try:
            await asyncio.wait({pump, *beside}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended:  # servers report a disconnect then, but the engine's reply is still drained
                await asyncio.wait({pump})
        finally:
            await _cancel(pump, self._first, *beside)
            await self._events.aclose()
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send) -> None:
        async with self._lock:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if not self._first.done():
            await self._send(send, KEEP_ALIVE)
        await self._send_event(send, await self._first)
        async for event in self._events:
            await self._send_event(send, event)

    async def _send_event(self, send: Send, event: Event) -> None:
        if isinstance(event, (Run, Chunks)):
            if data := self._writer.write(event):
                await self._send(send, data)
        elif isinstance(event, (End, Failure)):
            await self._send(send, self._writer.end(event), more=False)

    async def _send(self, send: Send, data: bytes, *, more: bool = True) -> None:
        async with self._lock:
            await send({"type": "http.response.body", "body": data, "more_body": more})
        self._ended = not more
        self._sent_at = asyncio.get_running_loop().time()

    async def _keep_alive(self, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        self._sent_at = clock()
        while not self._ended:
            await asyncio.sleep(max(self._sent_at + self._keep_alive_s - clock(), 0.001))
            if clock() - self._sent_at >= self._keep_alive_s and not self._lock.locked() and not self._ended:
                await self._send(send, KEEP_ALIVE)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel(*tasks: asyncio.Future[Event] | asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
