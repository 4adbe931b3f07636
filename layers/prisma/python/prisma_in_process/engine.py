"""Prisma Client Python's engine without a process: calls become plans, and plans run on a connection."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partialmethod
from typing import Any, NoReturn

from .cache import Plans
from .errors import UserError
from .generators import NOW
from .models import Call
from .pool import Pool
from .postgres import Connection
from .requests import driver_value, split
from .transactions import Transactions
from .url import DatabaseUrl, read_url

_NOT_FOUND = (
    "An operation failed because it depends on one or more records that were required but not found. "
    "Expected a record, found none."
)
# Pools that a forked process has from its parent. Freeing one would close what the parent still uses.
_inherited: list[Pool] = []


class Engine:
    """The interface that Prisma Client Python calls `AsyncAbstractEngine`.

    Each event loop has its own pool, so a connected client goes on in the next loop, and in a forked process.
    `utils` is the module `engine.utils` of the client's package; `plans` returns those of a Postgres schema.
    """

    def __init__(
        self, utils: Any, plans: Callable[[str], Plans], url: str, *, log_queries: bool, idle_check_s: float
    ) -> None:
        self._utils, self._plans_of, self._default_url = utils, plans, url
        self._log_queries, self._idle_check_s = log_queries, idle_check_s
        self._url: DatabaseUrl | None = None
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._transactions = Transactions()
        self.plans: Plans

    async def connect(
        self, timeout: timedelta = timedelta(seconds=10), datasources: list[dict[str, str]] | None = None
    ) -> None:
        """Open a first connection. Raises: AlreadyConnectedError, DataError of the client's package."""
        if self._url:
            raise self._utils.errors.AlreadyConnectedError("Already connected to the query engine")
        with self._client_errors():
            url = read_url(datasources[0]["url"] if datasources else self._default_url)
            self._url = replace(url, log_queries=self._log_queries)
            try:
                self.plans = self._plans_of(url.schema)
                async with asyncio.timeout(timeout.total_seconds()), self._pool().connection():
                    pass
            except BaseException as error:
                self.close()
                if isinstance(error, TimeoutError):
                    text = f"The database server at {url.address} was reached but timed out"
                    raise UserError("P1002", text) from None
                raise

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
            return await self._transactions.start(self._pool(), options["max_wait"], options["timeout"])

    async def _end_transaction(self, how: str, tx_id: str) -> None:
        with self._client_errors():
            await self._transactions.end(tx_id, how)

    commit_transaction = partialmethod(_end_transaction, "commit")
    rollback_transaction = partialmethod(_end_transaction, "rollback")

    async def metrics(self, **_: object) -> NoReturn:
        raise self._utils.errors.EngineError("prisma_in_process keeps no metrics. Measure your calls.")

    async def aclose(self, **_: object) -> None:
        """Close the running loop's connections and drop all others; open transactions are rolled back."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        self.close()
        await self._transactions.close()
        if pool:
            await pool.close()

    def close(self, **_: object) -> None:
        """Drop all connections at once, also where no loop runs."""
        self._url = None
        pools, self._pools = self._pools, {}
        for loop, pool in pools.items():
            if pool.process != os.getpid():
                _inherited.append(pool)
            elif loop.is_running():
                loop.call_soon_threadsafe(pool.terminate)
            else:
                pool.terminate()

    stop = close

    def _pool(self) -> Pool:
        if self._url is None:
            raise self._utils.errors.NotConnectedError("Not connected to the query engine")
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            for closed in [each for each in list(self._pools) if each.is_closed()]:
                self._pools.pop(closed).terminate()
            self._pools[loop] = Pool(self._url, idle_check_s=self._idle_check_s)
        return self._pools[loop]

    def _connection(self, tx_id: str | None) -> AbstractAsyncContextManager[Connection]:
        return self._pool().connection() if tx_id is None else self._transactions.connection(tx_id)

    async def _step(self, call: Call) -> Callable[[Connection], Awaitable[Any]]:
        """Find a call's plan, or compile it in a thread: that takes 10 to 25 ms."""
        self._pool()
        if call.method in ("query_raw", "query_first", "execute_raw"):
            given = [driver_value(each, call) for each in call.arguments.get("parameters", ())]
            sql, count = call.arguments["query"], call.method == "execute_raw"
            return lambda to: to.execute(sql, given, raw=True) if count else to.raw_rows(sql, given)
        found = []
        for part in split(call):
            ready = self.plans.find(part)
            found.append(await asyncio.to_thread(self.plans.make, part) if ready is None else ready)
        moment = time.time_ns()

        async def run(connection: Connection) -> Any:
            if len(found) > 1:
                async with connection.transaction():
                    counts = [await plan.run(connection, {**values, NOW: moment}) for plan, values in found]
                return {"count": sum(each["count"] for each in counts)}
            result = await found[0][0].run(connection, found[0][1])
            if result is None and call.method.endswith("_or_raise"):
                raise UserError("P2025", _NOT_FOUND)
            return result

        return run

    @contextmanager
    def _client_errors(self) -> Iterator[None]:
        try:
            yield
        except UserError as error:
            try:
                self._utils.handle_response_errors(None, [error.body])
            except self._utils.prisma_errors.PrismaError as named:
                raise named from None  # a traceback of what users know
