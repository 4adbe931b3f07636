"""The reply that carries a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.chat.errors import ApiError
from functions.chat.streams.sse import DONE, KEEP_ALIVE, error_event

_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class EventStreamResponse(Response):
    """Send runs of events as they come, and a comment when none comes for a while.

    A caller who leaves ends the source at once, and with it the engine's work.
    """

    def __init__(
        self, events: AsyncGenerator[bytes, None], first: asyncio.Future[bytes], keep_alive_s: float
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._events = events
        self._first = first
        self._keep_alive_s = keep_alive_s
        self._turn = asyncio.Lock()
        self._ended = False
        self._sent_at = 0.0

    @classmethod
    async def open(cls, events: AsyncGenerator[bytes, None], keep_alive_s: float) -> EventStreamResponse:
        """Wait for the first event, so that what fails before it gets a status of its own.

        An engine that has accepted the request but stays silent is waited for within the stream.
        Raises: what the source raises before its first event.
        """
        await anext(events)  # the engine has accepted the request
        first = asyncio.ensure_future(anext(events))
        try:
            await asyncio.wait({first}, timeout=keep_alive_s)
            if first.done():
                first.result()
        except BaseException:
            await _cancelled(first)
            await events.aclose()
            raise
        return cls(events, first, keep_alive_s)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Run until the events end or the caller has left."""
        pump = asyncio.ensure_future(self._pump(send))
        beside = [asyncio.ensure_future(self._keep_alive(send)), asyncio.ensure_future(_left(receive))]
        try:
            await asyncio.wait({pump, *beside}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended:  # servers tell of a disconnect then, but the source may still tidy up
                await asyncio.wait({pump})
        finally:
            await _cancelled(pump, self._first, *beside)
            await self._events.aclose()
        if not pump.cancelled():
            pump.result()

    async def _pump(self, send: Send) -> None:
        async with self._turn:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if not self._first.done():
            await self._send(send, KEEP_ALIVE)
        await self._send(send, await self._first_run())
        async for run in self._events:
            await self._send(send, run)

    async def _first_run(self) -> bytes:
        try:
            return await self._first
        except ApiError as failure:  # comments went out before: too late for a status of its own
            return error_event(failure)

    async def _send(self, send: Send, run: bytes) -> None:
        ends = run.endswith(DONE)
        async with self._turn:
            await send({"type": "http.response.body", "body": run, "more_body": not ends})
        self._ended = ends
        self._sent_at = asyncio.get_running_loop().time()

    async def _keep_alive(self, send: Send) -> None:
        clock = asyncio.get_running_loop().time
        self._sent_at = clock()
        while not self._ended:
            await asyncio.sleep(max(self._sent_at + self._keep_alive_s - clock(), 0.001))
            if clock() - self._sent_at >= self._keep_alive_s and not self._turn.locked():
                await self._send(send, KEEP_ALIVE)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[bytes] | asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
