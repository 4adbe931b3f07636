"""Two clients of a schema that is not ours, generated into packages of their own: `bank` and `bank_sync`."""

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prisma_in_process

from infra.paths import ROOT
from tests.postgres import Postgres

_SCHEMA = """
datasource db {
  provider = "postgresql"
  url      = env("BANK_URL")
}
generator client {
  provider             = "prisma-client-py"
  interface            = "asyncio"
  recursive_type_depth = 5
  output               = "./bank"
}
generator sync_client {
  provider             = "prisma-client-py"
  interface            = "sync"
  recursive_type_depth = 5
  output               = "./bank_sync"
}
model Account {
  id      Int     @id @default(autoincrement())
  owner   String  @unique
  balance Int     @default(0)
  entries Entry[]
}
model Entry {
  id        Int     @id @default(autoincrement())
  amount    Int
  account   Account @relation(fields: [accountId], references: [id])
  accountId Int
}
"""
_TABLES = """
CREATE TABLE "Account" (id serial PRIMARY KEY, owner text NOT NULL UNIQUE, balance int NOT NULL DEFAULT 0);
CREATE TABLE "Entry" (id serial PRIMARY KEY, amount int, "accountId" int NOT NULL REFERENCES "Account");
"""


@dataclass
class Bank:
    """A database with the schema's tables, and the folder of both packages, which is on `sys.path`."""

    postgres: Postgres
    database: str
    folder: Path

    def url(self, **parameters: int) -> str:
        options = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"{self.postgres.url(self.database)}?{options}"

    def client(self, package: str = "bank", /, **parameters: int) -> Any:
        """Return a client that is not connected."""
        module = importlib.import_module(package)
        return module.Prisma(use_dotenv=False, datasource={"url": self.url(**parameters)})

    def sql(self, statement: str) -> str:
        return self.postgres.run_sql(statement, self.database)

    @property
    def owners(self) -> list[str]:
        return self.sql('SELECT owner FROM "Account" ORDER BY owner').split()

    @property
    def connections(self) -> int:
        """How many connections clients have."""
        where = f"datname = '{self.database}' AND pid <> pg_backend_pid()"
        return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {where}"))


def make_bank(postgres: Postgres, folder: Path) -> Bank:
    """Generate both packages into a folder, hook them, and create the tables."""
    schema = folder / "schema.prisma"
    schema.write_text(_SCHEMA)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run(
        (sys.executable, "-m", "prisma", "generate", "--schema", str(schema)),
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
    )
    sys.path.append(str(folder))
    prisma_in_process.install("bank")
    prisma_in_process.install("bank_sync")
    bank = Bank(postgres, postgres.create_database(), folder)
    bank.sql(_TABLES)
    return bank
