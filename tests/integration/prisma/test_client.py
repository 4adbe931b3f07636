"""Prisma Client Python with the engine in process: every kind of query of its generated client."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import prisma_in_process
import pytest
from prisma import Prisma, errors

from infra.paths import ROOT
from tests.postgres import Postgres

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("prisma")]
_NAMES = ("milk", "Bread", 'a "q" \\ \n é😀')
_OTHER = str(uuid.uuid4())
Query = Callable[[Prisma], Awaitable[object]]


def new(title: str, **fields: Any) -> Any:
    return {"id": str(uuid.uuid4()), "title": title, **fields}


def one(todo_id: str) -> Any:
    """Return what a todo is known by: its table has a key of two columns."""
    return {"owner_id": {"owner": "", "id": todo_id}}


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    database = postgres.create_database()
    for script in sorted(ROOT.glob("functions/todos/prisma/migrations/*/migration.sql")):
        postgres.run_sql(script.read_text(), database)
    return postgres.url(database)


@pytest.fixture
def execute(url: str) -> Callable[[Query], object]:
    """Execute queries on a table of three todos."""
    prisma_in_process.install()

    async def run(query: Query) -> object:
        async with connected(url) as db:
            await db.todo.delete_many()
            for second, title in enumerate(_NAMES):  # each in a millisecond of its own
                await db.todo.create(new(title, createdAt=datetime.now(UTC) + timedelta(seconds=second)))
            return await query(db)

    return lambda query: asyncio.run(run(query))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Prisma]:
    db = Prisma(use_dotenv=False, datasource={"url": url}, http={"trust_env": False})
    await db.connect()
    try:
        yield db
    finally:
        await db.disconnect()


async def _reads(db: Prisma) -> None:
    todo = db.todo
    assert [each.title for each in await todo.find_many(order={"createdAt": "asc"})] == list(_NAMES)
    first = await todo.find_first_or_raise(where={"title": {"contains": "BREAD", "mode": "insensitive"}})
    assert await todo.find_unique(one(first.id)) == first
    assert await todo.find_unique(one(_OTHER)) is None
    conditions: Any = {
        "AND": [
            {"completed": False},
            {"OR": [{"title": {"startswith": "mi"}}, {"title": {"in": ["Bread"]}}]},
        ],
        "NOT": [{"title": "nothing"}],
    }
    assert await todo.count(where=conditions) == 2
    pages = await todo.find_many(
        cursor=one(first.id), order=[{"createdAt": "asc"}, {"id": "asc"}], skip=1, take=1
    )
    assert [each.title for each in pages] == [_NAMES[2]]
    assert [each.title for each in await todo.find_many(take=-1, order={"title": "asc"})] == ["milk"]
    assert await todo.count(select={"_all": True, "title": True}) == {"_all": 3, "title": 3}
    assert await todo.group_by(by=["completed"], count=True) == [{"completed": False, "_count": {"_all": 3}}]
    since: Any = {
        "createdAt": {"gt": datetime(2020, 1, 1, tzinfo=UTC), "lte": datetime.now(UTC) + timedelta(days=1)}
    }
    assert await todo.count(where=since) == 3


async def _writes(db: Prisma) -> None:
    todo = db.todo
    made = await todo.create(new("dated", createdAt=datetime(2021, 2, 3, 4, 5, 6, 789999, tzinfo=UTC)))
    assert made.createdAt == datetime(2021, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
    key = one(made.id)
    changed = await todo.update(where=key, data={"title": "changed", "completed": True})
    assert changed
    assert (changed.title, changed.completed) == ("changed", True)
    assert await todo.update(where=one(_OTHER), data={"title": "x"}) is None
    upsert: Any = {"create": {"id": _OTHER, "title": "new"}, "update": {"title": "old"}}
    assert [(await todo.upsert(where=one(_OTHER), data=upsert)).title for _ in range(2)] == ["new", "old"]
    assert await todo.create_many([new("many"), {"id": _OTHER, "title": "dup"}], skip_duplicates=True) == 1
    assert await todo.update_many(where={"title": "many"}, data={"completed": True}) == 1
    assert await todo.delete(where=key)
    assert await todo.delete(where=key) is None
    assert await todo.delete_many(where={"completed": True}) == 1
    await asyncio.gather(*(todo.create(new(f"at once {i}")) for i in range(50)))
    assert await todo.count(where={"title": {"startswith": "at once"}}) == 50


async def _raw(db: Prisma) -> None:
    columns = """1::bigint AS big, 2.5::numeric AS exact, array[1,2] AS list, '{"a":1}'::jsonb AS json,
        $1::text AS text"""
    row: Any = await db.query_first(f"SELECT {columns}", "é")
    assert row == {"big": 1, "exact": 2.5, "list": [1, 2], "json": {"a": 1}, "text": "é"}
    assert await db.execute_raw('UPDATE "Todo" SET title = $1 WHERE title = $2', "oat milk", "milk") == 1
    [found] = await db.todo.query_raw('SELECT * FROM "Todo" WHERE title = $1', "oat milk")
    assert found.completed is False


async def _transactions(db: Prisma) -> None:
    async with db.tx() as tx:
        await tx.todo.create(new("kept"))
        assert (await tx.todo.count(), await db.todo.count()) == (4, 3)
    with suppress(ZeroDivisionError):
        async with db.tx() as tx:
            await tx.todo.create(new("dropped"))
            raise ZeroDivisionError
    assert await db.todo.count() == 4
    client = await db.tx(timeout=timedelta(milliseconds=50)).start()
    await asyncio.sleep(0.2)
    with pytest.raises(errors.TransactionExpiredError):
        await client.todo.count()
    async with db.batch_() as batch:
        batch.todo.create(new("one"))
        batch.todo.create(new("two"))
    assert await db.todo.count() == 6
    failing = db.batch_()
    failing.todo.create(new("three"))
    failing.todo.create_many([{"id": _OTHER, "title": "a"}, {"id": _OTHER, "title": "b"}])
    with pytest.raises(errors.UniqueViolationError):
        await failing.commit()
    assert await db.todo.count() == 6


async def _comes_back(db: Prisma) -> None:
    await db.disconnect()
    await db.connect()
    assert await db.todo.count() == 3


@pytest.mark.parametrize("query", [_reads, _writes, _raw, _transactions, _comes_back])
def test_what_the_client_can_query(execute: Callable[[Query], object], query: Query) -> None:
    execute(query)


def test_errors_are_the_clients_own(execute: Callable[[Query], object]) -> None:
    async def query(db: Prisma) -> None:
        [first, *_] = await db.todo.find_many()
        wrong: Any = {"nope": 1}
        failing: list[tuple[Awaitable[object], type[Exception]]] = [
            (db.todo.create({"id": first.id, "title": "x"}), errors.UniqueViolationError),
            (db.todo.find_unique_or_raise(one(_OTHER)), errors.RecordNotFoundError),
            (db.query_raw("SELECT * FROM nope"), errors.RawQueryError),
            (db.todo.find_many(where=wrong), errors.FieldNotFoundError),
            (db.todo.create(wrong | {"id": _OTHER, "title": "x"}), errors.FieldNotFoundError),
            (db.todo.create({"id": _OTHER}), errors.MissingRequiredValueError),  # type: ignore[typeddict-item]
            (db.todo.create(new("a\x00b")), errors.DataError),
            (db.todo.find_unique(one("no-uuid")), errors.DataError),
        ]
        for answer, kind in failing:
            with pytest.raises(kind):
                await answer

    execute(query)
