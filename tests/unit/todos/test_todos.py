"""The domain's rules: what is refused, and what is kept of what is not."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from functions.todos.errors import ApiError, BadUserInput, NotFound
from functions.todos.pages import Order, OrderField, Window
from functions.todos.todos import Changes, Filter, Todos, checked_id, utc_now
from tests.unit.todos.stores import DAY, NO_OWNER, FakeStore, todo

pytestmark = pytest.mark.anyio

ID = "6f1c5a52-0b3e-4a8e-9a3c-5f2f7d1b8e90"
NEWEST = Order()


@pytest.mark.parametrize("text", [ID, ID.upper(), str(UUID(int=0)), str(UUID(int=2**128 - 1))])
def test_a_canonical_uuid_is_an_id(text: str) -> None:
    assert checked_id(text) == UUID(text)


NO_IDS = {
    "empty": "",
    "a number": "3",
    "braces": f"{{{ID}}}",
    "urn": f"urn:uuid:{ID}",
    "no dashes": ID.replace("-", ""),
    "dashes elsewhere": "6f1c5a520-b3e-4a8e-9a3c-5f2f7d1b8e90",
    "a space before": f" {ID}",
    "a line end": f"{ID}\n",
    "too short": ID[:-1],
    "too long": f"{ID}0",
    "NUL": f"{ID[:-1]}\0",
    "NUL behind": f"{ID}\0",
    "no hexadecimal digit": f"{ID[:-1]}g",
    "full-width digits": ID.replace("6", "６"),
    "underscore": f"{ID[:-2]}_0",
    "10 kB": "6" * 10_000,
    "half a surrogate pair": f"{ID[:-1]}\ud800",
    "None": "None",
    "SQL": "' OR 1=1 --",
}


@pytest.mark.parametrize("text", NO_IDS.values(), ids=NO_IDS)
def test_nothing_else_is_an_id_and_the_message_does_not_repeat_it(text: str) -> None:
    with pytest.raises(BadUserInput) as refused:
        checked_id(text)
    assert refused.value.message == (
        "`id`: expected the UUID of a todo, as `todos { id }` lists them, but got something else."
    )


async def test_a_todo_is_made_of_its_title_the_time_and_a_new_id() -> None:
    store = FakeStore()
    todos = Todos(store, NO_OWNER, new_id=lambda: UUID(int=7), now=lambda: DAY)
    assert await todos.create(" Test Todo ") == todo(7)
    assert await todos.get(str(UUID(int=7))) == todo(7)


async def test_ids_differ_and_times_are_in_utc_to_the_millisecond() -> None:
    todos = Todos(FakeStore(), NO_OWNER)
    made = [await todos.create("x") for _ in range(3)]
    assert len({each.id for each in made}) == 3
    assert {each.id.version for each in made} == {4}
    assert all(each.created_at.tzinfo is UTC for each in made)
    assert utc_now().microsecond % 1000 == 0
    assert abs((datetime.now(UTC) - made[0].created_at).total_seconds()) < 5


async def test_an_update_changes_what_is_given() -> None:
    todos = Todos(FakeStore([todo(1)]), NO_OWNER)
    one = str(UUID(int=1))
    assert await todos.update(one, Changes(title=" new ")) == todo(1, "new")
    assert await todos.update(one, Changes(completed=True)) == todo(1, "new", completed=True)
    assert await todos.update(one, Changes(completed=True)) == todo(1, "new", completed=True)
    assert await todos.update(one, Changes(title="x", completed=False)) == todo(1, "x")


async def test_what_is_refused_changes_nothing_and_does_not_reach_the_store() -> None:
    store = FakeStore([todo(1)])
    todos, one = Todos(store, NO_OWNER), str(UUID(int=1))
    for refused, message in (
        (todos.create(""), "`title`: expected 1 to 200"),
        (todos.update(one, Changes()), "Nothing to change. Expected `title`, `completed` or both."),
        (todos.update(one, Changes(title=" ")), "`title`: expected 1 to 200"),
        (todos.update("1", Changes(title="x")), "`id`: expected the UUID"),
        (todos.get("1"), "`id`: expected the UUID"),
        (todos.delete("1"), "`id`: expected the UUID"),
        (todos.list(Filter(title="\0"), NEWEST, 1), "`filter.title`: expected one line"),
        (todos.page(Filter(title="\0"), NEWEST, Window(1)), "`filter.title`: expected one line"),
        (todos.count(Filter(title="\0")), "`filter.title`: expected one line"),
    ):
        with pytest.raises(BadUserInput) as error:
            await refused
        assert error.value.message.startswith(message)
    assert store.queries == 0
    assert list(store.todos.values()) == [todo(1)]


async def test_a_todo_that_is_not_there_is_not_found() -> None:
    todos = Todos(FakeStore(), NO_OWNER)
    for missing in (todos.get(ID), todos.update(ID, Changes(completed=True)), todos.delete(ID)):
        with pytest.raises(NotFound) as error:
            await missing
        assert error.value.message == (
            f"There is no todo `{ID}`. Was it deleted? `todos {{ id }}` lists those there are."
        )


async def test_a_deletion_returns_what_was_deleted_once() -> None:
    todos = Todos(FakeStore([todo(1), todo(2)]), NO_OWNER)
    assert await todos.delete(str(UUID(int=1))) == todo(1)
    assert await todos.count(Filter()) == 1
    with pytest.raises(NotFound):
        await todos.delete(str(UUID(int=1)))


@pytest.mark.parametrize("first", [-1, 101, -(2**31), 2**31 - 1])
async def test_a_list_has_0_to_100_todos(first: int) -> None:
    with pytest.raises(BadUserInput, match=f"`first`: expected 0 to 100, but got {first}."):
        await Todos(FakeStore(), NO_OWNER).list(Filter(), NEWEST, first)


async def test_a_list_of_none_needs_no_query() -> None:
    store = FakeStore([todo(1)])
    assert await Todos(store, NO_OWNER).list(Filter(), NEWEST, 0) == []
    with pytest.raises(BadUserInput, match=r"^`filter\.title`"):
        await Todos(store, NO_OWNER).list(Filter(title="\0"), NEWEST, 0)
    assert store.queries == 0


@pytest.mark.parametrize("first", [1, 2, 100])
async def test_a_list_has_the_first_todos_of_its_order(first: int) -> None:
    kept = [todo(number, after_ms=number) for number in range(1, 121)]
    todos = Todos(FakeStore(kept), NO_OWNER)
    assert await todos.list(Filter(), NEWEST, first) == kept[::-1][:first]
    assert await todos.list(Filter(), NEWEST.reversed(), first) == kept[:first]


async def test_a_list_is_filtered_and_ordered() -> None:
    kept = [todo(1, "B100%"), todo(2, "a100x", completed=True), todo(3, "b_", completed=True)]
    todos = Todos(FakeStore(kept), NO_OWNER)
    by_title = Order(OrderField.TITLE, descending=False)

    async def ids(where: Filter) -> list[int]:
        return [each.id.int for each in await todos.list(where, by_title, 100)]

    assert await ids(Filter()) == [1, 2, 3]
    assert await ids(Filter(title="b")) == [1, 3]
    assert await ids(Filter(title="0%")) == [1]
    assert await ids(Filter(title="_")) == [3]
    assert await ids(Filter(completed=True)) == [2, 3]
    assert await ids(Filter(completed=False)) == [1]
    assert await ids(Filter(completed=True, title="A")) == [2]
    assert await ids(Filter(title="")) == [1, 2, 3]
    assert await todos.count(Filter(completed=True)) == 2


async def test_what_the_store_cannot_do_is_not_swallowed() -> None:
    class Gone(ApiError):
        pass

    todos = Todos(FakeStore(failure=Gone("gone")), NO_OWNER)
    calls: list[Callable[[], object]] = [
        lambda: todos.create("x"),
        lambda: todos.get(ID),
        lambda: todos.update(ID, Changes(completed=True)),
        lambda: todos.delete(ID),
        lambda: todos.list(Filter(), NEWEST, 1),
        lambda: todos.page(Filter(), NEWEST, Window(1)),
        lambda: todos.count(Filter()),
    ]
    for call in calls:
        with pytest.raises(Gone):
            await call()  # type: ignore[misc]
