"""How Postgres finds the pages among 100,000 todos. `pytest -s` prints the plans; ADR 6 keeps them.

Half of them are one owner's, the others those of 1,000 owners with 50 each.

Real: the statements that Prisma's engine sends, and the plans by which Postgres executed them, out of its log
(auto_explain).
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from functions.todos.pages import Order, OrderField, Position
from functions.todos.store import PrismaStore
from functions.todos.todos import Filter
from tests.integration.todos.conftest import Database, opened

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("todos-database")]

ROWS = 100_000
PAGE = 21
# A statement that is prepared has one plan for any values from its sixth execution on, unless the engine
# prevents it.
TIMES = 7
NEWEST = Order()
A_TO_Z = Order(OrderField.TITLE, descending=False)
EVERY, OPEN, DONE = Filter(), Filter(completed=False), Filter(completed=True)
ONE_TITLE, MANY_TITLES = Filter(title=" 50000"), Filter(title="c4c")
# The even ones are the large owner's.
LARGE, SMALL, NEW = "key_large", "key_500", "key_new"
OWNERS, FEW = 1000, 50
ALL_OPEN = 3000

# Titles of four words, each 1 of 40, and a number; one in twenty is open; one a second.
FILL = f"""
INSERT INTO "Todo" (owner, id, title, completed, "createdAt")
SELECT CASE WHEN i % 2 = 0 THEN '{LARGE}' ELSE 'key_' || i / 2 % {OWNERS} END, md5(i::text)::uuid,
  concat_ws(' ', w[1 + h % 40], w[1 + h / 40 % 40], w[1 + h / 1600 % 40], w[1 + h / 64000 % 40], i),
  hashint4(-i) % 20 <> 0, timestamptz '2026-01-01' + i * interval '1 s'
FROM generate_series(1, {ROWS}) i, abs(hashint4(i)) h, (SELECT array_agg(left(md5(n::text), 3 + n % 5)) w
  FROM generate_series(1, 40) n) words
"""
EXPLAINED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_format": "json",
}


@dataclass(frozen=True)
class Executed:
    """One statement, its plan and what it cost."""

    sql: str
    plan: dict[str, Any]
    ms: float

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield the nodes of the plan, outermost first."""
        waiting = [self.plan]
        while waiting:
            node = waiting.pop(0)
            yield node
            waiting += node.get("Plans", [])

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    @property
    def kinds(self) -> set[str]:
        return {node["Node Type"] for node in self.nodes()}

    @property
    def read(self) -> int:
        """How many rows of the table were looked at."""
        leaves = [node for node in self.nodes() if node.get("Relation Name")]
        return sum(int(node["Actual Rows"] * node["Actual Loops"]) + _removed(node) for node in leaves)

    def __str__(self) -> str:
        return " < ".join(
            f"{node['Node Type']} {node.get('Index Name', '')} ({node['Actual Rows']:.0f} rows"
            f"{f', {_removed(node)} refused' if _removed(node) else ''})"
            for node in self.nodes()
        )


def _removed(node: dict[str, Any]) -> int:
    names = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(int(node.get(name, 0)) for name in names)


class Log:
    """The statements that Postgres logged."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, path.stat().st_size

    def last(self) -> Executed:
        """Return the last statement that selected todos since the previous call."""
        with self._path.open() as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text.encode())
        found = re.findall(r"duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)", text)
        explained = [(float(ms), json.loads(plan)) for ms, plan in found]
        ms, explanation = [each for each in explained if '"Todo"' in each[1]["Query Text"]][-1]
        return Executed(explanation["Query Text"], explanation["Plan"], ms)


@pytest.fixture(scope="module")
def filled(database: Database) -> Database:
    """The module's database with 100,000 todos; its indexes are made after them, which is faster."""
    with database.connect() as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'Todo' AND indexname <> 'Todo_pkey'"
        ).fetchall()
        statements = [
            *(f'DROP INDEX "{name}"' for name, _ in indexes),
            FILL,
            *(str(definition) for _, definition in indexes),
            'VACUUM ANALYZE "Todo"',
            *(f"ALTER DATABASE {database.name} SET {name} = '{value}'" for name, value in EXPLAINED.items()),
        ]
        for statement in statements:
            connection.execute(statement.encode())
    return database


@pytest.fixture(scope="module")
async def large_store(filled: Database) -> AsyncIterator[PrismaStore]:
    async with opened(filled.url) as store:
        yield store


@pytest.fixture
def log(filled: Database) -> Log:
    return Log(filled.postgres.log)


async def middle(store: PrismaStore, order: Order) -> Position:
    """Return the position of a todo in the middle of an order of the large owner's."""
    (one,) = await store.find(LARGE, ONE_TITLE, order, after=None, before=None, limit=1)
    return Position(one.title if order.field is OrderField.TITLE else one.created_at, one.id)


PAGES = [
    ("newest first", EVERY, NEWEST, "Todo_owner_createdAt_id_idx"),
    ("oldest first", EVERY, NEWEST.reversed(), "Todo_owner_createdAt_id_idx"),
    ("A to Z", EVERY, A_TO_Z, "Todo_owner_title_id_idx"),
    ("Z to A", EVERY, A_TO_Z.reversed(), "Todo_owner_title_id_idx"),
    ("open, newest first", OPEN, NEWEST, "Todo_owner_completed_createdAt_id_idx"),
    ("open, oldest first", OPEN, NEWEST.reversed(), "Todo_owner_completed_createdAt_id_idx"),
    ("done, newest first", DONE, NEWEST, "Todo_owner_createdAt_id_idx"),
    ("open, A to Z", OPEN, A_TO_Z, None),
]


@pytest.mark.parametrize(("name", "where", "order", "index"), PAGES, ids=lambda value: str(value)[:40])
async def test_a_page_reads_little_more_than_its_todos(
    large_store: PrismaStore, log: Log, name: str, where: Filter, order: Order, index: str | None
) -> None:
    position = await middle(large_store, order)
    for what, after, before in (("first", None, None), ("next", position, None), ("last", None, position)):
        for _ in range(TIMES):
            todos = await large_store.find(LARGE, where, order, after=after, before=before, limit=PAGE)
        executed = log.last()
        print(f"\n| {name}, {what} page | {executed.ms:.2f} | {executed.read} | {executed} |", end="")
        assert len(todos) == PAGE
        assert "Seq Scan" not in executed.kinds
        if index:
            assert executed.kinds == {"Limit", "Index Scan"}
            assert executed.indexes == {index}
        assert executed.read <= (2 * PAGE if index else ALL_OPEN)


SEARCHES = [
    ("one todo", " 50000", A_TO_Z, True),
    ("one todo", " 50000", NEWEST, True),
    ("none", "nothing like it", NEWEST, True),
    ("none, in two forms", "nothing liké it", NEWEST, True),
    ("many", "c4c", NEWEST, False),
    ("two letters, many", "c4", NEWEST, False),
    ("two letters, none", "zq", NEWEST, False),
]


@pytest.mark.parametrize(("name", "text", "order", "searched"), SEARCHES, ids=str)
async def test_titles_are_searched(
    large_store: PrismaStore, log: Log, name: str, text: str, order: Order, *, searched: bool
) -> None:
    for _ in range(TIMES):
        await large_store.find(LARGE, Filter(title=text), order, after=None, before=None, limit=PAGE)
    executed = log.last()
    print(f"\n| title has `{text}` ({name}) | {executed.ms:.2f} | {executed.read} | {executed} |", end="")
    if searched:
        assert executed.indexes == {"Todo_title_trgm_idx"}
        assert executed.read <= 50
    elif "many" in name:
        assert executed.kinds == {"Limit", "Index Scan"}
        assert executed.read <= 500


@pytest.mark.parametrize("where", [EVERY, OPEN, DONE, ONE_TITLE, MANY_TITLES], ids=str)
async def test_todos_are_counted(large_store: PrismaStore, log: Log, where: Filter) -> None:
    for _ in range(TIMES):
        await large_store.count(LARGE, where)
    executed = log.last()
    print(f"\n| count {where} | {executed.ms:.2f} | {executed.read} | {executed} |", end="")


async def test_one_todo_is_found_by_its_id(large_store: PrismaStore, log: Log) -> None:
    position = await middle(large_store, NEWEST)
    assert await large_store.get(LARGE, position.id)
    executed = log.last()
    print(f"\n| by id | {executed.ms:.2f} | {executed.read} | {executed} |\n{executed.sql}", end="")
    assert (executed.indexes, executed.read) == ({"Todo_pkey"}, 1)
    assert await large_store.get(SMALL, position.id) is None
    executed = log.last()
    assert (executed.indexes, executed.read) == ({"Todo_pkey"}, 0)


@pytest.mark.parametrize("order", [NEWEST, A_TO_Z], ids=lambda order: str(order.field.value))
@pytest.mark.parametrize(
    "where",
    [EVERY, OPEN, DONE, ONE_TITLE, MANY_TITLES, *(Filter(title=text) for text in ("c4", "zq"))],
    ids=str,
)
async def test_an_owner_of_few_todos_does_not_pay_for_those_of_others(
    large_store: PrismaStore, log: Log, where: Filter, order: Order
) -> None:
    for owner, most in ((SMALL, FEW), (NEW, 0)):
        for _ in range(TIMES):
            todos = await large_store.find(owner, where, order, after=None, before=None, limit=PAGE)
        listed = log.last()
        for _ in range(TIMES):
            total = await large_store.count(owner, where)
        counted = log.last()
        for what, executed in (("listed", listed), ("counted", counted)):
            print(f"\n| {owner} {what} {where} | {executed.ms:.2f} | {executed.read} | {executed} |", end="")
            assert "Seq Scan" not in executed.kinds
            assert executed.read <= most
        assert len(todos) == min(total, PAGE)
        assert total <= most
