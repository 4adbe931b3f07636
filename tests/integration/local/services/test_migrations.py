"""Migrations on a laptop, through Prisma's own command line."""

import asyncio
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.database_url import hide_password
from infra.local.processes import Guardian
from infra.local.services.migrations import MigrationFailed, migrate
from infra.paths import ROOT
from tests.local_service import run_local
from tests.postgres import Postgres, run_postgres

pytestmark = pytest.mark.slow
APPLIED = "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with run_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def deploy(url: str) -> None:
    with Guardian() as guardian:
        asyncio.run(migrate(url, guardian))


def test_they_are_applied_once(server: Postgres) -> None:
    database = server.create_database()
    for _ in range(2):
        deploy(server.url(database))
    assert server.run_sql(APPLIED, database) == str(
        len(list(ROOT.glob("functions/todos/prisma/migrations/*/")))
    )


def test_one_that_fails_is_reported_in_prismas_words_without_the_password(server: Postgres) -> None:
    database = server.create_database()
    server.run_sql('CREATE TABLE "Todo" (id INT); CREATE TABLE _prisma_migrations (id INT)', database)
    url = server.url(database)
    with pytest.raises(MigrationFailed, match="Error: ") as failed:
        deploy(url)
    assert str(failed.value) == hide_password(str(failed.value), url)


def test_a_database_of_the_users_own_is_migrated_and_served(server: Postgres) -> None:
    database = server.create_database()
    url = server.url(database)
    with run_local(DATABASE_URL=url) as local:
        assert f"database  yours on 127.0.0.1:{server.port}" in local.banner
        assert server.run_sql(APPLIED, database) != "0"
        assert "postgres" not in {child.name() for child in local.processes()}
    assert str(local.out) == hide_password(str(local.out), url)


def test_a_database_out_of_order_leaves_the_chat_api_up(server: Postgres) -> None:
    database = server.create_database()
    server.run_sql('CREATE TABLE "Todo" (id INT); CREATE TABLE _prisma_migrations (id INT)', database)
    with run_local(DATABASE_URL=server.url(database)) as local, local.service.client() as client:
        assert "The todo API's database is not up to date" in local.banner
        assert "Prisma says:\n  Error: " in local.banner
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("arguments", [(), ("",), ("a b",), ("a", "b"), ("../a",), ("$(id)",), ("-x",)])
def test_a_wrong_name_is_explained(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        (sys.executable, "-m", "infra.local.migrate", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Expected a name for the migration")
    assert ended.stderr.endswith("make migrate NAME=add_note\n")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy whose schema has a new field, and whose client is generated into the copy."""
    for name in ("infra", "functions/todos/prisma"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("package.json", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "layers/prisma").mkdir(parents=True)
    shutil.copy(ROOT / "layers/prisma/package.json", tmp_path / "layers/prisma")
    for name in ("layers/prisma/node_modules", "layers/prisma/python"):
        (tmp_path / name).symlink_to(ROOT / name)
    schema = tmp_path / "functions/todos/prisma/schema.prisma"
    text = schema.read_text().replace('"asyncio"', f'"asyncio"\n  output = "{tmp_path / "client"}"')
    schema.write_text(text.replace("model Todo {", "model Todo {\n  note String?"))
    return tmp_path


def in_a_terminal(clone: Path, *arguments: str) -> tuple[int, str]:
    """Run the command as from a terminal, which Prisma insists on; return its status and what it showed."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        (sys.executable, "-m", "infra.local.migrate", *arguments),
        cwd=clone,
        env={**os.environ, "DATABASE_URL": "", "POSTGRES_DIR": "", "PYTHONPATH": str(clone)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while data := os.read(controller, 65536):
                shown += data
        except OSError:
            pass
        os.close(controller)
    return process.returncode, shown.decode()


def test_a_new_one_is_created_and_applied_with_a_postgres_that_is_started_for_it(clone: Path) -> None:
    status, shown = in_a_terminal(clone, "add_note")
    assert status == 0, shown
    (created,) = clone.glob("functions/todos/prisma/migrations/*_add_note/migration.sql")
    assert 'ADD COLUMN     "note"' in created.read_text()
    assert (clone / ".local/postgres/password").read_text().strip() not in shown
