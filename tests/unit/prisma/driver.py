"""A driver without a server: each of its awaits is a place where a caller can be cancelled."""

import asyncio
from types import SimpleNamespace
from typing import Any

import asyncpg


class Server:
    """What the driver's connections reach.

    Shape:  `down`: connections cannot be opened. `slow`: how often an answer lets other tasks run first.
    """

    def __init__(self, slow: int = 2) -> None:
        self.slow, self.down = slow, False
        self.connections: list[Driver] = []
        self.executed: list[str] = []

    async def connect(self, **_: Any) -> "Driver":
        await self.answer()
        if self.down:
            raise ConnectionRefusedError
        self.connections.append(Driver(self))
        return self.connections[-1]

    async def answer(self) -> None:
        for _ in range(self.slow):
            await asyncio.sleep(0)

    @property
    def open(self) -> list["Driver"]:
        return [each for each in self.connections if not each.closed]


class Driver:
    """One connection, as asyncpg has it. A silent one has no answers any more."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.closed = self.silent = self.in_transaction = self.busy = self.cancelling = False
        self.prepared: list[str] = []
        self._transport = SimpleNamespace(get_extra_info=lambda _: None)

    async def set_type_codec(self, *_: Any, **__: Any) -> None:
        pass

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    def terminate(self) -> None:
        self.closed = True

    async def close(self, timeout: float) -> None:  # noqa: ARG002
        await self._server.answer()
        self.closed = True

    async def prepare(self, sql: str, name: str | None) -> "Prepared":  # noqa: ARG002
        await self.run(f"PREPARE {sql}")
        self.prepared.append(sql)
        return Prepared(self, sql)

    async def execute(self, sql: str, timeout: float | None = None) -> str:  # noqa: ARG002
        if sql.startswith("SET "):
            await self._server.answer()
        else:
            await self.run(sql)
        return sql

    async def run(self, sql: str) -> None:
        if self.closed:
            raise asyncpg.InterfaceError("connection is closed")
        assert not self.busy, "two queries at once"
        assert not self.cancelling or sql in ("SELECT 1", "ROLLBACK"), "lent before it had settled"
        self.busy = True
        try:
            if self.silent:
                await asyncio.get_running_loop().create_future()
            if self.cancelling:
                await self._server.answer()
                self.cancelling = False
            await self._server.answer()
        except asyncio.CancelledError:
            self.cancelling = True
            raise
        finally:  # a cancelled query may have been executed
            self.busy = False
            self._server.executed.append(sql)
            if sql in ("BEGIN", "COMMIT", "ROLLBACK"):
                self.in_transaction = sql == "BEGIN"


class Prepared:
    """A prepared statement."""

    def __init__(self, driver: Driver, sql: str) -> None:
        self._driver, self._sql = driver, sql

    def get_parameters(self) -> tuple[()]:
        return ()

    def get_attributes(self) -> tuple[()]:
        return ()

    def get_statusmsg(self) -> str:
        return "SELECT 1"

    async def fetch(self) -> list[Any]:
        await self._driver.run(self._sql)
        return [{}]
