"""The pool, over a driver without a server: nothing is lost, whatever is cancelled when."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.pool import Moment, Pool
from prisma_in_process.url import DatabaseUrl

from tests.unit.prisma.driver import Server

pytestmark = pytest.mark.anyio
URL = DatabaseUrl(connection_limit=2)


class Clock:
    """Two clocks; the second one is the wall's."""

    def __init__(self) -> None:
        self.boot = self.wall = 1000.0

    def __call__(self) -> Moment:
        return self.boot, self.wall


def make(server: Server, url: DatabaseUrl = URL, clock: Clock | None = None) -> Pool:
    return Pool(url, connect=server.connect, now=clock or Clock())


async def query(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.rows("SELECT", [])


async def write(pool: Pool) -> None:
    async with pool.connection() as connection, connection.transaction():
        await connection.rows("INSERT", [])
        await connection.execute("UPDATE", [])


async def fail(pool: Pool) -> None:
    async with pool.connection() as connection, connection.transaction():
        await connection.rows("INSERT", [])
        raise UserError("P2002", "as it happens")


async def write_in_three(pool: Pool) -> None:
    await asyncio.gather(write(pool), write(pool), write(pool))


async def expect_order(pool: Pool, server: Server) -> None:
    """All connections can be lent at once, each of them ready, and no other one is open."""
    both = asyncio.Barrier(URL.connection_limit)

    async def take() -> None:
        async with pool.connection() as connection:
            assert connection.ready
            async with asyncio.timeout(1):
                await both.wait()
            await connection.rows("SELECT 2", [])

    await asyncio.gather(*(take() for _ in range(URL.connection_limit)))
    assert len(server.open) <= URL.connection_limit
    await pool.close()
    assert server.open == []


@pytest.mark.parametrize("call", [write, fail, write_in_three])
@pytest.mark.parametrize("before", ["new", "idle", "frozen", "dead"])
@pytest.mark.parametrize("again", [None, 5])
async def test_a_call_can_be_cancelled_at_every_await(
    call: Callable[[Pool], Awaitable[None]], before: str, again: int | None
) -> None:
    for place in range(1000):
        server, clock = Server(), Clock()
        pool = make(server, clock=clock)
        if before != "new":
            await query(pool)
        if before in ("frozen", "dead"):
            clock.wall += 60
        if before == "dead":
            server.connections[0].closed = True
        task = asyncio.ensure_future(call(pool))
        for _ in range(place):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        if again:
            for _ in range(again):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await expect_order(pool, server)
        if ended:
            assert place > 2
            return
    pytest.fail("it never ends")


async def test_those_who_wait_are_served_in_turn() -> None:
    server, served = Server(), list[int]()
    pool = make(server, replace(URL, connection_limit=1))

    async def call(number: int) -> None:
        async with pool.connection() as connection:
            served.append(number)
            await connection.rows("SELECT 1", [])

    await asyncio.gather(*(call(number) for number in range(20)))
    assert served == list(range(20))
    assert len(server.connections) == 1


async def test_there_is_no_endless_wait_for_a_connection() -> None:
    server = Server()
    pool = make(server, replace(URL, connection_limit=1, pool_timeout_s=0.01))  # type: ignore[arg-type]
    async with pool.connection():
        with pytest.raises(UserError, match="Timed out fetching") as caught:
            await query(pool)
    assert caught.value.code == "P2024"
    await query(pool)


async def test_a_connection_that_cannot_be_opened_leaves_its_place() -> None:
    server = Server()
    pool = make(server)
    server.down = True
    for _ in range(5):
        with pytest.raises(UserError) as caught:
            await query(pool)
        assert caught.value.code == "P1001"
    server.down = False
    await expect_order(pool, server)


@pytest.mark.parametrize(("clock", "checked"), [("boot", True), ("wall", True), (None, False)])
async def test_a_connection_is_checked_after_a_freeze(clock: str | None, checked: bool) -> None:
    server, clocks = Server(), Clock()
    pool = make(server, clock=clocks)
    await query(pool)
    server.executed.clear()
    if clock:
        setattr(clocks, clock, 1031)
    await query(pool)
    assert server.executed == ["SELECT 1"] * checked + ["SELECT"]
    assert len(server.connections) == 1


async def test_dead_connections_are_replaced_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prisma_in_process.pool._CHECK_S", 0.01)
    server, clock = Server(), Clock()
    pool = make(server, clock=clock)
    await asyncio.gather(query(pool), query(pool))
    old = list(server.connections)
    assert len(old) == 2
    clock.boot += 31
    for each in old:
        each.silent = True
    await query(pool)
    assert server.executed.count("SELECT 1") == 1
    assert all(each.closed for each in old)
    assert len(server.open) == 1


async def test_a_transaction_that_raw_sql_left_open_is_rolled_back() -> None:
    server = Server()
    pool = make(server)
    async with pool.connection() as connection:
        await connection.execute("SELECT", [])
        server.connections[0].in_transaction = True
    await expect_order(pool, server)
    assert "ROLLBACK" in server.executed


async def test_close_awaits_what_settles_and_not_what_is_lent() -> None:
    server = Server(slow=5)
    pool = make(server)
    lent = asyncio.ensure_future(write(pool))
    cancelled = asyncio.ensure_future(query(pool))
    for _ in range(20):
        if len(server.connections) == 2 and server.connections[1].busy:
            break
        await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await pool.close()
    assert len(server.open) == 1
    await lent
    assert server.open == []
    with pytest.raises(UserError, match="closed"):
        await query(pool)


async def test_all_connections_are_closed_at_once() -> None:
    server = Server()
    pool = make(server)
    await asyncio.gather(query(pool), query(pool))
    async with pool.connection() as connection:
        pool.terminate()
        assert server.open == []
        with pytest.raises(UserError) as caught:
            await connection.rows("SELECT 1", [])
    assert caught.value.code == "P1017"


@pytest.mark.parametrize(("size", "prepared"), [(0, 6), (2, 4), (3, 3)])
async def test_the_statements_that_were_used_last_stay_prepared(size: int, prepared: int) -> None:
    server = Server()
    pool = make(server, replace(URL, statement_cache_size=size))
    async with pool.connection() as connection:
        for sql in ("a", "b", "a", "c", "a", "b"):
            await connection.rows(sql, [])
    assert len(server.connections[0].prepared) == prepared


async def test_a_connection_whose_caller_left_is_opened_for_the_next_one() -> None:
    server = Server(slow=5)
    pool = make(server, replace(URL, connection_limit=1))
    first = asyncio.create_task(query(pool))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await query(pool)
    assert len(server.connections) == 1
    await pool.close()
    assert server.open == []


async def test_close_gives_up_what_takes_long_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prisma_in_process.pool._SETTLE_S", 0.01)
    server = Server(slow=10**6)
    pool = make(server)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(query(pool), 0.01)
    async with asyncio.timeout(1):
        await pool.close()
    assert server.connections == []


async def test_closing_at_once_gives_up_what_still_opens() -> None:
    server = Server(slow=1000)
    pool = make(server)
    cancelled = asyncio.ensure_future(query(pool))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    pool.terminate()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (pool._settling, server.connections) == (set(), [])
