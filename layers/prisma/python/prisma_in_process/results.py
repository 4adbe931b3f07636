"""Records as Prisma Client Python's models take them: what a plan's `dataMap` says, as functions."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from .errors import UserError
from .generators import unsupported

Mapper = Callable[[Any], Any]
# By enum, the schema's names of the database's values.
Enums = dict[str, dict[str, str]]


def mapper(structure: dict[str, Any], enums: Enums, *, typed: bool) -> Mapper:
    """Return a function for a structure. `typed` results become models, which take datetimes and Decimals."""
    kind = structure["type"]
    if kind == "affectedRows":
        return lambda count: {"count": count}
    if kind != "object":
        raise unsupported(f"the result {kind!r}")
    members: list[tuple[str, str | None, type | None, Mapper]] = []
    for name, each in structure["fields"].items():
        if each["type"] == "field":
            members.append((name, each["dbName"], *_field(each["fieldType"], enums, typed)))
        else:
            members.append((name, each["serializedName"], None, mapper(each, enums, typed=typed)))

    def record(row: Any) -> Any:
        if row is None:
            return None
        made = {}
        for name, source, plain, convert in members:
            value = row if source is None else row[source]
            made[name] = value if type(value) is plain else convert(value)
        return made

    return lambda value: [record(row) for row in value] if isinstance(value, list) else record(value)


def _field(kind: dict[str, Any], enums: Enums, typed: bool) -> tuple[type | None, Mapper]:
    """Return the type whose values need no conversion, which is most of them, and the conversion."""
    scalars = _TYPED if typed else _UNTYPED
    if kind["type"] == "enum":
        scalars = {"enum": (None, partial(_enum_value, kind["name"], enums[kind["name"]]))}
    if kind["type"] not in scalars:
        raise unsupported(f"the scalar {kind['type']!r}")
    plain, convert = scalars[kind["type"]]
    if kind["arity"] == "list":
        return None, lambda value: [None if each is None else convert(each) for each in value or ()]
    return plain, lambda value: None if value is None else convert(value)


def _enum_value(enum: str, values: dict[str, str], value: str) -> str:
    if value not in values:
        raise UserError("P2023", f"Inconsistent column data: Value not found in enum '{enum}'")
    return values[value]


def moment(value: dt.date | dt.time | str) -> dt.datetime:
    """Return a date, a time, or a timestamp as Prisma has it: an instant, in UTC where there is no zone."""
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if isinstance(value, dt.time):
        value = dt.datetime.combine(dt.date(1970, 1, 1), value.replace(tzinfo=None))
    elif not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _decimal(value: Any) -> str:
    """Write a decimal as Prisma does: without an exponent, without zeros at its end."""
    text = f"{Decimal(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _iso(value: Any) -> str:
    return moment(value).astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# The type that needs no conversion, and the conversion of others.
_Scalars = dict[str, tuple[type | None, Mapper]]
_TYPED: _Scalars = {
    "string": (str, str),
    "int": (int, int),
    "bigint": (int, int),
    "float": (float, float),
    "boolean": (bool, bool),
    "bytes": (None, lambda value: base64.b64encode(value).decode()),
    "json": (None, _json),
    "decimal": (None, lambda value: Decimal(_decimal(value))),
    "datetime": (None, moment),
}
_UNTYPED: _Scalars = _TYPED | {"bigint": (None, str), "decimal": (None, _decimal), "datetime": (None, _iso)}
