"""A real Postgres with the real migrations, and stores on Prisma's client as the function uses it.

Each worker has one server; each database is a copy of one to which the migrations were applied. What Prisma's
own `migrate deploy` makes of them is held against the schema in `test_migrations.py`.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import prisma_in_process
import psycopg
import pytest
from prisma_in_process.cache import Plans

from functions.todos.address import Address, GivenAddress
from functions.todos.database import Database as Way
from functions.todos.store import PrismaStore
from infra.paths import ROOT
from tests.postgres import Postgres, run_postgres

PLANS = ROOT / "functions/todos/plans.json"
MIGRATIONS = sorted((ROOT / "functions/todos/prisma/migrations").glob("*/migration.sql"))
TEMPLATE = "migrated"

OpenStore = Callable[..., AbstractAsyncContextManager[PrismaStore]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    """As the function's handler has it, for stores of the module."""
    prisma_in_process.install(plans=PLANS)


@pytest.fixture(autouse=True)
def compiled_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every test to this: the plans of its queries are all in the file that set-up makes.

    Other tests of this process may have installed the engine without them.
    """
    prisma_in_process.install(plans=PLANS)

    def make(_: object, call: Any) -> None:
        raise AssertionError(f"expected the plan of `{call.method}` in {PLANS}: run infra/install/plans.py")

    monkeypatch.setattr(Plans, "make", make)


class Database:
    """One database with the tables of the todo API."""

    def __init__(self, postgres: Postgres, name: str) -> None:
        self.postgres, self.name = postgres, name

    @property
    def url(self) -> str:
        return self.postgres.url(self.name)

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Look into it past Prisma."""
        return psycopg.connect(self.url, autocommit=True)

    def connections(self) -> int:
        """Count those of others."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (self.name,),
            ).fetchone()
        return int(str(row[0])) if row else 0

    def end_connections(self) -> int:
        """End those of others, as a failover does; return how many there were."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                "WHERE datname = %s AND pid <> pg_backend_pid()",
                (self.name,),
            ).fetchone()
        return int(str(row[0])) if row else 0

    def titles(self) -> list[object]:
        with self.connect() as connection:
            return [title for (title,) in connection.execute('SELECT title FROM "Todo" ORDER BY title')]


def migrate(postgres: Postgres) -> None:
    """Make the database that the others are copies of."""
    postgres.run_sql(f"CREATE DATABASE {TEMPLATE}")
    for migration in MIGRATIONS:
        postgres.run_sql(migration.read_text(), TEMPLATE)


def copy(postgres: Postgres, name: str) -> Database:
    postgres.run_sql(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE}')
    return Database(postgres, name)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for tests that leave it running."""
    with run_postgres(tmp_path_factory.mktemp("postgres")) as postgres:
        migrate(postgres)
        yield postgres


@pytest.fixture(scope="module")
def database(postgres: Postgres, request: pytest.FixtureRequest) -> Database:
    """A database of the module's own."""
    return copy(postgres, request.node.name.rpartition("/")[2].removesuffix(".py"))


@pytest.fixture
def empty(database: Database) -> Database:
    """The module's database, without todos."""
    with database.connect() as connection:
        connection.execute('TRUNCATE "Todo"')
    return database


def expect_no_connections(database: Database) -> None:
    """Postgres needs a moment to notice that a connection was closed."""
    give_up_at = time.monotonic() + 5
    while (left := database.connections()) and time.monotonic() < give_up_at:
        time.sleep(0.01)
    assert left == 0


def new_store(address: str | Address, timeout_s: float = 5) -> PrismaStore:
    """Return a store that is not open yet."""
    given = GivenAddress(address) if isinstance(address, str) else address
    return PrismaStore(Way(given, timeout_s=timeout_s))


@asynccontextmanager
async def opened(address: str | Address, timeout_s: float = 5) -> AsyncIterator[PrismaStore]:
    """Open a store; close it whatever happens."""
    store = new_store(address, timeout_s)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture(scope="module")
async def shared_store(database: Database, engine: None) -> AsyncIterator[PrismaStore]:  # noqa: ARG001
    async with opened(database.url) as store:
        yield store


@pytest.fixture
def prisma_store(shared_store: PrismaStore, empty: Database) -> PrismaStore:  # noqa: ARG001
    """A store without todos. Its connection serves the whole module."""
    return shared_store
