"""What plans do with records in memory."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from .generators import Scope, argument, as_list, unsupported
from .results import moment

Record = dict[str, Any]
_RULES: dict[str, Callable[[Any, Any], bool]] = {
    "rowCountEq": lambda value, count: _count(value) == count,
    "rowCountNeq": lambda value, count: _count(value) != count,
    "affectedRowCountEq": lambda value, count: bool(value == count),
    "never": lambda *_: False,
}


def rule(given: dict[str, Any]) -> Callable[[Any], bool]:
    """Return whether a value satisfies a rule, as a function of the value."""
    kind, expected = given["type"], given.get("args")
    if kind not in _RULES:
        raise unsupported(f"the rule {kind!r}")
    check = _RULES[kind]
    return lambda value: check(value, expected)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else int(value is not None)


def is_empty(value: Any) -> bool:
    return value is None or value == []


def key(record: Record | None, fields: Iterable[str]) -> Any:
    return None if record is None else tuple(_hashable(record[field]) for field in fields)


def _hashable(value: Any) -> Any:
    # A list that is null reads as an empty one.
    return tuple(map(_hashable, value)) or None if isinstance(value, list) else value


def attach(parents: list[Record], children: list[Record | None], join: dict[str, Any]) -> None:
    """Put each child into its parents, under the name of their relation."""
    name, unique = join["parentField"], join["isRelationUnique"]
    left, right = [each for each, _ in join["on"]], [each for _, each in join["on"]]
    by_key: dict[Any, list[Record]] = {}
    for parent in parents:
        by_key.setdefault(key(parent, left), []).append(parent)
        parent[name] = None if unique else []
    for child in children:
        for parent in by_key.get(key(child, right), ()) if child is not None else ():
            if unique:
                parent[name] = child
            else:
                parent[name].append(child)


def difference(records: Any, others: Any, fields: list[str]) -> list[Any]:
    known = {key(each, fields) for each in as_list(others)}
    return [each for each in as_list(records) if key(each, fields) not in known]


def field_of(value: Any, field: str) -> Any:
    """Return a record's field; of a list, those of its records."""
    if isinstance(value, list):
        return [field_of(each, field) for each in value]
    return value.get(field) if isinstance(value, dict) else value


def operation(given: dict[str, Any]) -> Callable[[Any, Scope], Any]:
    """Return a field's new value, as a function of the old one: set, or calculated."""
    kind, value = given["type"], argument(given["value"])
    if kind == "set":
        return lambda _, scope: value(scope)
    if kind not in _ARITHMETIC:
        raise unsupported(f"the operation {kind!r}")
    calculate = _ARITHMETIC[kind]

    def run(old: Any, scope: Scope) -> Any:
        operands = [old, value(scope)]
        if any(isinstance(each, Decimal) for each in operands):
            operands = [Decimal(str(each)) for each in operands]
        return calculate(*operands)

    return run


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda old, value: old + value,
    "subtract": lambda old, value: old - value,
    "multiply": lambda old, value: old * value,
    "divide": lambda old, value: old / value if value else None,
}


def processing(given: dict[str, Any]) -> Callable[[Any, Scope], Any]:
    """Return a function for a `process` node: distinct records, then a page of them, then their order.

    Where there are linking fields, each parent has a page. One record is a list of one.
    """
    nested = {name: processing(each) for name, each in given["nested"].items()}
    distinct, linking = given["distinct"], given["linkingFields"] or []
    page = _page(given["pagination"]) if given["pagination"] else None

    def run(value: Any, scope: Scope) -> Any:
        if value is None:
            return None
        records = as_list(value)
        if distinct is not None:
            records = [each[0] for each in _groups(records, distinct + linking)]
        if page:
            records = [each for group in _groups(records, linking) for each in page(group, scope)]
        if given["reverse"]:
            records = records[::-1]
        for record in records if nested else ():
            record.update({name: each(record[name], scope) for name, each in nested.items()})
        return records if isinstance(value, list) else records[0] if records else None

    return run


def _groups(records: list[Record], fields: list[str]) -> list[list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record, fields), []).append(record)
    return list(groups.values())


def _page(given: dict[str, Any]) -> Callable[[list[Record], Scope], list[Record]]:
    cursor = {name: argument(each) for name, each in (given["cursor"] or {}).items()}
    take, skip = argument(given["take"]), argument(given["skip"])

    def page(records: list[Record], scope: Scope) -> list[Record]:
        start = 0
        if cursor:
            wanted = {name: each(scope) for name, each in cursor.items()}
            matches = (
                index
                for index, each in enumerate(records)
                if all(_equal(each[name], value) for name, value in wanted.items())
            )
            start = next(matches, len(records))
        start += skip(scope) or 0
        size = take(scope)
        return records[start:] if size is None else records[start : start + size]

    return page


def _equal(found: Any, given: Any) -> bool:
    """Return whether the database's value is the caller's, which is in the type that the caller used."""
    if found is None or given is None:
        return found is given
    if isinstance(found, uuid.UUID):
        return found == uuid.UUID(str(given))
    if isinstance(found, Decimal):
        return found == Decimal(str(given))
    if isinstance(found, bytes):
        return base64.b64encode(found).decode() == str(given)
    if isinstance(found, (dt.date, dt.time)):
        return moment(found) == moment(given)
    return bool(found == given)
