"""`python -m infra.local.migrate NAME`: Prisma's `migrate dev` on the clone's Postgres.

Postgres is started for it where it does not run. Prisma uses the terminal directly.
"""

import asyncio
import os
import re
import signal
import sys

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.processes import Guardian
from infra.local.services.migrations import prisma_command, prisma_environment
from infra.local.services.postgres import DIRECTORY, PostgresServer
from infra.local.settings import Settings
from infra.paths import ROOT

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def main(arguments: list[str]) -> int:
    """Make and apply a migration; return Prisma's exit status."""
    console = Console()
    try:
        name = _name(" ".join(arguments))
        return asyncio.run(_migrate(name, Settings.from_environment(os.environ), console))
    except CannotStart as error:
        console.warn(str(error))
        return 1


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        got = repr(text) if text else "none"
        raise CannotStart(
            "Expected a name for the migration, of letters, digits, _ and -, that says what you changed in"
            f" functions/todos/prisma/schema.prisma, but got {got}: make migrate NAME=add_note"
        )
    return text


async def _migrate(name: str, settings: Settings, console: Console) -> int:
    # Ctrl-C is for Prisma, which shares the terminal; this process stops once Prisma has.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    with Guardian() as guardian:
        if settings.database_url:
            return await _prisma(name, settings.database_url)
        postgres = PostgresServer(guardian, console, directory=settings.postgres_dir or DIRECTORY)
        try:
            await postgres.start()
            return await _prisma(name, postgres.url)
        finally:
            await postgres.stop()


async def _prisma(name: str, url: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *prisma_command("migrate", "dev", "--name", name), env=prisma_environment(url), cwd=ROOT
    )
    return await process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
