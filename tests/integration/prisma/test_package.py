"""The package by itself: its wheel in an empty environment, with a schema that is not ours."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from uv import find_uv_bin

from infra.layer import PRISMA, build_wheel
from tests.integration.prisma.project import clean_environment
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_SCHEMA = """
datasource db {
  provider = "postgresql"
  url      = env("SHOP_URL")
}
generator client {
  provider                    = "prisma-client-py"
  interface                   = "asyncio"
  recursive_type_depth        = 5
  enable_experimental_decimal = true
  output                      = "./shop"
}
generator sync_client {
  provider                    = "prisma-client-py"
  interface                   = "sync"
  recursive_type_depth        = 5
  enable_experimental_decimal = true
  output                      = "./shop_sync"
}
enum Status {
  OPEN
  PAID @map("paid-in-full")
}
model Order {
  id     Int      @id @default(autoincrement())
  status Status   @default(OPEN)
  labels String[]
  meta   Json?
  placed DateTime @default(now())
  lines  Line[]
}
model Product {
  sku   String  @id
  price Decimal @db.Decimal(10, 2)
  lines Line[]
}
model Line {
  order   Order   @relation(fields: [orderId], references: [id], onDelete: Cascade)
  orderId Int
  product Product @relation(fields: [sku], references: [sku])
  sku     String
  count   Int     @default(1)
  @@id([orderId, sku])
}
"""
_ASYNC = """
import asyncio
from decimal import Decimal
import prisma_in_process
prisma_in_process.install("shop")
from shop import Json, Prisma, errors

async def main():
    async with Prisma(use_dotenv=False) as db:
        prices = {"tea": Decimal("2.50"), "pot": Decimal("20")}
        await db.product.create_many([{"sku": sku, "price": price} for sku, price in prices.items()])
        lines = {"create": [{"sku": "tea", "count": 3}]}
        made = await db.order.create(
            {"labels": ["a", "b"], "meta": Json({"gift": True}), "lines": lines},
            include={"lines": {"include": {"product": True}}},
        )
        assert made.lines[0].product.price * made.lines[0].count == Decimal("7.50")
        async with db.tx() as tx, tx.batch_() as batch:
            batch.order.update({"status": "PAID", "lines": {"create": [{"sku": "pot"}]}}, {"id": made.id})
            batch.line.update_many(data={"count": {"increment": 1}}, where={"sku": "tea"})
        paid = await db.order.find_first_or_raise(
            where={"status": "PAID", "labels": {"has": "b"}, "meta": {"equals": Json({"gift": True})}},
            include={"lines": {"order_by": {"sku": "asc"}}},
        )
        assert [(line.sku, line.count) for line in paid.lines] == [("pot", 1), ("tea", 4)]
        try:
            await db.product.create({"sku": "tea", "price": Decimal(1)})
        except errors.UniqueViolationError:
            print("async")

asyncio.run(main())
"""
_WITHOUT_THE_HOOK = """
from shop_sync import Prisma, engine

try:
    Prisma(use_dotenv=False).connect()
except engine.errors.EngineError as error:
    print(error)
"""
_SYNC = """
import prisma_in_process
prisma_in_process.install("shop_sync")
from shop_sync import Prisma

with Prisma(use_dotenv=False) as db:
    [order] = db.order.find_many(include={"lines": True})
    assert db.line.group_by(by=["sku"], sum={"count": True}, order={"sku": "asc"})[1]["_sum"] == {"count": 4}
    with db.tx() as tx:
        tx.order.delete({"id": order.id})
    assert db.query_raw('SELECT count(*)::int AS n FROM "Line"') == [{"n": 0}]
    print("sync")
"""


class Environment:
    """An environment with plain Prisma Client Python, and a folder with a schema."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.python = folder, folder / "venv/bin/python"
        self._variables = clean_environment(
            SHOP_URL=url,
            # Where Prisma's command line is, which else would be downloaded.
            PRISMA_BINARY_CACHE_DIR=str(PRISMA),
            PATH=os.pathsep.join((str(self.python.parent), os.environ["PATH"])),
        )
        self._variables.pop("PYTHONPATH", None)
        self.run(find_uv_bin(), "venv", "-q", "--python", sys.executable, "venv")
        self.install("prisma==0.15.0")
        (folder / "schema.prisma").write_text(_SCHEMA)

    def install(self, package: str) -> None:
        self.run(find_uv_bin(), "pip", "install", "-q", "--python", str(self.python), package)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Environment:
    url = postgres.url(postgres.create_database())
    environment = Environment(tmp_path_factory.mktemp("shop"), url)
    environment.run(str(environment.python), "-m", "prisma", "db", "push", "--schema", "schema.prisma")
    return environment


def test_a_client_without_the_hook_says_what_to_install_and_to_add(environment: Environment) -> None:
    began_s = time.monotonic()
    text = environment.run(str(environment.python), "-c", _WITHOUT_THE_HOOK)
    assert f"Run: pip install {PRISMA}\n" in text
    assert "add before connect(): import prisma_in_process; prisma_in_process.install()" in text
    assert time.monotonic() - began_s < 8  # the client waits 10 s for an engine that does not answer


def test_the_wheel_runs_a_foreign_schema_in_an_empty_environment(
    environment: Environment, tmp_path: Path
) -> None:
    environment.install(str(build_wheel(tmp_path, PRISMA)))
    python = str(environment.python)
    assert environment.run(python, "-c", _ASYNC) == "async\n"
    assert environment.run(python, "-c", _SYNC) == "sync\n"
