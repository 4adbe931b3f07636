"""The resolvers of `schema.graphql`, which call the domain."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType, ScalarType, make_executable_schema
from graphql import GraphQLResolveInfo, GraphQLSchema

from .errors import BadUserInput
from .pages import Order, OrderField, Page, Window, cursor_of, window_of
from .todos import Changes, Filter, Todo, Todos, checked_filter

Info = GraphQLResolveInfo[Todos]

query = QueryType()
mutation = MutationType()
connection = ObjectType("TodoConnection")
date_time = ScalarType("DateTime")
order_field = EnumType("TodoOrderField", OrderField)


def create_schema() -> GraphQLSchema:
    """Bind the resolvers to the contract."""
    contract = Path(__file__).with_name("schema.graphql").read_text(encoding="utf-8")
    return make_executable_schema(
        contract, query, mutation, connection, date_time, order_field, convert_names_case=True
    )


@query.field("todos")
async def resolve_todos(
    _: Any,
    info: Info,
    first: int | None,
    filter: dict[str, Any] | None = None,  # noqa: A002
    order_by: dict[str, Any] | None = None,
) -> list[Todo]:
    return await info.context.list(_filter(filter), _order(order_by), 100 if first is None else first)


@query.field("todo")
async def resolve_todo(_: Any, info: Info, id: str) -> Todo:  # noqa: A002
    return await info.context.get(id)


@query.field("todosConnection")
async def resolve_connection(
    _: Any,
    info: Info,
    filter: dict[str, Any] | None = None,  # noqa: A002
    order_by: dict[str, Any] | None = None,
    **window: Any,
) -> Connection:
    order = _order(order_by)
    return Connection(info.context, checked_filter(_filter(filter)), order, window_of(order, **window))


@mutation.field("createTodo")
async def resolve_create(_: Any, info: Info, title: str) -> Todo:
    return await info.context.create(title)


@mutation.field("updateTodo")
async def resolve_update(_: Any, info: Info, id: str, **changes: Any) -> Todo:  # noqa: A002
    for name, value in changes.items():
        if value is None:
            raise BadUserInput(f"`{name}`: expected a value, but got null. Omit it to leave it unchanged.")
    return await info.context.update(id, Changes(**changes))


@mutation.field("completeTodo")
async def resolve_complete(_: Any, info: Info, id: str) -> Todo:  # noqa: A002
    return await info.context.update(id, Changes(completed=True))


@mutation.field("deleteTodo")
async def resolve_delete(_: Any, info: Info, id: str) -> Todo:  # noqa: A002
    return await info.context.delete(id)


@dataclass(frozen=True)
class Connection:
    """A part of the todos that match a filter."""

    todos: Todos
    where: Filter
    order: Order
    window: Window

    @cached_property
    def page(self) -> asyncio.Task[Page[Todo]]:
        """The page, which is queried once, and only if a field is requested that needs it."""
        return asyncio.create_task(self.todos.page(self.where, self.order, self.window))


@connection.field("edges")
async def resolve_edges(found: Connection, _: Info) -> list[dict[str, Any]]:
    return [{"cursor": cursor_of(todo, found.order), "node": todo} for todo in (await found.page).items]


@connection.field("pageInfo")
async def resolve_page_info(found: Connection, _: Info) -> dict[str, Any]:
    page = await found.page
    cursors = [cursor_of(todo, found.order) for todo in (*page.items[:1], *page.items[-1:])]
    return {
        "has_next_page": page.has_next,
        "has_previous_page": page.has_previous,
        "start_cursor": cursors[0] if cursors else None,
        "end_cursor": cursors[-1] if cursors else None,
    }


@connection.field("totalCount")
async def resolve_total_count(found: Connection, info: Info) -> int:
    return await info.context.count(found.where)


@date_time.serializer
def serialize_date_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _filter(given: dict[str, Any] | None) -> Filter:
    return Filter(**given) if given else Filter()


def _order(given: dict[str, Any] | None) -> Order:
    return Order(given["field"], given["direction"] == "DESC") if given else Order()
