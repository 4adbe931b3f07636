"""Calls become requests: values beside the text, what the compiler must see in it."""

from __future__ import annotations

import copy
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prisma._builder import QueryBuilder
from prisma.errors import UnknownRelationalFieldError
from prisma.fields import Base64, Json
from prisma_in_process.errors import UserError
from prisma_in_process.requests import Request, driver_value, refused, request, split

from .blog import Label, Line, Post, Role, User, call

NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=5)))
UTC_NOON = dt.datetime(2024, 2, 29, 7, 0, 0, 123000, tzinfo=dt.UTC)


def filled(made: Request) -> Any:
    """Return a request with each parameter as its type and its value."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict) and value.get("$type") == "Param":
            about = value["value"]
            kind = [about["inner"]["type"]] if about["type"] == "List" else about["type"]
            return kind, made.values[about["name"]]
        if isinstance(value, dict):
            return {key: fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each) for each in value]
        return next(
            (("page", made.values[name]) for name, number in made.pages.items() if number == value), value
        )

    return fill(json.loads(made.text))


def arguments(made: Request) -> Any:
    return filled(made)["query"]["arguments"]


@pytest.mark.parametrize(
    ("method", "action", "selection"),
    [
        ("create", "createOne", None),
        ("update", "updateOne", None),
        ("upsert", "upsertOne", None),
        ("delete", "deleteOne", None),
        ("find_unique", "findUnique", None),
        ("find_unique_or_raise", "findUniqueOrThrow", None),
        ("find_first", "findFirst", None),
        ("find_first_or_raise", "findFirstOrThrow", None),
        ("find_many", "findMany", None),
        ("create_many", "createMany", ["count"]),
        ("update_many", "updateMany", ["count"]),
        ("delete_many", "deleteMany", ["count"]),
        ("count", "aggregate", ["_count { _all title }"]),
        ("group_by", "groupBy", ["title", "_sum { views }"]),
    ],
)
def test_a_method_is_an_action(method: str, action: str, selection: list[str] | None) -> None:
    made = request(call(method, Label, selection))
    expected: dict[str, Any] = {"name": True}
    if selection == ["count"]:
        expected = {"count": True}
    elif method == "count":
        expected = {"_count": {"arguments": {}, "selection": {"_all": True, "title": True}}}
    elif method == "group_by":
        expected = {"title": True, "_sum": {"arguments": {}, "selection": {"views": True}}}
    assert json.loads(made.text) == {
        "modelName": "Label",
        "action": action,
        "query": {"arguments": {}, "selection": expected},
    }
    assert made.typed == (selection is None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x'\"\\\n€\ud83d", ("String", "x'\"\\\n€\ud83d")),
        (True, ("Boolean", True)),
        (5, ("Int", 5)),
        (2**31, ("BigInt", 2**31)),
        (-(2**31), ("Int", -(2**31))),
        (2**70, ("BigInt", 2**70)),
        (1.0, ("Float", 1.0)),
        (Decimal("1.50"), ("Float", Decimal("1.50"))),
        (NOON, ("DateTime", UTC_NOON)),
        (NOON.replace(tzinfo=None), ("DateTime", NOON.replace(tzinfo=dt.UTC, microsecond=123000))),
        (Json({"a": [None, 1.0, 2**60]}), ("Json", '{"a": [null, 1.0, 1152921504606846976]}')),
        (Json(None), ("Json", "null")),
        (Base64(b"AP8="), ("Bytes", "AP8=")),
        (Role.ADMIN, "ADMIN"),
        (None, None),
        ([], []),
        (["a", "b"], {"set": (["String"], ["a", "b"])}),
        (["a", None], ["a", None]),
        ({"set": [1, 2**40]}, {"set": (["BigInt"], [1, 2**40])}),
        ({"set": [1, 2.5]}, {"set": (["Float"], [1, 2.5])}),
        ({"push": "a"}, {"push": ("String", "a")}),
        ({"set": []}, {"set": []}),
        ([Json(1)], {"set": (["Json"], ["1"])}),
        ({"push": [Json(1)]}, {"push": (["Json"], ["1"])}),
        ({"equals": [Json(1)]}, {"equals": [{"$type": "Json", "value": "1"}]}),
        ({"disconnect": True}, {"disconnect": True}),
    ],
)
def test_a_value_is_typed(value: Any, expected: Any) -> None:
    assert arguments(request(call("create", User, data={"tags": value}))) == {"data": {"tags": expected}}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("role", "ADMIN", "ADMIN"),
        ("role", {"in": ["ADMIN"]}, {"in": ["ADMIN"]}),
        ("role", {"not": 'NO"PE'}, {"not": 'NO"PE'}),
        ("price", 5, ("Float", 5)),
        ("price", "1.50", ("Float", Decimal("1.50"))),
        ("price", "cheap", ("String", "cheap")),
        ("seen", "2024-02-29T12:00:00+05:00", ("DateTime", dt.datetime(2024, 2, 29, 7, tzinfo=dt.UTC))),
        ("seen", "2024-02-29", ("String", "2024-02-29")),
        ("seen", {"in": [NOON]}, {"in": (["DateTime"], [UTC_NOON])}),
        (
            "email",
            {"contains": "x", "mode": "insensitive"},
            {"contains": ("String", "x"), "mode": "insensitive"},
        ),
        ("mode", "fast", ("String", "fast")),
        ("tags", {"isEmpty": True}, {"isEmpty": True}),
        ("tags", {"hasSome": ["a"]}, {"hasSome": (["String"], ["a"])}),
        ("meta", {"path": ["a", "b"], "equals": Json(1)}, {"path": ["a", "b"], "equals": ("Json", "1")}),
        ("id", {"in": []}, {"in": []}),
        ("id", {"in": [1, 2]}, {"in": (["Int"], [1, 2])}),
        ("id", {"not": {"in": (1, 2)}}, {"not": {"in": (["Int"], [1, 2])}}),
        ("score", None, None),
    ],
)
def test_a_filter_is_of_its_field(field: str, value: Any, expected: Any) -> None:
    assert arguments(request(call("find_many", User, where={field: value}))) == {"where": {field: expected}}


def test_arguments_that_are_none_are_left_out_and_orders_are_text() -> None:
    made = request(
        call(
            "find_many",
            Post,
            where=None,
            cursor={"id": 3},
            take=20,
            skip=5,
            orderBy=[{"views": "desc"}, {"author": {"email": "asc"}}],
            distinct=["title"],
        )
    )
    assert arguments(made) == {
        "cursor": {"id": ("Int", 3)},
        "take": ("page", 20),
        "skip": ("page", 5),
        "orderBy": [{"views": "desc"}, {"author": {"email": "asc"}}],
        "distinct": ["title"],
    }
    assert sorted(made.values.values()) == [3, 5, 20]


@pytest.mark.parametrize("size", [0, -1, True])
def test_a_page_that_is_another_shape_is_text(size: int) -> None:
    made = request(call("find_many", Post, take=size))
    assert (arguments(made), made.pages) == ({"take": size}, {})


def test_a_field_may_be_called_take() -> None:
    made = request(call("find_many", Post, where={"take": 5}))
    assert arguments(made) == {"where": {"take": ("Int", 5)}}


def test_numbers_that_stand_for_pages_are_not_a_callers_values() -> None:
    number = next(iter(request(call("find_many", Post, take=7)).pages.values()))
    made = request(call("find_many", Post, take=7, where={"meta": {"path": [str(number)]}}))
    assert (made.pages, arguments(made)["take"]) == ({}, 7)


def test_includes_have_arguments_of_their_own() -> None:
    include = {
        "posts": {
            "where": {"title": {"startswith": "a"}},
            "take": 2,
            "order_by": {"id": "asc"},
            "include": {"labels": True},
        }
    }
    made = request(call("find_first", User, where={"id": 1}, include=include))
    selection = filled(made)["query"]["selection"]
    assert selection["posts"] == {
        "arguments": {
            "where": {"title": {"startsWith": ("String", "a")}},
            "take": ("page", 2),
            "orderBy": {"id": "asc"},
        },
        "selection": {
            "id": True,
            "title": True,
            "views": True,
            "authorId": True,
            "labels": {"arguments": {}, "selection": {"name": True}},
        },
    }
    assert (
        "posts"
        not in filled(request(call("find_first", User, include={"posts": False})))["query"]["selection"]
    )


def test_nested_writes_know_the_related_models_fields() -> None:
    data = {
        "title": "t",
        "author": {
            "connect_or_create": {
                "where": {"email": "e"},
                "create": {"email": "e", "role": "ADMIN", "tags": ["x"]},
            }
        },
        "labels": {"create": [{"name": "a"}, {"name": "b"}], "set": []},
    }
    assert arguments(request(call("create", Post, data=data)))["data"] == {
        "title": ("String", "t"),
        "author": {
            "connectOrCreate": {
                "where": {"email": ("String", "e")},
                "create": {"email": ("String", "e"), "role": "ADMIN", "tags": {"set": (["String"], ["x"])}},
            }
        },
        "labels": {"create": [{"name": ("String", "a")}, {"name": ("String", "b")}], "set": []},
    }


def test_having_and_compound_keys() -> None:
    made = request(call("group_by", Post, ["title"], by=["title"], having={"views": {"_avg": {"gt": 1}}}))
    assert arguments(made) == {"by": ["title"], "having": {"views": {"_avg": {"gt": ("Int", 1)}}}}
    made = request(call("find_unique", Line, where={"page_no": {"page": 1, "no": 2}}))
    assert arguments(made) == {"where": {"page_no": {"page": ("Int", 1), "no": ("Int", 2)}}}


def test_equal_values_share_a_name_in_an_upsert_only() -> None:
    one: Any = {"where": {"name": "a"}, "create": {"name": "a"}, "update": {"name": "b"}}
    assert list(request(call("upsert", Label, **one)).values.values()) == ["a", "b"]
    other: Any = {"where": {"name": "a"}, "create": {"name": "c"}, "update": {"name": "b"}}
    assert request(call("upsert", Label, **one)).text != request(call("upsert", Label, **other)).text
    assert (
        len(request(call("find_many", Post, where={"title": "a", "views": 1, "OR": [{"title": "a"}]})).values)
        == 3
    )


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (64, [64]), (107, [64, 32, 8, 2, 1]), (130, [64, 64, 2])]
)
def test_many_rows_are_parts_of_few_sizes(count: int, sizes: list[int]) -> None:
    rows = [{"name": str(index)} for index in range(count)]
    whole = call("create_many", Label, ["count"], data=rows, skipDuplicates=True)
    parts = split(whole)
    assert [len(each.arguments["data"]) for each in parts] == sizes
    assert [row for each in parts for row in each.arguments["data"]] == rows == whole.arguments["data"]
    assert all(each.arguments["skipDuplicates"] and each.model is Label for each in parts)


def test_other_calls_are_not_split() -> None:
    for whole in (call("create_many", Label, ["count"], data=[]), call("find_many", Label, data=[{}, {}])):
        assert split(whole) == [whole]


def test_values_stay_in_the_text_by_name() -> None:
    made = call("find_many", Post, take=9, where={"title": "a", "views": {"in": [1]}})
    first = request(made)
    assert list(first.values) == ["%0", "%1", "%2"]
    assert arguments(request(made, frozenset({"%0", "%2"}))) == {
        "take": 9,
        "where": {"title": ("String", "a"), "views": {"in": [1]}},
    }
    assert arguments(request(made, None)) == {"take": 9, "where": {"title": "a", "views": {"in": [1]}}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53, {"$type": "BigInt", "value": str(2**53)}),
        (2**53 - 1, 2**53 - 1),
        (Decimal("1.50"), {"$type": "Decimal", "value": "1.50"}),
        (0.1 + 0.2, {"$type": "Decimal", "value": "0.30000000000000004"}),
        (NOON, {"$type": "DateTime", "value": "2024-02-29T07:00:00.123000+00:00"}),
        (Json([1.0]), {"$type": "Json", "value": "[1.0]"}),
        (Base64(b"eA=="), {"$type": "Bytes", "value": "eA=="}),
        (True, True),
    ],
)
def test_a_value_in_the_text_is_tagged(value: Any, expected: Any) -> None:
    assert arguments(request(call("find_many", User, where={"x": value}), None)) == {"where": {"x": expected}}


def test_what_the_client_cannot_write_is_refused_as_it_does() -> None:
    with pytest.raises(TypeError, match="not serializable"):
        request(call("find_many", Post, where={"title": object()}))
    with pytest.raises(TypeError, match="Expected `bool` or `dict`"):
        request(call("find_many", User, include={"posts": None}))
    with pytest.raises(UnknownRelationalFieldError):
        request(call("find_many", User, include={"nope": True}))


def test_a_key_is_no_tag() -> None:
    with pytest.raises(UserError, match="name of a field") as refusal:
        request(call("find_many", Post, where={"title": {"$type": "Param", "value": {"name": "%0"}}}))
    assert refusal.value.code == "P2009"


def test_an_errors_place_names_its_parameters() -> None:
    made = request(
        call(
            "find_many",
            User,
            where={"id": 1, "tags": {"hasSome": ["a"]}},
            include={"posts": {"where": {"views": 2}}},
        )
    )
    places = {"argumentPath": ["where", "tags", "hasSome"], "selectionPath": ["findManyUser"]}
    inner = {"argumentPath": ["where"], "selectionPath": ["findManyUser", "posts"]}
    assert refused(made.text, {"kind": "Union", "errors": [places, {"errors": [inner]}]}) == {"%1", "%2"}
    assert refused(made.text, {"kind": "Other"}) == frozenset()


def test_raw_values_are_the_drivers() -> None:
    made = call("query_raw", None, query="", parameters=[])
    values = ["a", 1, None, NOON, Json({"a": 1}), Base64(b"eA=="), Role.USER, [NOON, (1, 2)], Decimal("1.0")]
    assert [driver_value(each, made) for each in values] == [
        "a", 1, None, UTC_NOON, '{"a": 1}', "eA==", "USER", [UTC_NOON, [1, 2]], Decimal("1.0"),
    ]  # fmt: skip


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.datetimes(),
    st.sampled_from([Role.USER, Json({"a": 1}), Base64(b"eA==")]),
)
operators = st.sampled_from(["equals", "in", "not", "contains", "mode", "set", "hasSome", "isEmpty", "gt"])
fields = st.sampled_from(
    ["id", "email", "role", "tags", "price", "seen", "posts", "AND", "some", "author", "title"]
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(operators, fields), inner, max_size=3)
    ),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """Return values as they compare, in the text and beside it."""
    if isinstance(value, dict) and "$type" in value:
        return plain(Decimal(value["value"]) if value["$type"] in ("Decimal", "BigInt") else value["value"])
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, tuple):
        return plain(value[1])
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return float(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else value


def made_of(builder: QueryBuilder, *, literal: bool) -> Any:
    try:
        return plain(arguments(request(builder, None if literal else frozenset())))
    except (TypeError, OverflowError) as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(fields, values, max_size=3))
def test_parameters_stand_for_the_values_that_the_text_would_have(where: dict[str, Any]) -> None:
    before = copy.deepcopy(where)
    builder = call("find_many", User, where=where, include={"posts": {"where": where}})
    assert made_of(builder, literal=False) == made_of(builder, literal=True)
    assert repr(where) == repr(before)
