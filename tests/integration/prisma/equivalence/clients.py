"""Generated clients of a schema, and databases with its tables."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prisma_in_process import install

from infra.paths import ROOT
from tests.integration.prisma.equivalence.notation import note
from tests.integration.prisma.equivalence.schema import Schema
from tests.integration.prisma.project import CLI, clean_environment
from tests.postgres import Postgres

_HEAD = """datasource db {{
  provider = "postgresql"
  url      = env("DATABASE_URL")
}}

generator client {{
  provider                    = "{python} -m prisma"
  interface                   = "{interface}"
  recursive_type_depth        = -1
  enable_experimental_decimal = true
  output                      = "{output}"
}}

"""


_PLAIN = "SET datestyle = 'ISO'; SET timezone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1;"
# How many numbers a sequence loses to what fails is promised by neither engine.
ALIGN = "SELECT align()::text"
_ALIGN = """
CREATE FUNCTION align() RETURNS void LANGUAGE plpgsql AS $$
DECLARE each record; top bigint;
BEGIN
  FOR each IN SELECT table_name AS t, column_name AS c FROM information_schema.columns
    WHERE table_schema = 'public' AND column_default LIKE 'nextval%'
  LOOP
    EXECUTE format('SELECT max(%I) FROM %I', each.c, each.t) INTO top;
    top := greatest(coalesce(top, 0) + 1, 1);
    PERFORM setval(pg_get_serial_sequence(quote_ident(each.t), each.c), top, false);
  END LOOP;
END $$;
"""


@dataclass(frozen=True)
class Kit:
    """A folder of generated clients, on sys.path."""

    folder: Path

    def package(self, schema: Schema, kind: str) -> str:
        """Generate a client for a kind of side, a package of its own; install its engine; return its name."""
        name = f"{kind}_{schema.name}"
        interface = "sync" if kind == "sync" else "asyncio"
        path = self.folder / f"{name}.prisma"
        head = _HEAD.format(python=sys.executable, interface=interface, output=self.folder / name)
        path.write_text(head + schema.text)
        _prisma("generate", "--schema", str(path))
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        install(name)
        return name

    def ddl(self, schema: Schema, url: str) -> str:
        """Return the SQL that makes a schema's tables."""
        path = self.folder / f"ddl_{schema.name}.prisma"
        path.write_text(_HEAD.format(python=sys.executable, interface="asyncio", output="none") + schema.text)
        return _prisma(
            "migrate",
            "diff",
            "--from-empty",
            "--to-schema-datamodel",
            str(path),
            "--script",
            DATABASE_URL=url,
        )


def _prisma(*arguments: str, **variables: str) -> str:
    done = subprocess.run(
        (*CLI, *arguments),
        env=clean_environment(**variables),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def client(package: str, url: str) -> Any:
    """Return a client of a generated package, not connected."""
    made = importlib.import_module(package)
    return made.Prisma(use_dotenv=False, datasource={"url": url}, http={"trust_env": False, "timeout": 120})


def database(postgres: Postgres, ddl: str, settings: dict[str, str]) -> str:
    """Make a database with these tables and these settings of its sessions; return its name."""
    name = postgres.create_database()
    postgres.run_sql(ddl + _ALIGN, name)
    for setting, value in settings.items():
        postgres.run_sql(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")
    return name


def tables(postgres: Postgres, name: str) -> dict[str, list[Any]]:
    """Return the rows of all tables that have any, as no setting of a session changes them."""
    relations = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
    rows = {}
    for table in sorted(postgres.run_sql(relations, name).splitlines()):
        query = f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)"
        if found := postgres.run_sql(f"{_PLAIN} {query}", name):
            rows[table] = [note(json.loads(row)) for row in found.splitlines()]
    return rows
