"""As many connections as are allowed, made when they are needed, and given in turn to those who wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from .errors import UserError
from .postgres import Connect, Connection
from .url import DatabaseUrl

_CHECK_S = 1.0
_SETTLE_S = 0.5
# It counts while the machine sleeps; the wall clock also does where the process was frozen and restored.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)

Moment = tuple[float, float]
Clock = Callable[[], Moment]


def now() -> Moment:
    """Return the seconds of two clocks, of which one at least goes on while the process is frozen."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK), time.time()


class Pool:
    """The connections of one event loop.

    Shape:  a connection is idle, lent, or settling: what a cancelled call left behind ends in the background.
    Units:  a connection that was idle for `idle_check_s` is checked before it is lent.
    """

    def __init__(
        self, url: DatabaseUrl, idle_check_s: float = 30, connect: Connect = asyncpg.connect, now: Clock = now
    ) -> None:
        self._url, self._idle_check_s, self._connect, self._now = url, idle_check_s, connect, now
        self._slots = asyncio.Semaphore(url.connection_limit)
        self._open: set[Connection] = set()
        self._idle: list[tuple[Connection, Moment]] = []
        self._settling: set[asyncio.Task[None]] = set()
        self._closed, self.process = False, os.getpid()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection. Raises: UserError, P1xxx or P2xxx; nothing was sent then."""
        try:
            async with asyncio.timeout(self._url.pool_timeout_s if self._slots.locked() else None):
                await self._slots.acquire()
        except TimeoutError:
            timeout, limit = self._url.pool_timeout_s, self._url.connection_limit
            limits = f"(Current connection pool timeout: {timeout}, connection limit: {limit})"
            text = f"Timed out fetching a new connection from the connection pool. {limits}"
            raise UserError("P2024", text, {"timeout": timeout, "connection_limit": limit}) from None
        connection = opening = None
        try:
            if self._idle and self._fresh(*self._idle[-1]):
                connection, _ = self._idle.pop()
            else:
                # It goes on where its caller is cancelled: else the driver leaves an error unread.
                opening = asyncio.create_task(self._checked_or_new())
                connection = await asyncio.shield(opening)
            yield connection
        finally:  # nothing is awaited here, so nothing can be cancelled
            if connection and (connection.ready or connection.lost):
                self._take_back(connection)
            else:
                task = asyncio.create_task(self._settle(connection, opening))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)

    def _fresh(self, connection: Connection, used: Moment) -> bool:
        idle_s = max(after - before for after, before in zip(self._now(), used, strict=True))
        return idle_s < self._idle_check_s and not connection.lost and not connection.notified

    async def _checked_or_new(self) -> Connection:
        if self._idle:
            connection, _ = self._idle.pop()
            try:
                async with asyncio.timeout(_CHECK_S):
                    await connection.reset()
            except BaseException as error:
                self._drop(connection)
                if not isinstance(error, TimeoutError | UserError):
                    raise
                while self._idle:  # those that were idle for longer are no better
                    self._drop(self._idle.pop()[0])
            else:
                return connection
        if self._closed:
            raise UserError("P2024", "The connection pool is closed.")
        connection = Connection(self._url, self._connect)
        await connection.open()
        self._open.add(connection)
        return connection

    async def _settle(self, connection: Connection | None, opening: asyncio.Task[Connection] | None) -> None:
        # The driver has Postgres stop the query, by another connection. Without an answer, this one is dead.
        try:
            if opening:
                connection = await opening
            assert connection
            async with asyncio.timeout(_SETTLE_S):
                await connection.reset()
        except (TimeoutError, UserError):
            if connection:
                connection.terminate()
        finally:
            self._take_back(connection)

    def _take_back(self, connection: Connection | None) -> None:
        if connection and connection.ready and not self._closed:
            self._idle.append((connection, self._now()))
        elif connection:
            self._drop(connection)
        self._slots.release()

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.terminate()

    async def close(self) -> None:
        """Close what is idle or settling, and let go of what is lent when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.close() for connection, _ in idle))
        if self._settling:
            for task in (await asyncio.wait(self._settling, timeout=_SETTLE_S))[1]:
                task.cancel()
        await asyncio.sleep(0)  # what the driver cancels when a connection is dropped, ends

    def terminate(self) -> None:
        """Close all connections at once, lent ones too; their event loop may be closed."""
        self._closed = True
        self._idle.clear()
        for connection in list(self._open):
            self._drop(connection)
        for task in self._settling:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                task.cancel()
