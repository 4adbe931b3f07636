"""A store in memory that orders, compares and filters as Postgres does.

`tests/integration/todos/test_store.py` holds it to that: the same tests run against both.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unicodedata import normalize
from uuid import UUID

from functions.todos.pages import Order, OrderField, Position
from functions.todos.todos import Changes, Filter, Todo

DAY = datetime(2026, 11, 22, 10, 15, 30, 123000, tzinfo=UTC)
NO_OWNER = ""
Key = tuple[datetime | str, UUID]


def todo(number: int = 1, title: str = "Test Todo", *, completed: bool = False, after_ms: int = 0) -> Todo:
    """Return a todo; its number makes its id."""
    created_at = DAY + timedelta(milliseconds=after_ms)
    return Todo(id=UUID(int=number), title=title, completed=completed, created_at=created_at)


class FakeStore:
    """Keeps todos in a dictionary. Those it starts with have no owner.

    Each call fails with `failure` while there is one.
    """

    def __init__(self, todos: Iterable[Todo] = (), *, failure: Exception | None = None) -> None:
        self.todos = {(NO_OWNER, todo.id): todo for todo in todos}
        self.failure = failure
        self.is_open = False
        self.queries = 0

    async def open(self) -> None:
        self.is_open = True

    async def aclose(self) -> None:
        self.is_open = False

    async def create(self, owner: str, todo: Todo) -> Todo:
        self._query()
        return self.todos.setdefault((owner, todo.id), todo)

    async def get(self, owner: str, todo_id: UUID) -> Todo | None:
        self._query()
        return self.todos.get((owner, todo_id))

    async def update(self, owner: str, todo_id: UUID, changes: Changes) -> Todo | None:
        self._query()
        found = self.todos.get((owner, todo_id))
        if found is None:
            return None
        title = found.title if changes.title is None else changes.title
        completed = found.completed if changes.completed is None else changes.completed
        self.todos[owner, todo_id] = replace(found, title=title, completed=completed)
        return self.todos[owner, todo_id]

    async def delete(self, owner: str, todo_id: UUID) -> Todo | None:
        self._query()
        return self.todos.pop((owner, todo_id), None)

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
        self._query()
        found = [todo for todo in self._of(owner) if matches(todo, where)]
        if after:
            found = [todo for todo in found if _is_behind(_key(todo, order), after, order)]
        if before:
            found = [todo for todo in found if _is_behind(_key(todo, order), before, order.reversed())]
        return sorted(found, key=lambda todo: _key(todo, order), reverse=order.descending)[:limit]

    async def count(self, owner: str, where: Filter) -> int:
        self._query()
        return sum(matches(todo, where) for todo in self._of(owner))

    def _of(self, owner: str) -> list[Todo]:
        return [todo for (holder, _), todo in self.todos.items() if holder == owner]

    def _query(self) -> None:
        self.queries += 1
        if self.failure:
            raise self.failure


def matches(todo: Todo, where: Filter) -> bool:
    """Return whether a todo matches a filter."""
    if where.completed is not None and todo.completed != where.completed:
        return False
    part, title = where.title or "", lower(todo.title)
    return lower(part) in title or lower(normalize("NFD", part)) in title


def lower(text: str) -> str:
    """Lower each character by itself, as Postgres's collation C.UTF-8 does: ß, ſ and final ς stay."""
    return "".join(character.lower()[0] for character in text)


def _key(todo: Todo, order: Order) -> Key:
    return (todo.created_at if order.field is OrderField.CREATED_AT else todo.title, todo.id)


def _is_behind(key: Key, position: Position, order: Order) -> bool:
    there = (position.value, position.id)
    return key < there if order.descending else key > there
