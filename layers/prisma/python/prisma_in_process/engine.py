"""A Prisma engine in this process: calls become requests, requests plans, and plans run on a connection."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from prisma.engine import utils
from prisma.engine._abstract import AsyncAbstractEngine

from . import requests
from .cache import Plans
from .errors import UserError
from .pool import Pool
from .postgres import Connection
from .url import read_url
from .values import raw_rows

_RAW = {"query_raw": "queryRaw", "query_first": "queryRaw", "execute_raw": "executeRaw"}
# Set by `install`.
PLANS: Path | None = None


class InProcessEngine(AsyncAbstractEngine):
    """Prisma Client Python's engine without a process."""

    def __init__(self, *, dml_path: Path, log_queries: bool = False, http_config: Any = None) -> None:
        self._datamodel = dml_path.read_text()
        self._pool: Pool | None = None
        self._plans: Plans | None = None
        self._transactions: dict[str, _Transaction] = {}

    def close(self, *, timeout: timedelta | None = None) -> None:
        if self._pool:
            self._pool.terminate()

    async def aclose(self, *, timeout: timedelta | None = None) -> None:
        for transaction in list(self._transactions.values()):
            await transaction.end("ROLLBACK")
        pool, self._pool = self._pool, None
        if pool:
            await pool.close()

    async def connect(self, timeout: timedelta = timedelta(seconds=10), datasources: Any = None) -> None:
        url = datasources[0]["url"] if datasources else os.environ["DATABASE_URL"]
        try:
            database_url = read_url(url)
        except UserError as error:
            _reraise(error)
        if self._plans is None:
            self._plans = Plans(self._datamodel, database_url.schema, PLANS)
        self._pool = Pool(database_url)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._pool.open()
        except UserError as error:
            _reraise(error)

    async def ask(self, builder: Any, tx_id: str | None) -> Any:
        """Answer one call."""
        try:
            if tx_id is not None:
                async with self._transaction(tx_id) as connection:
                    return {"data": {"result": await self._run(builder, connection)}}
            async with self._pool.connection() as connection:
                return {"data": {"result": await self._run(builder, connection)}}
        except UserError as error:
            _reraise(error)

    async def ask_all(self, builders: list[Any], tx_id: str | None) -> Any:
        """Answer a batch: all of it or nothing."""
        try:
            if tx_id is not None:
                async with self._transaction(tx_id) as connection:
                    return [await self._run(each, connection) for each in builders]
            async with self._pool.connection() as connection, connection.transaction():
                return [await self._run(each, connection) for each in builders]
        except UserError as error:
            _reraise(error)

    async def _run(self, builder: Any, connection: Connection) -> Any:
        if builder.method in _RAW:
            sql, parameters = builder.arguments["query"], list(builder.arguments.get("parameters", ()))
            values = [requests._raw(each) for each in parameters]
            rows, statement = await connection.ask(sql, values, raw=True)
            if builder.method == "execute_raw":
                count = (statement.get_statusmsg() or "").rpartition(" ")[2]
                return int(count) if count.isdecimal() else 0
            return raw_rows(statement, rows)
        plan, values = self._plans.of(builder)
        result = await plan.run(connection, values)
        if result is None and builder.method.endswith("_or_raise"):
            raise UserError(
                "P2025",
                "An operation failed because it depends on one or more records that were required "
                "but not found. Expected a record, found none.",
            )
        return result

    async def query(self, content: str, *, tx_id: str | None) -> Any:
        raise NotImplementedError("this engine takes calls, not GraphQL")

    async def start_transaction(self, *, content: str) -> str:
        options = json.loads(content)
        try:
            connection = await self._pool.take(options.get("max_wait", 2000) / 1000)
            try:
                await connection.begin()
            except BaseException:
                self._pool.give(connection)
                raise
        except UserError as error:
            if error.code == "P2024":
                error = UserError(
                    "P2028", "Transaction API error: Unable to start a transaction in the given time."
                )
            _reraise(error)
        tx_id = str(uuid.uuid4())
        self._transactions[tx_id] = _Transaction(self, tx_id, connection, options.get("timeout", 5000))
        return tx_id

    async def commit_transaction(self, tx_id: str) -> None:
        await self._end(tx_id, "COMMIT")

    async def rollback_transaction(self, tx_id: str) -> None:
        await self._end(tx_id, "ROLLBACK")

    async def _end(self, tx_id: str, how: str) -> None:
        try:
            await self._open(tx_id).end(how)
        except UserError as error:
            _reraise(error)

    def _open(self, tx_id: str) -> _Transaction:
        found = self._transactions.get(tx_id)
        if found is None:
            raise UserError(
                "P2028",
                "Transaction API error: Transaction already closed",
                error="Transaction already closed: it ended, or ran longer than it may.",
            )
        return found

    def _transaction(self, tx_id: str) -> Any:
        return self._open(tx_id).lent()

    async def metrics(self, *, format: Any, global_labels: Any) -> Any:
        raise NotImplementedError("this engine keeps no metrics")


class _Transaction:
    def __init__(
        self, engine: InProcessEngine, tx_id: str, connection: Connection, timeout_ms: float
    ) -> None:
        self._engine, self._id, self._connection = engine, tx_id, connection
        self._lock, self._ended = asyncio.Lock(), False
        self._until = time.monotonic() * 1000 + timeout_ms
        self._timer = asyncio.get_running_loop().call_later(timeout_ms / 1000, self._expire)

    def _expire(self) -> None:
        self._task = asyncio.ensure_future(self.end("ROLLBACK"))

    def lent(self) -> Any:
        return _Lent(self)

    async def end(self, how: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._timer.cancel()
        self._engine._transactions.pop(self._id, None)
        async with self._lock:
            try:
                await self._connection.end(how)
            finally:
                self._engine._pool.give(self._connection)


class _Lent:
    def __init__(self, transaction: _Transaction) -> None:
        self._transaction = transaction

    async def __aenter__(self) -> Connection:
        await self._transaction._lock.acquire()
        return self._transaction._connection

    async def __aexit__(self, *_: object) -> None:
        self._transaction._lock.release()


def _reraise(error: UserError) -> Any:
    utils.handle_response_errors(None, [error.body])  # type: ignore[arg-type]
