"""Two runs of one request, of which the first that begins goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from .engine import Accepted, EngineRequest, Event, Failure, Hedged


class RunAhead:
    """An engine's run of a request, read one event ahead.

    Shape:  `read` gives the next of `events`; what is read ahead is to be read from `ahead` first.
    """

    def __init__(
        self, request: EngineRequest, events: AsyncIterator[Event], read: Callable[[], Awaitable[Event]]
    ) -> None:
        self.request, self.events, self._read = request, events, read
        self.ahead = asyncio.ensure_future(read())

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without a beginning."""
        return self.ahead.done() and isinstance(self.ahead.result(), Failure)

    @property
    def is_accepted(self) -> bool:
        """Whether its engine has just accepted it."""
        return self.ahead.done() and isinstance(self.ahead.result(), Accepted)

    @property
    def has_begun(self) -> bool:
        """Whether its reply has begun."""
        return self.ahead.done() and not (self.has_failed or self.is_accepted)

    async def begins_within(self, s: float) -> bool:
        """Wait for its next event so long; return whether it came."""
        await asyncio.wait({self.ahead}, timeout=s)
        return self.ahead.done()

    def go_on(self) -> None:
        """Read the next event ahead."""
        self.ahead = asyncio.ensure_future(self._read())

    async def stop(self) -> None:
        """Stop reading; the connection is closed by who has opened it."""
        self.ahead.cancel()
        await asyncio.gather(self.ahead, return_exceptions=True)


async def first_to_begin(mine: RunAhead, theirs: RunAhead, within_s: float) -> AsyncGenerator[Hedged, None]:
    """Read both until one has begun, or for so long; only while `mine` has failed, as long as `theirs` takes.

    Yields once: when the engine of `theirs` has accepted the request.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + within_s
    while not (mine.has_begun or theirs.has_begun or theirs.has_failed):
        left_s = None if mine.has_failed else until - clock()
        if left_s is not None and left_s <= 0:
            return
        reading = {run.ahead for run in (mine, theirs) if not run.ahead.done()}
        await asyncio.wait(reading, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if theirs.is_accepted:
            yield Hedged(mine.request, theirs.request)
            theirs.go_on()
