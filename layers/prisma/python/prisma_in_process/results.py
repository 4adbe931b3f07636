"""From rows to what Prisma Client Python's models take, as a plan's `dataMap` says. Made into functions once."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

Mapper = Callable[[Any], Any]


def mapper(structure: dict[str, Any], enums: dict[str, dict[str, str]], typed: bool) -> Mapper:
    kind = structure["type"]
    if kind == "affectedRows":
        return lambda count: {"count": count}
    if kind == "field":
        return _field(structure["fieldType"], enums, typed)
    members = []
    for name, node in structure["fields"].items():
        source = node["dbName"] if node["type"] == "field" else node["serializedName"]
        members.append((name, source, mapper(node, enums, typed)))
    skip_nulls = structure["skipNulls"]

    def one(row: Any) -> Any:
        if row is None:
            return None
        return {name: convert(row if source is None else row[source]) for name, source, convert in members}

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            value = json.loads(value)
        if isinstance(value, list):
            return [one(row) for row in value if not (skip_nulls and row is None)]
        return one(value)

    return convert


def _field(kind: dict[str, Any], enums: dict[str, dict[str, str]], typed: bool) -> Mapper:
    convert = _scalar(kind, enums, typed)
    if kind["arity"] == "list":
        return lambda value: [] if value is None else [None if v is None else convert(v) for v in value]
    return lambda value: None if value is None else convert(value)


def _scalar(kind: dict[str, Any], enums: dict[str, dict[str, str]], typed: bool) -> Mapper:
    name = kind["type"]
    if name == "enum":
        return enums[kind["name"]].__getitem__
    if name == "datetime":
        return _moment if typed else lambda value: iso(_moment(value))
    if name == "decimal" and not typed:
        return lambda value: plain(Decimal(value))
    if name == "bigint" and not typed:
        return str
    return {
        "string": str,
        "int": int,
        "bigint": int,
        "float": float,
        "boolean": bool,
        "bytes": _bytes,
        "json": lambda value: value if isinstance(value, str) else json.dumps(value),
        "object": lambda value: value if isinstance(value, str) else json.dumps(value),
        "decimal": lambda value: Decimal(plain(Decimal(value))),
    }.get(name, lambda value: value)


def _bytes(value: Any) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode()


def _moment(value: Any) -> dt.datetime:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    return dt.datetime.combine(dt.date(1970, 1, 1), value.replace(tzinfo=None), dt.UTC)


def iso(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: Decimal) -> str:
    """Write a decimal as Prisma does: no exponent, no zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
