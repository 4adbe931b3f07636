"""Todos in Postgres, through Prisma Client Python, which only this module and `database` import.

A query may be sent twice (see `database`), so every query here is idempotent. Ids are generated before the
query is sent, so that a second creation of a todo finds the first.

A todo is identified by its owner and its id together, which are the table's primary key. A caller who sends
the id of another owner's todo finds no todo.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prisma import Prisma, errors, models
from prisma_in_process.values import Beyond

from .database import Database
from .pages import INFINITIES, LAST_US, Order, OrderField, Position
from .todos import Changes, Filter, Todo

if TYPE_CHECKING:
    from prisma import types  # takes a while to import

_COLUMNS = {OrderField.CREATED_AT: "createdAt", OrderField.TITLE: "title"}
# Postgres rounds up to this instant, but reads no parameter of it: its neighbours stand for it.
_AT_LAST = {
    "lt": ("lte", LAST_US - 1),
    "lte": ("lt", INFINITIES[1]),
    "gt": ("gte", INFINITIES[1]),
    "gte": ("gt", LAST_US - 1),
}


class PrismaStore:
    """A store in Postgres, over one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None:
        """Connect to the database ahead of the first query."""
        await self._database.open()

    async def aclose(self) -> None:
        """Close the connection to the database."""
        await self._database.aclose()

    async def create(self, owner: str, todo: Todo) -> Todo:
        """Insert a new todo. If its owner has it already, the same query was sent twice."""

        async def query(db: Prisma) -> models.Todo:
            try:
                return await db.todo.create(
                    {
                        "owner": owner,
                        "id": str(todo.id),
                        "title": todo.title,
                        "completed": todo.completed,
                        "createdAt": todo.created_at,
                    }
                )
            except errors.UniqueViolationError:
                return await db.todo.find_unique_or_raise(_one(owner, todo.id))

        return _todo(await self._database.execute(query))

    async def get(self, owner: str, todo_id: UUID) -> Todo | None:
        """Return a todo, or None."""
        found = await self._database.execute(lambda db: db.todo.find_unique(_one(owner, todo_id)))
        return _todo(found) if found else None

    async def update(self, owner: str, todo_id: UUID, changes: Changes) -> Todo | None:
        """Change a todo and return it, or None."""
        data: types.TodoUpdateInput = {}
        if changes.title is not None:
            data["title"] = changes.title
        if changes.completed is not None:
            data["completed"] = changes.completed
        found = await self._database.execute(lambda db: db.todo.update(where=_one(owner, todo_id), data=data))
        return _todo(found) if found else None

    async def delete(self, owner: str, todo_id: UUID) -> Todo | None:
        """Delete a todo and return it; None if there is none, or if another caller deletes it.

        It is read first, so that a deletion that is repeated, because its result was lost, can return it.
        """
        read: models.Todo | None = None

        async def query(db: Prisma) -> models.Todo | None:
            nonlocal read
            found = await db.todo.find_unique(_one(owner, todo_id))
            if found is None:
                return read
            read = found
            return await db.todo.delete(_one(owner, todo_id))

        deleted = await self._database.execute(query)
        return _todo(deleted) if deleted else None

    async def find(
        self,
        owner: str,
        where: Filter,
        order: Order,
        *,
        after: Position | None,
        before: Position | None,
        limit: int,
    ) -> list[Todo]:
        """Return an owner's first todos in that order, between two positions."""
        conditions = _conditions(owner, where)
        if after:
            conditions += _beyond(after, order)
        if before:
            conditions += _beyond(before, order.reversed())
        direction = "desc" if order.descending else "asc"
        by: Any = [{_COLUMNS[order.field]: direction}, {"id": direction}]
        found = await self._database.execute(
            lambda db: db.todo.find_many(where=_all_of(conditions), order=by, take=limit)
        )
        return [_todo(each) for each in found]

    async def count(self, owner: str, where: Filter) -> int:
        """Count an owner's todos that fulfil the filter."""
        return await self._database.execute(
            lambda db: db.todo.count(where=_all_of(_conditions(owner, where)))
        )


def _one(owner: str, todo_id: UUID) -> types.TodoWhereUniqueInput:
    return {"owner_id": {"owner": owner, "id": str(todo_id)}}


def _conditions(owner: str, where: Filter) -> list[Any]:
    conditions: list[Any] = [{"owner": owner}]
    if where.completed is not None:
        conditions.append({"completed": where.completed})
    if where.title:
        # Titles are stored in NFC, but others may have written NFD, and so did versions before 0.7.
        forms = dict.fromkeys((where.title, unicodedata.normalize("NFD", where.title)))
        contains = [{"contains": escape_wildcards(form), "mode": "insensitive"} for form in forms]
        alternatives = [{"title": each} for each in contains]
        conditions.append({"OR": alternatives} if len(alternatives) > 1 else alternatives[0])
    return conditions


def escape_wildcards(text: str) -> str:
    """Escape the wildcards of `LIKE`, which Prisma passes on as they are."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _all_of(conditions: list[Any]) -> types.TodoWhereInput:
    return {"AND": conditions}


def _beyond(position: Position, order: Order) -> list[Any]:
    """Return the conditions of what follows a position.

    The first one bounds the range that is read from the index; the second one orders equal values by id.
    """
    item_id = str(position.id)
    return [
        _compared(order, "lte" if order.descending else "gte", position.value),
        {
            "OR": [
                _compared(order, "lt" if order.descending else "gt", position.value),
                {"id": {"lt": item_id} if order.descending else {"gt": item_id}},
            ]
        },
    ]


def _compared(order: Order, operator: str, value: datetime | int | str) -> dict[str, Any]:
    if value == LAST_US:
        operator, value = _AT_LAST[operator]
    return {_COLUMNS[order.field]: {operator: Beyond.at(value) if isinstance(value, int) else value}}


def _todo(row: models.Todo) -> Todo:
    at, beyond_us = row.createdAt, None
    if isinstance(at, Beyond):
        beyond_us = at.microseconds
        at = datetime.combine(at.date(), at.time(), UTC)
    return Todo(id=UUID(row.id), title=row.title, completed=row.completed, created_at=at, beyond_us=beyond_us)
