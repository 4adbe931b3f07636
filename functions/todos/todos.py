"""The domain: todos and the operations on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

from .errors import BadUserInput, NotFound
from .pages import MAX_PAGE, Order, Page, Position, Window, page_of
from .titles import checked_part, checked_title


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One todo. `created_at` is in UTC, to the millisecond.

    Shape:  `beyond_us`: when it was created, if others have written what is infinite or outside the years 1
            to 9999; `created_at` is then the nearest.
    Units:  `beyond_us` microseconds since 2000, as Postgres counts them.
    """

    id: UUID
    title: str
    completed: bool = False
    created_at: datetime
    beyond_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The conditions on todos. `title`: a text that it contains, in any case and Unicode form."""

    completed: bool | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The new values; None leaves one unchanged."""

    title: str | None = None
    completed: bool | None = None


class Store(Protocol):
    """A store of todos. No call reaches the todos of another owner.

    Raises: DatabaseUnavailable, in every method.
    """

    async def create(self, owner: str, todo: Todo) -> Todo: ...

    async def get(self, owner: str, todo_id: UUID) -> Todo | None: ...

    async def update(self, owner: str, todo_id: UUID, changes: Changes) -> Todo | None: ...

    async def delete(self, owner: str, todo_id: UUID) -> Todo | None: ...

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
        """Return the first todos in that order, between two positions."""

    async def count(self, owner: str, where: Filter) -> int: ...


def utc_now() -> datetime:
    """Return the current time, to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Todos:
    """The todos of one owner: the holder of a key, or every caller where there are no keys."""

    def __init__(
        self,
        store: Store,
        owner: str,
        *,
        new_id: Callable[[], UUID] = uuid4,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store, self._owner, self._new_id, self._now = store, owner, new_id, now

    async def create(self, title: str) -> Todo:
        """Create a todo.

        Raises: BadUserInput.
        """
        todo = Todo(id=self._new_id(), title=checked_title(title), created_at=self._now())
        return await self._store.create(self._owner, todo)

    async def get(self, todo_id: str) -> Todo:
        """Return one todo.

        Raises: BadUserInput, NotFound.
        """
        return _found(await self._store.get(self._owner, checked_id(todo_id)), todo_id)

    async def update(self, todo_id: str, changes: Changes) -> Todo:
        """Change a todo.

        Raises: BadUserInput, NotFound.
        """
        if changes.title is None and changes.completed is None:
            raise BadUserInput("Nothing to change. Expected `title`, `completed` or both.")
        title = None if changes.title is None else checked_title(changes.title)
        checked = Changes(title=title, completed=changes.completed)
        return _found(await self._store.update(self._owner, checked_id(todo_id), checked), todo_id)

    async def delete(self, todo_id: str) -> Todo:
        """Delete a todo and return it.

        Raises: BadUserInput, NotFound.
        """
        return _found(await self._store.delete(self._owner, checked_id(todo_id)), todo_id)

    async def list(self, where: Filter, order: Order, first: int) -> list[Todo]:
        """Return the first todos.

        Raises: BadUserInput.
        """
        if not 0 <= first <= MAX_PAGE:
            raise BadUserInput(f"`first`: expected 0 to {MAX_PAGE}, but got {first}.")
        checked = checked_filter(where)
        if first == 0:
            return []
        return await self._store.find(self._owner, checked, order, after=None, before=None, limit=first)

    async def page(self, where: Filter, order: Order, window: Window) -> Page[Todo]:
        """Return one page.

        Raises: BadUserInput.
        """
        checked = checked_filter(where)
        todos = await self._store.find(
            self._owner,
            checked,
            order.reversed() if window.backward else order,
            after=window.before if window.backward else window.after,
            before=window.after if window.backward else window.before,
            limit=window.size + 1,
        )
        return page_of(todos, window)

    async def count(self, where: Filter) -> int:
        """Count the todos that match the filter.

        Raises: BadUserInput.
        """
        return await self._store.count(self._owner, checked_filter(where))


def checked_id(text: str) -> UUID:
    """Return the id.

    Raises: BadUserInput.
    """
    try:
        todo_id = UUID(text)
    except ValueError:
        todo_id = None
    if str(todo_id) != text.lower():
        raise BadUserInput(
            "`id`: expected the UUID of a todo, as `todos { id }` lists them, but got something else."
        )
    return UUID(text)


def checked_filter(where: Filter) -> Filter:
    """Return the filter if a title can contain its text, in the form of titles.

    Raises: BadUserInput.
    """
    return where if where.title is None else replace(where, title=checked_part(where.title))


def _found(todo: Todo | None, todo_id: str) -> Todo:
    if todo is None:
        raise NotFound(
            f"There is no todo `{todo_id}`. Was it deleted? `todos {{ id }}` lists those there are."
        )
    return todo
