"""Prisma's query plans as Python functions: each node becomes one, once; running it queries the database.

The nodes are those of Prisma's own interpreter, npm's @prisma/client-engine-runtime.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from . import records, results
from .errors import validation
from .generators import Scope, argument, as_list, new_scope, unsupported
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
        return await self._step(database, new_scope(values))


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
        kind, args = plan["type"], plan.get("args")
        if kind not in _NODES:
            raise unsupported(f"the node {kind!r}")
        return _NODES[kind](self, args)

    def then(self, plan: dict[str, Any], change: Callable[[Any], Any]) -> Step:
        """Change what a node returns."""
        return self.then_in_scope(plan, lambda value, _: change(value))

    def then_in_scope(self, plan: dict[str, Any], change: Callable[[Any, Scope], Any]) -> Step:
        before = self.step(plan)

        async def run(database: Database, scope: Scope) -> Any:
            return change(await before(database, scope), scope)

        return run

    def all_of(self, plans: list[dict[str, Any]], combine: Callable[[list[Any]], Any]) -> Step:
        steps = [self.step(each) for each in plans]

        async def run(database: Database, scope: Scope) -> Any:
            return combine([await step(database, scope) for step in steps])

        return run

    def first_non_empty(self, args: Any) -> Step:
        def find(scope: Scope) -> Any:
            values = (scope.get(each) for each in args["names"])
            return next((each for each in values if not records.is_empty(each)), [])

        return _pure(find)

    def let(self, args: Any) -> Step:
        bindings = [(each["name"], self.step(each["expr"])) for each in args["bindings"]]
        body = self.step(args["expr"])

        async def run(database: Database, scope: Scope) -> Any:
            inner = dict(scope)
            for name, step in bindings:
                inner[name] = await step(database, inner)
            return await body(database, inner)

        return run

    def query(self, args: Any) -> Step:
        render = statements(args)

        async def run(database: Database, scope: Scope) -> Any:
            parts = render(scope)
            if len(parts) == 1:
                return await database.rows(*parts[0])
            async with database.transaction():
                return [row for sql, values in parts for row in await database.rows(sql, values)]

        return run

    def execute(self, args: Any) -> Step:
        render = statements(args)

        async def run(database: Database, scope: Scope) -> Any:
            parts = render(scope)
            if len(parts) == 1:
                return await database.execute(*parts[0])
            async with database.transaction():
                return sum([await database.execute(sql, values) for sql, values in parts])

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

        def check(value: Any) -> Any:
            if not all(rule(value) for rule in rules):
                raise validation(args["errorIdentifier"], args["context"], value)
            return value

        return self.then(args["expr"], check)

    def initialize_record(self, args: Any) -> Step:
        for each in args["fields"].values():
            if each["type"] != "value":
                raise unsupported(f"the initializer {each['type']!r}")
        fields = {name: argument(each["value"]) for name, each in args["fields"].items()}
        return self.then_in_scope(
            args["expr"], lambda _, scope: {name: value(scope) for name, value in fields.items()}
        )

    def map_record(self, args: Any) -> Step:
        fields = {name: records.operation(each) for name, each in args["fields"].items()}

        def change(value: Any, scope: Scope) -> Any:
            record = dict(value or {})
            return record | {name: new(record.get(name), scope) for name, new in fields.items()}

        return self.then_in_scope(args["expr"], change)

    def data_map(self, args: Any) -> Step:
        return self.then(args["expr"], results.mapper(args["structure"], args["enums"], typed=self._typed))


def _pure(function: Callable[[Scope], Any]) -> Step:
    async def run(_: Database, scope: Scope) -> Any:
        return function(scope)

    return run


def _unique(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) > 1:
        raise RuntimeError(f"expected one row or none, but got {len(value)}")
    return value[0] if value else None


def _required(value: Any) -> Any:
    if records.is_empty(value):
        raise RuntimeError("expected a value that the plan requires, but got none")
    return value


_NODES: dict[str, Callable[[_Interpreter, Any], Step]] = {
    "value": lambda _, args: _pure(argument(args)),
    "get": lambda _, args: _pure(lambda scope: scope.get(args["name"])),
    "getFirstNonEmpty": _Interpreter.first_non_empty,
    "unit": lambda *_: _pure(lambda _: None),
    "let": _Interpreter.let,
    "seq": lambda to, args: to.all_of(args, lambda values: values[-1] if values else None),
    "concat": lambda to, args: to.all_of(
        args, lambda values: [one for each in values for one in as_list(each)]
    ),
    "sum": lambda to, args: to.all_of(args, sum),
    "query": _Interpreter.query,
    "execute": _Interpreter.execute,
    "transaction": _Interpreter.transaction,
    "reverse": lambda to, args: to.then(
        args, lambda value: value[::-1] if isinstance(value, list) else value
    ),
    "unique": lambda to, args: to.then(args, _unique),
    "required": lambda to, args: to.then(args, _required),
    "mapField": lambda to, args: to.then(
        args["records"], lambda value: records.field_of(value, args["field"])
    ),
    "dataMap": _Interpreter.data_map,
    "join": _Interpreter.join,
    "if": _Interpreter.choose,
    "validate": _Interpreter.validate,
    "diff": lambda to, args: to.all_of(
        [args["from"], args["to"]], lambda values: records.difference(values[0], values[1], args["fields"])
    ),
    "process": lambda to, args: to.then_in_scope(args["expr"], records.processing(args["operations"])),
    "initializeRecord": _Interpreter.initialize_record,
    "mapRecord": _Interpreter.map_record,
}
