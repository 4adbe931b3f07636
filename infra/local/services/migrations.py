"""The todo API's migrations, through Prisma's own command line."""

import os
import sys
from pathlib import Path

from infra.local.database_url import without_password
from infra.local.processes import Guardian, run
from infra.local.services.postgres import Postgres
from infra.paths import ROOT, search_path

MIGRATIONS = ROOT / "functions" / "todos" / "prisma" / "migrations"
_APPLIED = (
    "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
)


class MigrationFailed(Exception):
    """Prisma did not apply the migrations; the text is its own, without the password."""


def prisma_command(*arguments: str) -> tuple[str, ...]:
    """Return a command of Prisma's command line, to be run in the clone's root."""
    return (str(Path(sys.executable).with_name("prisma")), *arguments)


def prisma_environment(url: str) -> dict[str, str]:
    """Return what Prisma's command line is told; it asks nobody whether there is a newer one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    told = {"DATABASE_URL": url, "PATH": search_path(), "CHECKPOINT_DISABLE": "1"}
    return kept | told | {"PRISMA_HIDE_UPDATE_MESSAGE": "1"}


async def migrate(url: str, guardian: Guardian) -> None:
    """Apply what is pending.

    Raises: MigrationFailed.
    """
    try:
        done, said = await run(
            prisma_command("migrate", "deploy"),
            environment=prisma_environment(url) | {"NO_COLOR": "1"},
            directory=ROOT,
            guardian=guardian,
        )
    except OSError as error:
        raise MigrationFailed(f"{error}. Set it up: python3 infra/setup.py run") from error
    if not done:
        raise MigrationFailed(without_password(_error(said), url))


async def pending(postgres: Postgres, migrations: Path = MIGRATIONS) -> bool:
    """Tell, faster than Prisma, whether there is something to apply."""
    applied = await postgres.query(_APPLIED)
    return applied is None or not _names(migrations) <= set(applied)


def _names(migrations: Path) -> set[str]:
    return {path.parent.name for path in migrations.glob("*/migration.sql")}


def _error(said: list[str]) -> str:
    """Return what Prisma said from its error on."""
    text = "\n".join(line.rstrip() for line in said).strip()
    begin = text.find("Error:")
    return text[max(begin, 0) :] or "it ended without a word"
