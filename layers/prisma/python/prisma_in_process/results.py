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
    if kind not in _STRUCTURES:
        raise unsupported(f"the result {kind!r}")
    return _STRUCTURES[kind](structure, enums, typed)


def _object(structure: dict[str, Any], enums: Enums, typed: bool) -> Mapper:
    members: list[tuple[str, str | None, type | None, Mapper]] = []
    for name, each in structure["fields"].items():
        if each["type"] == "field":
            members.append((name, each["dbName"], *_field(each["fieldType"], enums, typed)))
        else:
            members.append((name, each["serializedName"], None, mapper(each, enums, typed=typed)))
    skip_nulls = structure["skipNulls"]

    def record(row: Any) -> Any:
        if row is None:
            return None
        made = {}
        for name, source, plain, convert in members:
            value = row if source is None else row[source]
            made[name] = value if type(value) is plain else convert(value)
        return made

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [record(row) for row in value if row is not None or not skip_nulls]
        return record(value)

    return convert


_STRUCTURES: dict[str, Callable[[dict[str, Any], Enums, bool], Mapper]] = {
    "affectedRows": lambda *_: lambda count: {"count": count},
    "field": lambda structure, enums, typed: _field(structure["fieldType"], enums, typed)[1],
    "object": _object,
}


def _field(kind: dict[str, Any], enums: Enums, typed: bool) -> tuple[type | None, Mapper]:
    """Return the type whose values need no conversion, which is most of them, and the conversion."""
    name, plain = kind["type"], None
    if name == "enum":
        convert: Mapper = partial(_enum_value, kind["name"], enums[kind["name"]])
    elif name not in _SCALARS:
        raise unsupported(f"the scalar {name!r}")
    elif not typed and name in _UNTYPED:
        convert = _UNTYPED[name]
    else:
        convert, plain = _SCALARS[name], _PLAIN.get(name)
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


_SCALARS: dict[str, Mapper] = {
    "string": str,
    "int": int,
    "bigint": int,
    "float": float,
    "boolean": bool,
    "bytes": lambda value: base64.b64encode(value).decode(),
    "json": _json,
    "object": _json,
    "decimal": lambda value: Decimal(_decimal(value)),
    "datetime": moment,
    "unsupported": lambda value: value,
}
_UNTYPED: dict[str, Mapper] = {"bigint": str, "decimal": _decimal, "datetime": _iso}
_PLAIN = {"string": str, "int": int, "bigint": int, "float": float, "boolean": bool}
