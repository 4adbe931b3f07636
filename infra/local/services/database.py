"""The todo API's database: a Postgres that is started here, or one that the user names.

The chat API runs whatever is wrong with it: the console shows what is wrong, and what to do.
"""

import textwrap
from typing import Self

from infra.local.console import Console
from infra.local.database_url import host_and_port
from infra.local.errors import CannotStart
from infra.local.processes import Guardian
from infra.local.services.env_file import write_env_file
from infra.local.services.migrations import MigrationFailed, migrate, pending
from infra.local.services.postgres import DIRECTORY, PostgresServer
from infra.local.settings import Settings
from infra.paths import ROOT


class TodoDatabase:
    """A database that is migrated; where it is started here, it is kept running."""

    def __init__(
        self, url: str, postgres: PostgresServer | None, guardian: Guardian, console: Console
    ) -> None:
        self.url = url
        self._postgres, self._guardian, self._console = postgres, guardian, console

    @classmethod
    def open(cls, settings: Settings, guardian: Guardian, console: Console) -> Self | None:
        """Find the database; None, and a message on the console, where there is none."""
        if settings.database_url:
            return cls(settings.database_url, None, guardian, console)
        try:
            postgres = PostgresServer(guardian, console, directory=settings.postgres_dir or DIRECTORY)
        except CannotStart as error:
            console.warn(f"There is no todo API. {error}")
            return None
        if not settings.postgres_dir and (warning := write_env_file(ROOT / ".env", postgres.url)):
            console.warn(warning)
        return cls(postgres.url, postgres, guardian, console)

    def __str__(self) -> str:
        return f"{'Postgres' if self._postgres else 'yours'} on {host_and_port(self.url)}"

    async def prepare(self) -> None:
        """Start it and apply pending migrations; a failure is a message on the console."""
        try:
            if self._postgres:
                await self._postgres.start()
            if not self._postgres or await pending(self._postgres):
                await migrate(self.url, self._guardian)
        except CannotStart as error:
            self._console.warn(f"The todo API has no database. {error}")
        except MigrationFailed as error:
            self._console.warn(
                "The todo API's database is not up to date, and /graphql may fail until it is."
                f" Prisma says:\n{textwrap.indent(str(error), '  ')}"
            )

    async def keep_running(self) -> None:
        """Start it again whenever it ends."""
        if self._postgres:
            await self._postgres.keep_running()

    async def stop(self) -> None:
        """Stop it where it was started here."""
        if self._postgres:
            await self._postgres.stop()
