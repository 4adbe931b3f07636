"""A network that breaks after any byte: no acknowledged row is missing, none is there that was not sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Literal

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.pool import Pool
from prisma_in_process.url import read_url

from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

Break = Literal["drops", "ends", "is silent", "is noise"]
_NOT_SENT = ("P1000", "P1001", "P1002", "P1011", "P2024", "P2037")


class Line:
    """Passes bytes on; breaks once, after so many bytes in one direction."""

    def __init__(self, port: int, how: Break, after: int, *, to_server: bool) -> None:
        self._port, self._how, self._left, self._to_server = port, how, after, to_server
        self.broken = False

    def repair(self) -> None:
        """Pass everything on from now on, over new connections."""
        self._left = 1 << 30

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, there = await asyncio.open_connection("127.0.0.1", self._port)
        ends = (back, there)
        await asyncio.gather(
            self._pass(client, there, ends, breaks=self._to_server),
            self._pass(server, back, ends, breaks=not self._to_server),
        )

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        breaks: bool,
    ) -> None:
        silent = False
        try:
            while data := await source.read(65536):
                if breaks and not self.broken and self._left < len(data):
                    self.broken, silent = True, True
                    sink.write(data[: self._left])
                    if self._how == "drops":
                        ends[0].transport.abort()
                        ends[1].transport.abort()
                    elif self._how == "ends":
                        sink.write_eof()
                    elif self._how == "is noise":
                        sink.write(bytes(range(7, 250, 3)))
                elif not silent:
                    self._left -= len(data) if breaks else 0
                    sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def line(port: int, how: Break, after: int, *, to_server: bool) -> AsyncIterator[tuple[Line, int]]:
    broken, tasks = Line(port, how, after, to_server=to_server), set[asyncio.Task[None]]()

    def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(broken.serve(client, back)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield broken, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    name = postgres.create_database()
    postgres.run_sql("CREATE TABLE written (a text)", name)
    return postgres.url(name)


async def select(pool: Pool) -> list[dict[str, object]]:
    async with pool.connection() as connection:
        return await connection.rows("SELECT 1 AS a", [])


async def write(
    url: str, number: int, how: Break, after: int, *, to_server: bool
) -> tuple[str, str | None, bool]:
    """Write a row over a line that breaks; return its name, the error's code, and whether it broke."""
    row, code, port = f"row {number}", None, read_url(url).port
    async with line(port, how, after, to_server=to_server) as (broken, line_port):
        limits = "?connection_limit=1&connect_timeout=1&socket_timeout=1&sslmode=disable"
        pool = Pool(read_url(url.replace(f":{port}/", f":{line_port}/") + limits))
        try:
            async with pool.connection() as connection, connection.transaction():
                await connection.execute("INSERT INTO written VALUES ($1)", [row])
        except UserError as error:
            code = error.code
        assert broken.broken or not code
        broken.repair()
        async with asyncio.timeout(5):
            try:
                assert await select(pool) == [{"a": 1}]
            except UserError:
                assert broken.broken
                assert await select(pool) == [{"a": 1}]
        await pool.close()
    return row, code, broken.broken


async def test_a_line_that_breaks_after_any_byte(postgres: Postgres, url: str) -> None:
    hows: tuple[Break, ...] = ("drops", "ends", "is silent", "is noise")
    cases = list(product(hows, (*range(0, 480, 120), *range(480, 880, 50)), (True, False)))
    limit = asyncio.Semaphore(30)

    async def run(number: int, how: Break, after: int, to_server: bool) -> tuple[str, str | None, bool]:
        async with limit:
            return await write(url, number, how, after, to_server=to_server)

    results = await asyncio.gather(*(run(number, *case) for number, case in enumerate(cases)))
    rows = postgres.run_sql("SELECT a FROM written", read_url(url).database).splitlines()
    assert len(rows) == len(set(rows))
    for (row, code, _), case in zip(results, cases, strict=True):
        if code is None:
            assert row in rows, case
        elif code in _NOT_SENT:
            assert row not in rows, case
    codes = {code for _, code, _ in results}
    assert codes >= {None, "P1001", "P1008", "P1017"}
    assert sum(broken for _, _, broken in results) > len(cases) / 3
