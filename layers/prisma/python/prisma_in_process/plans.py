"""Prisma's query plans as Python functions: each node becomes one, once; running it queries the database.

The nodes are those of Prisma's own interpreter, npm's @prisma/client-engine-runtime, which Postgres needs.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from . import records
from .errors import validation
from .generators import NOW, Scope, argument, as_list, unsupported
from .results import mapper
from .sql import statements


class Database(Protocol):
    """One connection, while a plan has it. `transaction` is the open one, or one of its own."""

    async def rows(self, sql: str, values: list[Any]) -> list[dict[str, Any]]: ...
    async def execute(self, sql: str, values: list[Any]) -> int: ...
    def transaction(self) -> AbstractAsyncContextManager[Any]: ...


Step = Callable[[Database, Scope], Awaitable[Any]]


class Plan:
    """A plan, ready to run. Safe to run many times at once: a run changes only its own scope and rows."""

    def __init__(self, plan: dict[str, Any], *, typed: bool) -> None:
        self._step = _Interpreter(typed).step(plan)

    async def run(self, database: Database, values: dict[str, Any]) -> Any:
        return await self._step(database, {NOW: time.time_ns(), **values})


def with_pages(plan: Any, pages: Mapping[int, str]) -> Any:
    """Return a plan with parameters in place of the numbers that stand for pages' sizes and offsets."""
    if isinstance(plan, dict):
        return {key: with_pages(value, pages) for key, value in plan.items()}
    if isinstance(plan, list):
        return [with_pages(each, pages) for each in plan]
    number = int(plan) if isinstance(plan, str) and plan.isdecimal() else plan
    if type(number) is not int or number not in pages:
        return plan
    return {"prisma__type": "param", "prisma__value": {"name": pages[number], "type": "BigInt"}}


class _Interpreter:
    def __init__(self, typed: bool) -> None:
        self._typed = typed

    def step(self, plan: dict[str, Any]) -> Step:
        if plan["type"] not in _NODES:
            raise unsupported(f"the node {plan['type']!r}")
        return _NODES[plan["type"]](self, plan.get("args"))

    def after(self, plans: list[dict[str, Any]], change: Callable[..., Any]) -> Step:
        """Run nodes in their order. Return what a function makes of the scope and their results."""
        steps = [self.step(each) for each in plans]

        async def run(database: Database, scope: Scope) -> Any:
            return change(scope, *[await step(database, scope) for step in steps])

        async def run_first(database: Database, scope: Scope) -> Any:
            return change(scope, await steps[0](database, scope))

        return run_first if len(steps) == 1 else run  # one is faster

    def let(self, args: Any) -> Step:
        bindings = [(each["name"], self.step(each["expr"])) for each in args["bindings"]]
        body = self.step(args["expr"])

        async def run(database: Database, scope: Scope) -> Any:
            inner = dict(scope)
            for name, step in bindings:
                inner[name] = await step(database, inner)
            return await body(database, inner)

        return run

    def transaction(self, args: Any) -> Step:
        body = self.step(args)

        async def run(database: Database, scope: Scope) -> Any:
            async with database.transaction():
                return await body(database, scope)

        return run

    def join(self, args: Any) -> Step:
        parent = self.step(args["parent"])
        children = [(each, self.step(each["child"])) for each in args["children"]]

        async def run(database: Database, scope: Scope) -> Any:
            found = await parent(database, scope)
            if found is None:
                return None
            for join, child in children:
                records.attach(as_list(found), as_list(await child(database, scope)), join)
            return found

        return run

    def choose(self, args: Any) -> Step:
        value, rule = self.step(args["value"]), records.rule(args["rule"])
        then, otherwise = self.step(args["then"]), self.step(args["else"])

        async def run(database: Database, scope: Scope) -> Any:
            chosen = then if rule(await value(database, scope)) else otherwise
            return await chosen(database, scope)

        return run

    def validate(self, args: Any) -> Step:
        rules = [records.rule(each) for each in args["rules"]]

        def check(_: Scope, value: Any) -> Any:
            if not all(rule(value) for rule in rules):
                raise validation(args["errorIdentifier"], args["context"], value)
            return value

        return self.after([args["expr"]], check)

    def data_map(self, args: Any) -> Step:
        convert = mapper(args["structure"], args["enums"], typed=self._typed)
        return self.after([args["expr"]], lambda _, value: convert(value))


def _statement(query: Any, method: str, join: Callable[[list[Any]], Any]) -> Step:
    """Send a query by a database's method, in parts where it has too many values."""
    render = statements(query)

    async def run(database: Database, scope: Scope) -> Any:
        parts, send = render(scope), getattr(database, method)
        if len(parts) == 1:
            return await send(*parts[0])
        async with database.transaction():
            return join([await send(*each) for each in parts])

    return run


def _first_non_empty(names: list[str]) -> Callable[[Scope], Any]:
    return lambda scope: next((scope[each] for each in names if scope.get(each) not in (None, [])), [])


def _concat(values: Iterable[Any]) -> list[Any]:
    return [one for each in values for one in as_list(each)]


def _unique(_: Scope, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        raise RuntimeError(f"expected one row or none, but got {len(value)}")
    return value[0] if value else None


_NODES: dict[str, Callable[[_Interpreter, Any], Step]] = {
    "value": lambda to, args: to.after([], argument(args)),
    "get": lambda to, args: to.after([], lambda scope: scope.get(args["name"])),
    "getFirstNonEmpty": lambda to, args: to.after([], _first_non_empty(args["names"])),
    "unit": lambda to, _: to.after([], lambda _: None),
    "let": _Interpreter.let,
    "seq": lambda to, args: to.after(args, lambda _, *values: values[-1] if values else None),
    "concat": lambda to, args: to.after(args, lambda _, *values: _concat(values)),
    "sum": lambda to, args: to.after(args, lambda _, *counts: sum(counts)),
    "query": lambda _, args: _statement(args, "rows", _concat),
    "execute": lambda _, args: _statement(args, "execute", sum),
    "transaction": _Interpreter.transaction,
    "unique": lambda to, args: to.after([args], _unique),
    "mapField": lambda to, args: to.after(
        [args["records"]], lambda _, value: records.field_of(value, args["field"])
    ),
    "dataMap": _Interpreter.data_map,
    "join": _Interpreter.join,
    "if": _Interpreter.choose,
    "validate": _Interpreter.validate,
    "diff": lambda to, args: to.after([args["from"], args["to"]], records.difference(args["fields"])),
    "process": lambda to, args: to.after([args["expr"]], records.processing(args["operations"])),
}
