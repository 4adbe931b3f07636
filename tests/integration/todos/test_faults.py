"""What Lambda, a network and a database do to a store, one at a time.

Real: Prisma Client Python, Postgres and its death. Simulated: the network that goes
dead, by a proxy that stops passing bytes on.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import prisma_in_process
import pytest
from prisma.errors import DataError

from functions.todos.errors import DatabaseUnavailable
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter
from tests.integration.todos.conftest import (
    PLANS,
    Database,
    copy,
    expect_no_connections,
    migrate,
    new_store,
    opened,
)
from tests.integration.todos.proxies import Proxy, paused, proxied
from tests.postgres import Postgres, run_postgres
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("todos-faults")]

# A connection that has no answer when a query is cancelled is given up after 0.5 s more.
LIMIT_S = 1.0
# Two queries, on a busy machine.
LATEST_S = 2 * LIMIT_S + 1.5
TITLE = "a-title-for-no-log"
EVERY = Filter()


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for tests that stop it."""
    with run_postgres(tmp_path_factory.mktemp("breakable")) as postgres:
        migrate(postgres)
        yield postgres


@pytest.fixture(scope="module")
def breakable_database(breakable: Postgres) -> Database:
    return copy(breakable, "faults")


@pytest.fixture
def database(breakable: Postgres, breakable_database: Database) -> Iterator[Database]:
    """A database without todos, served again if a test left it otherwise."""
    with breakable_database.connect() as connection:
        connection.execute('TRUNCATE "Todo"')
    yield breakable_database
    if not breakable.runs:
        breakable.start()


@pytest.fixture(autouse=True)
def discreet(
    database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Hold every test to this: no title, no address and no password in a log, and no connection left."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    password = database.url.split(":")[2].partition("@")[0]
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert [
        secret for secret in (password, TITLE, "postgresql://", "test_faults.py:1:") if secret in said
    ] == []
    if database.postgres.runs:
        expect_no_connections(database)


def open_store(url: str) -> AbstractAsyncContextManager[PrismaStore]:
    return opened(url, LIMIT_S)


async def works(store: PrismaStore) -> None:
    """Expect it to keep and find a todo, within the time that a fault may cost."""
    began = time.monotonic()
    assert await store.create(NO_OWNER, todo(7, TITLE)) == todo(7, TITLE)
    assert await store.delete(NO_OWNER, UUID(int=7)) == todo(7, TITLE)
    assert time.monotonic() - began < LATEST_S


async def fails(query: Awaitable[Any]) -> None:
    """Expect a clear error, within the time that two attempts may take."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await query
    assert time.monotonic() - began < LATEST_S


async def test_queries_under_way_when_connections_are_ended_are_sent_again(database: Database) -> None:
    async with open_store(database.url) as store:
        for first in range(1, 101, 20):
            queries = [
                asyncio.ensure_future(store.create(NO_OWNER, todo(number, TITLE)))
                for number in range(first, first + 20)
            ]
            await asyncio.sleep(0.004)
            assert await asyncio.to_thread(database.end_connections) <= 1
            made = await asyncio.gather(*queries)
            assert [each.id.int for each in made] == list(range(first, first + 20))
        assert await store.count(NO_OWNER, EVERY) == 100


async def test_a_postgres_that_restarted_is_queried_again(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        database.postgres.restart()
        await works(store)


async def test_a_postgres_that_crashed_and_returned_is_queried_again(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        database.postgres.kill()
        database.postgres.start()
        await works(store)


async def test_a_postgres_that_crashes_again_just_after_its_recovery_is_queried_again(
    database: Database,
) -> None:
    async with opened(database.url, timeout_s=0.5) as store:
        await works(store)
        for _ in range(2):
            database.postgres.kill()
            await fails(store.count(NO_OWNER, EVERY))
            database.postgres.start()
        database.postgres.kill()
        database.postgres.start()
        await works(store)


async def test_while_postgres_is_down_each_query_fails_in_time_and_later_ones_work(
    database: Database,
) -> None:
    async with opened(database.url, timeout_s=0.5) as store:
        await store.create(NO_OWNER, todo(1, TITLE))
        database.postgres.stop()
        one = UUID(int=1)
        queries: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.create(NO_OWNER, todo(2, TITLE)),
            lambda: store.delete(NO_OWNER, one),
            lambda: store.count(NO_OWNER, EVERY),
        ]
        for query in queries:
            await fails(query())
        database.postgres.start()
        assert await store.get(NO_OWNER, one) == todo(1, TITLE)
        await works(store)


async def test_a_store_can_be_opened_while_postgres_is_down(database: Database) -> None:
    database.postgres.stop()
    began = time.monotonic()
    async with open_store(database.url) as store:
        assert time.monotonic() - began < LATEST_S
        await fails(store.count(NO_OWNER, EVERY))
        database.postgres.start()
        await works(store)


async def test_connections_that_postgres_ended_are_replaced(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        for _ in range(3):
            assert database.end_connections() == 1
            await works(store)


async def test_a_connection_that_went_dead_is_given_up_after_the_limit(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await works(store)
        proxy.kill_connections()
        began = time.monotonic()
        await works(store)
        assert time.monotonic() - began >= LIMIT_S


@pytest.fixture
def checked_when_idle() -> Iterator[float]:
    """Let a connection be idle after moments, as it is after a freeze of minutes."""
    idle_s = 0.05
    prisma_in_process.install(plans=PLANS, idle_check_s=idle_s)
    yield idle_s
    prisma_in_process.install(plans=PLANS)


@pytest.mark.parametrize("ended", ["dead", "ended", "server restarted"])
async def test_after_a_freeze_the_first_query_waits_for_no_timeout(
    database: Database, checked_when_idle: float, ended: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with proxied(database.url) as (proxy, url), opened(url, timeout_s=20) as store:
        assert await store.count(NO_OWNER, EVERY) == 0
        await asyncio.sleep(2 * checked_when_idle)
        connections = proxy.connections
        if ended == "dead":
            proxy.kill_connections()
        elif ended == "ended":
            assert database.end_connections() == 1
        else:
            database.postgres.restart()
        began = time.monotonic()
        assert await store.create(NO_OWNER, todo(1, TITLE)) == todo(1, TITLE)
        assert time.monotonic() - began < 1.5
        assert proxy.connections == connections + 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_dead_network_is_reported_in_time(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await works(store)
        proxy.closed = True
        proxy.kill_connections()
        await fails(store.count(NO_OWNER, EVERY))
        proxy.closed = False
        await works(store)


async def lost_reply(proxy: Proxy, statement: bytes, query: Awaitable[Any]) -> Any:
    """Send a query, and lose the reply to a statement of it that was prepared before: it is executed."""
    connections = proxy.connections
    proxy.mute_after = proxy.statements[statement]
    answer = await query
    assert proxy.mute_after is None, "expected such a statement"
    assert proxy.connections > connections, "expected the query to be sent twice"
    return answer


async def test_a_creation_whose_reply_was_lost_is_not_doubled(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), opened(url, timeout_s=1.5) as store:
        await works(store)
        made = await lost_reply(proxy, b"INSERT", store.create(NO_OWNER, todo(1, TITLE)))
        assert made == todo(1, TITLE)
        assert database.titles() == [TITLE]


async def test_an_update_whose_reply_was_lost_is_idempotent(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), opened(url, timeout_s=1.5) as store:
        await store.create(NO_OWNER, todo(1, TITLE))
        one = UUID(int=1)
        await store.update(NO_OWNER, one, Changes(title="before"))
        changed = await lost_reply(proxy, b"UPDATE", store.update(NO_OWNER, one, Changes(title=f"{TITLE}!")))
        assert changed == todo(1, f"{TITLE}!")
        assert database.titles() == [f"{TITLE}!"]


async def test_a_deletion_whose_reply_was_lost_returns_what_was_there(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), opened(url, timeout_s=1.5) as store:
        await works(store)
        await store.create(NO_OWNER, todo(1, TITLE))
        gone = await lost_reply(proxy, b"DELETE", store.delete(NO_OWNER, UUID(int=1)))
        assert gone == todo(1, TITLE)
        assert database.titles() == []


async def test_a_wrong_password_is_an_error_that_does_not_quote_it(database: Database) -> None:
    url = database.url.replace("postgres:", "postgres:wrong", 1)
    async with open_store(url) as store:
        with pytest.raises((DatabaseUnavailable, DataError)) as refused:
            await store.count(NO_OWNER, EVERY)
        assert "wrong" not in str(refused.value)


async def test_a_store_is_closed_twice_without_harm(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        await store.aclose()


async def test_what_was_cancelled_leaves_a_store_that_works(database: Database) -> None:
    async with open_store(database.url) as store:
        for delay_s in (0, 0.002, 0.01):
            query = asyncio.ensure_future(store.create(NO_OWNER, todo(1, TITLE)))
            await asyncio.sleep(delay_s)
            query.cancel()
            await asyncio.gather(query, return_exceptions=True)
        await works(store)


async def test_a_start_that_was_cancelled_leaves_a_store_that_works(database: Database) -> None:
    async with paused(database.url, "holds", resumes_after_s=0.2) as (before, url):
        store = new_store(url, LIMIT_S)
        starting = asyncio.ensure_future(store.open())
        await asyncio.sleep(0.1)
        assert before.attempts == 1
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await works(store)
        await store.aclose()
