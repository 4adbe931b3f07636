"""Values in the type that Postgres names for a parameter, and raw results as Prisma's engines write them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import struct
import uuid
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Coder = Callable[[Any], Any]
_CENTS = Decimal("0.01")
UNFIT = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


class Unfit(ValueError):
    """A value does not fit its parameter. The text is what was expected, and does not hold the value."""

    def __init__(self, code: str, sqlstate: str, expected: str) -> None:
        super().__init__(expected)
        self.code, self.sqlstate = code, sqlstate


def coder(name: str) -> Coder | None:
    """Return what makes values fit a parameter of a type; None where they need no change.

    The function that is returned raises Unfit, or one of UNFIT.
    """
    if not name.endswith("[]"):
        return _CODERS.get(name)
    item = _CODERS.get(name[:-2], lambda value: value)

    def many(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise TypeError
        return [None if each is None else item(each) for each in value]

    return many


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.isoformat() if isinstance(value, dt.datetime) else str(value)
    if "\0" in text:
        raise Unfit("P2007", "22021", "text without zero bytes, which Postgres cannot store")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit(
                "P2007", "22021", "text that is valid Unicode, but got half a surrogate pair"
            ) from None
    return text


def _json(value: Any) -> str:
    return _text(value if isinstance(value, str) else json.dumps(value))


def _integer(bits: int) -> Coder:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if bits != 33 else (0, (1 << 32) - 1)

    def integer(value: Any) -> int:
        number = value if type(value) is int else int(value)
        if number != value and not isinstance(value, str):
            raise Unfit("P2007", "22P02", "a whole number, but got another")
        if not low <= number <= high:
            raise Unfit("P2020", "22003", f"a number from {low} to {high}")
        return number

    return integer


def _boolean(value: Any) -> bool:
    return {"true": True, "false": False}[value.lower()] if isinstance(value, str) else bool(value)


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, (bytes, bytearray)) else base64.b64decode(value, validate=True)


def _uuid(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _timestamptz(value: Any) -> dt.datetime:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _timestamp(value: Any) -> dt.datetime:
    return _timestamptz(value).astimezone(dt.UTC).replace(tzinfo=None)


def _date(value: Any) -> dt.date:
    return value if type(value) is dt.date else _timestamp(value).date()


def _timetz(value: Any) -> dt.time:
    if isinstance(value, str) and "-" in value[:8]:  # a moment, of which the client has only the time
        value = _timestamptz(value)
    if isinstance(value, dt.datetime):
        value = _timestamptz(value).astimezone(dt.UTC).timetz()
    time = value if isinstance(value, dt.time) else dt.time.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _interval(value: dt.timedelta) -> tuple[int, int, int]:
    return 0, value.days, value.seconds * 1_000_000 + value.microseconds


def _time(value: Any) -> dt.time:
    return _timetz(value).replace(tzinfo=None)


_CODERS: dict[str, Coder] = {
    "bool": _boolean, "bytea": _bytes, "char": lambda value: _text(value).encode(), "date": _date,
    "float4": float, "float8": float, "int2": _integer(16), "int4": _integer(32), "int8": _integer(64),
    "interval": _interval, "json": _json, "jsonb": _json, "money": _decimal, "numeric": _decimal,
    "oid": _integer(33), "time": _time, "timestamp": _timestamptz, "timestamptz": _timestamptz,
    "timetz": _timetz, "uuid": _uuid,
}  # fmt: skip
# Of these the driver is made to exchange Postgres's text, which no setting of the session changes.
_TEXT_TYPES = ("cidr", "inet", "box", "circle", "line", "lseg", "path", "point", "polygon")
_CODERS |= dict.fromkeys(
    ("text", "varchar", "bpchar", "name", "citext", "xml", "macaddr", "bit", "varbit", *_TEXT_TYPES), _text
)


def _money_from(data: bytes) -> Decimal:
    return int.from_bytes(data, signed=True) * _CENTS


def _money_to(value: Decimal) -> bytes:
    return int((value / _CENTS).to_integral_value(ROUND_HALF_UP)).to_bytes(8, signed=True)


def _bits_from(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data[4:])[: int.from_bytes(data[:4])]


def _bits_to(value: str) -> bytes:
    filled = value.ljust(-(-len(value) // 8) * 8, "0")
    return len(value).to_bytes(4) + bytes(int(filled[at : at + 8], 2) for at in range(0, len(filled), 8))


def _interval_from(parts: tuple[int, int, int]) -> str:
    return f"P{parts[0]}M{parts[1]}DT{Decimal(parts[2]).scaleb(-6).normalize():f}S"


# What the driver uses in place of its own: name, encoder, decoder, format. The text of `money` and `interval`
# depends on the session; in binary they are cents, and months, days, microseconds. In a list of types
# read as text, asyncpg 0.32 makes an empty one a null pointer: those that can be empty are binary.
DRIVER_CODECS: list[tuple[str, Coder, Coder, str]] = [
    *((name, str, str, "text") for name in _TEXT_TYPES),
    ("bit", _bits_to, _bits_from, "binary"),
    ("varbit", _bits_to, _bits_from, "binary"),
    ("money", _money_to, _money_from, "binary"),
    ("interval", lambda value: value, _interval_from, "tuple"),
]


# Results.


def short(value: float | None) -> float | None:
    """Return a number of single precision as it is written: 1.1, not 1.100000023841858."""
    if value is None or not math.isfinite(value):
        return value
    single = struct.pack("f", value)
    return next(
        v for v in (float(f"{value:.{digits}g}") for digits in range(6, 10)) if struct.pack("f", v) == single
    )


_RAW = {
    "bool": "bool", "bytea": "bytes", "date": "date", "float4": "float", "float8": "double", "int2": "int",
    "int4": "int", "int8": "bigint", "json": "json", "jsonb": "json", "money": "decimal",
    "numeric": "decimal", "oid": "bigint", "time": "time", "timestamp": "datetime",
    "timestamptz": "datetime", "timetz": "time", "uuid": "uuid",
}  # fmt: skip


def raw_type(name: str) -> str:
    """Return what Prisma calls a type of Postgres in raw results."""
    return f"{_RAW.get(name[:-2], 'string')}-array" if name.endswith("[]") else _RAW.get(name, "string")


def _digits(microsecond: int) -> str:
    if not microsecond:
        return "seconds"
    return "microseconds" if microsecond % 1000 else "milliseconds"


def raw_value(value: Any, kind: str) -> Any:
    """Write a value of a raw result."""
    if value is None or kind in ("int", "bool", "double"):
        return value
    if isinstance(value, list):
        return [raw_value(each, kind.removesuffix("-array")) for each in value]
    if kind == "float":
        return short(value)
    if kind == "json":
        return json.loads(value)
    if isinstance(value, dt.datetime):
        moment = (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
        return moment.isoformat(timespec=_digits(moment.microsecond))
    if isinstance(value, dt.time):
        time = value if value.utcoffset() else value.replace(tzinfo=None)
        return time.isoformat(timespec=_digits(time.microsecond))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if kind == "bytes" else value.decode(errors="replace")
    if hasattr(value, "lower_inc"):  # a range
        begin, end = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
        limits = ("" if each is None else str(each) for each in (value.lower, value.upper))
        return "empty" if value.isempty else f"{begin}{','.join(limits)}{end}"
    return str(value)
