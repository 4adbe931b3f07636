"""The todos in Postgres, through Prisma Client Python: the only module that knows it.

Prisma's query engine is a process of its own, asked over HTTP. Lambda freezes both for minutes, and either
the engine or Postgres may be gone afterwards. So each question has a time limit, and one that got no answer
is asked once more, of a new engine where the old one is lost. That is safe to do: ids are ours, so a second
creation of the same todo finds the first; the other changes come to the same when done twice.

A todo is known by its owner and its id together, which are the table's key: whoever asks with the id of
another owner's todo asks for another todo, which is not there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import httpx
from prisma import Prisma, errors, models, types
from prisma.binaries import platform
from prisma.engine import errors as engine_errors

from functions.shared.logs import log_unexpected

from .errors import DatabaseUnavailable
from .pages import Order, OrderField, Position
from .todos import Changes, Filter, Todo

logger = logging.getLogger("todos")
# Both would log what they send: titles, and at its lowest level the database's address with its password.
logging.getLogger("prisma").setLevel(logging.WARNING)
logging.getLogger("httpx").setLevel(logging.WARNING)

# The client would ask `openssl` for this, which Lambda lacks. It only names a file that is not looked for:
# PRISMA_QUERY_ENGINE_BINARY says where the engine is.
platform.binary_platform = lambda: "rhel-openssl-3.0.x"  # type: ignore[assignment]

_ENGINE_START = timedelta(seconds=8)
_ENGINE_STOP = timedelta(seconds=0.5)
_ENGINE_LOST = (
    httpx.TransportError,
    TimeoutError,
    engine_errors.EngineError,
    errors.ClientNotConnectedError,
)
# What Prisma calls a database that it cannot reach, that closed the connection, or that has none left.
_DATABASE_LOST = ("P1", "P2024", "P2028", "P2037")
_COLUMNS = {OrderField.CREATED_AT: "createdAt", OrderField.TITLE: "title"}

Answer = TypeVar("Answer")
Question = Callable[[Prisma], Awaitable[Answer]]


class PrismaStore:
    """Keeps todos in Postgres, over one connection."""

    def __init__(self, database_url: str, *, timeout_s: float) -> None:
        self._client = Prisma(
            use_dotenv=False,
            datasource={"url": with_one_connection(database_url)},
            connect_timeout=_ENGINE_START,
            http={"trust_env": False},
        )
        self._timeout_s = timeout_s
        self._engines_lost = 0
        self._engine_change = asyncio.Lock()

    async def open(self) -> None:
        """Start the engine ahead of the first question, which tries again where this fails."""
        try:
            await self._connect()
        except _ENGINE_LOST as error:
            log_unexpected(logger, error)

    async def aclose(self) -> None:
        """Stop the engine."""
        await self._stop_engine()

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

        return _todo(await self._ask(question))

    async def get(self, owner: str, todo_id: UUID) -> Todo | None:
        """Return a todo, or None."""
        found = await self._ask(lambda db: db.todo.find_unique(_one(owner, todo_id)))
        return _todo(found) if found else None

    async def update(self, owner: str, todo_id: UUID, changes: Changes) -> Todo | None:
        """Change a todo and return it, or None."""
        data: types.TodoUpdateInput = {}
        if changes.title is not None:
            data["title"] = changes.title
        if changes.completed is not None:
            data["completed"] = changes.completed
        found = await self._ask(lambda db: db.todo.update(where=_one(owner, todo_id), data=data))
        return _todo(found) if found else None

    async def delete(self, owner: str, todo_id: UUID) -> Todo | None:
        """Delete a todo and return what it was, or None. A repeated deletion returns what the first saw."""
        seen: list[Todo] = []

        async def question(db: Prisma) -> None:
            found = await db.todo.find_unique(_one(owner, todo_id))
            if found:
                seen.append(_todo(found))
                await db.todo.delete_many({"owner": owner, "id": str(todo_id)})

        await self._ask(question)
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
        found = await self._ask(lambda db: db.todo.find_many(where=_all_of(conditions), order=by, take=limit))
        return [_todo(each) for each in found]

    async def count(self, owner: str, where: Filter) -> int:
        """Count an owner's todos that fulfil the filter."""
        return await self._ask(lambda db: db.todo.count(where=_all_of(_conditions(owner, where))))

    async def _ask(self, question: Question[Answer]) -> Answer:
        """Ask the database, and once more if there was no answer.

        Raises: DatabaseUnavailable.
        """
        reason: object = None
        for _ in range(2):
            engine = self._engines_lost
            try:
                await self._connect()
                async with asyncio.timeout(self._timeout_s):
                    return await question(self._client)
            except _ENGINE_LOST as error:
                reason = type(error).__name__
                await self._give_up(engine)
            except errors.DataError as error:
                if not str(error.code).startswith(_DATABASE_LOST):
                    raise
                reason = error.code
        logger.error("the database cannot be asked: %s", reason)
        raise DatabaseUnavailable

    async def _connect(self) -> None:
        async with self._engine_change:
            if self._client.is_connected():
                return
            try:
                await self._client.connect()
            except BaseException:
                await self._stop_engine()
                raise

    async def _stop_engine(self) -> None:
        """Stop the engine and see its end; one that does not stop is killed."""
        process = getattr(self._client._internal_engine, "process", None)
        await self._client.disconnect(timeout=_ENGINE_STOP)
        if process:
            process.wait()

    async def _give_up(self, engine: int) -> None:
        """Stop an engine, unless another question that it failed has done so."""
        async with self._engine_change:
            if engine == self._engines_lost:
                self._engines_lost += 1
                await self._stop_engine()


def with_one_connection(database_url: str) -> str:
    """Return the address with a connection limit of 1, unless it has one.

    Each environment answers one request at a time, and Postgres counts the connections of all of them.
    """
    url = urlsplit(database_url)
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    return urlunsplit(url._replace(query=urlencode({"connection_limit": "1"} | options)))


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
