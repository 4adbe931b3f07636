"""Prisma Client Python's engine without a process: calls become plans, and plans run on a connection."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

from .cache import Plans
from .errors import UserError
from .models import Call
from .pool import Pool
from .postgres import Connection
from .requests import driver_value
from .transactions import Transactions
from .url import DatabaseUrl, read_url

_RAW = {"query_raw", "query_first", "execute_raw"}
_NOT_FOUND = (
    "An operation failed because it depends on one or more records that were required but not found. "
    "Expected a record, found none."
)
_QUERIES = logging.getLogger("prisma_in_process.queries")
# Pools that a forked process has from its parent. Freeing one would close what the parent still uses.
_inherited: list[Pool] = []

Step = Callable[[Connection], Awaitable[Any]]


@dataclass(frozen=True)
class Client:
    """What engines have to know of a generated client.

    Shape:  `utils` and `errors` are modules of its package's `engine`; `plans` maps a schema of Postgres to
            plans that all engines of the client share.
    """

    utils: ModuleType
    errors: ModuleType
    plans: Callable[[str], Plans]
    idle_check_s: float


class Engine:
    """The interface that Prisma Client Python calls `AsyncAbstractEngine`.

    Each event loop has its own pool, so a connected client goes on in the next loop, and in a forked process.
    """

    def __init__(self, client: Client, url: str | None, *, log_queries: bool = False) -> None:
        self._client, self._default_url, self._log_queries = client, url, log_queries
        self._url: DatabaseUrl | None = None
        self._pools: dict[tuple[int, asyncio.AbstractEventLoop], Pool] = {}
        self._transactions = Transactions()
        self.plans: Plans | None = None
        if log_queries:
            _QUERIES.setLevel(logging.INFO)
            if not _QUERIES.hasHandlers():
                _QUERIES.addHandler(logging.StreamHandler(sys.stdout))

    async def connect(
        self, timeout: timedelta = timedelta(seconds=10), datasources: list[dict[str, str]] | None = None
    ) -> None:
        """Open a first connection, so that a wrong address or password is known now.

        Raises: AlreadyConnectedError, DataError, both of the client's package.
        """
        if self._url:
            raise self._client.errors.AlreadyConnectedError("Already connected to the query engine")
        with self._client_errors():
            self._url = url = read_url(datasources[0]["url"] if datasources else self._default_url or "")
            try:
                self.plans = self._client.plans(url.schema)
                async with asyncio.timeout(timeout.total_seconds()):
                    await self._pool().open()
            except BaseException as error:
                self.close()
                if not isinstance(error, TimeoutError):
                    raise
                text = f"The database server at {url.address} was reached but timed out"
                raise UserError("P1002", text) from None

    async def run(self, call: Call, tx_id: str | None) -> dict[str, Any]:
        """Run a call; return its result in the envelope that the client expects."""
        with self._client_errors():
            step = await self._step(call)
            async with self._connection(tx_id) as connection:
                return {"data": {"result": await step(connection)}}

    async def run_batch(self, calls: list[Call], tx_id: str | None) -> list[Any]:
        """Run all calls or, where one fails, none; return their results."""
        with self._client_errors():
            steps = [await self._step(call) for call in calls]
            if not steps:
                return []
            async with self._connection(tx_id) as connection, connection.transaction():
                return [await step(connection) for step in steps]

    async def start_transaction(self, *, content: str) -> str:
        options = json.loads(content)
        with self._client_errors():
            return await self._transactions.start(
                self._pool(), max_wait_s=options["max_wait"] / 1000, timeout_ms=options["timeout"]
            )

    async def commit_transaction(self, tx_id: str) -> None:
        with self._client_errors():
            await self._transactions.end(tx_id, "commit")

    async def rollback_transaction(self, tx_id: str) -> None:
        with self._client_errors():
            await self._transactions.end(tx_id, "rollback")

    async def query(self, *_: object, **__: object) -> NoReturn:
        raise self._client.errors.EngineError(
            "Expected a call of a generated client, but got GraphQL text, which prisma_in_process does not "
            "read. Call a model's methods, or `query_raw` for SQL."
        )

    async def metrics(self, **_: object) -> NoReturn:
        raise self._client.errors.EngineError(
            "prisma_in_process keeps no metrics. Measure calls in your application."
        )

    async def aclose(self, **_: object) -> None:
        """Close the running loop's connections and drop all others; open transactions are rolled back."""
        pool = self._pools.pop((os.getpid(), asyncio.get_running_loop()), None)
        self.close()
        await self._transactions.close()
        if pool:
            await pool.close()

    def close(self, **_: object) -> None:
        """Drop all connections at once, also where no loop runs."""
        self._url = None
        pools, self._pools = self._pools, {}
        for (process, loop), pool in pools.items():
            if process != os.getpid():
                _inherited.append(pool)
            elif loop.is_running():
                loop.call_soon_threadsafe(pool.terminate)
            else:
                pool.terminate()

    stop = close

    def _pool(self) -> Pool:
        if self._url is None:
            raise self._client.errors.NotConnectedError("Not connected to the query engine")
        place = os.getpid(), asyncio.get_running_loop()
        pool = self._pools.get(place)
        if pool is None:
            for other in [each for each in list(self._pools) if each[1].is_closed()]:
                self._pools.pop(other).terminate()
            pool = self._pools[place] = Pool(self._url, idle_check_s=self._client.idle_check_s)
        return pool

    def _connection(self, tx_id: str | None) -> AbstractAsyncContextManager[Connection]:
        return self._pool().connection() if tx_id is None else self._transactions.connection(tx_id)

    async def _step(self, call: Call) -> Step:
        """Find a call's plan, or compile it in a thread: that takes 10 to 25 ms."""
        if call.method in _RAW:
            return partial(self._run_raw, call)
        if self.plans is None:
            raise self._client.errors.NotConnectedError("Not connected to the query engine")
        found = self.plans.find(call)
        plan, values = await asyncio.to_thread(self.plans.make, call) if found is None else found

        async def run(connection: Connection) -> Any:
            result = await plan.run(_Logged(connection) if self._log_queries else connection, values)
            if result is None and call.method.endswith("_or_raise"):
                raise UserError("P2025", _NOT_FOUND)
            return result

        return run

    async def _run_raw(self, call: Call, connection: Connection) -> Any:
        sql, values = call.arguments["query"], call.arguments.get("parameters", ())
        if self._log_queries:
            _QUERIES.info("%s", sql)
        given = [driver_value(each, call) for each in values]
        if call.method == "execute_raw":
            return await connection.execute(sql, given, raw=True)
        return await connection.raw_rows(sql, given)

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            self._client.utils.handle_response_errors(None, [error.body])


class _Logged:
    """A connection that logs the SQL of a plan, without values."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.transaction = connection.transaction

    async def rows(self, sql: str, values: list[Any]) -> list[dict[str, Any]]:
        _QUERIES.info("%s", sql)
        return await self._connection.rows(sql, values)

    async def execute(self, sql: str, values: list[Any]) -> int:
        _QUERIES.info("%s", sql)
        return await self._connection.execute(sql, values)
