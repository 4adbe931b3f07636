"""Access to Postgres through Prisma: one connection, and what happens to a query that has no result.

- Not sent, because there was no connection: it is tried again for as long as two queries may take. A paused
  database needs that time to resume, and delays or refuses connections until then.
- Sent, and the connection was lost or the time was up: it may have been executed, and is sent once more.
  Queries must therefore be idempotent.
- The password was rejected: the address is fetched again, once.

While Lambda freezes the function, the connection may be lost: `prisma_in_process` replaces it before its
next use.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum, auto
from typing import TypeVar

from prisma import Prisma, errors
from prisma.engine.errors import NotConnectedError
from prisma_in_process.url import read_url

from .address import Address, AddressUnknown
from .errors import DatabaseUnavailable

logger = logging.getLogger("todos")
# At its lowest level it would log the database's address with its password.
logging.getLogger("prisma").setLevel(logging.WARNING)

# Lambda gives a function 10 s to start.
_OPEN_S = 5.0
_PAUSE_S = 0.25
_FAILURES = (
    AddressUnknown,
    TimeoutError,
    errors.DataError,
    errors.ClientNotConnectedError,
    NotConnectedError,
)

Result = TypeVar("Result")
Query = Callable[[Prisma], Awaitable[Result]]


class Database:
    """The database, over one connection."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._client: Prisma | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect ahead of the first query, within 5 seconds; if that fails, the query tries again."""
        try:
            async with asyncio.timeout(_OPEN_S):
                await self._connected()
        except _FAILURES as error:
            logger.warning("the database was not reached ahead of the first query: %s", reason_of(error))

    async def aclose(self) -> None:
        """Close the connection; later queries fail."""
        self._closed = True
        await self._disconnect(self._client)

    async def execute(self, query: Query[Result]) -> Result:
        """Send a query as soon as there is a connection; repeat it as the module says.

        Raises: DatabaseUnavailable.
        """
        give_up_at = time.monotonic() + 2 * self._timeout_s
        once = {Failure.LOST, Failure.REJECTED}
        while True:
            client = None
            try:
                async with asyncio.timeout(min(self._timeout_s, give_up_at - time.monotonic())):
                    client = await self._connected()
                    return await query(client)
            except _FAILURES as error:
                failure = failure_of(error, sent=client is not None)
                if failure is None:
                    logger.error("a query failed: %s", reason_of(error))
                    raise
                waits = failure is Failure.NOT_SENT and time.monotonic() + _PAUSE_S < give_up_at
                if failure is Failure.REJECTED and failure in once:
                    self._address.expire()
                if failure is not Failure.LOST:
                    await self._disconnect(client)
                if not waits and failure not in once:
                    logger.error("the database cannot be queried: %s", reason_of(error))
                    raise DatabaseUnavailable from None
            once.discard(failure)
            if waits:
                await asyncio.sleep(_PAUSE_S)

    async def _connected(self) -> Prisma:
        async with self._connecting:
            if self._client is None:
                url = with_limits(await self._address.url(), self._timeout_s)
                client = Prisma(use_dotenv=False, datasource={"url": url})
                try:
                    await client.connect(timedelta(seconds=self._timeout_s))
                    if self._closed:
                        raise DatabaseUnavailable
                except BaseException:
                    await client.disconnect()
                    raise
                self._client = client
            return self._client

    async def _disconnect(self, client: Prisma | None) -> None:
        """Close a client's connection; the next query makes another client, at an address read again."""
        if client and client is self._client:
            self._client = None
            await client.disconnect()


class Failure(Enum):
    """Why a query has no result. UNAVAILABLE: the same is expected of the next one."""

    NOT_SENT = auto()
    LOST = auto()
    REJECTED = auto()
    UNAVAILABLE = auto()


# Prisma's codes and SQLSTATEs, or how they begin: the database was not reached, or has no connection left, or
# is the copy that a failover left behind, which executes no changes (25006).
_NOT_SENT = ("P1001", "P1002", "P2024", "P2037", "25006")
# The time is up; the connection was lost, or closed for another query's sake; a handshake failed; a deadlock.
_LOST = ("P1008", "P1011", "P1017", "P2034", "08", "57P", "TimeoutError", "ClientNotConn", "NotConn")
# No such database, no access; no memory, no disk, a statement cancelled by a limit of the server's; its disk.
_UNAVAILABLE = ("P1", "53", "55", "57", "58")


def failure_of(error: Exception, *, sent: bool) -> Failure | None:
    """Return why a query has no result; None: it is the query's own fault."""
    reason = reason_of(error)
    if reason == "P1000":
        return Failure.REJECTED
    if reason.startswith(_NOT_SENT) or (not sent and isinstance(error, TimeoutError | AddressUnknown)):
        return Failure.NOT_SENT
    if reason.startswith(_LOST):
        return Failure.LOST
    return Failure.UNAVAILABLE if reason.startswith(_UNAVAILABLE) else None


def reason_of(error: Exception) -> str:
    """Return Prisma's code, Postgres's, or the error's class: its text may quote an address or a title."""
    if isinstance(error, AddressUnknown):
        return str(error)
    code = (error.code or (error.meta or {}).get("code")) if isinstance(error, errors.DataError) else None
    return str(code or type(error).__name__)


def with_limits(database_url: str, timeout_s: float) -> str:
    """Return the address with limits for its connection; limits that it already has take precedence.

    There is one connection, because each environment serves one request at a time and Postgres limits the
    connections of all of them together. Connecting times out just before the query that waits for it.
    """
    return read_url(database_url).text(
        connection_limit=1,
        connect_timeout=max(1, int(timeout_s) - 1),
        pool_timeout=math.ceil(timeout_s) + 1,
    )
