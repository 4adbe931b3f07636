"""Connections to a real Postgres: what its errors are called, and what is left after a failure."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.pool import Pool
from prisma_in_process.postgres import Connection
from prisma_in_process.url import read_url

from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE parent (id int PRIMARY KEY, "eMail" text UNIQUE, "a, b" int,
    name varchar(3) NOT NULL DEFAULT 'x', age int CHECK (age > 0), UNIQUE ("a, b", age));
CREATE UNIQUE INDEX lower_name ON parent (lower(name));
CREATE TABLE child (parent int REFERENCES parent ON DELETE RESTRICT DEFERRABLE, EXCLUDE (parent WITH =));
INSERT INTO parent VALUES (1, 'hush', 1, 'hus', 1);
INSERT INTO child VALUES (1);
CREATE SCHEMA other; CREATE TABLE other.only_there (a int);
CREATE ROLE stranger LOGIN PASSWORD 'hush';
"""


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    name = postgres.create_database()
    postgres.run_sql(TABLES + f"REVOKE CONNECT ON DATABASE {name} FROM public", name)
    return postgres.url(name)


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    pool = Pool(read_url(url + "?connection_limit=1&pool_timeout=2&connect_timeout=2"))
    yield pool
    await pool.close()


async def rows(pool: Pool, sql: str, *values: object) -> list[dict[str, object]]:
    async with pool.connection() as connection:
        return await connection.rows(sql, values)


async def failure(pool: Pool, sql: str, *values: object) -> UserError:
    with pytest.raises(UserError) as caught:
        await rows(pool, sql, *values)
    assert "hush" not in json.dumps(caught.value.body)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "code", "meta"),
    [
        ("INSERT INTO parent VALUES (1)", "P2002", {"target": ["id"]}),
        ("INSERT INTO parent VALUES (2, 'hush')", "P2002", {"target": ["eMail"]}),
        ("INSERT INTO parent VALUES (2, '', 1, 'y', 1)", "P2002", {"target": ["a, b", "age"]}),
        ("INSERT INTO parent VALUES (2, '', 2, 'HUS')", "P2002", {"target": ["lower(name::text)"]}),
        ("INSERT INTO child VALUES (77)", "P2003", {"field_name": "child_parent_fkey (index)"}),
        ("DELETE FROM parent", "P2003", {"field_name": "child_parent_fkey (index)"}),
        ("INSERT INTO parent VALUES (2, '', 2, NULL)", "P2011", {"constraint": ["name"]}),
        ("INSERT INTO parent VALUES (2, '', 2, 'hush')", "P2000", {"column_name": "(not available)"}),
        ("UPDATE parent SET age = -1", "P2004", None),
        ("INSERT INTO child VALUES (1)", "P2004", None),
        ("SELECT 'hush'::int", "P2007", {"database_error": "invalid text representation"}),
        ("SELECT '2026-02-30'::date", "P2020", {"details": "datetime field overflow"}),
        ("SELECT 2147483647 + 1", "P2020", {"details": "numeric value out of range"}),
        ("SELECT * FROM missing", "P2021", {"table": "missing"}),
        ("SELECT missing FROM parent", "P2022", {"column": "missing"}),
        ("SELECT parent.missing FROM parent", "P2022", {"column": "parent.missing"}),
        ("SELECT 1 / 0", None, {"code": "22012"}),
        ("SELECT 'hush' FROM", None, {"code": "42601"}),
        ("COMMIT AND CHAIN", None, {"code": "25P01"}),
    ],
)
async def test_an_error_of_postgres(
    pool: Pool, sql: str, code: str | None, meta: dict[str, object] | None
) -> None:
    error = await failure(pool, sql)
    found = error.body["user_facing_error"]
    assert (error.code, found["error_code"]) == (code, code), str(error)
    assert meta is None or found["meta"] == meta
    assert await rows(pool, "SELECT 1 AS a") == [{"a": 1}]


async def test_raw_queries_have_one_code(pool: Pool) -> None:
    async with pool.connection() as connection:
        for sql, state, said in (
            (
                "INSERT INTO parent VALUES (2, 'hush')",
                "23505",
                'violates unique constraint "parent_eMail_key"',
            ),
            ("SELECT 'hush'::uuid", "22P02", "invalid text representation"),
            ("SELECT 'hush", "42601", "unterminated"),
        ):
            with pytest.raises(UserError) as caught:
                await connection.raw_rows(sql, [])
            meta = caught.value.body["user_facing_error"]["meta"]
            assert (caught.value.code, meta["code"]) == ("P2010", state)
            assert said in meta["message"]
            assert state == "42601" or "hush" not in json.dumps(caught.value.body)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (("postgresql://", "postgresql://x"), "P1000", "Authentication failed"),
        (("@127.0.0.1", "hush@127.0.0.1"), "P1000", "credentials for `postgres` are not valid"),
        (("?", "-gone?"), "P1003", "does not exist"),
        (
            ("postgresql://postgres:{password}", "postgresql://stranger:hush"),
            "P1010",
            "`stranger` was denied",
        ),
        ((":{port}/", ":1/"), "P1001", "Can't reach database server at `127.0.0.1:1`"),
        (("@127.0.0.1:{port}", "@localhost:1"), "P1001", "`localhost:1`"),
        (("@127.0.0.1", "@no.such.host.invalid"), "P1001", "no.such.host.invalid"),
        (("@127.0.0.1:{port}/", "@h/"), "P1001", "/nowhere"),
        (("?", "?options=-c%20no_such_setting%3D1&"), "P1001", "42704"),
    ],
)
async def test_what_keeps_from_connecting(url: str, change: tuple[str, str], code: str, text: str) -> None:
    parts = read_url(url)
    old, new = (each.format(port=parts.port, password=parts.password) for each in change)
    address = (url + "?connect_timeout=2").replace(old, new, 1)
    pool = Pool(read_url(address + ("&host=/nowhere" if "@h/" in new else "")))
    error = await failure(pool, "SELECT 1")
    assert error.code == code
    assert text in str(error)
    assert str(parts.password) not in json.dumps(error.body)


async def test_a_server_without_free_connections(postgres: Postgres, url: str) -> None:
    name = read_url(url).database
    postgres.run_sql(
        f"CREATE ROLE few LOGIN PASSWORD 'p' CONNECTION LIMIT 0; GRANT CONNECT ON DATABASE {name} TO few"
    )
    parts = read_url(url)
    pool = Pool(read_url(url.replace(f"postgres:{parts.password}", "few:p")))
    assert (await failure(pool, "SELECT 1")).code == "P2037"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "public;;force_custom_plan"),
        ("?schema=a%22b&application_name=us", 'a"b;us;force_custom_plan'),
        ("?schema=other&options=-c%20plan_cache_mode%3Dauto%20-c%20application_name%3Dme", "other;me;auto"),
        ("?schema=other&pgbouncer=true&application_name=us", "public;us;auto"),
    ],
)
async def test_settings_of_the_url(url: str, query: str, expected: str) -> None:
    pool = Pool(read_url(url + query))
    await rows(pool, 'CREATE SCHEMA IF NOT EXISTS "a""b"')
    names = "current_schema(), current_setting('application_name'), current_setting('plan_cache_mode')"
    assert await rows(pool, f"SELECT concat_ws(';', {names}) AS a") == [{"a": expected}]
    await pool.close()


async def kill(pool: Pool, postgres: Postgres) -> None:
    """End the pool's idle backend."""
    async with pool.connection() as connection:
        pid = (await connection.rows("SELECT pg_backend_pid() AS a", []))[0]["a"]
    postgres.run_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
    time.sleep(0.05)  # noqa: ASYNC251 - the event loop is not to notice


async def test_a_connection_that_ended_while_idle_is_replaced_unnoticed(
    pool: Pool, postgres: Postgres
) -> None:
    for _ in range(3):
        await kill(pool, postgres)
        assert await rows(pool, "SELECT 1 AS a") == [{"a": 1}]


async def test_an_idle_connection_is_checked_and_kept(url: str) -> None:
    pool = Pool(read_url(url), idle_check_s=0)
    pids = [await rows(pool, "SELECT pg_backend_pid() AS a") for _ in range(3)]
    assert pids[0] == pids[1] == pids[2]
    await pool.close()


async def test_a_query_whose_connection_was_lost_may_have_been_executed(pool: Pool) -> None:
    for sql in (
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_terminate_backend(pg_backend_pid()), 2",
    ):
        assert (await failure(pool, sql)).code == "P1017"
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("INSERT INTO other.only_there VALUES (1)", [])
    assert await rows(pool, "SELECT count(*) AS a FROM other.only_there") == [{"a": 2}]


async def test_a_transaction_ends_with_its_connection(pool: Pool) -> None:
    async def transaction(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("CREATE TABLE gone ()", [])
            with pytest.raises(UserError):
                await connection.rows("SELECT pg_terminate_backend(pg_backend_pid())", [])
            await connection.rows("SELECT 1", [])

    async with pool.connection() as connection:
        with pytest.raises(UserError) as caught:
            await transaction(connection)
    assert caught.value.code == "P1017"
    assert (await failure(pool, "SELECT FROM gone")).code == "P2021"


async def test_a_cancelled_query_is_stopped_and_leaves_nothing(pool: Pool) -> None:
    pid = (await rows(pool, "SELECT pg_backend_pid() AS a"))[0]["a"]

    async def transaction() -> None:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute("CREATE TABLE gone ()", [])
            await connection.rows("SELECT pg_sleep(5)", [])

    for call in (transaction(), rows(pool, "SELECT pg_sleep(5)")):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await call
    assert await rows(pool, "SELECT pg_backend_pid() AS a, to_regclass('gone') AS b") == [
        {"a": pid, "b": None}
    ]


async def test_a_query_has_a_time_limit(url: str) -> None:
    pool = Pool(read_url(url + "?socket_timeout=1&connection_limit=1"))
    began = time.monotonic()
    error = await failure(pool, "SELECT pg_sleep(5)")
    assert (error.code, str(error)) == ("P1008", "Operations timed out after 1 s")
    assert await rows(pool, "SELECT 1 AS a") == [{"a": 1}]
    assert time.monotonic() - began < 2
    await pool.close()


async def test_statements_that_the_server_forgot_or_that_changed(pool: Pool) -> None:
    sql = "SELECT * FROM changing"
    await rows(pool, "CREATE TABLE changing AS SELECT 1 AS a")
    assert await rows(pool, sql) == [{"a": 1}]
    await rows(pool, "ALTER TABLE changing ADD b int")
    assert await rows(pool, sql) == [{"a": 1, "b": None}]
    await rows(pool, "DISCARD ALL")
    assert await rows(pool, sql) == [{"a": 1, "b": None}]
    await rows(pool, "ALTER TABLE changing DROP b")
    async with pool.connection() as connection:
        with pytest.raises(UserError) as caught:
            async with connection.transaction():
                await connection.rows(sql, [])
        assert caught.value.code == "P2034"
        async with connection.transaction():
            assert await connection.rows(sql, []) == [{"a": 1}]


async def test_pgbouncers_mode_leaves_no_statements(url: str) -> None:
    pool = Pool(read_url(url + "?pgbouncer=true&connection_limit=1"))
    for _ in range(2):
        assert await rows(pool, "SELECT $1::int AS a", 1) == [{"a": 1}]
    assert await rows(pool, "SELECT name FROM pg_prepared_statements") == []
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT 1", [])
        assert await connection.rows("SELECT count(*) AS a FROM seen", []) == [{"a": 1}]
    assert (await failure(pool, "SELECT 1 / 0")).code is None
    await pool.close()


async def test_a_deadlock_is_one_to_retry(url: str) -> None:
    pool, both = Pool(read_url(url)), asyncio.Barrier(2)
    await rows(pool, "CREATE TABLE locks AS SELECT generate_series(1, 2) AS a")

    async def lock(first: int, second: int) -> str | None:
        try:
            async with pool.connection() as connection, connection.transaction():
                await connection.execute("SET LOCAL deadlock_timeout = '10ms'", [])
                await connection.rows("SELECT FROM locks WHERE a = $1 FOR UPDATE", [first])
                await both.wait()
                await connection.rows("SELECT FROM locks WHERE a = $1 FOR UPDATE", [second])
        except UserError as error:
            return error.code
        return "done"

    assert set(await asyncio.gather(lock(1, 2), lock(2, 1))) == {"done", "P2034"}
    await pool.close()
