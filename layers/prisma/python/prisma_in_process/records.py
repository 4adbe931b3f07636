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
    if given["type"] not in _RULES:
        raise unsupported(f"the rule {given['type']!r}")
    check, expected = _RULES[given["type"]], given.get("args")
    return lambda value: check(value, expected)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else int(value is not None)


def key(record: Record | None, fields: Iterable[str]) -> Any:
    return None if record is None else tuple(_hashable(record[field]) for field in fields)


def _hashable(value: Any) -> Any:
    # A list that is null reads as an empty one.
    return tuple(map(_hashable, value)) or None if isinstance(value, list) else value


def attach(parents: list[Record], children: list[Record], join: dict[str, Any]) -> None:
    """Put each child into its parents, under the name of their relation."""
    name, unique = join["parentField"], join["isRelationUnique"]
    left, right = [each for each, _ in join["on"]], [each for _, each in join["on"]]
    by_key: dict[Any, list[Record]] = {}
    for parent in parents:
        by_key.setdefault(key(parent, left), []).append(parent)
        parent[name] = None if unique else []
    for child in children:
        for parent in by_key.get(key(child, right), ()):
            if unique:
                parent[name] = child
            else:
                parent[name].append(child)


def difference(fields: list[str]) -> Callable[[Scope, Any, Any], list[Any]]:
    def run(_: Scope, records: Any, others: Any) -> list[Any]:
        known = {key(each, fields) for each in as_list(others)}
        return [each for each in as_list(records) if key(each, fields) not in known]

    return run


def field_of(value: Any, field: str) -> Any:
    """Return a record's field; of a list, those of its records."""
    if isinstance(value, list):
        return [field_of(each, field) for each in value]
    return value.get(field) if isinstance(value, dict) else value


def processing(given: dict[str, Any]) -> Callable[[Scope, list[Record]], list[Record]]:
    """Return a function for a `process` node: distinct records, then a page of them, then their order.

    Where there are linking fields, each parent has a page.
    """
    distinct, linking = given["distinct"], given["linkingFields"] or []
    page = _page(given["pagination"]) if given["pagination"] else None

    def run(scope: Scope, records: list[Record]) -> list[Record]:
        if distinct is not None:
            records = [each[0] for each in _groups(records, distinct + linking)]
        if page:
            records = [each for group in _groups(records, linking) for each in page(group, scope)]
        return records[::-1] if given["reverse"] else records

    return run


def _groups(records: list[Record], fields: list[str]) -> Iterable[list[Record]]:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record, fields), []).append(record)
    return groups.values()


def _page(given: dict[str, Any]) -> Callable[[list[Record], Scope], list[Record]]:
    cursor = {name: argument(each) for name, each in (given["cursor"] or {}).items()}
    take, skip = argument(given["take"]), argument(given["skip"])

    def page(records: list[Record], scope: Scope) -> list[Record]:
        start = 0
        if cursor:
            wanted = [(name, value(scope)) for name, value in cursor.items()]
            found = (all(_equal(each[name], value) for name, value in wanted) for each in records)
            start = next((index for index, is_cursor in enumerate(found) if is_cursor), len(records))
        start += skip(scope) or 0
        size = take(scope)
        return records[start:] if size is None else records[start : start + size]

    return page


def _equal(found: Any, given: Any) -> bool:
    """Return whether the database's value is the caller's, which is in the type that the caller used."""
    if found is None or given is None:
        return found is given
    if isinstance(found, (uuid.UUID, Decimal)):
        given = type(found)(str(given))
    elif isinstance(found, bytes):
        found = base64.b64encode(found).decode()
    elif isinstance(found, (dt.date, dt.time)):
        found, given = moment(found), moment(given)
    return bool(found == given)
