"""`python -m bench.store URL`: the todos' store beside the same SQL through psycopg, as JSON.

Shape:  a list of [what, seconds of ours, seconds of psycopg, the goal of their ratio]; medians.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import prisma_in_process
from psycopg import AsyncConnection, AsyncRawCursor

from functions.todos.address import GivenAddress
from functions.todos.database import Database
from functions.todos.pages import Order
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter, Todo

ROUNDS = 600
OWNER = "bench"
COLUMNS = '"owner", "id", "title", "completed", "createdAt"'
_INSERT = f'INSERT INTO "Todo" ({COLUMNS}) VALUES ($1, $2, $3, $4, $5) RETURNING {COLUMNS}'
_SELECT = f'SELECT {COLUMNS} FROM "Todo" WHERE "owner" = $1 ORDER BY "createdAt" DESC, "id" DESC LIMIT $2'
_COUNT = 'SELECT count(*) FROM "Todo" WHERE "owner" = $1'
_UPDATE = f'UPDATE "Todo" SET "title" = $3 WHERE "owner" = $1 AND "id" = $2 RETURNING {COLUMNS}'
_GET = f'SELECT {COLUMNS} FROM "Todo" WHERE "owner" = $1 AND "id" = $2'
_DELETE = f'DELETE FROM "Todo" WHERE "owner" = $1 AND "id" = $2 RETURNING {COLUMNS}'

Side = Callable[[], Awaitable[object]]


def _now() -> datetime:
    return datetime.now(UTC)


async def main(url: str) -> None:
    """Measure each operation, both sides in turn."""
    prisma_in_process.install()
    store = PrismaStore(Database(GivenAddress(url), timeout_s=5))
    await store.open()
    connection = await AsyncConnection.connect(
        url, autocommit=True, prepare_threshold=1, cursor_factory=AsyncRawCursor
    )

    async def sql(text: str, *values: object) -> list[tuple[object, ...]]:
        cursor = connection.cursor(binary=True)
        await cursor.execute(text, values)
        return await cursor.fetchall()

    ours: list[UUID] = []
    theirs: list[UUID] = []

    async def create() -> object:
        ours.append(uuid4())
        return await store.create(OWNER, Todo(id=ours[-1], title="a todo", created_at=_now()))

    async def insert() -> object:
        theirs.append(uuid4())
        return await sql(_INSERT, OWNER, theirs[-1], "a todo", False, _now())

    async def delete() -> object:
        return await store.delete(OWNER, ours.pop())

    async def get_and_delete() -> object:
        await sql(_GET, OWNER, theirs[-1])
        return await sql(_DELETE, OWNER, theirs.pop())

    for _ in range(20):
        await create()
    compared: list[tuple[str, float, Side, Side]] = [
        (
            "query of 20",
            2.2,
            lambda: store.find(OWNER, Filter(), Order(), after=None, before=None, limit=20),
            lambda: sql(_SELECT, OWNER, 20),
        ),
        ("count", 2.2, lambda: store.count(OWNER, Filter()), lambda: sql(_COUNT, OWNER)),
        (
            "update",
            2.5,
            lambda: store.update(OWNER, ours[0], Changes(title="new")),
            lambda: sql(_UPDATE, OWNER, ours[0], "new"),
        ),
        ("create", 2.5, create, insert),
        ("delete, two statements", 2.5, delete, get_and_delete),
    ]
    print(json.dumps([[what, *await _both(*sides), goal] for what, goal, *sides in compared]))
    await connection.close()
    await store.aclose()


async def _both(*sides: Side) -> list[float]:
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, taken in zip(sides, times, strict=True):
            began = time.perf_counter()
            await side()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken[20:]) for taken in times]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
