"""Each node of a plan does what Prisma's interpreter does, on a database that records."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.plans import Plan, with_pages

from .blog import Recorded


def param(name: str) -> dict[str, Any]:
    return {"prisma__type": "param", "prisma__value": {"name": name, "type": "Any"}}


def value(args: Any) -> dict[str, Any]:
    return {"type": "value", "args": args}


def sql(text: str, *args: Any, kind: str = "query", **more: Any) -> dict[str, Any]:
    """Return a query, with a parameter for each `?` of its text, and a tuple for each `@`."""
    fragments: list[dict[str, str]] = []
    for each in text.replace("?", "\0?\0").replace("@", "\0@\0").split("\0"):
        if each == "?":
            fragments.append({"type": "parameter"})
        elif each == "@":
            fragments.append(
                {"type": "parameterTuple", "itemPrefix": "", "itemSeparator": ",", "itemSuffix": ""}
            )
        elif each:
            fragments.append({"type": "stringChunk", "chunk": each})
    query = {"type": "templateSql", "fragments": fragments, "args": list(args), "chunkable": True, **more}
    return {"type": kind, "args": query}


def run(plan: dict[str, Any], database: Recorded | None = None, **values: Any) -> Any:
    return asyncio.run(Plan(plan, typed=True).run(database or Recorded(), values))


def let(expr: dict[str, Any], **bindings: dict[str, Any]) -> dict[str, Any]:
    named = [{"name": name, "expr": each} for name, each in bindings.items()]
    return {"type": "let", "args": {"bindings": named, "expr": expr}}


def get(name: str) -> dict[str, Any]:
    return {"type": "get", "args": {"name": name}}


A: dict[str, Any]
B: dict[str, Any]
A, B = {"id": 1, "n": "a"}, {"id": 2, "n": "b"}
PURE: list[tuple[dict[str, Any], Any]] = [
    (value([1, param("x")]), [1, "X"]),
    (get("x"), "X"),
    (get("y"), None),
    ({"type": "unit"}, None),
    ({"type": "seq", "args": []}, None),
    ({"type": "seq", "args": [value(1), value(2)]}, 2),
    (let({"type": "concat", "args": [get("a"), get("b")]}, a=value(1), b=get("a")), [1, 1]),
    (let(let(get("a"), a=value(2)), a=value(1)), 2),
    ({"type": "seq", "args": [let(get("a"), a=value(1)), get("a")]}, None),
    ({"type": "getFirstNonEmpty", "args": {"names": ["y", "x"]}}, "X"),
    (let({"type": "getFirstNonEmpty", "args": {"names": ["y", "e"]}}, e=value([])), []),
    (let({"type": "getFirstNonEmpty", "args": {"names": ["z", "x"]}}, z=value(0)), 0),
    ({"type": "concat", "args": [value([1, 2]), value(3), value(None), value([])]}, [1, 2, 3, None]),
    ({"type": "concat", "args": []}, []),
    ({"type": "sum", "args": [value(1), value(2)]}, 3),
    ({"type": "sum", "args": []}, 0),
    ({"type": "unique", "args": value([5])}, 5),
    ({"type": "unique", "args": value([])}, None),
    ({"type": "unique", "args": value(5)}, 5),
    ({"type": "mapField", "args": {"field": "id", "records": value([A, B])}}, [1, 2]),
    ({"type": "mapField", "args": {"field": "id", "records": value([[A], None])}}, [[1], None]),
    ({"type": "mapField", "args": {"field": "x", "records": value(A)}}, None),
    ({"type": "diff", "args": {"from": value([A, B]), "to": value([A]), "fields": ["id"]}}, [B]),
    ({"type": "diff", "args": {"from": value(A), "to": value([B]), "fields": ["n", "id"]}}, [A]),
    ({"type": "diff", "args": {"from": value([None, A]), "to": value([None]), "fields": ["n"]}}, [A]),
]


@pytest.mark.parametrize(("plan", "expected"), PURE)
def test_a_node_without_a_database(plan: dict[str, Any], expected: Any) -> None:
    assert run(plan, x="X") == expected


def test_more_than_the_one_row_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="one row or none, but got 2"):
        run({"type": "unique", "args": value([1, 2])})


RULES = [
    ("rowCountEq", 1, [A], True),
    ("rowCountEq", 1, A, True),
    ("rowCountEq", 0, None, True),
    ("rowCountEq", 0, A, False),
    ("rowCountNeq", 0, [], False),
    ("rowCountNeq", 0, [A], True),
    ("rowCountNeq", 1, None, True),
    ("affectedRowCountEq", 2, 2, True),
    ("affectedRowCountEq", 2, 1, False),
    ("never", None, A, False),
]


@pytest.mark.parametrize(("kind", "count", "tested", "expected"), RULES)
def test_a_rule_chooses_and_validates(kind: str, count: int | None, tested: Any, expected: bool) -> None:
    rule = {"type": kind, "args": count}
    choice = {"value": value(tested), "rule": rule, "then": value("then"), "else": value("else")}
    assert run({"type": "if", "args": choice}) == ("then" if expected else "else")
    context = {"operation": "a delete"}
    check = {"expr": value(tested), "rules": [rule], "errorIdentifier": "MISSING_RECORD", "context": context}
    if expected:
        assert run({"type": "validate", "args": check}) == tested
    else:
        with pytest.raises(UserError, match="a delete") as refusal:
            run({"type": "validate", "args": check})
        assert refusal.value.code == "P2025"


def test_only_the_chosen_branch_is_run() -> None:
    database = Recorded()
    choice = {
        "value": value([]),
        "rule": {"type": "rowCountEq", "args": 0},
        "then": sql("YES"),
        "else": sql("NO"),
    }
    run({"type": "if", "args": choice}, database)
    assert database.events == ["YES"]


def test_a_query_has_its_values_and_returns_rows() -> None:
    database = Recorded([A, B])
    assert run(sql("SELECT ? IN @ AND ?", 1, param("ids"), [5, 6]), database, ids=[7, 8]) == [A, B]
    assert database.statements == [("SELECT $1 IN ($2,$3) AND $4", [1, 7, 8, [5, 6]])]


def test_a_statement_returns_its_count() -> None:
    database = Recorded(3, 4)
    plan = {"type": "sum", "args": [sql("A", kind="execute"), sql("B", kind="execute")]}
    assert run(plan, database) == 7
    assert database.events == ["A", "B"]


@pytest.mark.parametrize("kind", ["query", "execute"])
def test_too_many_values_are_split_in_one_transaction(kind: str) -> None:
    results: list[Any] = [[A], [B]] if kind == "query" else [1, 2]
    database = Recorded(*results)
    found = run(sql("S IN @ AND ?", param("ids"), "x", kind=kind), database, ids=list(range(40_000)))
    assert found == ([A, B] if kind == "query" else 3)
    assert database.events == ["BEGIN", "S", "S", "COMMIT"]
    values = [each for _, each in database.statements]
    assert [len(each) for each in values] == [32_766, 40_000 - 32_765 + 1]
    assert [one for each in values for one in each[:-1]] == list(range(40_000))


def test_a_failure_rolls_back_what_was_split() -> None:
    database = Recorded(1, UserError("P2002", ""))
    with pytest.raises(UserError):
        run(sql("S @", param("ids"), kind="execute"), database, ids=list(range(40_000)))
    assert database.events == ["BEGIN", "S", "S", "ROLLBACK"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (sql("S @", param("ids"), chunkable=False), list(range(40_000))),
        (sql("S @ " + "?" * 32_766, param("ids"), *range(32_766)), [1]),
        (sql("S" + "?" * 32_767, *range(32_767)), []),
    ],
)
def test_what_cannot_be_split_is_refused(query: dict[str, Any], ids: list[int]) -> None:
    database = Recorded()
    with pytest.raises(UserError, match="parameter limit") as refusal:
        run(query, database, ids=ids)
    assert (refusal.value.code, database.events) == ("P2029", [])


def test_a_list_that_is_one_value_is_not_split() -> None:
    database = Recorded()
    run(sql("S ? @", param("tags"), [1]), database, tags=["x"] * 40_000)
    assert database.events == ["S"]


def test_a_transaction_is_around_its_node() -> None:
    database = Recorded([], UserError("P2002", ""))
    with pytest.raises(UserError):
        run({"type": "transaction", "args": {"type": "seq", "args": [sql("A"), sql("B")]}}, database)
    assert database.events == ["BEGIN", "A", "B", "ROLLBACK"]


def join(parent: Any, child: Any, *, unique: bool) -> dict[str, Any]:
    about = {"child": child, "on": [["id", "parent"]], "parentField": "@c", "isRelationUnique": unique}
    return {"type": "join", "args": {"parent": parent, "children": [about], "canAssumeStrictEquality": True}}


def test_children_are_attached_to_their_parents() -> None:
    children: list[Any] = [
        {"parent": 2, "x": 1},
        {"parent": 1, "x": 2},
        {"parent": 2, "x": 3},
        {"parent": None, "x": 4},
    ]
    found = run(join(sql("P"), sql("C"), unique=False), Recorded([A, B], children))
    assert [[each["x"] for each in parent["@c"]] for parent in found] == [[2], [1, 3]]
    found = run(join(sql("P"), sql("C"), unique=True), Recorded([A, {"id": 9}], children))
    assert [parent["@c"] and parent["@c"]["x"] for parent in found] == [2, None]


def test_one_parent_is_joined_as_one_and_none_has_no_children() -> None:
    one = {"type": "unique", "args": sql("P")}
    assert run(join(one, sql("C"), unique=False), Recorded([A], [])) == {**A, "@c": []}
    database = Recorded([])
    assert run(join(one, sql("C"), unique=False), database) is None
    assert database.events == ["P"]


def test_a_page_of_no_children_names_no_fields() -> None:
    plan = join(sql("P"), {"type": "concat", "args": []}, unique=False)
    plan["args"]["children"][0]["on"] = []
    assert run(plan, Recorded([A])) == [{**A, "@c": []}]


OPERATIONS: dict[str, Any] = {
    "pagination": None,
    "distinct": None,
    "reverse": False,
    "linkingFields": None,
}
ROWS = [{"id": i, "p": i % 2, "d": i // 2} for i in range(6)]


def process(rows: Any, **operations: Any) -> dict[str, Any]:
    return {"type": "process", "args": {"expr": value(rows), "operations": {**OPERATIONS, **operations}}}


def page(cursor: Any = None, take: Any = None, skip: Any = None) -> dict[str, Any]:
    return {"pagination": {"cursor": cursor, "take": take, "skip": skip}}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"distinct": ["d"]}, [0, 2, 4]),
        ({"distinct": ["d"], "linkingFields": ["p"]}, [0, 1, 2, 3, 4, 5]),
        ({"distinct": ["d"], **page(take=2, skip=1)}, [2, 4]),
        ({"reverse": True, **page(take=2)}, [1, 0]),
        (page(take=0), []),
        (page(skip=4), [4, 5]),
        (page(skip=None, take=param("size")), [0, 1]),
        (page(cursor={"id": 3}), [3, 4, 5]),
        (page(cursor={"id": 3}, skip=1, take=1), [4]),
        (page(cursor={"id": param("id"), "p": 0}, take=2), [2, 3]),
        (page(cursor={"id": 3, "p": 0}), []),
        ({**page(take=2, skip=1), "linkingFields": ["p"]}, [2, 4, 3, 5]),
        ({**page(cursor={"id": 2}), "linkingFields": ["p"]}, [2, 4]),
    ],
)
def test_records_are_distinct_then_paged_then_reversed(
    operations: dict[str, Any], expected: list[int]
) -> None:
    assert [each["id"] for each in run(process(ROWS, **operations), id=2, size=2)] == expected


def test_a_list_that_is_null_is_an_empty_one() -> None:
    rows = [{"t": []}, {"t": None}, {"t": ["a"]}, {"t": ["a"]}]
    assert run(process(rows, distinct=["t"])) == [{"t": []}, {"t": ["a"]}]


NOON = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)
ID = uuid.UUID("6ba7b810-9dad-41d1-80b4-00c04fd430c8")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (ID, str(ID).upper()),
        (Decimal("1.50"), 1.5),
        (Decimal("1.50"), "1.5"),
        (NOON.replace(tzinfo=None), NOON),
        (dt.date(2024, 2, 29), NOON.replace(hour=0)),
        (dt.time(12), dt.datetime(1970, 1, 1, 12, tzinfo=dt.UTC)),
        (b"\x00\xff", "AP8="),
        (5, 5),
        (None, None),
    ],
)
def test_a_cursor_is_compared_in_the_callers_type(found: Any, wanted: Any) -> None:
    assert run(process([{"c": found}], **page(cursor={"c": param("c")})), c=wanted) == [{"c": found}]
    assert (
        run(process([{"c": found}], **page(cursor={"c": param("c")})), c="7" if wanted is None else None)
        == []
    )


def unknown_data_map(kind: str) -> dict[str, Any]:
    field = {"type": "field", "dbName": "x", "fieldType": {"arity": "required", "type": kind}}
    structure = {"type": "object", "serializedName": None, "fields": {"x": field}, "skipNulls": False}
    return {"type": "dataMap", "args": {"expr": value(1), "structure": structure, "enums": {}}}


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        ({"type": "lateral", "args": {}}, "node 'lateral'"),
        ({"type": "query", "args": {"type": "rawSql"}}, "query 'rawSql'"),
        ({"type": "query", "args": {"type": "templateSql", "fragments": [{"type": "json"}]}}, "json"),
        ({"type": "validate", "args": {"expr": value(1), "rules": [{"type": "odd"}]}}, "rule 'odd'"),
        (
            value({"prisma__type": "generatorCall", "prisma__value": {"name": "dice", "args": []}}),
            "generator 'dice'",
        ),
        (unknown_data_map("point"), "scalar 'point'"),
        (
            {"type": "dataMap", "args": {"expr": value(1), "structure": {"type": "tree"}, "enums": {}}},
            "result 'tree'",
        ),
    ],
)
def test_what_is_not_known_is_named_with_the_compilers_version(plan: dict[str, Any], name: str) -> None:
    with pytest.raises(NotImplementedError, match=r"query-compiler-wasm 7\.10\.0") as refusal:
        Plan(plan, typed=True)
    assert name in str(refusal.value)


def test_pages_are_parameters_of_a_plan() -> None:
    plan = sql("S ? ?", "2000000011", "0", kind="query")
    plan["args"]["take"], plan["args"]["text"] = 2000000093, "x2000000011"
    found = with_pages(plan, {2000000011: "%0", 2000000093: "%1"})["args"]
    assert [found["args"][0]["prisma__value"]["name"], found["args"][1]] == ["%0", "0"]
    assert (found["take"]["prisma__value"]["name"], found["text"]) == ("%1", "x2000000011")


def test_runs_at_once_do_not_meet() -> None:
    plan = Plan(let(process([A, B], **page(take=param("n"))), n=get("n")), typed=True)

    async def main() -> list[Any]:
        return await asyncio.gather(*[plan.run(Recorded(), {"n": size}) for size in (0, 1, 2)])

    assert [len(each) for each in asyncio.run(main())] == [0, 1, 2]
