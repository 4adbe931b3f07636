"""Access to Postgres through Prisma's query engine, a child process with an HTTP interface.

Lambda freezes the function and the engine for minutes; afterwards the engine or the connection to Postgres
may be lost. So each query has a timeout, and a query that was sent but got no result is sent once more, to a
new engine if the old one is lost. Queries must therefore be idempotent.

A query that found no connection was not sent, and is tried again for as long as two queries may take: a
paused database needs that time to resume, and delays or refuses connections until then. The native engine
connects when it starts, and exits if that fails; the WASM engine connects with the first query.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
from prisma import Prisma, errors
from prisma.binaries import platform
from prisma.engine import errors as engine_errors

from .address import Address, AddressUnknown
from .errors import DatabaseUnavailable

logger = logging.getLogger("todos")
# Both would log what they send: titles, and at its lowest level the database's address with its password.
logging.getLogger("prisma").setLevel(logging.WARNING)
logging.getLogger("httpx").setLevel(logging.WARNING)

# The client would run `openssl` to find this out, which Lambda lacks. The value only names a file that is not
# used, because PRISMA_QUERY_ENGINE_BINARY is the path of the engine.
platform.binary_platform = lambda: "rhel-openssl-3.0.x"  # type: ignore[assignment]

_ENGINE_START_S = 8.0
_ENGINE_STOP = timedelta(seconds=0.5)
_ENGINE_CHECK_S = 0.05
# Lambda gives a function 10 s to start.
_OPEN_S = 5.0
_PAUSE_S = 0.25
_ENGINE_LOST = (
    httpx.TransportError,
    TimeoutError,
    engine_errors.EngineError,
    errors.ClientNotConnectedError,
)
# Prisma's codes: the database was not reached, or has no free connection; a wrong password; a lost connection
# and other connection errors.
_UNREACHED = ("P1001", "P1002", "P2024", "P2037")
_WRONG_PASSWORD = "P1000"
_LOST = ("P1", "P2028")
# The code of Postgres while it starts; the native engine has none of its own for it.
_STARTING = "57P03"

Result = TypeVar("Result")
Query = Callable[[Prisma], Awaitable[Result]]


class Database:
    """One query engine with one connection.

    Shape:  `engine_key` is the engine's QUERY_ENGINE_KEY, "" where it has none.
    """

    def __init__(self, address: Address, *, timeout_s: float, engine_key: str = "") -> None:
        self._address, self._timeout_s = address, timeout_s
        # httpx takes more settings than Prisma's client declares.
        headers = {"authorization": f"Bearer {engine_key}"} if engine_key else {}
        http: Any = {"trust_env": False, "headers": headers}
        self._client = Prisma(use_dotenv=False, http=http)
        self._engines_lost = 0
        self._engine_change = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the engine ahead of the first query, and wait for it for at most 5 seconds.

        A query that arrives meanwhile waits for the same start, and tries again if it fails.
        """
        self._opening = asyncio.create_task(self._start_ahead())
        try:
            await asyncio.wait({self._opening}, timeout=_OPEN_S)
        except asyncio.CancelledError:
            await self._stop_opening()
            raise

    async def aclose(self) -> None:
        """Stop the engine."""
        await self._stop_opening()
        await self._stop_engine()

    async def execute(self, query: Query[Result]) -> Result:
        """Send a query as soon as there is a connection, and once more if it got no result.

        Raises: DatabaseUnavailable.
        """
        give_up_at = time.monotonic() + 2 * self._timeout_s
        start_s, limit_s = max(_ENGINE_START_S, self._timeout_s), self._timeout_s
        sent, waited, refreshed = 0, False, False
        while True:
            try:
                return await self._execute_once(query, start_s, limit_s)
            except _QueryFailed as failure:
                expires = failure.address_suspect and not refreshed
                sent += failure.sent and not expires  # nothing is sent with a password that was changed
                remaining_s = give_up_at - time.monotonic() - _PAUSE_S
                if sent == 2 or (remaining_s <= 0 and (waited or not failure.sent)):
                    logger.error("the database cannot be queried: %s", failure)
                    raise DatabaseUnavailable from None
                if expires:
                    self._address.expire()
                    refreshed = True
                if not failure.sent:
                    waited, start_s, limit_s = True, remaining_s, min(remaining_s, self._timeout_s)
                    await asyncio.sleep(_PAUSE_S)

    async def _execute_once(self, query: Query[Result], start_s: float, limit_s: float) -> Result:
        engine = self._engines_lost
        try:
            await self._connect(start_s)
        except (*_ENGINE_LOST, AddressUnknown) as error:
            raise _QueryFailed(error, sent=False, address_suspect=True) from error
        except errors.DataError as error:
            raise _QueryFailed(error, sent=False, address_suspect=error.code == _WRONG_PASSWORD) from error
        try:
            async with asyncio.timeout(limit_s):
                return await query(self._client)
        except _ENGINE_LOST as error:
            await self._discard(engine)
            raise _QueryFailed(error) from error
        except errors.DataError as error:
            if is_unreached(error):
                raise _QueryFailed(error, sent=False) from error
            if not str(error.code).startswith(_LOST):
                raise
            if error.code == _WRONG_PASSWORD:
                await self._discard(engine)
            raise _QueryFailed(error, address_suspect=error.code == _WRONG_PASSWORD) from error

    async def _connect(self, limit_s: float) -> None:
        async with self._engine_change:
            if self._client.is_connected():
                return
            self._client._datasource = {"url": with_limits(await self._address.url(), self._timeout_s)}
            try:
                await self._start_engine(limit_s)
            except BaseException:
                await self._stop_engine()
                raise

    async def _start_engine(self, limit_s: float) -> None:
        """Start the engine and wait until it accepts queries, or has exited."""
        starting = asyncio.ensure_future(self._client.connect(timedelta(seconds=limit_s)))
        try:
            while not (await asyncio.wait({starting}, timeout=_ENGINE_CHECK_S))[0]:
                process = getattr(self._client._internal_engine, "process", None)
                if process and process.poll() is not None:
                    raise engine_errors.EngineConnectionError("the engine exited")
            starting.result()
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    async def _start_ahead(self) -> None:
        try:
            await self._connect(max(_ENGINE_START_S, self._timeout_s))
        except (*_ENGINE_LOST, AddressUnknown, errors.DataError) as error:
            self._address.expire()
            logger.warning("the database was not reached ahead of the first query: %s", _QueryFailed(error))

    async def _stop_opening(self) -> None:
        if self._opening:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    async def _stop_engine(self) -> None:
        """Stop the engine, by force if necessary, and wait for its end."""
        process = getattr(self._client._internal_engine, "process", None)
        await self._client.disconnect(timeout=_ENGINE_STOP)
        if process:
            process.wait()

    async def _discard(self, engine: int) -> None:
        """Stop an engine, unless another failed query has already stopped it."""
        async with self._engine_change:
            if engine == self._engines_lost:
                self._engines_lost += 1
                await self._stop_engine()


class _QueryFailed(Exception):
    """A query has no result. The text is not the error's own, which may quote an address or a title.

    Shape:  `sent`: the query was sent, and may have been executed. `address_suspect`: the address may be
            outdated.
    """

    def __init__(self, error: Exception, *, sent: bool = True, address_suspect: bool = False) -> None:
        known = isinstance(error, AddressUnknown)
        super().__init__(str(error) if known else getattr(error, "code", None) or type(error).__name__)
        self.sent, self.address_suspect = sent, address_suspect


def is_unreached(error: errors.DataError) -> bool:
    """Return whether the query was not sent because there was no connection."""
    return error.code in _UNREACHED or (not error.code and _STARTING in str(error))


def with_limits(database_url: str, timeout_s: float) -> str:
    """Return the address with limits for its connection; limits that it already has take precedence.

    There is one connection, because each environment serves one request at a time and Postgres limits the
    connections of all of them together. Connecting times out just before the query that waits for it, so that
    the engine is kept.
    """
    limits = {
        "connection_limit": "1",
        "connect_timeout": str(max(1, int(timeout_s) - 1)),
        "pool_timeout": str(math.ceil(timeout_s) + 1),
    }
    url = urlsplit(database_url)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    return urlunsplit(url._replace(query=urlencode(limits | options)))
