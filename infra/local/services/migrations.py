"""The todo API's migrations, through Prisma's own command line."""

import os
import sys
from pathlib import Path

from infra.local.database_url import hide_password
from infra.local.processes import Guardian, run
from infra.local.services.postgres import PostgresServer
from infra.paths import ROOT, search_path

MIGRATIONS = ROOT / "functions" / "todos" / "prisma" / "migrations"
_APPLIED = (
    "SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL"
)


class MigrationFailed(Exception):
    """Prisma did not apply the migrations; the text is Prisma's, without the password."""


def prisma_command(*arguments: str) -> tuple[str, ...]:
    """Return a command of Prisma's command line, to be run in the clone's root."""
    return (str(Path(sys.executable).with_name("prisma")), *arguments)


def prisma_environment(url: str) -> dict[str, str]:
    """Return the variables for Prisma's command line, which then does not look for a newer version."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "DATABASE_URL": url,
        "PATH": search_path(),
        "CHECKPOINT_DISABLE": "1",
        "PRISMA_HIDE_UPDATE_MESSAGE": "1",
    }


async def migrate(url: str, guardian: Guardian) -> None:
    """Apply pending migrations.

    Raises: MigrationFailed.
    """
    try:
        succeeded, lines = await run(
            prisma_command("migrate", "deploy"),
            environment=prisma_environment(url) | {"NO_COLOR": "1"},
            directory=ROOT,
            guardian=guardian,
        )
    except OSError as error:
        raise MigrationFailed(f"{error}. Set it up: python3 infra/setup.py run") from error
    if not succeeded:
        text = "\n".join(line.rstrip() for line in lines).strip()
        error_text = text[max(text.find("Error:"), 0) :] or "Prisma ended without a message"
        raise MigrationFailed(hide_password(error_text, url))


async def pending(postgres: PostgresServer, migrations: Path = MIGRATIONS) -> bool:
    """Return whether there are migrations to apply; Prisma would take longer to find out."""
    names = {path.parent.name for path in migrations.glob("*/migration.sql")}  # noqa: ASYNC240
    applied = await postgres.query(_APPLIED)
    return applied is None or not names <= set(applied)
