"""Rows become what the client's models take, and what `group_by` and `count` return."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.results import mapper
from prisma_in_process.values import Beyond

ENUMS = {"Role": {"the-admin": "ADMIN", "USER": "USER"}}


def field(kind: str, arity: str = "required", **more: Any) -> dict[str, Any]:
    return {"type": "field", "dbName": "c", "fieldType": {"type": kind, "arity": arity, **more}}


def mapped(shape: dict[str, Any], value: Any, *, typed: bool = True) -> Any:
    """Return what becomes of a value, or of a field's value in a record."""
    if shape["type"] != "field":
        return mapper(shape, ENUMS, typed=typed)(value)
    return mapper(structure({"x": shape}), ENUMS, typed=typed)({"c": value})["x"]


NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 123456)
UTC_NOON = NOON.replace(tzinfo=dt.UTC)
TOKYO = dt.timezone(dt.timedelta(hours=9))
ID = uuid.UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")
LAST = Beyond.at(2**63 - 1)


@pytest.mark.parametrize(
    ("kind", "found", "typed", "untyped"),
    [
        ("string", "a", "a", "a"),
        ("string", ID, str(ID), str(ID)),
        ("int", 5, 5, 5),
        ("int", 2.5, 2, 2),
        ("bigint", 2**60, 2**60, str(2**60)),
        ("bigint", Decimal(7), 7, "7"),
        ("float", 1.5, 1.5, 1.5),
        ("float", Decimal("1.5"), 1.5, 1.5),
        ("boolean", False, False, False),
        ("decimal", Decimal("12.3400"), Decimal("12.34"), "12.34"),
        ("decimal", Decimal("1E+3"), Decimal("1000"), "1000"),
        ("decimal", Decimal("100"), Decimal("100"), "100"),
        ("bytes", b"\x00\xff", "AP8=", "AP8="),
        ("json", '{"a": [null, 1.0, 1152921504606846976]}', '{"a": [null, 1.0, 1152921504606846976]}', ...),
        ("json", "null", "null", "null"),
        ("json", [1.0, None], "[1.0, null]", "[1.0, null]"),
        ("enum", "the-admin", "ADMIN", "ADMIN"),
        ("datetime", NOON, UTC_NOON, "2024-02-29T12:00:00.123Z"),
        ("datetime", UTC_NOON.astimezone(TOKYO), UTC_NOON, "2024-02-29T12:00:00.123Z"),
        (
            "datetime",
            dt.date(2024, 2, 29),
            UTC_NOON.replace(hour=0, microsecond=0),
            "2024-02-29T00:00:00.000Z",
        ),
        (
            "datetime",
            dt.time(12, tzinfo=TOKYO),
            dt.datetime(1970, 1, 1, 12, tzinfo=dt.UTC),
            "1970-01-01T12:00:00.000Z",
        ),
        ("datetime", LAST, LAST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_scalar_alone_and_in_a_list(kind: str, found: Any, typed: Any, untyped: Any) -> None:
    untyped = typed if untyped is ... else untyped
    more = {"name": "Role"} if kind == "enum" else {}
    for is_typed, expected in ((True, typed), (False, untyped)):
        value = mapped(field(kind, **more), found, typed=is_typed)
        assert (value, type(value)) == (expected, type(expected))
        assert mapped(field(kind, **more), None, typed=is_typed) is None
        in_list = mapped(field(kind, "list", **more), [found, None], typed=is_typed)
        assert in_list == [expected, None]
        assert mapped(field(kind, "list", **more), None, typed=is_typed) == []


def test_a_decimal_is_as_prisma_writes_it() -> None:
    assert str(mapped(field("decimal"), Decimal("12.3400"))) == "12.34"
    assert str(mapped(field("decimal"), Decimal("1E-7"))) == "1E-7"
    assert mapped(field("decimal"), Decimal("1E-7"), typed=False) == "0.0000001"


def test_a_value_that_the_enum_lacks_is_not_shown() -> None:
    with pytest.raises(UserError, match="enum 'Role'") as refusal:
        mapped(field("enum", name="Role"), "secret")
    assert refusal.value.code == "P2023"
    assert "secret" not in str(refusal.value.body)


def structure(fields: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    return {"type": "object", "serializedName": name, "fields": fields, "skipNulls": False}


def test_objects_are_renamed_nested_and_cut() -> None:
    posts = structure({"title": field("string")}, "@nested$posts")
    count = structure({"_all": field("int")})
    user = structure({"id": field("int"), "posts": posts, "_count": count})
    row = {"c": 1, "other": 2, "@nested$posts": [{"c": "a"}]}
    assert mapped(user, [row, None]) == [{"id": 1, "posts": [{"title": "a"}], "_count": {"_all": 1}}, None]
    assert mapped(user, None) is None
    assert mapped(structure({"author": structure({"id": field("int")}, "@a")}), {"@a": None}) == {
        "author": None
    }


def test_a_count_of_rows() -> None:
    assert mapped({"type": "affectedRows"}, 3) == {"count": 3}


def test_the_values_of_records_are_converted_too() -> None:
    assert mapped(structure({"kind": field("enum", name="Role")}), {"c": "the-admin"}) == {"kind": "ADMIN"}
    assert mapped(structure({"n": field("bigint")}), {"c": 5}, typed=False) == {"n": "5"}
    assert mapped(structure({"n": field("bigint")}), {"c": 5}) == {"n": 5}
    assert mapped(structure({"ids": field("string", "list")}), {"c": None}) == {"ids": []}
