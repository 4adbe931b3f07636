"""Every scalar, as itself and as a list, through every way in and out."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from tests.integration.prisma.equivalence.steps import Step

UUID = "00000000-0000-4000-8000-000000000001"
LONG = "é😀 text " * 1000


def _times(*texts: str) -> list[Any]:
    return [{"$time": text} for text in texts]


def _decimals(*texts: str) -> list[Any]:
    return [{"$decimal": text} for text in texts]


def _bytes(*values: bytes) -> list[Any]:
    return [{"$bytes": base64.b64encode(value).decode()} for value in values]


def _json(*values: Any) -> list[Any]:
    return [{"$json": value} for value in values]


_MOMENTS = (
    "2024-02-29T12:34:56.789000+05:00",
    "2024-07-01T00:00:00+00:00",
    "1969-12-31T23:59:59.999000+00:00",
    "1600-01-01T00:00:00+00:00",
    "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999000+00:00",
)
_PLAIN: tuple[Any, ...] = ("text", 2**60, 1.0, 0.1, True, None, {}, [], "null", "2024-02-29T00:00:00Z")
_DOCUMENTS = _json({"k": [1, None, "x"], "é": 1.5}, [1, "a"], *_PLAIN, {"a": {"b": "\"'\\ \t"}})
# By model: the type's name in SQL, and values: usual ones, ends of the range, some beyond it.
TYPES: dict[str, tuple[str, list[Any]]] = {
    "Text": (
        "text",
        ["a", "", 'it\'s "q" \\ %_', "é😀\n", "e\u0301", "null", "{}", "{a,b}", "NULL", LONG, "a\x00b", 5],
    ),
    "VarChar": ("varchar", ["a", "b" * 40, "b" * 41, "é" * 40]),
    "Char": ("char(5)", ["abcde", "a", "", "abcdef"]),
    "Uuid": ("uuid", [UUID, UUID.upper(), UUID.replace("-", ""), "no uuid", ""]),
    "Inet": ("inet", ["10.0.0.1", "10.0.0.0/8", "::1", "fe80::1/64", "nothing"]),
    "Bit": ("bit(4)", ["1010", "0000", "101", "2222"]),
    "VarBit": ("varbit", ["1010", "0", "111111111"]),
    "Int": ("int", [0, 1, -1, 2**31 - 1, -(2**31), 2**31, "1", 1.0, 1.5, True]),
    "SmallInt": ("smallint", [0, -1, 2**15 - 1, -(2**15), 2**15]),
    "Oid": ("oid", [0, 1, 2**31 - 1, 2**32 - 1]),
    "BigInt": ("bigint", [0, -1, 5, 2**53 + 1, 2**60, 2**63 - 1, -(2**63), 2**63, "5"]),
    "Float": (
        "float8",
        [0.0, 1, 1.5, -0.25, 0.1, 1e308, 5e-324, 2**53, 1e20, 1e-7, 123456789.123456789, "1"],
    ),
    "Real": ("real", [0.0, 1, 1.5, 1.1, 3.4e38, 1e-30, 16777217, 1e39]),
    "Decimal": (
        "numeric",
        [
            *_decimals("0", "1", "1.50", "-12.3400", "1E+3", "1e-20", "9" * 60, "0.1", "123456789.123456789"),
            5,
            1.5,
        ],
    ),
    "Numeric": ("numeric(12,4)", _decimals("0", "1.5", "12345678.1234", "0.00005", "123456789.1", "-1")),
    "Money": ("money", _decimals("0", "1.50", "-2", "1234567.89", "0.005")),
    "Boolean": ("bool", [True, False, "true", 1]),
    "Json": ("jsonb", _DOCUMENTS),
    "JsonText": ("json", _DOCUMENTS),
    "Bytes": ("bytea", _bytes(b"\x00\xffhi", b"", b"\\x00", b"abc", bytes(range(256)))),
    "DateTime": ("timestamp(3)", _times(*_MOMENTS)),
    "Date": ("date", _times(*_MOMENTS)),
    "Time": ("time", _times(*_MOMENTS)),
    "Timetz": ("timetz", _times(*_MOMENTS)),
    "Timestamp": ("timestamp", _times(*_MOMENTS)),
    "Timestamptz": ("timestamptz", _times(*_MOMENTS)),
    "Enum": ('"Colour"', ["RED", "GREEN", "BLUE", "dark green"]),
}
_JSON = frozenset({"Json", "JsonText"})
_UNORDERED = _JSON | {"Boolean", "Bytes", "Enum"}


def sessions() -> Iterator[tuple[str, list[Step]]]:
    """Yield each scalar's name and its steps."""
    for name, (sql, values) in TYPES.items():
        steps = [*_one(name, values), *_many(name, values), *_raw(name, sql, values)]
        yield name, steps


def extremes() -> Iterator[Step]:
    """Yield values that only one of the engines takes."""
    wrong: dict[str, Any] = {
        "float": [float("nan"), float("inf"), float("-inf")],
        "decimal": _decimals("NaN", "Infinity"),
    }
    wrong |= {"bigint": [1.0, 1.5], "oid": [-1], "datetime": [{"$text": "now"}]}
    for name, values in wrong.items():
        for number, value in enumerate(values):
            for data in ({"id": number, "must": value}, {"id": number, "one": value, "must": value}):
                yield {"on": f"one{name}", "call": "create", "with": {"data": data}}
            yield {"on": f"one{name}", "call": "count", "with": {"where": {"must": value}}}
            yield {"on": f"many{name}", "call": "create", "with": {"data": {"id": number, "many": [value]}}}
            yield {
                "on": f"many{name}",
                "call": "update",
                "with": {"where": {"id": number}, "data": {"many": {"push": value}}},
            }
        yield {"on": f"one{name}", "call": "find_many", "with": {"order": {"id": "asc"}}}
        yield {"on": f"many{name}", "call": "find_many", "with": {"order": {"id": "asc"}}}


def _columns(name: str) -> tuple[str, str, str]:
    """Return the columns of a type's models: their own, where an engine might know types by names."""
    if name == "Enum":
        return "hue", "shade", "hues"
    return ("doc", "need", "docs") if name in _JSON else ("one", "must", "many")


def _one(name: str, values: list[Any]) -> Iterator[Step]:
    on, (one, must, _) = f"one{name.lower()}", _columns(name)

    def call(method: str, **given: Any) -> Step:
        return {"on": on, "call": method, "with": given}

    yield call("create", data={"id": 0, must: values[0]})
    yield call("create", data={"id": 99, one: None, must: values[0]})
    for number, value in enumerate(values, 1):
        yield call("create", data={"id": number, one: value, must: value})
        yield call("find_unique", where={"id": number})
        yield call("update", where={"id": 0}, data={one: value})
        yield call("update_many", where={"id": 0}, data={must: value})
        yield call(
            "upsert",
            where={"id": number},
            data={"create": {"id": number, must: value}, "update": {must: value}},
        )
        yield call("count", where={one: {"equals": value}})
        if name in _JSON:
            yield call("count", where={one: {"not": value}})
            continue
        yield call("find_many", where={one: value}, order={"id": "asc"})
        yield call("count", where={one: {"not": value}})
        yield call("count", where={must: {"in": [value, values[0]]}})
        yield call("count", where={one: {"not_in": [value]}})
        if name not in _UNORDERED:
            for operator in ("lt", "lte", "gt", "gte"):
                yield call("count", where={must: {operator: value}})
        if name in ("Int", "SmallInt", "BigInt", "Float", "Real", "Decimal", "Numeric", "Money", "Oid"):
            for operation in ("increment", "multiply", "divide", "decrement", "set"):
                yield call("update", where={"id": 0}, data={must: {operation: value}})
    yield call(
        "create_many",
        data=[{"id": 200 + n, one: v, must: v} for n, v in enumerate(values[:3])]
        + [{"id": 300, must: values[0]}],
    )
    yield call("update", where={"id": 0}, data={one: None})
    yield call("count", where={one: None})
    yield call("count", where={"NOT": [{one: None}]})
    yield call("find_many", order={"id": "asc"})
    yield call("find_many", order=[{one: "desc"}, {"id": "asc"}])
    yield call("find_many", order=[{must: "asc"}, {"id": "asc"}], cursor={"id": 1}, take=2)
    yield call("find_many", distinct=[must], order=[{must: "asc"}, {"id": "asc"}])
    yield call("find_many", distinct=[one], order={"id": "asc"}, take=3)
    yield call("group_by", by=[must], count=True, order={must: "asc"})
    yield call(
        "group_by",
        by=[must],
        min={one: True},
        max={one: True},
        order={must: "asc"},
        having={must: {"not": values[0]}},
    )
    yield call("group_by", by=["id"], sum={must: True}, avg={must: True}, order={"id": "asc"})


def _many(name: str, values: list[Any]) -> Iterator[Step]:
    on, many = f"many{name.lower()}", _columns(name)[2]

    def call(method: str, **given: Any) -> Step:
        return {"on": on, "call": method, "with": given}

    first, second = values[0], values[1]
    lists = [[first], [first, second], [], [second, first, first], *([each] for each in values[2:])]
    yield call("create", data={"id": 0})
    for number, each in enumerate(lists, 1):
        yield call("create", data={"id": number, many: each})
        yield call("find_unique", where={"id": number})
        yield call("update", where={"id": 0}, data={many: each})
        yield call("update", where={"id": 0}, data={many: {"set": each}})
        yield call("update", where={"id": 0}, data={many: {"push": each}})
        yield call("count", where={many: {"equals": each}})
        yield call("count", where={many: {"has_some": each}})
        yield call("count", where={many: {"has_every": each}})
    yield call("update", where={"id": 0}, data={many: {"push": first}})
    yield call("update_many", where={"id": 0}, data={many: {"set": [second]}})
    yield call("create", data={"id": 100, many: {"set": [first, second]}})
    yield call("create_many", data=[{"id": 200, many: [first]}, {"id": 201, many: []}, {"id": 202}])
    yield call(
        "upsert", where={"id": 300}, data={"create": {"id": 300, many: [second]}, "update": {many: [first]}}
    )
    yield call(
        "upsert", where={"id": 300}, data={"create": {"id": 300, many: [second]}, "update": {many: [first]}}
    )
    for value in values:
        yield call("count", where={many: {"has": value}})
    for empty in (True, False):
        yield call("count", where={many: {"is_empty": empty}})
    yield call("count", where={many: {"equals": None}})
    yield call("find_many", order={"id": "asc"})
    yield call("find_many", distinct=[many], order={"id": "asc"})
    yield call("delete_many", where={many: {"has": first}})


def _raw(name: str, sql: str, values: list[Any]) -> Iterator[Step]:
    ones, lists = f'"One{name}"', f'"Many{name}"'
    one, must, _ = _columns(name)

    def raw(method: str, *given: Any) -> Step:
        return {"call": method, "with": list(given)}

    for value in values:
        yield raw("query_raw", f"SELECT $1::{sql} AS v, pg_typeof($1)::text AS t", value)
        yield raw("query_raw", f"SELECT ARRAY[$1::{sql}, NULL] AS v", value)
        yield raw("execute_raw", f"UPDATE {ones} SET {one} = $1::{sql} WHERE id = 0", value)
        if name not in _JSON:
            yield raw("query_first", f"SELECT id FROM {ones} WHERE {must} = $1::{sql} ORDER BY id", value)
            yield raw("query_raw", f"SELECT id FROM {ones} WHERE {must} = $1 ORDER BY id", value)
            yield raw(
                "query_raw", f"SELECT id FROM {ones} WHERE {must} = ANY($1::{sql}[]) ORDER BY id", [value]
            )
    yield raw("query_raw", f"SELECT $1::{sql} AS v", None)
    yield raw("query_raw", f"SELECT * FROM {ones} ORDER BY id")
    yield raw("query_raw", f"SELECT * FROM {lists} ORDER BY id")
    yield raw("query_first", f"SELECT {one}, {must} FROM {ones} WHERE id = 1")
    yield {
        "on": f"one{name.lower()}",
        "call": "query_raw",
        "with": [f"SELECT * FROM {ones} WHERE id < 3 ORDER BY id"],
    }
    yield {
        "on": f"many{name.lower()}",
        "call": "query_first",
        "with": [f"SELECT * FROM {lists} WHERE id = 3"],
    }
