"""Values in the type that Postgres names for a parameter, and raw results as Prisma's engines write them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
import struct
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Self

import asyncpg

Coder = Callable[[Any], Any]
_CENTS = Decimal("0.01")
_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_INFINITE = {2**31 - 1: dt.date.max, -(2**31): dt.date.min}
UNFIT = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


def coder(name: str) -> Coder | None:
    """Return what makes values fit a parameter of a type; None where the driver does that.

    The function that is returned raises one of UNFIT.
    """
    if not name.endswith("[]"):
        return _TYPES[name][0] if name in _TYPES else None
    item = coder(name[:-2]) or (lambda value: value)

    def many(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise TypeError
        return [None if each is None else item(each) for each in value]

    return many


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _integer(value: Any) -> int:
    number = int(value)
    if number != value and not isinstance(value, str):
        raise ValueError
    return number


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray) else base64.b64decode(value, validate=True)


def _moment(value: Any) -> dt.datetime:
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _date(value: Any) -> dt.date:
    return value if type(value) is dt.date else _moment(value).astimezone(dt.UTC).date()


def _time(value: Any) -> dt.time:
    if isinstance(value, dt.datetime) or (isinstance(value, str) and "-" in value[:8]):
        value = _moment(value).astimezone(dt.UTC).timetz()  # the client has only the time of a moment
    time = value if isinstance(value, dt.time) else dt.time.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


# Of these the driver is made to exchange Postgres's text, which no setting of the session changes.
_AS_TEXT = ("cidr", "inet", "box", "circle", "line", "lseg", "path", "point", "polygon")
# What makes a value fit a type, and what Prisma calls the type in raw results.
_TYPES: dict[str, tuple[Coder | None, str]] = dict.fromkeys(
    ("text", "varchar", "bpchar", "name", "citext", "xml", "macaddr", "bit", "varbit", *_AS_TEXT),
    (_text, "string"),
) | {
    "bool": (None, "bool"), "bytea": (_bytes, "bytes"), "date": (_date, "date"), "float4": (float, "float"),
    "float8": (float, "double"), "int2": (_integer, "int"), "int4": (_integer, "int"),
    "int8": (_integer, "bigint"), "json": (_json, "json"), "jsonb": (_json, "json"),
    "money": (_decimal, "decimal"), "numeric": (_decimal, "decimal"), "oid": (_integer, "bigint"),
    "time": (_time, "time"), "timestamp": (_moment, "datetime"), "timestamptz": (_moment, "datetime"),
    "timetz": (_time, "time"), "uuid": (None, "uuid"),
}  # fmt: skip


# The driver's codecs.


class Beyond(dt.datetime):
    """The nearest datetime to an instant that none can hold. As a value of a query it is that instant.

    Units:  `microseconds` since 2000, as Postgres counts them; the least and the greatest are infinite.
    """

    microseconds: int

    @classmethod
    def at(cls, microseconds: int) -> Self:
        last = microseconds > 0
        instant = cls(9999, 12, 31, 23, 59, 59, 999999, dt.UTC) if last else cls(1, 1, 1, tzinfo=dt.UTC)
        instant.microseconds = microseconds
        return instant

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beyond) and self.microseconds == other.microseconds

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.microseconds)


def _instant_from(value: tuple[int]) -> dt.datetime:
    try:
        return _EPOCH + value[0] * _MICROSECOND
    except OverflowError:
        return Beyond.at(value[0])


def _instant_to(value: dt.datetime) -> tuple[int]:
    if isinstance(value, Beyond):
        return (value.microseconds,)
    return ((value - _EPOCH) // _MICROSECOND,)


def _date_from(value: tuple[int]) -> dt.date:
    return _INFINITE.get(value[0]) or dt.date.fromordinal(value[0] + _EPOCH.toordinal())


def _money_to(value: Decimal) -> bytes:
    return int((value / _CENTS).to_integral_value(ROUND_HALF_UP)).to_bytes(8, signed=True)


def _bits_from(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data[4:])[: int.from_bytes(data[:4])]


def _bits_to(value: str) -> bytes:
    filled = value.ljust(-(-len(value) // 8) * 8, "0")
    return len(value).to_bytes(4) + bytes(int(filled[at : at + 8], 2) for at in range(0, len(filled), 8))


def _interval_from(parts: tuple[int, int, int]) -> str:
    return f"P{parts[0]}M{parts[1]}DT{Decimal(parts[2]).scaleb(-6).normalize():f}S"


def _single_from(data: bytes) -> float:
    """Return a number of single precision as it is written: 1.1, not 1.100000023841858."""
    value: float = struct.unpack("!f", data)[0]
    if not math.isfinite(value):
        return value
    written = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next(each for each in written if struct.pack("!f", each) == data)


# Encoder, decoder, and format that the driver uses in place of its own. Its own know no instant outside
# Python's, and write Python's first and last date as infinities. The text of `money` and `interval` depends
# on the session; in binary they are cents, and months, days, microseconds. In a list of a type read as text,
# asyncpg 0.32 makes an empty one a null pointer: those that can be empty are binary.
CODECS: dict[str, tuple[Coder, Coder, str]] = dict.fromkeys(_AS_TEXT, (str, str, "text")) | {
    "timestamptz": (_instant_to, _instant_from, "tuple"),
    "timestamp": (_instant_to, _instant_from, "tuple"),
    "date": (lambda value: (value.toordinal() - _EPOCH.toordinal(),), _date_from, "tuple"),
    "float4": (lambda value: struct.pack("!f", value), _single_from, "binary"),
    "bit": (_bits_to, _bits_from, "binary"),
    "varbit": (_bits_to, _bits_from, "binary"),
    "money": (_money_to, lambda data: int.from_bytes(data, signed=True) * _CENTS, "binary"),
    "interval": (lambda value: value, _interval_from, "tuple"),
}


# Raw results.


def raw_type(name: str) -> str:
    """Return what Prisma calls a type of Postgres in raw results."""
    kind = _TYPES.get(name.removesuffix("[]"), (None, "string"))[1]
    return f"{kind}-array" if name.endswith("[]") else kind


def raw_value(value: Any, kind: str) -> Any:
    """Write a value of a raw result."""
    if value is None or isinstance(value, bool) or kind in ("int", "float", "double"):
        return value
    if isinstance(value, list | tuple | asyncpg.Record):
        return [raw_value(each, kind.removesuffix("-array")) for each in value]
    if kind == "json":
        return json.loads(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode() if kind == "bytes" else value.decode(errors="replace")
    if kind in ("datetime", "time"):
        if kind == "datetime":
            value = value.astimezone(dt.UTC)
        elif not value.utcoffset():
            value = value.replace(tzinfo=None)
        return re.sub(r"(?<=\.\d{3})000", "", value.isoformat())
    if hasattr(value, "lower_inc"):  # a range
        begin, end = "[" if value.lower_inc else "(", "]" if value.upper_inc else ")"
        limits = ("" if each is None else str(each) for each in (value.lower, value.upper))
        return "empty" if value.isempty else f"{begin}{','.join(limits)}{end}"
    return str(value)
