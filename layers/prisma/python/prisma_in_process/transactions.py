"""Interactive transactions: each is a task that holds a connection from BEGIN to its end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from .errors import UserError, transaction_failed
from .pool import Pool
from .postgres import Connection

_ENDED = {"commit": "a committed transaction", "rollback": "a transaction that was rolled back"}
_REMEMBERED = 100
_ROLLBACK_S = 5.0


class Transactions:
    """The transactions of an engine by id: those that are open, and some that ended."""

    def __init__(self) -> None:
        self._known: dict[str, _Transaction] = {}

    async def start(self, pool: Pool, max_wait_ms: int, timeout_ms: int) -> str:
        """Begin a transaction and return its id. Raises: UserError."""
        transaction = _Transaction(pool, timeout_ms)
        try:
            async with asyncio.timeout(max_wait_ms / 1000):
                await transaction.begun
        except BaseException as error:
            transaction.task.cancel()
            if isinstance(error, TimeoutError):
                raise transaction_failed("Unable to start a transaction in the given time.") from None
            raise
        for old in [tx_id for tx_id, each in self._known.items() if each.ended][:-_REMEMBERED]:
            del self._known[old]
        tx_id = str(uuid.uuid4())
        self._known[tx_id] = transaction
        return tx_id

    @asynccontextmanager
    async def connection(self, tx_id: str) -> AsyncIterator[Connection]:
        """Lend a transaction's connection to one call at a time. Raises: UserError."""
        transaction = self._find(tx_id, "query")
        async with transaction.lock:
            self._find(tx_id, "query")  # it may have ended meanwhile
            yield transaction.connection

    async def end(self, tx_id: str, how: str) -> None:
        """End a transaction after the call that runs in it: "commit" or "rollback". Raises: UserError."""
        transaction = self._find(tx_id, how)
        transaction.ended = _ENDED[how]
        transaction.ending.set()
        await asyncio.shield(transaction.task)

    async def close(self) -> None:
        """Give up the running loop's transactions: Postgres rolls them back."""
        loop = asyncio.get_running_loop()
        tasks = [each.task for each in self._known.values() if each.task.get_loop() is loop]
        self._known.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, tx_id: str, action: str) -> _Transaction:
        found = self._known.get(tx_id)
        if found is None:
            raise transaction_failed("Transaction not found. It is old, or is from before disconnecting.")
        if found.ended:
            text = f"Transaction already closed: A {action} cannot be executed on {found.ended}."
            raise transaction_failed(text)
        return found


class _Transaction:
    connection: Connection

    def __init__(self, pool: Pool, timeout_ms: int) -> None:
        self.lock, self.ending, self.ended = asyncio.Lock(), asyncio.Event(), ""
        self.begun = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._hold(pool, timeout_ms))
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # its errors are read

    async def _hold(self, pool: Pool, timeout_ms: int) -> None:
        try:
            async with pool.connection() as self.connection:
                await self.connection.command("BEGIN")
                self.begun.set_result(None)
                try:
                    async with asyncio.timeout(timeout_ms / 1000):
                        await self.ending.wait()
                except TimeoutError:
                    self.ended = self.ended or f"an expired transaction (timeout: {timeout_ms} ms)"
                except asyncio.CancelledError:  # disconnected, or the loop ends
                    self.connection.terminate()
                    raise
                async with self.lock:
                    if self.ended != _ENDED["commit"]:
                        with suppress(TimeoutError, UserError):  # what is open then, the pool ends
                            async with asyncio.timeout(_ROLLBACK_S):
                                await self.connection.command("ROLLBACK")
                    elif await self.connection.command("COMMIT") == "ROLLBACK":
                        raise transaction_failed("Nothing was committed, because a query had failed.")
        except UserError as error:
            if self.begun.done():
                raise
            self.begun.set_exception(error)
