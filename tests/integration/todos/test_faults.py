"""What Lambda, a network and a database do to a store, one at a time.

Real: Prisma Client Python, the engine's process, Postgres and its death. Simulated: the network that goes
dead, by a proxy that stops passing bytes on.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from prisma.errors import DataError

from functions.todos.errors import DatabaseUnavailable
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter
from tests.integration.todos.conftest import Database, copy, engines, migrate, new_store, opened
from tests.integration.todos.proxies import Proxy, proxied
from tests.postgres import Postgres, run_postgres
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("todos-faults")]

LIMIT_S = 0.7
# Two queries, and an engine that was started in between.
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
    """Hold every test to this: no title, no address and no password in a log, and no engine left behind."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    password = database.url.split(":")[2].partition("@")[0]
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert [
        secret for secret in (password, TITLE, "postgresql://", "test_faults.py:1:") if secret in said
    ] == []
    assert engines() == []


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


def engine() -> psutil.Process:
    (found,) = engines()
    return found


async def test_an_engine_that_died_between_queries_is_replaced(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        first = engine()
        first.kill()
        await works(store)
        assert engine().pid != first.pid


async def test_an_engine_that_dies_again_and_again_is_replaced_each_time(database: Database) -> None:
    async with open_store(database.url) as store:
        for number in range(3):
            engine().kill()
            assert (await store.create(NO_OWNER, todo(number + 1, TITLE))).id.int == number + 1


async def test_queries_under_way_when_the_engine_dies_are_sent_again(database: Database) -> None:
    async with open_store(database.url) as store:
        queries = [
            asyncio.ensure_future(store.create(NO_OWNER, todo(number, TITLE))) for number in range(1, 11)
        ]
        await asyncio.sleep(0.005)
        engine().kill()
        made = await asyncio.gather(*queries)
        assert [each.id.int for each in made] == list(range(1, 11))
        assert await store.count(NO_OWNER, EVERY) == 10
        assert len(engines()) == 1


async def test_an_engine_that_hangs_is_given_up_after_the_limit(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        first = engine()
        first.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        await works(store)
        assert time.monotonic() - began >= LIMIT_S
        assert engine().pid != first.pid


async def test_an_engine_that_hangs_is_stopped_with_the_store(database: Database) -> None:
    async with open_store(database.url):
        engine().send_signal(signal.SIGSTOP)


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
    async with open_store(database.url) as store:
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
    async with open_store(database.url) as store:
        await store.create(NO_OWNER, todo(1, TITLE))
        database.postgres.stop()
        one = UUID(int=1)
        queries: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.create(NO_OWNER, todo(2, TITLE)),
            lambda: store.get(NO_OWNER, one),
            lambda: store.update(NO_OWNER, one, Changes(completed=True)),
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
            with database.connect() as connection:
                row = connection.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = %s AND pid <> pg_backend_pid()",
                    (database.name,),
                ).fetchone()
            assert row == (1,)
            await works(store)


async def test_a_connection_that_went_dead_is_given_up_after_the_limit(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await works(store)
        proxy.kill_connections()
        began = time.monotonic()
        await works(store)
        assert time.monotonic() - began >= LIMIT_S


async def test_a_dead_network_is_reported_in_time(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await works(store)
        proxy.closed = True
        proxy.kill_connections()
        await fails(store.count(NO_OWNER, EVERY))
        proxy.closed = False
        await works(store)


async def lost_reply(proxy: Proxy, statement: bytes, query: Awaitable[Any]) -> Any:
    """Send a query, and lose the reply to the statement."""
    connections = proxy.connections
    proxy.mute_after = statement
    answer = await query
    assert proxy.mute_after is None, "expected such a statement"
    assert proxy.connections > connections, "expected the query to be sent twice"
    return answer


async def test_a_creation_whose_reply_was_lost_is_not_doubled(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await works(store)
        made = await lost_reply(proxy, b"INSERT", store.create(NO_OWNER, todo(1, TITLE)))
        assert made == todo(1, TITLE)
        assert database.titles() == [TITLE]


async def test_an_update_whose_reply_was_lost_is_idempotent(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
        await store.create(NO_OWNER, todo(1, TITLE))
        one = UUID(int=1)
        changed = await lost_reply(proxy, b"UPDATE", store.update(NO_OWNER, one, Changes(title=f"{TITLE}!")))
        assert changed == todo(1, f"{TITLE}!")
        assert database.titles() == [f"{TITLE}!"]


async def test_a_deletion_whose_reply_was_lost_returns_what_was_there(database: Database) -> None:
    async with proxied(database.url) as (proxy, url), open_store(url) as store:
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


async def test_a_store_can_be_opened_without_an_engine(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRISMA_QUERY_ENGINE_BINARY", str(tmp_path / "none"))
    async with open_store(database.url) as store:
        await fails(store.count(NO_OWNER, EVERY))
        monkeypatch.undo()


async def test_a_store_is_closed_twice_without_harm(database: Database) -> None:
    async with open_store(database.url) as store:
        await works(store)
        await store.aclose()
        assert engines() == []


async def test_what_was_cancelled_leaves_a_store_that_works(database: Database) -> None:
    async with open_store(database.url) as store:
        for delay_s in (0, 0.002, 0.01):
            query = asyncio.ensure_future(store.create(NO_OWNER, todo(1, TITLE)))
            await asyncio.sleep(delay_s)
            query.cancel()
            await asyncio.gather(query, return_exceptions=True)
        await works(store)
    store = new_store(database.url, LIMIT_S)
    starting = asyncio.ensure_future(store.open())
    await asyncio.sleep(0.1)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert engines() == []
    await works(store)
    await store.aclose()
