"""Postgres refuses a query although it can be reached: at once an error, or an answer once it accepts it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest

from functions.todos.errors import DatabaseUnavailable
from functions.todos.todos import Changes, Filter
from tests.integration.todos.conftest import Database, copy, expect_no_connections, opened
from tests.postgres import Postgres
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("todos-database")]

LIMIT_S = 5.0
EVERY = Filter()
ONE = UUID(int=1)
TITLE = "a-title-for-no-log"
ROLE = "limited"


@pytest.fixture
def own(postgres: Postgres) -> Iterator[Database]:
    """A database of the test's own, whose settings it may change."""
    own = copy(postgres, "refusals")
    yield own
    postgres.run_sql('DROP DATABASE IF EXISTS "refusals" WITH (FORCE)')


@asynccontextmanager
async def unavailable(caplog: pytest.LogCaptureFixture, reason: str) -> AsyncIterator[None]:
    """Expect an error without a wait, and its reason in the log."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        yield
    assert time.monotonic() - began < LIMIT_S / 2
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == [f"the database cannot be queried: {reason}"]
    assert TITLE not in caplog.text


async def test_the_copy_that_a_failover_left_behind_is_left_as_soon_as_there_is_another(
    own: Database,
) -> None:
    """Its connections stay, but it executes no changes; the address leads to the other one."""
    async with opened(own.url, LIMIT_S) as store:
        own.postgres.run_sql("ALTER DATABASE refusals SET default_transaction_read_only = on")
        own.end_connections()
        assert await store.count(NO_OWNER, EVERY) == 0
        creating = asyncio.ensure_future(store.create(NO_OWNER, todo(1, TITLE)))
        await asyncio.sleep(0.4)
        assert not creating.done()
        own.postgres.run_sql("ALTER DATABASE refusals RESET default_transaction_read_only")
        assert await creating == todo(1, TITLE)
        assert own.connections() == 1


async def test_a_query_waits_for_a_free_connection(own: Database) -> None:
    own.postgres.run_sql(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
    own.postgres.run_sql(
        f"ALTER ROLE {ROLE} NOSUPERUSER; GRANT pg_write_all_data, pg_read_all_data TO {ROLE}"
    )
    try:
        parts = own.url.partition("@")
        async with opened(f"postgresql://{ROLE}:x@{parts[2]}", LIMIT_S) as store:
            counting = asyncio.ensure_future(store.count(NO_OWNER, EVERY))
            await asyncio.sleep(0.4)
            assert not counting.done()
            own.postgres.run_sql(f"ALTER ROLE {ROLE} CONNECTION LIMIT 1")
            assert await counting == 0
        expect_no_connections(own)
    finally:
        own.postgres.run_sql(f"DROP ROLE {ROLE}")


async def test_a_database_that_was_dropped_is_reported(
    own: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(own.url, LIMIT_S) as store:
        own.postgres.run_sql('DROP DATABASE "refusals" WITH (FORCE)')
        async with unavailable(caplog, "P1003"):
            await store.count(NO_OWNER, EVERY)


@pytest.mark.parametrize("state", ["53100", "53200", "58030"])
async def test_a_server_without_disk_or_memory_is_reported(
    own: Database, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    own.postgres.run_sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'no room for %', NEW.title USING ERRCODE = '{state}'; END $$;"
        'CREATE TRIGGER full_disk BEFORE INSERT ON "Todo" FOR EACH ROW EXECUTE FUNCTION full_disk()',
        own.name,
    )
    async with opened(own.url, LIMIT_S) as store:
        async with unavailable(caplog, state):
            await store.create(NO_OWNER, todo(1, TITLE))
        assert await store.count(NO_OWNER, EVERY) == 0


@pytest.mark.parametrize(("setting", "reason"), [("statement_timeout", "57014"), ("lock_timeout", "55P03")])
async def test_a_limit_of_the_servers_is_reported(
    own: Database, caplog: pytest.LogCaptureFixture, setting: str, reason: str
) -> None:
    own.postgres.run_sql(f"ALTER DATABASE refusals SET {setting} = '100ms'")
    async with opened(own.url, LIMIT_S) as store:
        await store.create(NO_OWNER, todo(1, TITLE))
        with psycopg.connect(own.url) as other:
            other.execute('SELECT * FROM "Todo" FOR UPDATE')
            async with unavailable(caplog, reason):
                await store.update(NO_OWNER, ONE, Changes(completed=True))
        assert await store.update(NO_OWNER, ONE, Changes(completed=True)) == todo(1, TITLE, completed=True)
