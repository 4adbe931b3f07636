"""A project in a folder of its own, and Prisma's command line in it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from infra.paths import ROOT

LAYER = ROOT / "layers/prisma"
CLI = ("node", str(LAYER / "node_modules/prisma/build/index.js"))
# Colours, and the check for updates over the network.
_QUIET = {"NO_COLOR": "1", "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}
_DATASOURCE = 'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'
_NOTE = """model Note {{
  id   Int @id @default(autoincrement())
  text String
{fields}}}
"""


def clean_environment(**variables: str) -> dict[str, str]:
    """Return our environment without what concerns Prisma and databases, with these variables."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PRISMA", "PG", "DATABASE"))
    }
    return kept | _QUIET | variables


@dataclass
class Ended:
    status: int
    said: str


@dataclass
class Project:
    """A folder with `schema.prisma` and `migrations/`, whose password must never be said."""

    folder: Path
    url: str

    @classmethod
    def make(cls, folder: Path, url: str) -> "Project":
        project = cls(folder, url)
        # else Prisma looks further up, and finds this repository's schema
        (folder / "package.json").write_text('{"prisma": {"schema": "schema.prisma"}}')
        project.model()
        return project

    @property
    def schema(self) -> Path:
        return self.folder / "schema.prisma"

    @property
    def database(self) -> str:
        return urlsplit(self.url).path[1:]

    @property
    def migrations(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("migrations/*/"))

    def model(self, *fields: str) -> None:
        """Write the schema: a note with these fields."""
        self.schema.write_text(_DATASOURCE + _NOTE.format(fields="".join(f"  {each}\n" for each in fields)))

    def migration(self, name: str, script: str) -> None:
        """Write a migration by hand."""
        path = self.folder / "migrations" / name / "migration.sql"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        (self.folder / "migrations/migration_lock.toml").write_text('provider = "postgresql"')

    def prisma(self, *arguments: str, url: str | None = None, **variables: str) -> Ended:
        """Run a command of Prisma's."""
        address = self.url if url is None else url
        ended = run((*CLI, *arguments), self.folder, clean_environment(DATABASE_URL=address, **variables))
        assert_no_password(ended.said, address)
        return ended


def run(command: tuple[str, ...], folder: Path, environment: dict[str, str], within_s: float = 30) -> Ended:
    """Run a command to its end; what it prints and its errors come as one text."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


def assert_no_password(text: str, url: str) -> None:
    password = urlsplit(url).password
    assert not password or password not in text
