"""What plans do with rows in memory."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .generators import Scope, argument


def empty(value: Any) -> bool:
    return value is None or value == []


def satisfies(value: Any, rule: dict[str, Any]) -> bool:
    count = len(value) if isinstance(value, list) else int(value is not None)
    kind = rule["type"]
    if kind == "rowCountEq":
        return count == rule["args"]
    if kind == "rowCountNeq":
        return count != rule["args"]
    return kind == "affectedRowCountEq" and value == rule["args"]


def key(row: Any, fields: list[str]) -> Any:
    return None if row is None else tuple(_hashable(row[field]) for field in fields)


def _hashable(value: Any) -> Any:
    # A list that is null reads as an empty one.
    return tuple(map(_hashable, value)) or None if isinstance(value, list) else value


def attach(parents: list[Any], children: list[Any], join: dict[str, Any]) -> None:
    field, single = join["parentField"], join["isRelationUnique"]
    left, right = [a for a, _ in join["on"]], [b for _, b in join["on"]]
    by_key: dict[Any, list[Any]] = {}
    for parent in parents:
        by_key.setdefault(key(parent, left), []).append(parent)
        parent[field] = None if single else []
    for child in children:
        for parent in by_key.get(key(child, right), []) if child is not None else []:
            if single:
                parent[field] = child
            else:
                parent[field].append(child)


def changed(operation: str, old: Any, value: Any) -> Any:
    if operation == "set":
        return value
    if operation == "divide":
        return old / value if value else None
    return {"add": lambda: old + value, "subtract": lambda: old - value, "multiply": lambda: old * value}[
        operation
    ]()


def operations(given: dict[str, Any]) -> Callable[[Any, Scope], Any]:
    """Make a function of a `process` node's operations: distinct, then a page, then the order turned round."""
    nested = {name: operations(each) for name, each in given["nested"].items()}
    linking, distinct, page_of = given["linkingFields"], given["distinct"], given["pagination"]
    if page_of:
        cursor = {name: argument(each) for name, each in (page_of["cursor"] or {}).items()}
        take, skip = argument(page_of["take"]), argument(page_of["skip"])

    def cut(rows: list[Any], scope: Scope) -> list[Any]:
        start = 0
        if cursor:
            wanted = {name: each(scope) for name, each in cursor.items()}
            start = next((i for i, row in enumerate(rows) if _matches(row, wanted)), -1)
            if start < 0:
                return []
        start += skip(scope) or 0
        size = take(scope)
        return rows[start:] if size is None else rows[start : start + size]

    def inner(row: Any, scope: Scope) -> Any:
        for name, each in nested.items():
            row[name] = each(row[name], scope)
        return row

    def run(value: Any, scope: Scope) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            if page_of and (
                (skip(scope) or 0) > 0
                or take(scope) == 0
                or not _matches(value, {name: each(scope) for name, each in cursor.items()})
            ):
                return None
            return inner(value, scope)
        rows = value
        if distinct is not None:
            rows = _first_of_each(rows, distinct + (linking or []))
        if page_of and linking is None:
            rows = cut(rows, scope)
        elif page_of:
            groups: dict[Any, list[Any]] = {}
            for row in rows:
                groups.setdefault(key(row, linking), []).append(row)
            rows = [row for group in groups.values() for row in cut(group, scope)]
        if given["reverse"]:
            rows = rows[::-1]
        return [inner(row, scope) for row in rows] if nested else rows

    return run


def _first_of_each(rows: list[Any], fields: list[str]) -> list[Any]:
    first: dict[Any, Any] = {}
    for row in rows:
        first.setdefault(key(row, fields), row)
    return list(first.values())


def _matches(row: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(_same(row[name], value) for name, value in wanted.items())


def _same(a: Any, b: Any) -> bool:
    """Compare what the database gave with what the caller gave, in the caller's type."""
    if a == b or a is None or b is None:
        return a == b
    if isinstance(a, uuid.UUID):
        return str(a) == str(b).lower()
    if isinstance(a, Decimal):
        return a == Decimal(str(b))
    if isinstance(a, dt.datetime):
        value = dt.datetime.fromisoformat(b) if isinstance(b, str) else b
        return (a if a.tzinfo else a.replace(tzinfo=dt.UTC)) == value
    return str(a) == str(b)
