"""As many connections as are allowed, made when they are needed, and given in turn to those who wait."""

from __future__ import annotations

import asyncio
import contextlib
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


def now() -> Moment:
    """Return the seconds of two clocks, of which one at least goes on while the process is frozen."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK), time.time()


class Pool:
    """The connections of one event loop.

    Shape:  a connection is idle, lent, or settling: what a cancelled call left behind ends in the background.
    Units:  a connection that was idle for `idle_check_s` is checked before it is lent.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        *,
        idle_check_s: float = 30.0,
        connect: Connect = asyncpg.connect,
        now: Callable[[], Moment] = now,
    ) -> None:
        self._url, self._idle_check_s, self._connect, self._now = url, idle_check_s, connect, now
        self._slots = asyncio.Semaphore(url.connection_limit)
        self._idle: list[tuple[Connection, Moment]] = []
        self._opened: dict[Connection, Moment] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Make a first connection. Raises: UserError."""
        async with self.connection():
            pass

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
        try:
            connection = await self._usable()
        except BaseException:
            self._slots.release()
            raise
        opening = None
        try:
            if connection not in self._opened:
                # It goes on where its caller is cancelled: else the driver leaves an error unread.
                opening = asyncio.create_task(self._open(connection))
                await asyncio.shield(opening)
            yield connection
        finally:  # nothing is awaited here, so nothing can be cancelled
            if (not opening or opening.done()) and (connection.ready or connection.lost):
                self._take_back(connection)
            else:
                task = asyncio.create_task(self._settle(connection, opening))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)

    async def _usable(self) -> Connection:
        while self._idle:
            connection, used = self._idle.pop()
            if connection.lost or self._expired(connection, used):
                self._drop(connection)
            elif self._fresh(connection, used) or await self._answers(connection):
                return connection
            else:  # those that were idle for longer will be no better
                while self._idle:
                    self._drop(self._idle.pop()[0])
        if self._closed:
            raise UserError("P2024", "The connection pool is closed.")
        return Connection(self._url, self._connect)

    async def _open(self, connection: Connection) -> None:
        await connection.open()
        self._opened[connection] = self._now()

    def _expired(self, connection: Connection, used: Moment) -> bool:
        idle_s, life_s = self._url.max_idle_connection_lifetime_s, self._url.max_connection_lifetime_s
        return bool(
            (idle_s and self._since(used) > idle_s)
            or (life_s and self._since(self._opened[connection]) > life_s)
        )

    def _fresh(self, connection: Connection, used: Moment) -> bool:
        return self._since(used) < self._idle_check_s and not connection.notified

    def _since(self, before: Moment) -> float:
        return max(after - before for after, before in zip(self._now(), before, strict=True))

    async def _answers(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(_CHECK_S):
                await connection.reset()
        except (TimeoutError, UserError):
            self._drop(connection)
            return False
        except BaseException:
            self._drop(connection)
            raise
        return True

    async def _settle(self, connection: Connection, opening: asyncio.Task[None] | None) -> None:
        # The driver has Postgres stop the query, by another connection. Without an answer, this one is dead.
        try:
            if opening:
                await opening
            async with asyncio.timeout(_SETTLE_S):
                await connection.reset()
        except (TimeoutError, UserError):
            connection.terminate()
        finally:
            self._take_back(connection)

    def _take_back(self, connection: Connection) -> None:
        if self._closed or self._url.single_use_connections or not connection.ready:
            self._drop(connection)
        else:
            self._idle.append((connection, self._now()))
        self._slots.release()

    def _drop(self, connection: Connection) -> None:
        self._opened.pop(connection, None)
        connection.terminate()

    async def close(self) -> None:
        """Close what is idle or settling, and let go of what is lent when it comes back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.close() for connection, _ in idle))
        if self._settling:
            for task in (await asyncio.wait(self._settling, timeout=_SETTLE_S))[1]:
                task.cancel()
        for connection, _ in idle:
            self._drop(connection)
        await asyncio.sleep(0)  # what the driver cancels when a connection is dropped, ends

    def terminate(self) -> None:
        """Close all connections at once, lent ones too; their event loop may be closed."""
        self._closed = True
        self._idle.clear()
        for connection in list(self._opened):
            self._drop(connection)
        for task in self._settling:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                task.cancel()
