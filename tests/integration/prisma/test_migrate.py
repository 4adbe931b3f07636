"""Prisma's command line on the schema engine: the way of a project, and each way to fail."""

import pytest

from tests.integration.prisma.project import CLI, Project, assert_no_password, clean_environment, run
from tests.postgres import Postgres

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("prisma")]
# A script whose parts hold semicolons.
FUNCTION = """
CREATE FUNCTION twice(n int) RETURNS int AS $$ BEGIN PERFORM 1; RETURN n * 2; END $$ LANGUAGE plpgsql;
COMMENT ON FUNCTION twice IS 'a; b';
"""


def test_the_way_of_a_project(project: Project, postgres: Postgres) -> None:
    database = project.url.rsplit("/", 1)[1]
    assert project.prisma("migrate", "dev", "--name", "init").status == 0
    assert project.migrations[0].endswith("_init")
    assert "up to date" in project.prisma("migrate", "status").said

    # a new name; what it drops from a table with rows is only warned of
    project.model('note String @default("a;b")')
    assert project.prisma("migrate", "dev", "--name", "add_note").status == 0
    assert project.migrations[1].endswith("_add_note")

    # the real database is not the shadow database: its rows are still there
    postgres.run_sql("INSERT INTO \"Note\" (text) VALUES ('kept')", database)
    project.migration("29990101000000_function", FUNCTION)
    assert project.prisma("migrate", "dev").status == 0
    assert postgres.run_sql('SELECT text, note, twice(2) FROM "Note"', database) == "kept|a;b|4"
    assert postgres.run_sql("SELECT obj_description('twice'::regproc)", database) == "a; b"

    empty = postgres.url(postgres.create_database())
    against = ("--to-schema-datamodel", "schema.prisma", "--exit-code")
    assert project.prisma("migrate", "diff", "--from-url", project.url, *against).status == 0
    migrations = ("--from-migrations", "migrations", "--shadow-database-url", empty)
    assert project.prisma("migrate", "diff", *migrations, *against).status == 0
    project.model('note String @default("a;b")', "extra String?")
    drifted = project.prisma("migrate", "diff", *migrations, *against)
    assert drifted.status == 2
    assert "Added column `extra`" in drifted.said

    assert project.prisma("migrate", "reset", "--force", "--skip-generate").status == 0
    assert postgres.run_sql('SELECT count(*), twice(3) FROM "Note"', database) == "0|6"
    assert "prisma_migrate_shadow_db" not in postgres.run_sql("SELECT datname FROM pg_database")


def test_without_migrations(project: Project) -> None:
    assert project.prisma("db", "push", "--skip-generate").status == 0
    (project.folder / "script.sql").write_text(
        """ALTER TABLE "Note" ADD COLUMN kind "char", ADD COLUMN word name;"""
    )
    assert project.prisma("db", "execute", "--file", "script.sql", "--schema", "schema.prisma").status == 0
    pulled = project.prisma("db", "pull", "--print")
    assert pulled.status == 0
    assert 'word Unsupported("name")' in " ".join(pulled.said.split())
    script = project.prisma(
        "migrate", "diff", "--from-empty", "--to-schema-datamodel", "schema.prisma", "--script"
    )
    assert 'CREATE TABLE "Note"' in script.said


def test_a_schema_of_ones_own(project: Project, postgres: Postgres) -> None:
    url = f"{project.url}?schema=of%20mine"
    assert project.prisma("migrate", "dev", "--name", "init", url=url).status == 0
    assert project.prisma("migrate", "dev", "--name", "again", url=url).status == 0
    assert len(project.migrations) == 1
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'of mine' ORDER BY 1"
    assert postgres.run_sql(tables, url.rsplit("/", 1)[1].partition("?")[0]) == "Note\n_prisma_migrations"


def test_a_failed_migration_is_resolved(project: Project) -> None:
    project.migration(
        "1_bad",
        "CREATE TABLE a (i int);\nCREATE FUNCTION f() RETURNS int AS $$ BEGIN; END $$ LANGUAGE plpgsql;",
    )
    failed = project.prisma("migrate", "deploy")
    assert failed.status == 1
    assert "P3018" in failed.said
    assert "Migration name: 1_bad" in failed.said
    assert "Database error code: 42601" in failed.said
    assert 'ERROR: syntax error at or near ";"' in failed.said
    assert "P3009" in project.prisma("migrate", "deploy").said

    assert project.prisma("migrate", "resolve", "--rolled-back", "1_bad").status == 0
    project.migration("1_bad", "CREATE TABLE a (i int);")
    assert project.prisma("migrate", "deploy").status == 0
    project.migration("2_by_hand", "CREATE TABLE a (i int);")
    assert project.prisma("migrate", "resolve", "--applied", "2_by_hand").status == 0
    assert "No pending migrations" in project.prisma("migrate", "deploy").said


def test_a_database_that_is_not_there(project: Project) -> None:
    said = project.prisma("migrate", "deploy", url="postgresql://u:hush-hush@127.0.0.1:1/d").said
    assert "Error: P1001: Can't reach database server at `127.0.0.1:1`" in said
    assert "`make run` starts the local Postgres." in said


@pytest.mark.parametrize(
    "command", [("db", "pull"), ("db", "execute", "--file", "schema.prisma", "--schema", "schema.prisma")]
)
def test_a_database_that_is_elsewhere(project: Project, command: tuple[str, ...]) -> None:
    said = project.prisma(*command, url="postgresql://u:hush-hush@no.example.invalid/d").said
    assert "Can't reach database server at `no.example.invalid:5432`" in said
    assert "make run" not in said


def test_a_wrong_password(project: Project) -> None:
    url = project.url.replace("postgres:", "postgres:not-", 1)
    said = project.prisma("migrate", "deploy", url=url).said
    assert "Error: P1000: Authentication failed" in said
    assert_no_password(said, project.url)


def test_no_database_url(project: Project) -> None:
    ended = run((*CLI, "migrate", "deploy"), project.folder, clean_environment())
    assert ended.status == 1
    assert "P1012" in ended.said
    assert ended.said.endswith("DATABASE_URL is not set: `make run` starts a Postgres and writes .env\n")


def test_an_engine_that_the_environment_names_wins(project: Project) -> None:
    said = project.prisma("migrate", "status", PRISMA_SCHEMA_ENGINE_BINARY="/nowhere/schema-engine").said
    assert "/nowhere/schema-engine" in said


def test_studio_is_refused(project: Project) -> None:
    ended = project.prisma("studio", "--browser", "none")
    assert ended.status == 1
    assert ended.said.startswith("Error: Prisma Studio needs a query engine as a process")
