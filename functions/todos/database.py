"""The way to Postgres: Prisma's query engine, a process of its own that is asked over HTTP.

Lambda freezes both for minutes, and either the engine or Postgres may be gone afterwards. So each question
has a time limit, and one that got no answer is asked once more, of a new engine where the old one is lost;
whoever asks sees to it that this does no harm.

A database that is not reached was asked for nothing. It is tried again for as long as two questions may take:
one that was at rest needs a while to resume, and lets whoever comes wait, or refuses them, until then. The
native engine reaches for it before anything else, and ends where it fails; the one in WASM with a question.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
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

# The client would ask `openssl` for this, which Lambda lacks. It only names a file that is not looked for:
# PRISMA_QUERY_ENGINE_BINARY says where the engine is.
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
# Prisma's codes: what it could not reach or has no connection left to; a wrong password; a connection that
# was lost, and what else befalls one.
_UNREACHED = ("P1001", "P1002", "P2024", "P2037")
_WRONG_PASSWORD = "P1000"
_LOST = ("P1", "P2028")
# What Postgres says while it starts; the native engine has no code of its own for it.
_STARTING = "57P03"

Answer = TypeVar("Answer")
Question = Callable[[Prisma], Awaitable[Answer]]


class Database:
    """One engine, which has one connection."""

    def __init__(self, address: Address, *, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._client = Prisma(use_dotenv=False, http={"trust_env": False})
        self._engines_lost = 0
        self._engine_change = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the engine ahead of the first question, and wait for it a little.

        A question that comes meanwhile waits for the same start, and tries again where it fails.
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

    async def ask(self, question: Question[Answer]) -> Answer:
        """Ask the database: as soon as it is reached, and once more if there was no answer.

        Raises: DatabaseUnavailable.
        """
        give_up_at = time.monotonic() + 2 * self._timeout_s
        start_s, limit_s = max(_ENGINE_START_S, self._timeout_s), self._timeout_s
        asked, waited, renewed = 0, False, False
        while True:
            try:
                return await self._ask_once(question, start_s, limit_s)
            except _NoAnswer as failure:
                asked += failure.asked
                left_s = give_up_at - time.monotonic() - _PAUSE_S
                if asked == 2 or (left_s <= 0 and (waited or not failure.asked)):
                    logger.error("the database cannot be asked: %s", failure)
                    raise DatabaseUnavailable from None
                if failure.by_address and not renewed:
                    self._address.expire()
                    renewed = True
                if not failure.asked:
                    waited, start_s, limit_s = True, left_s, min(left_s, self._timeout_s)
                    await asyncio.sleep(_PAUSE_S)

    async def _ask_once(self, question: Question[Answer], start_s: float, limit_s: float) -> Answer:
        engine = self._engines_lost
        try:
            await self._connect(start_s)
        except (*_ENGINE_LOST, AddressUnknown) as error:
            raise _NoAnswer(error, asked=False, by_address=True) from error
        try:
            async with asyncio.timeout(limit_s):
                return await question(self._client)
        except _ENGINE_LOST as error:
            await self._give_up(engine)
            raise _NoAnswer(error) from error
        except errors.DataError as error:
            if is_unreached(error):
                raise _NoAnswer(error, asked=False) from error
            if not str(error.code).startswith(_LOST):
                raise
            if error.code == _WRONG_PASSWORD:
                await self._give_up(engine)
            raise _NoAnswer(error, by_address=error.code == _WRONG_PASSWORD) from error

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
        """Start the engine and wait until it can be asked, or has ended."""
        starting = asyncio.ensure_future(self._client.connect(timedelta(seconds=limit_s)))
        try:
            while not (await asyncio.wait({starting}, timeout=_ENGINE_CHECK_S))[0]:
                process = getattr(self._client._internal_engine, "process", None)
                if process and process.poll() is not None:
                    raise engine_errors.EngineConnectionError("the engine ended")
            starting.result()
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)

    async def _start_ahead(self) -> None:
        try:
            await self._connect(max(_ENGINE_START_S, self._timeout_s))
        except (*_ENGINE_LOST, AddressUnknown) as error:
            self._address.expire()
            logger.warning("the database was not reached ahead of the first question: %s", _NoAnswer(error))

    async def _stop_opening(self) -> None:
        if self._opening:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    async def _stop_engine(self) -> None:
        """Stop the engine and see its end; one that does not stop is killed."""
        process = getattr(self._client._internal_engine, "process", None)
        await self._client.disconnect(timeout=_ENGINE_STOP)
        if process:
            process.wait()

    async def _give_up(self, engine: int) -> None:
        """Stop an engine, unless another question that it failed has done so."""
        async with self._engine_change:
            if engine == self._engines_lost:
                self._engines_lost += 1
                await self._stop_engine()


class _NoAnswer(Exception):
    """Why there is none, in a text without an error's own: that may quote an address or a title.

    Shape:  `asked`: the question was put, and may have been done. `by_address`: another may do better.
    """

    def __init__(self, error: Exception, *, asked: bool = True, by_address: bool = False) -> None:
        known = isinstance(error, AddressUnknown)
        super().__init__(str(error) if known else getattr(error, "code", None) or type(error).__name__)
        self.asked, self.by_address = asked, by_address


def is_unreached(error: errors.DataError) -> bool:
    """Tell whether a question was not even put, because there was no connection."""
    return error.code in _UNREACHED or (not error.code and _STARTING in str(error))


def with_limits(database_url: str, timeout_s: float) -> str:
    """Return the address with the limits of its connection, but for those that it has.

    One connection: each environment answers one request at a time, and Postgres counts the connections of all
    of them. It is given up just before the question that waits for it, so that the engine goes on.
    """
    limits = {
        "connection_limit": "1",
        "connect_timeout": str(max(1, int(timeout_s) - 1)),
        "pool_timeout": str(math.ceil(timeout_s) + 1),
    }
    url = urlsplit(database_url)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    return urlunsplit(url._replace(query=urlencode(limits | options)))
