"""Prisma's query plans as Python functions: each node of a plan becomes one, once; running it queries the database.

The nodes and what they mean are those of Prisma's own interpreter (npm: @prisma/client-engine-runtime).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from . import results
from .errors import validation
from .generators import NOW, Scope, argument
from .records import attach, changed, empty, key, operations, satisfies
from .sql import as_list, statement


class Database(Protocol):
    """One connection, while a plan has it."""

    async def rows(self, sql: str, values: list[Any]) -> list[dict[str, Any]]: ...
    async def execute(self, sql: str, values: list[Any]) -> int: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


Node = Callable[[Database, Scope], Awaitable[Any]]


def page(plan: Any, pages: dict[int, str]) -> Any:
    """Put parameters where a plan has the numbers that stand for pages' sizes and offsets."""
    if isinstance(plan, dict):
        return {key: page(value, pages) for key, value in plan.items()}
    if isinstance(plan, list):
        return [page(each, pages) for each in plan]
    name = (
        pages.get(int(plan))
        if isinstance(plan, str) and plan.isdecimal()
        else (pages.get(plan) if type(plan) is int else None)
    )
    return {"prisma__type": "param", "prisma__value": {"name": name, "type": "BigInt"}} if name else plan


class Plan:
    """A plan, ready to run."""

    def __init__(self, plan: dict[str, Any], *, typed: bool) -> None:
        self._run = _Maker(typed).node(plan)

    async def run(self, database: Database, values: dict[str, Any]) -> Any:
        return await self._run(database, {**values, NOW: []})


class _Maker:
    def __init__(self, typed: bool) -> None:
        self._typed = typed

    def node(self, plan: dict[str, Any]) -> Node:
        return getattr(self, "_" + plan["type"], self._unknown)(plan.get("args"), plan)

    def _unknown(self, _: Any, plan: dict[str, Any]) -> Node:
        raise NotImplementedError(
            f"the query compiler uses {plan['type']!r}, which this engine does not know"
        )

    # values and names

    def _value(self, args: Any, _: Any) -> Node:
        value = argument(args)

        async def run(database: Database, scope: Scope) -> Any:
            return value(scope)

        return run

    def _get(self, args: Any, _: Any) -> Node:
        name = args["name"]

        async def run(database: Database, scope: Scope) -> Any:
            return scope.get(name)

        return run

    def _unit(self, args: Any, _: Any) -> Node:
        async def run(database: Database, scope: Scope) -> Any:
            return None

        return run

    def _seq(self, args: Any, _: Any) -> Node:
        steps = [self.node(each) for each in args]

        async def run(database: Database, scope: Scope) -> Any:
            result = None
            for step in steps:
                result = await step(database, scope)
            return result

        return run

    def _let(self, args: Any, _: Any) -> Node:
        bindings = [(each["name"], self.node(each["expr"])) for each in args["bindings"]]
        body = self.node(args["expr"])

        async def run(database: Database, scope: Scope) -> Any:
            inner = dict(scope)
            for name, step in bindings:
                inner[name] = await step(database, inner)
            return await body(database, inner)

        return run

    def _getFirstNonEmpty(self, args: Any, _: Any) -> Node:
        names = args["names"]

        async def run(database: Database, scope: Scope) -> Any:
            return next((scope[name] for name in names if not empty(scope.get(name))), [])

        return run

    # the database

    def _query(self, args: Any, _: Any) -> Node:
        render = statement(args)

        async def run(database: Database, scope: Scope) -> Any:
            found: list[dict[str, Any]] = []
            parts = render(scope)
            if len(parts) == 1:
                return await database.rows(*parts[0])
            async with database.transaction():
                for sql, values in parts:
                    found += await database.rows(sql, values)
            return found

        return run

    def _execute(self, args: Any, _: Any) -> Node:
        render = statement(args)

        async def run(database: Database, scope: Scope) -> Any:
            parts = render(scope)
            if len(parts) == 1:
                return await database.execute(*parts[0])
            async with database.transaction():
                return sum([await database.execute(sql, values) for sql, values in parts])

        return run

    def _transaction(self, args: Any, _: Any) -> Node:
        body = self.node(args)

        async def run(database: Database, scope: Scope) -> Any:
            async with database.transaction():
                return await body(database, scope)

        return run

    # many values, few, one

    def _concat(self, args: Any, _: Any) -> Node:
        parts = [self.node(each) for each in args]

        async def run(database: Database, scope: Scope) -> Any:
            return [item for part in parts for item in as_list(await part(database, scope))]

        return run

    def _sum(self, args: Any, _: Any) -> Node:
        parts = [self.node(each) for each in args]

        async def run(database: Database, scope: Scope) -> Any:
            return sum([await part(database, scope) for part in parts])

        return run

    def _reverse(self, args: Any, _: Any) -> Node:
        return self._then(args, lambda value: value[::-1] if isinstance(value, list) else value)

    def _unique(self, args: Any, _: Any) -> Node:
        def unique(value: Any) -> Any:
            if not isinstance(value, list):
                return value
            if len(value) > 1:
                raise RuntimeError(f"one row or none was expected, not {len(value)}")
            return value[0] if value else None

        return self._then(args, unique)

    def _required(self, args: Any, _: Any) -> Node:
        def required(value: Any) -> Any:
            if empty(value):
                raise RuntimeError("a value that a plan requires is not there")
            return value

        return self._then(args, required)

    def _mapField(self, args: Any, _: Any) -> Node:
        field = args["field"]

        def pick(value: Any) -> Any:
            if isinstance(value, list):
                return [pick(each) for each in value]
            return value.get(field) if isinstance(value, dict) else value

        return self._then(args["records"], pick)

    def _dataMap(self, args: Any, _: Any) -> Node:
        return self._then(args["expr"], results.mapper(args["structure"], args["enums"], self._typed))

    def _then(self, plan: dict[str, Any], change: Callable[[Any], Any]) -> Node:
        before = self.node(plan)

        async def run(database: Database, scope: Scope) -> Any:
            return change(await before(database, scope))

        return run

    # joins and choices

    def _join(self, args: Any, _: Any) -> Node:
        parent = self.node(args["parent"])
        children = [(each, self.node(each["child"])) for each in args["children"]]

        async def run(database: Database, scope: Scope) -> Any:
            found = await parent(database, scope)
            if found is None:
                return None
            for join, child in children:
                attach(as_list(found), as_list(await child(database, scope)), join)
            return found

        return run

    def _validate(self, args: Any, _: Any) -> Node:
        def check(value: Any) -> Any:
            if not all(satisfies(value, rule) for rule in args["rules"]):
                raise validation(args["errorIdentifier"], args["context"], value)
            return value

        return self._then(args["expr"], check)

    def _if(self, args: Any, _: Any) -> Node:
        value, then, otherwise = self.node(args["value"]), self.node(args["then"]), self.node(args["else"])

        async def run(database: Database, scope: Scope) -> Any:
            chosen = then if satisfies(await value(database, scope), args["rule"]) else otherwise
            return await chosen(database, scope)

        return run

    def _diff(self, args: Any, _: Any) -> Node:
        left, right, fields = self.node(args["from"]), self.node(args["to"]), args["fields"]

        async def run(database: Database, scope: Scope) -> Any:
            others = as_list(await left(database, scope))
            known = {key(row, fields) for row in as_list(await right(database, scope))}
            return [row for row in others if key(row, fields) not in known]

        return run

    # records that a plan makes and changes

    def _initializeRecord(self, args: Any, _: Any) -> Node:
        before = self.node(args["expr"])
        fields = {}
        for name, each in args["fields"].items():
            if each["type"] != "value":
                raise NotImplementedError("lastInsertId is for MySQL")
            fields[name] = argument(each["value"])

        async def run(database: Database, scope: Scope) -> Any:
            await before(database, scope)
            return {name: value(scope) for name, value in fields.items()}

        return run

    def _mapRecord(self, args: Any, _: Any) -> Node:
        before = self.node(args["expr"])
        fields = [(name, each["type"], argument(each["value"])) for name, each in args["fields"].items()]

        async def run(database: Database, scope: Scope) -> Any:
            record = dict(await before(database, scope) or {})
            for name, operation, value in fields:
                record[name] = changed(operation, record.get(name), value(scope))
            return record

        return run

    def _process(self, args: Any, _: Any) -> Node:
        before, change = self.node(args["expr"]), operations(args["operations"])

        async def run(database: Database, scope: Scope) -> Any:
            return change(await before(database, scope), scope)

        return run
