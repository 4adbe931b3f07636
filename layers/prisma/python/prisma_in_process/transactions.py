"""Interactive transactions: each is a task that holds a connection from BEGIN to its end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from .errors import UserError
from .pool import Pool
from .postgres import Connection

End = Literal["commit", "rollback", "expiry"]
_ENDED: dict[End, str] = {
    "commit": "a committed transaction.",
    "rollback": "a transaction that was rolled back.",
    "expiry": "an expired transaction. The timeout for this transaction was {timeout} ms, however {passed} "
    "ms passed since the start of the transaction. Consider increasing the interactive transaction timeout "
    "or doing less work in the transaction.",
}
_REMEMBERED = 100
_ROLLBACK_S = 5.0


def _failed(message: str, *, error: str | None = None) -> UserError:
    return UserError("P2028", f"Transaction API error: {message}", error=error)


class Transactions:
    """The transactions of an engine by id: those that are open, and some that ended."""

    def __init__(self) -> None:
        self._known: dict[str, _Transaction] = {}

    async def start(self, pool: Pool, *, max_wait_s: float, timeout_ms: int) -> str:
        """Begin a transaction and return its id. Raises: UserError."""
        transaction = _Transaction(timeout_ms)
        await transaction.start(pool, max_wait_s)
        for old in [tx_id for tx_id, each in self._known.items() if each.ended][:-_REMEMBERED]:
            del self._known[old]
        tx_id = str(uuid.uuid4())
        self._known[tx_id] = transaction
        return tx_id

    @asynccontextmanager
    async def connection(self, tx_id: str) -> AsyncIterator[Connection]:
        """Lend a transaction's connection to one call at a time. Raises: UserError."""
        transaction = self._find(tx_id)
        async with transaction.lock:
            transaction.check("query")
            yield transaction.connection

    async def end(self, tx_id: str, how: Literal["commit", "rollback"]) -> None:
        """End a transaction after the call that runs in it. Raises: UserError."""
        transaction = self._find(tx_id)
        transaction.check(how)
        transaction.ended = how
        transaction.ending.set()
        await asyncio.shield(transaction.task)

    async def close(self) -> None:
        """Give up the running loop's transactions: Postgres rolls them back."""
        loop = asyncio.get_running_loop()
        tasks = [each.task for each in self._known.values() if each.loop is loop]
        self._known.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _find(self, tx_id: str) -> _Transaction:
        if tx_id not in self._known:
            raise _failed(
                "Transaction not found. Transaction ID is invalid, refers to an old closed transaction "
                "Prisma doesn't have information about anymore, or was obtained before disconnecting."
            )
        return self._known[tx_id]


class _Transaction:
    connection: Connection
    task: asyncio.Task[None]

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_ms, self._began_s = timeout_ms, time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.lock, self.ending = asyncio.Lock(), asyncio.Event()
        self.ended: End | None = None

    def check(self, action: str) -> None:
        """Raises: UserError, where it has ended."""
        if self.ended:
            passed = int((time.monotonic() - self._began_s) * 1000)
            state = _ENDED[self.ended].format(timeout=self._timeout_ms, passed=passed)
            text = f"Transaction already closed: A {action} cannot be executed on {state}"
            raise _failed(text, error=text)

    async def start(self, pool: Pool, max_wait_s: float) -> None:
        begun = asyncio.Event()
        self.task = asyncio.create_task(self._hold(pool, begun))
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())  # known to be read
        waiting = asyncio.create_task(begun.wait())
        try:
            await asyncio.wait({self.task, waiting}, timeout=max_wait_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.task.cancel()
            raise
        finally:
            waiting.cancel()
        if self.task.done():
            await self.task
        if not begun.is_set():
            self.task.cancel()
            raise _failed("Unable to start a transaction in the given time.")

    async def _hold(self, pool: Pool, begun: asyncio.Event) -> None:
        async with pool.connection() as self.connection:
            try:
                await self.connection.begin()
                self._began_s = time.monotonic()
                begun.set()
                try:
                    async with asyncio.timeout(self._timeout_ms / 1000):
                        await self.ending.wait()
                except TimeoutError:
                    self.ended = self.ended or "expiry"
                async with self.lock:
                    await self._end()
            except asyncio.CancelledError:
                self.connection.terminate()
                raise

    async def _end(self) -> None:
        if self.ended != "commit":
            try:
                async with asyncio.timeout(_ROLLBACK_S):
                    await self.connection.end("ROLLBACK")
            except TimeoutError:
                self.connection.terminate()
        elif self.connection.lost:
            raise UserError("P1017", "Server has closed the connection.")
        elif await self.connection.end("COMMIT") == "ROLLBACK":
            raise _failed("Nothing was committed, because a query in the transaction had failed.")
