"""As many connections as are allowed, made when they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .errors import UserError
from .postgres import Connection
from .url import DatabaseUrl

_SETTLE_S = 0.5


class Pool:
    """As many connections as are allowed, made when they are needed."""

    def __init__(self, url: DatabaseUrl) -> None:
        self._url = url
        self._free: list[Connection] = []
        self._slots = asyncio.Semaphore(url.connection_limit)
        self._closed = False

    async def open(self) -> None:
        self.give(await self.take())

    async def take(self, wait_s: float | None = None) -> Connection:
        """Raises: UserError."""
        try:
            await asyncio.wait_for(self._slots.acquire(), wait_s or self._url.pool_timeout_s)
        except TimeoutError:
            raise UserError(
                "P2024", "Timed out fetching a new connection from the connection pool."
            ) from None
        while self._free:
            connection = self._free.pop()
            if not connection.lost:
                return connection
        connection = Connection(self._url)
        try:
            await connection.open()
        except BaseException:
            self._slots.release()
            raise
        return connection

    def give(self, connection: Connection) -> None:
        if self._closed:
            connection.terminate()
        elif not connection.lost:
            self._free.append(connection)
        self._slots.release()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self.take()
        try:
            yield connection
        except asyncio.CancelledError:
            # asyncpg asks Postgres to stop, by another connection; where that has no answer, this one is dead.
            self._settling = asyncio.ensure_future(self._settle(connection))
            raise
        except BaseException:
            self.give(connection)
            raise
        self.give(connection)

    async def _settle(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(_SETTLE_S):
                await connection.ask("SELECT 1", [])
        except (TimeoutError, UserError):
            connection.terminate()
        finally:
            self.give(connection)

    async def close(self) -> None:
        self._closed = True
        free, self._free = self._free, []
        for connection in free:
            await connection.close()

    def terminate(self) -> None:
        self._closed = True
        free, self._free = self._free, []
        for connection in free:
            connection.terminate()
