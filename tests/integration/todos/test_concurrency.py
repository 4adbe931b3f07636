"""Many writers at once, and a Postgres that is killed under them.

Real: five stores, each with one connection, and a Postgres that keeps what it acknowledged (fsync and
synchronous_commit on). A kill is that of every process of the server: a power cut, less what the disk would
lose.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from functions.todos.errors import DatabaseUnavailable
from functions.todos.execution import Executor, Request
from functions.todos.limits import Limits
from functions.todos.pages import Order
from functions.todos.resolvers import create_schema
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter, Todos
from tests.integration.todos.conftest import Database, copy, expect_no_connections, migrate, opened
from tests.postgres import Postgres, run_postgres
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("todos-database")]

WRITERS = 50
STORES = 5
EVERY = Filter()


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that keeps what it acknowledged."""
    with run_postgres(tmp_path_factory.mktemp("durable"), durable=True) as postgres:
        migrate(postgres)
        yield postgres


@pytest.fixture(scope="module")
def database(durable: Postgres) -> Database:
    shown = durable.run_sql("SELECT current_setting('fsync') || current_setting('synchronous_commit')")
    assert shown == "onon"
    return copy(durable, "concurrency")


@pytest.fixture
async def stores(empty: Database) -> AsyncIterator[list[PrismaStore]]:
    """Five environments of the function, from the point of view of Postgres."""
    async with AsyncExitStack() as stack:
        opening = [opened(empty.url, timeout_s=1.5) for _ in range(STORES)]
        yield [await stack.enter_async_context(each) for each in opening]
    expect_no_connections(empty)


async def test_fifty_writers_at_once_lose_nothing(stores: list[PrismaStore], database: Database) -> None:
    queries = [
        stores[number % STORES].create(NO_OWNER, todo(number + 1, f"{number:03}"))
        for number in range(WRITERS)
    ]
    made = await asyncio.gather(*queries)
    assert [each.title for each in made] == [f"{number:03}" for number in range(WRITERS)]
    assert database.titles() == [f"{number:03}" for number in range(WRITERS)]
    assert database.connections() == STORES


async def test_fifty_writers_of_one_todo_make_one(stores: list[PrismaStore], database: Database) -> None:
    queries = [stores[number % STORES].create(NO_OWNER, todo(1, f"{number:03}")) for number in range(WRITERS)]
    made = {each.title for each in await asyncio.gather(*queries)}
    assert [*made] == database.titles()


async def test_fifty_changes_to_one_todo_are_all_or_nothing(stores: list[PrismaStore]) -> None:
    await stores[0].create(NO_OWNER, todo(1))
    one = UUID(int=1)
    queries = [
        stores[number % STORES].update(
            NO_OWNER, one, Changes(title=f"{number:03}", completed=number % 2 == 0)
        )
        for number in range(WRITERS)
    ]
    answers = await asyncio.gather(*queries)
    assert all(answer and answer.completed == (int(answer.title) % 2 == 0) for answer in answers)
    last = await stores[0].get(NO_OWNER, one)
    assert last in answers


async def test_what_one_deletes_while_others_change_it_is_gone(stores: list[PrismaStore]) -> None:
    for number in range(1, 11):
        await stores[0].create(NO_OWNER, todo(number))
    deleting = [stores[0].delete(NO_OWNER, UUID(int=number)) for number in range(1, 11)]
    changing = [
        store.update(NO_OWNER, UUID(int=number), Changes(completed=True))
        for number in range(1, 11)
        for store in stores[1:]
    ]
    gone = await asyncio.gather(*deleting, *changing)
    assert [each.id.int for each in gone[:10] if each] == list(range(1, 11))
    assert await stores[0].count(NO_OWNER, EVERY) == 0


async def test_what_all_delete_at_once_one_of_them_gets(
    stores: list[PrismaStore], database: Database
) -> None:
    made = [await stores[0].create(NO_OWNER, todo(number, f"{number:03}")) for number in range(1, 21)]
    deleting = [store.delete(NO_OWNER, each.id) for each in made for store in stores]
    gone = await asyncio.gather(*deleting)
    assert [each for each in gone if each] == made
    assert database.titles() == []


async def test_of_those_who_delete_a_todo_by_graphql_one_gets_it_and_the_others_not_found(
    stores: list[PrismaStore],
) -> None:
    executor = Executor(create_schema(), Limits(), introspection=True)
    for number in range(1, 11):
        one = await stores[0].create(NO_OWNER, todo(number))
        request = Request(query=f'mutation {{ deleteTodo(id: "{one.id}") {{ id }} }}')
        outcomes = [executor.execute(request, Todos(store, NO_OWNER)) for store in stores]
        bodies = [outcome.body for outcome in await asyncio.gather(*outcomes)]
        codes = [body["errors"][0]["extensions"]["code"] for body in bodies if "errors" in body]
        assert [body["data"] for body in bodies if "errors" not in body] == [
            {"deleteTodo": {"id": str(one.id)}}
        ]
        assert codes == ["NOT_FOUND"] * (STORES - 1)


async def test_every_acknowledged_todo_outlives_the_server(
    stores: list[PrismaStore], database: Database
) -> None:
    acknowledged: set[int] = set()
    refused: set[int] = set()
    busy, down = asyncio.Event(), asyncio.Event()

    async def write(store: PrismaStore, first: int) -> None:
        for number in range(first, 10_000, STORES):
            try:
                acknowledged.add((await store.create(NO_OWNER, todo(number, "kept"))).id.int)
                if len(acknowledged) == 100:
                    busy.set()
            except DatabaseUnavailable:
                refused.add(number)
                if down.is_set():
                    return

    writers = [asyncio.ensure_future(write(store, place + 1)) for place, store in enumerate(stores)]
    await busy.wait()
    down.set()
    await asyncio.to_thread(database.postgres.kill)
    await asyncio.gather(*writers)
    assert len(refused) == STORES
    database.postgres.start()
    again = [await store.create(NO_OWNER, todo(20_000 + place)) for place, store in enumerate(stores)]
    newest = Order()
    with database.connect() as connection:
        kept = {UUID(str(row[0])).int for row in connection.execute('SELECT id FROM "Todo"')}
    assert acknowledged <= kept
    # A write that got an error may have happened all the same, but no other has.
    assert kept - acknowledged <= refused | {each.id.int for each in again}
    assert len(await stores[0].find(NO_OWNER, EVERY, newest, after=None, before=None, limit=100)) == 100
