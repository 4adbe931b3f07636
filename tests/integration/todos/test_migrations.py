"""The migrations make what `schema.prisma` says, and nothing else.

Real: Prisma's own command line on its schema engine, and Postgres.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.services.migrations import prisma_command, prisma_environment
from infra.paths import ROOT
from tests.integration.todos.conftest import MIGRATIONS, Database
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("todos-database")]

SCHEMA = ROOT / "functions/todos/prisma/schema.prisma"
SAME, DIFFERENT = 0, 2


def prisma(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        prisma_command(*arguments),
        env=prisma_environment(url) | {"NO_COLOR": "1", "HOME": os.environ.get("HOME", "/")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def drift(postgres: Postgres, migrations: Path, schema: Path) -> subprocess.CompletedProcess[str]:
    """Compare what migrations make with what a schema says."""
    url = postgres.url(postgres.create_database())
    return prisma(
        url,
        *("migrate", "diff", "--exit-code", "--from-migrations", str(migrations)),
        *("--to-schema-datamodel", str(schema), "--shadow-database-url", url),
    )


def test_the_migrations_make_what_the_schema_says(postgres: Postgres) -> None:
    done = drift(postgres, SCHEMA.parent / "migrations", SCHEMA)
    assert done.returncode == SAME, done.stdout + done.stderr


def test_a_schema_without_its_migration_is_noticed(postgres: Postgres, tmp_path: Path) -> None:
    changed = tmp_path / "schema.prisma"
    changed.write_text(SCHEMA.read_text().replace("completed Boolean", "note String?\n  completed Boolean"))
    done = drift(postgres, SCHEMA.parent / "migrations", changed)
    assert done.returncode == DIFFERENT, done.stdout + done.stderr
    assert "note" in done.stdout


def test_a_migration_without_its_schema_is_noticed(postgres: Postgres, tmp_path: Path) -> None:
    migrations = shutil.copytree(SCHEMA.parent / "migrations", tmp_path / "migrations")
    added = migrations / "29990101000000_drop_an_index"
    added.mkdir()
    (added / "migration.sql").write_text('DROP INDEX "Todo_owner_title_id_idx";')
    done = drift(postgres, migrations, SCHEMA)
    assert done.returncode == DIFFERENT, done.stdout + done.stderr


def test_these_tests_use_the_tables_that_migrate_deploy_makes(postgres: Postgres, database: Database) -> None:
    deployed = Database(postgres, postgres.create_database())
    done = prisma(deployed.url, "migrate", "deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    applied = [row[0] for row in query(deployed, "SELECT migration_name FROM _prisma_migrations ORDER BY 1")]
    assert applied == [path.parent.name for path in MIGRATIONS]
    for statement in (
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'Todo' ORDER BY 1",
        "SELECT column_name, data_type, is_nullable, column_default, datetime_precision "
        "FROM information_schema.columns WHERE table_name = 'Todo' ORDER BY 1",
    ):
        assert query(deployed, statement) == query(database, statement) != []


def query(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return connection.execute(statement.encode()).fetchall()


def test_todos_from_before_there_were_owners_stay_everyones(postgres: Postgres) -> None:
    """And no row is rewritten, and what a function of the release before writes has its place."""
    before = Database(postgres, postgres.create_database())
    init, owner = MIGRATIONS[:2]
    postgres.run_sql(init.read_text(), before.name)
    insert = """INSERT INTO "Todo" (id, title) VALUES (gen_random_uuid(), 'milk')"""
    table = """SELECT pg_relation_filenode('"Todo"')"""
    postgres.run_sql(insert, before.name)
    file = query(before, table)
    postgres.run_sql(owner.read_text(), before.name)
    postgres.run_sql(insert, before.name)
    assert query(before, 'SELECT owner, title, completed FROM "Todo"') == [("", "milk", False)] * 2
    assert query(before, table) == file
