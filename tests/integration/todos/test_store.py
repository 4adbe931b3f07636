"""The same tests against the fake store and the real one, so that the fake cannot lie.

Real: Prisma Client Python with the engine in process, Postgres.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize
from uuid import UUID

import pytest

from functions.todos.app import ManagedStore
from functions.todos.pages import Order, OrderField, Position, cursor_of, window_of
from functions.todos.resolvers import serialize_date_time
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter, Todo, Todos
from tests.integration.todos.conftest import Database
from tests.unit.todos.stores import DAY, FakeStore, matches, todo

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("todos-database")]

US, THEM = "key_0123456789abcdef", "key_0123456789abcdee"
EVERY = Filter()
OLDEST = Order(OrderField.CREATED_AT, descending=False)
A_TO_Z = Order(OrderField.TITLE, descending=False)
ORDERS = [OLDEST, OLDEST.reversed(), A_TO_Z, A_TO_Z.reversed()]


# Todos of another owner during all of these tests, with the same ids and titles: no other owner sees them.
THEIRS = [todo(1, "tea"), todo(2, "Tea", completed=True), todo(9, "theirs")]


@pytest.fixture(params=["fake", "prisma"])
def either(request: pytest.FixtureRequest) -> ManagedStore:
    if request.param == "fake":
        return FakeStore()
    real: PrismaStore = request.getfixturevalue("prisma_store")
    return real


@pytest.fixture
async def store(either: ManagedStore) -> AsyncIterator[ManagedStore]:
    for each in THEIRS:
        await either.create(THEM, each)
    yield either
    assert await either.find(THEM, EVERY, OLDEST, after=None, before=None, limit=100) == THEIRS


async def filled(store: ManagedStore, *todos: Todo) -> list[Todo]:
    for each in todos:
        await store.create(US, each)
    return list(todos)


async def found(
    store: ManagedStore, where: Filter = EVERY, order: Order = OLDEST, limit: int = 100
) -> list[Todo]:
    return await store.find(US, where, order, after=None, before=None, limit=limit)


async def test_a_todo_comes_back_as_it_was_created(store: ManagedStore) -> None:
    for one in (todo(1), todo(2, "x", completed=True), todo(2**128 - 1, after_ms=999)):
        assert await store.create(US, one) == one
        assert await store.get(US, one.id) == one
    assert await store.count(US, EVERY) == 3


TITLES = {
    "200 emoji": "😀" * 200,
    "a family": "👨\u200d👩\u200d👧",
    "accents": "e\u0301é",
    "full width": "Ｔｏｄｏ",
    "quotes": '\'; DROP TABLE "Todo"; --',
    "backslashes": "\\ \\n \\u0041 \\\\",
    "a template": "${x} #{x} {{x}} %s {0} $1 :a ?",
    "JSON": '{"a": [null]}',
    "GraphQL": '""" } { # x',
    "right to left": "\u202bשלום",
    "no character": "\ufffe\uffff\ue000\U0010ffff",
    "spaces": "a  b\u3000\u00a0c",
    "looks like a date": "2026-11-22T10:15:30.123Z",
    "looks like null": "null",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
async def test_any_title_is_kept_as_it_is(store: ManagedStore, title: str) -> None:
    one = todo(1, title)
    assert await store.create(US, one) == one
    assert await store.get(US, one.id) == one
    assert await store.update(US, one.id, Changes(title=f"x{title}")) == todo(1, f"x{title}")
    assert await found(store, Filter(title=title)) == [todo(1, f"x{title}")]


INSTANTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 22, 10, 15, 30, 1000, tzinfo=UTC),
    datetime(2026, 11, 22, 10, 15, 30, 999000, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 59, 100000, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999000, tzinfo=UTC),
]


async def test_instants_are_kept_to_the_millisecond(store: ManagedStore) -> None:
    made = [Todo(id=UUID(int=number), title="x", created_at=at) for number, at in enumerate(INSTANTS, 1)]
    await filled(store, *made)
    assert [each.created_at for each in await found(store)] == INSTANTS
    for one in made:
        position = Position(one.created_at, one.id)
        place = made.index(one)
        assert await store.find(US, EVERY, OLDEST, after=position, before=None, limit=9) == made[place + 1 :]
        assert await store.find(US, EVERY, OLDEST, after=None, before=position, limit=9) == made[:place]


async def test_what_is_created_twice_is_there_once_as_it_was_at_first(store: ManagedStore) -> None:
    assert await store.create(US, todo(1, "first")) == todo(1, "first")
    assert await store.create(US, todo(1, "second")) == todo(1, "first")
    assert await found(store) == [todo(1, "first")]


async def test_an_update_changes_what_is_given(store: ManagedStore) -> None:
    await filled(store, todo(1), todo(2))
    one = UUID(int=1)
    assert await store.update(US, one, Changes(title="new")) == todo(1, "new")
    assert await store.update(US, one, Changes(completed=True)) == todo(1, "new", completed=True)
    assert await store.update(US, one, Changes(completed=True)) == todo(1, "new", completed=True)
    assert await store.update(US, one, Changes()) == todo(1, "new", completed=True)
    assert await store.update(US, one, Changes(title="x", completed=False)) == todo(1, "x")
    assert await found(store) == [todo(1, "x"), todo(2)]


async def test_a_deletion_returns_what_was_there(store: ManagedStore) -> None:
    await filled(store, todo(1, "a"), todo(2, "b"))
    assert await store.delete(US, UUID(int=1)) == todo(1, "a")
    assert await store.delete(US, UUID(int=1)) is None
    assert await found(store) == [todo(2, "b")]


async def test_what_is_not_there_is_none(store: ManagedStore) -> None:
    assert await store.get(US, UUID(int=9)) is None
    assert await store.update(US, UUID(int=9), Changes(title="x", completed=True)) is None
    assert await store.delete(US, UUID(int=9)) is None
    assert await found(store) == []
    assert await store.count(US, EVERY) == 0


# Every call with the id of another owner's todo.
BY_ID: dict[str, Callable[[ManagedStore, UUID], Awaitable[Todo | None]]] = {
    "get": lambda store, one: store.get(US, one),
    "update": lambda store, one: store.update(US, one, Changes(title="ours", completed=True)),
    "update nothing": lambda store, one: store.update(US, one, Changes()),
    "delete": lambda store, one: store.delete(US, one),
}


@pytest.mark.parametrize("call", BY_ID.values(), ids=BY_ID)
async def test_what_is_anothers_is_not_there(
    store: ManagedStore, call: Callable[[ManagedStore, UUID], Awaitable[Todo | None]]
) -> None:
    for one in THEIRS:
        assert await call(store, one.id) is None
        assert await store.get(THEM, one.id) == one


async def test_an_id_that_another_has_is_free(store: ManagedStore) -> None:
    for one in THEIRS:
        ours = replace(one, title=f"our {one.title}", completed=not one.completed)
        assert await store.create(US, ours) == ours
        assert await store.create(US, one) == ours
        assert await store.update(US, one.id, Changes(title="x")) == replace(ours, title="x")
        assert await store.get(US, one.id) == replace(ours, title="x")
        assert await store.delete(US, one.id) == replace(ours, title="x")
        assert await store.get(US, one.id) is None


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field.value} {order.descending}")
async def test_lists_counts_and_pages_hold_ones_own_alone(store: ManagedStore, order: Order) -> None:
    wheres = (EVERY, Filter(completed=True), Filter(completed=False), Filter(title="te"), Filter(title="t"))
    for where in wheres:
        assert (await found(store, where, order), await store.count(US, where)) == ([], 0)
    ours = await filled(store, *(todo(number, f"tea {number}", after_ms=number % 2) for number in range(4)))
    for where in wheres:
        expected = {one.id for one in ours if matches(one, where)}
        assert {one.id for one in await found(store, where, order)} == expected
        assert all(one in ours for one in await found(store, where, order))
        assert await store.count(US, where) == len(expected)
    assert await store.count("", EVERY) == await store.count(US[:-1], EVERY) == 0


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field.value} {order.descending}")
async def test_the_position_of_anothers_todo_is_no_more_than_a_place(
    store: ManagedStore, order: Order
) -> None:
    """A caller who pages on from it gets the same as if it had never existed."""
    ours = await filled(store, todo(3, "tea"), todo(4, "Tea", after_ms=-1), todo(5, "zz", after_ms=1))
    alone = FakeStore()
    for one in ours:
        await alone.create(US, one)
    for theirs in THEIRS:
        value = theirs.title if order.field is OrderField.TITLE else theirs.created_at
        here = Position(value, theirs.id)
        for after, before in ((here, None), (None, here), (here, here)):
            answers = [
                await each.find(US, EVERY, order, after=after, before=before, limit=9)
                for each in (store, alone)
            ]
            assert answers[0] == answers[1]


# By code point: capitals before small letters, accents behind both, emoji last.
SORTED = ["A", "B", "a", "aa", "b", "~", "É", "é", "ａ", "\uffff", "😀"]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field.value} {order.descending}")
async def test_todos_are_ordered_by_their_field_then_by_their_id(store: ManagedStore, order: Order) -> None:
    mixed = SORTED[::2] + SORTED[1::2]
    await filled(store, *(todo(40 - number, title) for number, title in enumerate(mixed)))
    await filled(store, *(todo(60 - number, title, after_ms=5) for number, title in enumerate(mixed)))
    answer = await found(store, order=order)
    keys = [(each.title if order.field is OrderField.TITLE else each.created_at, each.id) for each in answer]
    assert len(keys) == 2 * len(SORTED)
    assert keys == sorted(keys, reverse=order.descending)
    assert await found(store, order=order, limit=3) == answer[:3]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field.value} {order.descending}")
async def test_positions_lie_between_todos_that_are_equal(store: ManagedStore, order: Order) -> None:
    made = [todo(number, "same" if number < 5 else "zz", after_ms=number // 5) for number in range(1, 9)]
    await filled(store, *made)
    every = await found(store, order=order)

    def position(place: int) -> Position:
        one = every[place]
        return Position(one.title if order.field is OrderField.TITLE else one.created_at, one.id)

    for place in range(8):
        here = position(place)
        assert await store.find(US, EVERY, order, after=here, before=None, limit=3) == every[place + 1 :][:3]
        assert await store.find(US, EVERY, order, after=None, before=here, limit=8) == every[:place]
        back = await store.find(US, EVERY, order.reversed(), after=here, before=None, limit=8)
        assert back == every[:place][::-1]
    between = await store.find(US, EVERY, order, after=position(1), before=position(6), limit=8)
    assert between == every[2:6]
    assert await store.find(US, EVERY, order, after=position(6), before=position(1), limit=8) == []
    await store.delete(US, every[3].id)
    assert await store.find(US, EVERY, order, after=position(3), before=None, limit=8) == every[4:]


TEAS = (todo(1, "tea"), todo(2, "Tea", completed=True), todo(3, "coffee", completed=True))


async def test_todos_are_filtered_by_all_that_is_given(store: ManagedStore) -> None:
    a, b, c = await filled(
        store, todo(1, "tea"), todo(2, "Tea", completed=True), todo(3, "coffee", completed=True)
    )
    for where, todos in (
        (EVERY, [a, b, c]),
        (Filter(completed=True), [b, c]),
        (Filter(completed=False), [a]),
        (Filter(title=""), [a, b, c]),
        (Filter(title="TE"), [a, b]),
        (Filter(title="e"), [a, b, c]),
        (Filter(title="te", completed=True), [b]),
        (Filter(title="tea "), []),
        (Filter(title="nope"), []),
    ):
        assert await found(store, where) == todos
        assert await store.count(US, where) == len(todos)


WILD = [
    "100%",
    "100",
    "a_b",
    "axb",
    "a\\b",
    "a\\\\b",
    "a%b",
    "\\",
    "%",
    "_",
    "'",
    '"',
    "''",
    "\\%",
    "*",
    "[a]",
    "a b",
]


@pytest.mark.parametrize("text", WILD)
async def test_what_is_a_wildcard_elsewhere_is_searched_for_as_it_is(store: ManagedStore, text: str) -> None:
    made = await filled(store, *(todo(number, title) for number, title in enumerate(WILD, 1)))
    assert await found(store, Filter(title=text)) == [each for each in made if text in each.title]


# Case is compared letter by letter, by the simple mappings of Unicode: the collation is C.UTF-8.
CASES = [
    ("É", "é", True),
    ("ΑΒΓ", "αβγ", True),
    ("Ж", "ж", True),
    ("Ａ", "ａ", True),
    ("\U00010400", "\U00010428", True),
    ("Σ", "σ", True),
    ("ẞ", "ß", True),
    ("\u212a", "k", True),
    ("İ", "i", True),
    ("ǅ", "ǆ", True),
    # No letter stands for two, no two for one, and what only looks alike differs.
    ("ß", "ss", False),
    ("Σ", "ς", False),
    ("ſ", "s", False),
    ("ı", "i", False),
    ("ﬁ", "fi", False),
    ("é", "e", False),
    ("ａ", "a", False),
]


async def test_case_is_compared_letter_by_letter(store: ManagedStore) -> None:
    for one, other, alike in CASES:
        await store.create(US, todo(1, f"xx{one}xx"))
        await store.create(US, todo(2, f"xx{other}xx"))
        for text in (one, other):
            ids = {each.id.int for each in await found(store, Filter(title=f"x{text}x"))}
            assert (ids == {1, 2}) is alike, (one, other, text)
        await store.delete(US, UUID(int=1))
        await store.delete(US, UUID(int=2))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_a_text_is_found_in_every_unicode_form(store: ManagedStore, form: Any) -> None:
    """Others, and versions before 0.7, have written titles in NFD."""
    todos = Todos(store, US)
    texts = [normalize(form, text) for text in ("CAFÉ", "ệ", "한", "Ｃafé_%")]
    titles = ("café", "tiệm", "한국", "ｃafé_%")
    for number, title in enumerate(titles):
        await filled(
            store, todo(2 * number, normalize("NFC", title)), todo(2 * number + 1, normalize("NFD", title))
        )
    for number, text in enumerate(texts):
        ids = {each.id.int for each in await todos.list(Filter(title=text), OLDEST, 100)}
        assert ids == {2 * number, 2 * number + 1}, text
        assert await todos.count(Filter(title=text)) == 2


async def test_the_fake_and_postgres_find_the_same(prisma_store: PrismaStore) -> None:
    fake = FakeStore()
    titles = [*SORTED, *WILD, *(text for one, other, _ in CASES for text in (one, other))]
    for number, title in enumerate(titles):
        one = todo(7919 * number % 10007, title, completed=number % 3 == 0, after_ms=number % 4)
        assert await fake.create(US, one) == await prisma_store.create(US, one)
    for number, text in enumerate([*titles, "a", "xB", "\\\\"]):
        where = Filter(title=text, completed=(None, True, False)[number % 3])
        order = ORDERS[number % 4]
        assert await found(fake, where, order) == await found(prisma_store, where, order), text
        assert await fake.count(US, where) == await prisma_store.count(US, where)


async def test_a_todo_of_another_hand_is_read(empty: Database, prisma_store: PrismaStore) -> None:
    """Rows that the rules would refuse: another program, or an older version, may have written them."""
    with empty.connect() as connection:
        connection.execute(
            'INSERT INTO "Todo" (owner, id, title, "createdAt") VALUES (%s, %s, %s, %s)',
            (US, UUID(int=5), "\t" + "x" * 5000, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        )
    (one,) = await found(prisma_store)
    assert (one.id.int, len(one.title), one.completed) == (5, 5001, False)
    assert one.created_at == datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


LAST = "294276-12-31 23:59:59.9999Z"
# What others can write: all that the columns can hold, in order.
WRITTEN_TIMES = [
    *("-infinity", "-infinity", "4713-01-01 BC", "0044-03-15 BC", "0044-03-15 BC", "0001-01-01 00:00Z"),
    *("1883-11-18 12:03:57.9Z", "1969-12-31 23:59:59.9994Z", "1969-12-31 23:59:59.9994Z", "1970-01-01Z"),
    *("2026-11-27 12:00:00.123456Z", "9999-12-31 23:59:59.999Z", "9999-12-31 23:59:59.999Z"),
    *("9999-12-31 23:59:59.9999Z", "10000-01-02", "10000-01-02", "294276-12-31", "infinity", "infinity"),
]
WRITTEN_TITLES = sorted(
    [
        *(
            "",
            " ",
            "\x7f",
            "\x01\x1b[2J\r\n\t",
            "\x01\x1b[2J\r\n\t",
            "e\u0301",
            "\u00e9",
            "\u202e\u200b",
            "\u2028",
        ),
        *("x" * 10_000, "x" * 10_000, "x" * 10_001, "x" * 150_000, "\ufeff" * 5_000, "\U000e0041" * 3),
    ]
)


def written(database: Database, field: OrderField) -> list[tuple[Any, ...]]:
    """Write rows past Prisma, in the order of a field; their ids are their places."""
    rows = [
        (UUID(int=number), *values)
        for number, values in enumerate(
            (value, "2026-11-27") if field is OrderField.TITLE else ("x", value)
            for value in (WRITTEN_TITLES if field is OrderField.TITLE else WRITTEN_TIMES)
        )
    ]
    with database.connect() as connection, connection.cursor() as cursor:
        insert = f"""INSERT INTO "Todo" (owner, id, title, "createdAt") VALUES ('{US}', %s, %s, %s)"""
        cursor.executemany(insert, rows)
    return rows


@pytest.mark.parametrize("field", OrderField)
async def test_rows_of_another_hand_are_read_changed_and_deleted(
    empty: Database, prisma_store: PrismaStore, field: OrderField
) -> None:
    rows = written(empty, field)
    for one, title, _ in rows:
        before = await prisma_store.get(US, one)
        assert before
        assert before.title == title
        after = replace(before, completed=True)
        assert await prisma_store.update(US, one, Changes(completed=True)) == after
        assert await prisma_store.delete(US, one) == after
    assert await prisma_store.count(US, EVERY) == 0


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.field.value} {order.descending}")
@pytest.mark.parametrize("size", [1, 7])
async def test_rows_of_another_hand_break_no_list_and_are_all_reached(
    empty: Database, prisma_store: PrismaStore, order: Order, size: int
) -> None:
    rows = written(empty, order.field)
    for backward in (False, True):
        met = await paged(prisma_store, order, size, backward=backward)
        assert met == list(range(len(rows)))[:: -1 if order.descending else 1]


async def paged(store: PrismaStore, order: Order, size: int, *, backward: bool) -> list[int]:
    """Page through all todos; return their ids."""
    todos, total = Todos(store, US), await store.count(US, EVERY)
    size_name, cursor_name = ("last", "before") if backward else ("first", "after")
    met, position = list[int](), None
    while len(met) <= total:
        window = window_of(order, **{size_name: size, cursor_name: position})  # type: ignore[arg-type]
        page = await todos.page(EVERY, order, window)
        ids = [each.id.int for each in page.items]
        met = [*ids, *met] if backward else [*met, *ids]
        if not (page.has_previous if backward else page.has_next):
            break
        position = cursor_of(page.items[0 if backward else -1], order)
    assert all(serialize_date_time(each.created_at) for each in page.items)
    return met


async def test_times_that_postgres_rounds_up_to_and_does_not_read_are_paged_past(
    empty: Database, prisma_store: PrismaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the plans for these are compiled at run time
    monkeypatch.setattr(f"{__name__}.WRITTEN_TIMES", ["294276-12-31", LAST, LAST, "infinity"])
    written(empty, OrderField.CREATED_AT)
    for descending in (False, True):
        for backward in (False, True):
            met = await paged(prisma_store, Order(OrderField.CREATED_AT, descending), 1, backward=backward)
            assert met == [*range(4)][:: -1 if descending else 1]


async def test_a_store_has_one_connection(empty: Database, prisma_store: PrismaStore) -> None:
    await filled(prisma_store, todo(1, f"{DAY}"))
    with empty.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (empty.name,),
        ).fetchone()
    assert row == (1,)
