"""Prisma's command line where a role may not do all, and with several schemas and databases."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from infra.paths import ROOT
from tests.integration.prisma.project import Project
from tests.postgres import Postgres

pytestmark = pytest.mark.xdist_group("prisma")
_TODOS = ROOT / "functions/todos/prisma"
_TRIGRAM_INDEX = (
    "SELECT indexdef FROM pg_indexes WHERE schemaname = '{}' AND indexname = 'Todo_title_trgm_idx'"
)


@pytest.fixture
def todos(project: Project) -> Project:
    """The todos' schema and migrations."""
    shutil.copytree(_TODOS, project.folder, dirs_exist_ok=True)
    return project


@pytest.fixture
def plain_url(project: Project, postgres: Postgres) -> Callable[[str], str]:
    """Return the address of a database for a role that owns nothing and may create nothing in the server."""
    role = f"plain_{project.database[-8:]}"
    postgres.run_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'hush-hush'")
    return lambda database: f"postgresql://{role}:hush-hush@127.0.0.1:{postgres.port}/{database}"


def with_shadow(project: Project, url: str) -> None:
    """Add a shadow database to the project's schema."""
    setting = f"  shadowDatabaseUrl = {json.dumps(url)}\n}}\n"
    project.schema.write_text(project.schema.read_text().replace("}\n", setting, 1))


@pytest.mark.nightly
def test_a_role_that_may_not_create_databases(
    project: Project, postgres: Postgres, plain_url: Callable[[str], str]
) -> None:
    url = plain_url(project.database)
    denied = "User `{}` was denied access on the database `{}`: permission denied for schema public"
    role = url.split("/")[2].partition(":")[0]
    pushed = project.prisma("db", "push", "--skip-generate", url=url)
    assert "P1010" in pushed.said
    assert denied.format(role, project.database) in pushed.said

    postgres.run_sql(f"ALTER DATABASE {project.database} OWNER TO {role}")
    dev = project.prisma("migrate", "dev", "--name", "init", url=url)
    assert dev.status == 1
    assert "P3014" in dev.said
    assert (
        "Prisma Migrate could not create the shadow database. Please make sure the database user has"
        in dev.said
    )
    assert "https://pris.ly/d/migrate-shadow" in dev.said
    assert "ERROR: permission denied to create database" in dev.said

    # its way out: a shadow database whose schema is not even its own, which is emptied before each use
    shadow = postgres.create_database()
    postgres.run_sql(f"GRANT ALL ON SCHEMA public TO {role}", shadow)
    with_shadow(project, plain_url(shadow))
    for name in ("init", "again"):
        dev = project.prisma("migrate", "dev", "--name", name, "--skip-generate", url=url)
        assert dev.status == 0, dev.said
    assert len(project.migrations) == 1

    missing = project.prisma("migrate", "deploy", url=plain_url("missing"))
    assert "P3000: Failed to create database: ERROR: permission denied to create database" in missing.said


@pytest.mark.nightly
def test_a_role_that_may_not_create_extensions(
    todos: Project, postgres: Postgres, plain_url: Callable[[str], str]
) -> None:
    url = plain_url(todos.database)
    role = url.split("/")[2].partition(":")[0]
    postgres.run_sql(f"GRANT ALL ON SCHEMA public TO {role}", todos.database)
    refused = todos.prisma("migrate", "deploy", url=url).said
    assert "P3018" in refused
    assert "Database error code: 42501" in refused
    assert "Have a role that may create extensions execute that CREATE EXTENSION in this database." in refused
    resolve = ("migrate", "resolve", "--rolled-back", "20261122000000_init")
    assert f"prisma {' '.join(resolve)}" in refused

    # the extension's operators are in a schema that the role may not use
    postgres.run_sql("CREATE SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext", todos.database)
    assert todos.prisma(*resolve, url=url).status == 0
    refused = todos.prisma("migrate", "deploy", url=url).said
    assert "permission denied for schema ext" in refused
    assert "as in GRANT USAGE ON SCHEMA … TO …" in refused
    assert f"prisma {' '.join(resolve)}" in refused

    postgres.run_sql(f"GRANT USAGE ON SCHEMA ext TO {role}", todos.database)
    assert todos.prisma(*resolve, url=url).status == 0
    assert todos.prisma("migrate", "deploy", url=url).status == 0


@pytest.mark.slow
def test_a_shadow_database_that_is_the_database_is_not_emptied(project: Project, postgres: Postgres) -> None:
    assert project.prisma("migrate", "dev", "--name", "init", "--skip-generate").status == 0
    postgres.run_sql("INSERT INTO \"Note\" (text) VALUES ('kept')", project.database)
    same = project.url.replace("127.0.0.1", "localhost") + "?schema=elsewhere"
    with_shadow(project, same)
    dev = project.prisma("migrate", "dev", "--name", "more", "--skip-generate")
    assert "The shadow database you configured appears to be the same as the main database." in dev.said
    diff = ("--from-migrations", "migrations", "--to-url", project.url, "--shadow-database-url", project.url)
    assert "appears to be the same" in project.prisma("migrate", "diff", *diff).said
    assert postgres.run_sql('SELECT text FROM "Note"', project.database) == "kept"


@pytest.mark.slow
def test_an_extension_in_another_schema(todos: Project, postgres: Postgres) -> None:
    postgres.run_sql("CREATE EXTENSION pg_trgm", todos.database)
    deployed = todos.prisma("migrate", "deploy", url=f"{todos.url}?schema=other")
    assert deployed.status == 0, deployed.said
    assert "gin_trgm_ops" in postgres.run_sql(_TRIGRAM_INDEX.format("other"), todos.database)


@pytest.mark.slow
def test_settings_of_the_database_change_nothing(project: Project, postgres: Postgres) -> None:
    for setting in ("datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'", "search_path = 'nowhere'"):
        postgres.run_sql(f"ALTER DATABASE {project.database} SET {setting}")
    project.migration("1_day", "CREATE TABLE day AS SELECT '03/02/2026'::date AS day;")
    project.migration("2_bad", "SELECT 1/0;")
    assert "P3018" in project.prisma("migrate", "deploy").said
    again = project.prisma("migrate", "deploy").said
    began = re.search(r"`2_bad` migration started at (.+) UTC failed", again)
    assert began, again
    ago = datetime.now(UTC) - datetime.fromisoformat(f"{began[1]}+00:00")
    assert timedelta() < ago < timedelta(minutes=2)
    script = "SELECT extract(month FROM day) FROM public.day"
    assert postgres.run_sql(script, project.database) == "2"


@pytest.mark.nightly
def test_an_extension_in_a_schema_of_its_own(todos: Project, postgres: Postgres) -> None:
    postgres.run_sql('CREATE SCHEMA "of it"; CREATE EXTENSION pg_trgm SCHEMA "of it"', todos.database)
    for schema in ("public", "other"):
        url = f"{todos.url}?schema={schema}"
        assert todos.prisma("migrate", "dev", "--name", "none", "--skip-generate", url=url).status == 0
        assert "up to date" in todos.prisma("migrate", "status", url=url).said
        assert todos.prisma("migrate", "reset", "--force", "--skip-generate", url=url).status == 0
    assert todos.prisma("db", "push", "--skip-generate", url=f"{todos.url}?schema=third").status == 0
    for schema in ("public", "other", "third"):
        index = postgres.run_sql(_TRIGRAM_INDEX.format(schema), todos.database)
        assert index.endswith('USING gin (title "of it".gin_trgm_ops)')
    assert len(todos.migrations) == len([*_TODOS.glob("migrations/*/")])


@pytest.mark.nightly
def test_a_shadow_database_without_the_schema(project: Project, postgres: Postgres) -> None:
    shadow = postgres.url(postgres.create_database())
    with_shadow(project, shadow)
    url = f"{project.url}?schema=other"
    assert project.prisma("migrate", "dev", "--name", "init", "--skip-generate", url=url).status == 0
    again = project.prisma("migrate", "dev", "--name", "again", "--skip-generate", url=url)
    assert "Already in sync" in again.said
    diff = ("--from-migrations", "migrations", "--to-url", url, "--shadow-database-url", shadow)
    assert "No difference detected." in project.prisma("migrate", "diff", *diff).said


@pytest.mark.nightly
def test_the_difference_of_two_databases(project: Project, postgres: Postgres) -> None:
    other, empty = (postgres.url(postgres.create_database()) for _ in range(2))
    assert project.prisma("db", "push", "--skip-generate").status == 0
    project.model("extra String?")
    assert project.prisma("db", "push", "--skip-generate", url=other).status == 0

    def difference(*arguments: str) -> tuple[int, str]:
        ended = project.prisma("migrate", "diff", *arguments, "--exit-code")
        return ended.status, ended.said

    for first in (("--from-url", project.url), ("--from-schema-datasource", "schema.prisma")):
        status, said = difference(*first, "--to-url", other)
        assert status == 2
        assert "Added column `extra`" in said
        assert difference(*first, "--to-url", project.url)[0] == 0
    assert "[-] Removed tables" in difference("--from-url", project.url, "--to-url", empty)[1]
    project.model()
    database = ("--to-schema-datasource", "schema.prisma")
    assert difference("--from-schema-datamodel", "schema.prisma", *database)[0] == 0


@pytest.mark.nightly
def test_another_migration_runs(project: Project, postgres: Postgres) -> None:
    project.migration("1_init", "CREATE TABLE a (i int);")
    with psycopg.connect(project.url) as other:
        other.execute("SELECT pg_advisory_lock(72707369)")
        waited = project.prisma("migrate", "deploy")
    assert f"The database server at `127.0.0.1:{postgres.port}` was reached but timed out." in waited.said


@pytest.mark.nightly
def test_a_migration_without_its_script(project: Project) -> None:
    (project.folder / "migrations/1_init").mkdir(parents=True)
    said = project.prisma("migrate", "deploy").said
    assert "Could not find the migration file at migrations/1_init/migration.sql." in said
