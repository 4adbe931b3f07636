"""The todos in Postgres, through Prisma Client Python, which only this module and `database` know.

A question may be asked twice (`database` says when). That is safe to do: ids are ours, so a second creation
of the same todo finds the first; the other changes come to the same when done twice.

A todo is known by its owner and its id together, which are the table's key: whoever asks with the id of
another owner's todo asks for another todo, which is not there.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prisma import Prisma, errors, models, types

from .database import Database
from .pages import Order, OrderField, Position
from .todos import Changes, Filter, Todo

_COLUMNS = {OrderField.CREATED_AT: "createdAt", OrderField.TITLE: "title"}


class PrismaStore:
    """Keeps todos in Postgres, over one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None:
        """Reach for the database ahead of the first question."""
        await self._database.open()

    async def aclose(self) -> None:
        """Close the way to the database."""
        await self._database.aclose()

    async def create(self, owner: str, todo: Todo) -> Todo:
        """Keep a new todo. One that its owner has already was created by a question asked twice."""

        async def question(db: Prisma) -> models.Todo:
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

        return _todo(await self._database.ask(question))

    async def get(self, owner: str, todo_id: UUID) -> Todo | None:
        """Return a todo, or None."""
        found = await self._database.ask(lambda db: db.todo.find_unique(_one(owner, todo_id)))
        return _todo(found) if found else None

    async def update(self, owner: str, todo_id: UUID, changes: Changes) -> Todo | None:
        """Change a todo and return it, or None."""
        data: types.TodoUpdateInput = {}
        if changes.title is not None:
            data["title"] = changes.title
        if changes.completed is not None:
            data["completed"] = changes.completed
        found = await self._database.ask(lambda db: db.todo.update(where=_one(owner, todo_id), data=data))
        return _todo(found) if found else None

    async def delete(self, owner: str, todo_id: UUID) -> Todo | None:
        """Delete a todo and return what it was, or None. A repeated deletion returns what the first saw."""
        seen: list[Todo] = []

        async def question(db: Prisma) -> None:
            found = await db.todo.find_unique(_one(owner, todo_id))
            if found:
                seen.append(_todo(found))
                await db.todo.delete_many({"owner": owner, "id": str(todo_id)})

        await self._database.ask(question)
        return seen[0] if seen else None

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
        found = await self._database.ask(
            lambda db: db.todo.find_many(where=_all_of(conditions), order=by, take=limit)
        )
        return [_todo(each) for each in found]

    async def count(self, owner: str, where: Filter) -> int:
        """Count an owner's todos that fulfil the filter."""
        return await self._database.ask(lambda db: db.todo.count(where=_all_of(_conditions(owner, where))))


def _one(owner: str, todo_id: UUID) -> types.TodoWhereUniqueInput:
    return {"owner_id": {"owner": owner, "id": str(todo_id)}}


def _conditions(owner: str, where: Filter) -> list[Any]:
    conditions: list[Any] = [{"owner": owner}]
    if where.completed is not None:
        conditions.append({"completed": where.completed})
    if where.title:
        conditions.append({"title": {"contains": _literally(where.title), "mode": "insensitive"}})
    return conditions


def _all_of(conditions: list[Any]) -> types.TodoWhereInput:
    return {"AND": conditions}


def _literally(text: str) -> str:
    """Escape what `LIKE` takes for a wildcard: Prisma passes it on as it is."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _beyond(position: Position, order: Order) -> list[Any]:
    """Tell what lies behind a position.

    The first condition bounds the range that is read from the index; the second sorts out equals.
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


def _compared(order: Order, operator: str, value: object) -> dict[str, Any]:
    return {_COLUMNS[order.field]: {operator: value}}


def _todo(row: models.Todo) -> Todo:
    return Todo(id=UUID(row.id), title=row.title, completed=row.completed, created_at=row.createdAt)
