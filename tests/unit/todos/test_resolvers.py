"""The contract: every field of `schema.graphql`, requested as a client does."""

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, is_introspection_type

from functions.todos.errors import DatabaseUnavailable
from functions.todos.execution import Executor, Request
from functions.todos.limits import Limits
from functions.todos.resolvers import create_schema, serialize_date_time
from functions.todos.todos import Todo, Todos
from tests.unit.todos.stores import DAY, NO_OWNER, FakeStore, todo

pytestmark = pytest.mark.anyio

SCHEMA = create_schema()
NEPAL = timezone(timedelta(hours=5, minutes=45))
ONE = str(UUID(int=1))


async def execute(store: FakeStore, query: str, **variables: Any) -> dict[str, Any]:
    ids = iter(range(1, 100))
    todos = Todos(store, NO_OWNER, new_id=lambda: UUID(int=next(ids)), now=lambda: DAY)
    executor = Executor(SCHEMA, Limits(), introspection=True)
    return (await executor.execute(Request(query=query, variables=variables), todos)).body


async def data(store: FakeStore, query: str, **variables: Any) -> Any:
    body = await execute(store, query, **variables)
    assert body.keys() == {"data"}, body
    return body["data"]


async def refused(store: FakeStore, query: str, **variables: Any) -> tuple[str, str]:
    (error,) = (await execute(store, query, **variables))["errors"]
    return error["extensions"]["code"], error["message"]


def test_every_type_and_field_of_the_contract_is_bound() -> None:
    types = {name: each for name, each in SCHEMA.type_map.items() if not is_introspection_type(each)}
    assert types.keys() == {
        *("Query", "Mutation", "Todo", "TodoFilter", "TodoOrder", "TodoOrderField", "OrderDirection"),
        *("TodoConnection", "TodoEdge", "PageInfo", "DateTime", "Boolean", "ID", "Int", "String"),
    }
    for name in ("Query", "Mutation", "TodoConnection"):
        kind = types[name]
        assert isinstance(kind, GraphQLObjectType)
        assert all(field.resolve for field in kind.fields.values())
    field = types["TodoOrderField"]
    assert isinstance(field, GraphQLEnumType)
    assert [str(each.value) for each in field.values.values()] == [
        "OrderField.CREATED_AT",
        "OrderField.TITLE",
    ]


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (DAY, "2026-11-22T10:15:30.123Z"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC), "2026-01-02T03:04:05.999Z"),
        (
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2025-12-31T19:15:00.000Z",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59.000Z"),
    ],
)
def test_an_instant_is_in_utc_with_milliseconds(instant: datetime, text: str) -> None:
    assert serialize_date_time(instant) == text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


async def test_the_documents_own_mutation_and_query() -> None:
    store = FakeStore()
    fields = "{ id title completed createdAt }"
    one = {"id": ONE, "title": "Test Todo", "completed": False, "createdAt": "2026-11-22T10:15:30.123Z"}
    assert await data(store, f'mutation {{ createTodo(title: "Test Todo") {fields} }}') == {"createTodo": one}
    assert await data(store, f"query {{ todos {fields} }}") == {"todos": [one]}


async def test_the_life_of_a_todo() -> None:
    store = FakeStore()
    fields = "{ title completed }"
    await data(store, 'mutation { createTodo(title: " a ") { id } }')
    for operation, answer in (
        (f'updateTodo(id: "{ONE}", title: "b")', {"title": "b", "completed": False}),
        (f'completeTodo(id: "{ONE}")', {"title": "b", "completed": True}),
        (f'completeTodo(id: "{ONE}")', {"title": "b", "completed": True}),
        (f'updateTodo(id: "{ONE}", completed: false)', {"title": "b", "completed": False}),
        (f'updateTodo(id: "{ONE}", title: "c", completed: true)', {"title": "c", "completed": True}),
        (f'deleteTodo(id: "{ONE}")', {"title": "c", "completed": True}),
    ):
        assert await data(store, f"mutation {{ it: {operation} {fields} }}") == {"it": answer}
    assert store.todos == {}
    for operation in (
        f'updateTodo(id: "{ONE}", title: "b")',
        f'completeTodo(id: "{ONE}")',
        f'deleteTodo(id: "{ONE}")',
    ):
        code, _ = await refused(store, f"mutation {{ {operation} {fields} }}")
        assert code == "NOT_FOUND"


@pytest.mark.parametrize("name", ["title", "completed"])
async def test_a_todo_cannot_be_updated_to_null(name: str) -> None:
    kind = {"title": "String", "completed": "Boolean"}[name]
    message = f"`{name}`: expected a value, but got null. Omit it to leave it unchanged."
    store = FakeStore([todo(1)])
    literal = f'mutation {{ updateTodo(id: "{ONE}", {name}: null) {{ id }} }}'
    assert await refused(store, literal) == ("BAD_USER_INPUT", message)
    variable = f'mutation($v: {kind}) {{ updateTodo(id: "{ONE}", {name}: $v) {{ id }} }}'
    assert await refused(store, variable, v=None) == ("BAD_USER_INPUT", message)
    assert (await refused(store, variable))[1].startswith("Nothing to change.")
    assert store.todos[NO_OWNER, UUID(int=1)] == todo(1)


async def test_arguments_that_are_null_are_as_if_they_were_not_given() -> None:
    store = FakeStore([todo(1), todo(2, "b", completed=True, after_ms=1)])
    nothing = ("", "(filter: null, orderBy: null, first: null)", "(filter: {})", "(orderBy: {})")
    empty = ("(filter: {completed: null, title: null})",)
    for arguments in (*nothing, *empty):
        query = f"{{ todos{arguments} {{ title }} }}"
        assert await data(store, query) == {"todos": [{"title": "b"}, {"title": "Test Todo"}]}
    others = ("last: null", "after: null", "before: null", "last: null, first: 1", "first: null, last: 1")
    for arguments in (*nothing, *empty, *(f"({other})" for other in others)):
        found = await data(store, f"{{ todosConnection{arguments} {{ totalCount edges {{ cursor }} }} }}")
        assert found["todosConnection"]["totalCount"] == 2
    query = "query($f: TodoFilter, $n: Int) { todos(filter: $f, first: $n) { id } }"
    for variables in ({}, {"f": None, "n": None}, {"f": {"title": None}}):
        assert len((await data(store, query, **variables))["todos"]) == 2


async def test_todos_are_filtered_ordered_and_counted_out() -> None:
    store = FakeStore([todo(1, "b"), todo(2, "a", completed=True, after_ms=1), todo(3, "c", after_ms=2)])

    async def titles(arguments: str) -> str:
        return "".join(
            each["title"] for each in (await data(store, f"{{ todos{arguments} {{ title }} }}"))["todos"]
        )

    assert await titles("") == "cab"
    assert await titles("(first: 2)") == "ca"
    assert await titles("(orderBy: {direction: ASC})") == "bac"
    assert await titles("(orderBy: {field: TITLE})") == "cba"
    assert await titles("(orderBy: {field: TITLE, direction: ASC})") == "abc"
    assert await titles("(filter: {completed: false})") == "cb"
    assert await titles('(filter: {completed: false, title: "B"})') == "b"


CONNECTION = """query($first: Int, $after: String, $last: Int, $before: String, $filter: TodoFilter) {
  todosConnection(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    totalCount edges { cursor node { title } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def test_a_connection_is_paged_in_both_directions() -> None:
    store = FakeStore(todo(number, str(number), after_ms=number) for number in range(1, 6))

    async def page(**variables: Any) -> tuple[str, Any]:
        found = (await data(store, CONNECTION, **variables))["todosConnection"]
        assert found["totalCount"] == 5
        cursors = [edge["cursor"] for edge in found["edges"]]
        assert [found["pageInfo"][name] for name in ("startCursor", "endCursor")] == [cursors[0], cursors[-1]]
        return "".join(edge["node"]["title"] for edge in found["edges"]), found["pageInfo"]

    titles, info = await page(first=2)
    assert (titles, info["hasNextPage"], info["hasPreviousPage"]) == ("54", True, False)
    titles, info = await page(first=2, after=info["endCursor"])
    assert (titles, info["hasNextPage"], info["hasPreviousPage"]) == ("32", True, True)
    titles, info = await page(last=2, before=info["startCursor"])
    assert (titles, info["hasNextPage"], info["hasPreviousPage"]) == ("54", True, False)
    titles, info = await page(last=2)
    assert (titles, info["hasNextPage"], info["hasPreviousPage"]) == ("21", False, True)
    assert (await page())[0] == "54321"


async def test_an_empty_connection_has_no_cursors() -> None:
    found = await data(FakeStore(), CONNECTION)
    info = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    assert found == {"todosConnection": {"totalCount": 0, "edges": [], "pageInfo": info}}


async def test_the_total_is_counted_only_where_it_is_requested() -> None:
    store = FakeStore([todo(1), todo(2, "x")])
    await data(store, "{ todosConnection { edges { node { id } } } }")
    assert store.queries == 1
    found = await data(store, '{ todosConnection(first: 1, filter: {title: "x"}) { totalCount } }')
    assert found == {"todosConnection": {"totalCount": 1}}


@pytest.mark.parametrize(
    "field",
    [
        "todos(first: -1) { id }",
        "todos(first: 101) { id }",
        'todos(filter: {title: "\\u0000"}) { id }',
        'todo(id: "") { id }',
        "todo(id: 3) { id }",
        'todo(id: "\\u0000") { id }',
        "todosConnection(first: 1, last: 1) { totalCount }",
        "todosConnection(first: -1) { totalCount }",
        'todosConnection(after: "") { totalCount }',
        'todosConnection(before: "x") { totalCount }',
    ],
)
async def test_a_wrong_value_is_the_callers_fault(field: str) -> None:
    store = FakeStore()
    code, message = await refused(store, f"{{ {field} }}")
    assert code == "BAD_USER_INPUT"
    assert "expected" in message.lower()
    assert store.queries == 0


async def test_ids_may_be_in_upper_case() -> None:
    one = Todo(id=UUID("6F1C5A52-0B3E-4A8E-9A3C-5F2F7D1B8E90"), title="x", created_at=DAY)
    found = await data(FakeStore([one]), f'{{ todo(id: "{str(one.id).upper()}") {{ id }} }}')
    assert found == {"todo": {"id": "6f1c5a52-0b3e-4a8e-9a3c-5f2f7d1b8e90"}}


FIRST_NONE = {"edges": [], "pageInfo": {"hasNextPage": True, "startCursor": None, "endCursor": None}}
LAST_NONE = {"pageInfo": {"hasNextPage": False, "hasPreviousPage": True}}


@pytest.mark.parametrize(
    ("selection", "found", "queries"),
    [
        ("(first: 0) { totalCount }", {"totalCount": 2}, 1),
        ("{ totalCount }", {"totalCount": 2}, 1),
        ("(first: 0) { __typename }", {"__typename": "TodoConnection"}, 0),
        ("(first: 0) { edges { cursor } pageInfo { hasNextPage startCursor endCursor } }", FIRST_NONE, 1),
        ("(last: 0) { pageInfo { hasNextPage hasPreviousPage } }", LAST_NONE, 1),
        ("(first: 5) { a: edges { __typename } b: edges { cursor } pageInfo { endCursor } }", None, 1),
    ],
)
async def test_a_connection_queries_what_is_requested_once(
    selection: str, found: dict[str, Any] | None, queries: int
) -> None:
    store = FakeStore([todo(1), todo(2)])
    answer = (await data(store, f"{{ todosConnection{selection} }}"))["todosConnection"]
    assert found is None or answer == found
    assert store.queries == queries


async def test_a_connection_that_fails_has_one_error_and_leaves_nothing_running() -> None:
    store = FakeStore(failure=DatabaseUnavailable())
    query = "{ todosConnection { edges { cursor } pageInfo { endCursor } totalCount } }"
    tasks = asyncio.all_tasks()
    body = await execute(store, query)
    assert (body["data"], len(body["errors"])) == (None, 1)
    assert asyncio.all_tasks() == tasks


async def test_an_empty_page_is_checked_as_any_other() -> None:
    for arguments in ('first: 0, after: "x"', 'first: 0, filter: {title: "\\u0000"}', "first: 0, last: 0"):
        code, _ = await refused(FakeStore(), f"{{ todosConnection({arguments}) {{ totalCount }} }}")
        assert code == "BAD_USER_INPUT"
