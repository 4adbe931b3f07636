"""Compile the plan of every query that the store can make: `python -m functions.todos.plans OUT`.

The function loads that file and compiles nothing while it serves. In no bundle: only its result is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import prisma_in_process
from prisma import Prisma, errors
from prisma.client import PACKAGED_SCHEMA_PATH
from prisma_in_process.cache import Plans

from .address import GivenAddress
from .database import Database, Query, Result
from .pages import Order, OrderField, Position
from .store import PrismaStore
from .todos import Changes, Filter, Todo

# What the queries of a store depend on beside its arguments: what is in the table.
Case = Literal["found", "missing", "exists"]
CASES: tuple[Case, ...] = ("found", "missing", "exists")
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_TODO = Todo(id=UUID(int=1), title="a", created_at=_NOW)


class DryEngine:
    """Compiles calls in the place of an engine, and answers as if there were a database."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
        self.case: Case = "found"

    async def run(self, call: Any, tx_id: str | None) -> dict[str, Any]:
        """Compile a call, unless its plan is ready; return a result of its form."""
        assert tx_id is None
        if not self.plans.find(call):
            self.plans.make(call)
        if self.case == "exists" and call.method == "create":
            raise errors.UniqueViolationError({})
        if self.case == "missing" and call.method in ("update", "delete"):
            raise errors.RecordNotFoundError({})
        row = {"owner": "", "id": str(_TODO.id), "title": "a", "completed": False, "createdAt": _NOW}
        results: dict[str, Any] = {"find_many": [], "count": {"_count": {"_all": 0}}}
        if self.case == "missing":
            results["find_unique"] = None
        return {"data": {"result": results.get(call.method, row)}}

    def stop(self) -> None:
        """Do nothing: there is no connection. The client calls it at its end."""


class DryDatabase(Database):
    """Runs queries on a dry engine."""

    def __init__(self, engine: DryEngine) -> None:
        super().__init__(GivenAddress(""), timeout_s=0)
        self.engine = engine
        self._dry = Prisma(use_dotenv=False)
        self._dry._internal_engine = engine  # type: ignore[assignment]  # the part of one that calls need

    async def execute(self, query: Query[Result]) -> Result:
        return await query(self._dry)


def calls(store: PrismaStore) -> Iterator[Awaitable[object]]:
    """Call every method of a store with arguments of every form."""
    yield store.create("", _TODO)
    yield store.get("", _TODO.id)
    yield store.delete("", _TODO.id)
    for title, completed in product((None, "a"), (None, True)):
        yield store.update("", _TODO.id, Changes(title=title, completed=completed))
    # The last one has two forms in Unicode, which are both searched for.
    for title, completed in product((None, "a", "\u00e9"), (None, True)):
        where = Filter(title=title, completed=completed)
        yield store.count("", where)
        for field, descending in product(OrderField, (True, False)):
            order = Order(field, descending)
            place = Position("a" if field is OrderField.TITLE else _NOW, _TODO.id)
            for after, before in product((None, place), (None, place)):
                yield store.find("", where, order, after=after, before=before, limit=1)


async def make(file: Path) -> None:
    """Compile all plans, and write them into a file."""
    prisma_in_process.install()
    engine = DryEngine(Plans(PACKAGED_SCHEMA_PATH.read_text(), "public"))
    for engine.case in CASES:
        for call in calls(PrismaStore(DryDatabase(engine))):
            await call
    engine.plans.save(file)


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
