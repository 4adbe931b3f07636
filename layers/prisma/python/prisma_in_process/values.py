"""Values in the types that Postgres names, and back."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def short(value: float | None) -> float | None:
    """Return a number of single precision as it is written: 1.1, not 1.100000023841858."""
    if value is None or not math.isfinite(value):
        return value
    single = struct.pack("f", value)
    return next(
        v for v in (float(f"{value:.{digits}g}") for digits in range(6, 10)) if struct.pack("f", v) == single
    )


# Values, for the type that Postgres names for a parameter. None: as it is.


def _timestamptz(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _timestamp(value: Any) -> dt.datetime:
    return _timestamptz(value).astimezone(dt.UTC).replace(tzinfo=None)


def _date(value: Any) -> dt.date:
    return value if type(value) is dt.date else _timestamp(value).date()


def _time(value: Any) -> dt.time:
    if isinstance(value, str) and len(value) < 18:
        return dt.time.fromisoformat(value).replace(tzinfo=None)
    return _timestamp(value).time()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return value if isinstance(value, str) else str(value)


def _integer(value: Any) -> int:
    return value if type(value) is int else int(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()]
    return bool(value)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, (bytes, bytearray)) else base64.b64decode(value, validate=True)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_CODERS: dict[str, Callable[[Any], Any]] = {
    "timestamptz": _timestamptz,
    "timestamp": _timestamptz,
    "date": _date,
    "time": _time,
    "timetz": lambda value: _time(value).replace(tzinfo=dt.UTC),
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "char": _text,
    "name": _text,
    "xml": _text,
    "citext": _text,
    "int2": _integer,
    "int4": _integer,
    "int8": _integer,
    "oid": _integer,
    "float4": float,
    "float8": float,
    "numeric": lambda value: Decimal(str(value)),
    "bool": _boolean,
    "bytea": _bytes,
    "json": _json,
    "jsonb": _json,
    "uuid": lambda value: value if isinstance(value, uuid.UUID) else uuid.UUID(value),
}


def coder(name: str) -> Callable[[Any], Any] | None:
    if name.endswith("[]"):
        item = _CODERS.get(name[:-2])
        return (lambda value: [None if each is None else item(each) for each in value]) if item else None
    return _CODERS.get(name)


_RAW = {
    "bool": "bool",
    "int2": "int",
    "int4": "int",
    "int8": "bigint",
    "oid": "bigint",
    "float4": "float",
    "float8": "double",
    "numeric": "decimal",
    "money": "decimal",
    "json": "json",
    "jsonb": "json",
    "uuid": "uuid",
    "timestamp": "datetime",
    "timestamptz": "datetime",
    "date": "date",
    "time": "time",
    "timetz": "time",
    "bytea": "bytes",
    "bpchar": "string",
    "varchar": "string",
    "text": "string",
    "name": "string",
}


def raw_rows(statement: Any, rows: list[Any]) -> dict[str, Any]:
    """Write a raw query's rows as Prisma's engines do."""
    columns = statement.get_attributes()
    types = []
    for column in columns:
        name = column.type.name
        types.append(
            _RAW.get(name[:-2], "string") + "-array" if name.endswith("[]") else _RAW.get(name, "string")
        )
    return {
        "columns": [column.name for column in columns],
        "types": types,
        "rows": [[_raw_value(value, kind) for value, kind in zip(row.values(), types)] for row in rows],
    }


def _raw_value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if isinstance(value, list):
        return [_raw_value(each, kind.removesuffix("-array")) for each in value]
    if kind == "float":
        return short(value)
    if kind == "decimal":
        return str(value).lstrip("$").replace(",", "")
    if kind == "json":
        return json.loads(value)
    if isinstance(value, dt.datetime):
        moment = (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        return moment.isoformat(timespec="microseconds" if moment.microsecond % 1000 else "milliseconds")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (bool, float, str)) or kind == "int" else str(value)
