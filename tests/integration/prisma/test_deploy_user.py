"""The todo function's own database user: what the migrating function makes of its secret.

Real: Postgres, its roles and passwords, the migrations, Prisma's command line and engines. As on Aurora,
the master that executes the migrations may make roles, and is no superuser. Simulated: Secrets Manager.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import prisma_in_process
import psycopg
import pytest

from functions.todos.address import GivenAddress
from functions.todos.database import Database
from functions.todos.pages import Order
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter
from infra.paths import ROOT
from tests.integration.prisma.conftest import Vault
from tests.integration.prisma.project import Project
from tests.integration.prisma.test_deploy import start
from tests.postgres import Postgres, rds_secret
from tests.unit.todos.stores import todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("prisma")]

USER, PASSWORD, CHANGED = "todos_function", "hush-hush/'$x", 'another "one'
MASTER = "master_of_todos"
# Without a right to them, or to anything of the kind.
REFUSED = [
    "CREATE TABLE mine (i int)",
    "CREATE TEMP TABLE mine (i int)",
    "CREATE SCHEMA mine",
    'ALTER TABLE "Todo" ADD COLUMN mine int',
    'DROP TABLE "Todo"',
    'TRUNCATE "Todo"',
    'CREATE INDEX ON "Todo" (title)',
    "SELECT * FROM _prisma_migrations",
    "UPDATE _prisma_migrations SET checksum = ''",
    "CREATE ROLE mine",
    f"ALTER ROLE {USER} CREATEROLE",
    f"SET ROLE {MASTER}",
    f"ALTER ROLE {MASTER} PASSWORD 'mine'",
    "CREATE DATABASE mine",
    "COPY \"Todo\" TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('postgresql.conf')",
    "CREATE EXTENSION dblink",
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Deployment:
    """A database of a master's, and a secret of the todo function's, before a first deployment."""

    def __init__(self, postgres: Postgres, vault: Vault, folder: Path) -> None:
        self.name = postgres.create_database()
        postgres.run_sql(f"CREATE ROLE {MASTER} LOGIN CREATEROLE PASSWORD 'quiet'")
        postgres.run_sql(f'ALTER DATABASE "{self.name}" OWNER TO {MASTER}')
        self._address, self._vault = f"127.0.0.1:{postgres.port}/{self.name}", vault
        variables = vault.keep(self.name, self.url(USER, ""), password=PASSWORD)
        self.arn = variables.pop("DATABASE_SECRET")
        self._variables = {**variables, "USER_SECRET": self.arn}
        shutil.copytree(ROOT / "functions/todos/prisma", folder, dirs_exist_ok=True)
        self._project = Project(folder, f"postgresql://{MASTER}:quiet@{self._address}")

    def run(self, parameters: str = "") -> dict[str, Any]:
        url = f"{self._project.url}{parameters}"
        return start(self._project, url, **self._variables).outcome()  # type: ignore[arg-type]

    def change_password(self, password: str) -> None:
        self._vault.change(self.arn, rds_secret(self.url(USER, ""), password=password))

    def url(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@{self._address}"

    @contextmanager
    def connected(self, password: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        host, _, port = self._address.partition("/")[0].partition(":")
        with psycopg.connect(
            host=host, port=port, dbname=self.name, user=USER, password=password, autocommit=True
        ) as connection:
            yield connection


@pytest.fixture(scope="module")
def deployment(
    postgres: Postgres, vault: Vault, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    postgres.run_sql("ALTER SYSTEM SET log_statement = 'all'")
    postgres.run_sql("SELECT pg_reload_conf()")
    made = Deployment(postgres, vault, tmp_path_factory.mktemp("project"))
    first = made.run()
    assert "result" in first, first
    assert len(first["result"]) == len(list((ROOT / "functions/todos/prisma/migrations").glob("*/")))
    yield made
    postgres.run_sql("ALTER SYSTEM RESET log_statement")
    postgres.run_sql(f'DROP DATABASE "{made.name}" WITH (FORCE)')
    postgres.run_sql(f"DROP ROLE {USER}")
    postgres.run_sql(f"DROP ROLE {MASTER}")


@pytest.mark.parametrize("statement", REFUSED)
def test_the_user_may_not(deployment: Deployment, statement: str) -> None:
    with deployment.connected(PASSWORD) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


async def test_the_user_may_do_all_that_todos_do(deployment: Deployment) -> None:
    prisma_in_process.install()
    password = "hush-hush%2F%27%24x"
    store = PrismaStore(Database(GivenAddress(deployment.url(USER, password)), timeout_s=5))
    try:
        await store.open()
        assert await store.create("me", todo(1, "tea")) == todo(1, "tea")
        assert await store.get("me", UUID(int=1)) == todo(1, "tea")
        assert await store.update("me", UUID(int=1), Changes(title="milk")) == todo(1, "milk")
        assert await store.find("me", Filter(), Order(), after=None, before=None, limit=5) == [
            todo(1, "milk")
        ]
        assert await store.count("me", Filter(title="MIL")) == 1
        assert await store.delete("me", UUID(int=1)) == todo(1, "milk")
    finally:
        await store.aclose()


def test_the_user_is_nothing_but_a_user(deployment: Deployment, postgres: Postgres) -> None:
    rights = "rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    assert postgres.run_sql(f"SELECT {rights} FROM pg_roles WHERE rolname = '{USER}'") == "t|f|f|f|f|f"
    memberships = f"SELECT count(*) FROM pg_auth_members WHERE member = '{USER}'::regrole"
    assert postgres.run_sql(memberships) == "0"
    assert deployment.run() == {"result": []}, "again, which changes nothing"


def test_a_table_that_a_later_migration_makes_can_be_used(deployment: Deployment, postgres: Postgres) -> None:
    table = f"SET ROLE {MASTER}; CREATE TABLE later (i serial); RESET ROLE"
    postgres.run_sql(table, deployment.name)
    with deployment.connected(PASSWORD) as connection:
        connection.execute("INSERT INTO later DEFAULT VALUES")


@pytest.mark.nightly
def test_tables_in_a_schema_of_their_own_can_be_used(deployment: Deployment) -> None:
    assert len(deployment.run("?schema=of%20mine")["result"]) == 2
    with deployment.connected(PASSWORD) as connection:
        connection.execute('DELETE FROM "of mine"."Todo"')
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute('SELECT * FROM "of mine"._prisma_migrations')


def test_a_changed_password_is_that_of_the_secret_after_the_next_run(deployment: Deployment) -> None:
    try:
        deployment.change_password(CHANGED)
        assert deployment.run() == {"result": []}
        with deployment.connected(CHANGED):
            pass
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            deployment.connected(PASSWORD).__enter__()
    finally:
        deployment.change_password(PASSWORD)
        assert deployment.run() == {"result": []}


def test_no_log_of_statements_has_a_password(deployment: Deployment, postgres: Postgres) -> None:
    deployment.run()
    log = postgres.log.read_text(errors="replace")
    assert f'ALTER ROLE "{USER}" LOGIN PASSWORD' in log
    assert "hush-hush" not in log
    assert CHANGED not in log


@pytest.mark.parametrize("changes", [{"username": MASTER}, {"username": 'x"; DROP'}, {"password": "hüsh"}])
def test_a_secret_that_would_do_harm_stops_the_deployment(
    deployment: Deployment, changes: dict[str, str]
) -> None:
    try:
        deployment._vault.change(deployment.arn, rds_secret(deployment.url(USER, ""), **changes))
        failed = deployment.run()
    finally:
        deployment.change_password(PASSWORD)
    assert failed["message"].startswith("Expected the todo function's secret to have a username")
    assert "hüsh" not in failed["message"]
