"""The compiler's host: its module is the one that is expected, and what it returns is JSON's."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from prisma_in_process.compiler import MODULE, CompilerFailure, QueryCompiler
from prisma_in_process.errors import UserError
from prisma_in_process.generators import COMPILER
from prisma_in_process.plans import Plan, with_pages
from prisma_in_process.requests import request

from . import blog
from .blog import Line, Post, Recorded, User, call

USER = dict.fromkeys(User.model_fields) | {
    "id": 1, "email": "e", "role": "USER", "roles": [], "tags": ["a"], "metas": [], "token": "t",
}  # fmt: skip
FIND = request(call("find_many", Post, where={"title": "a"})).text


def test_the_compiler_is_the_one_that_is_installed() -> None:
    pinned = json.loads(Path("layers/prisma/package.json").read_text())
    everything = pinned.get("dependencies", {}) | pinned.get("devDependencies", {})
    name, version = COMPILER.split()
    assert everything[name] == version


def test_a_module_of_another_wasmtime_says_what_to_run(tmp_path: Path) -> None:
    other = tmp_path / "other.cwasm"
    other.write_bytes(MODULE.read_bytes().replace(b"\x0250\x1cpulley64", b"\x0249\x1cpulley64"))
    with pytest.raises(CompilerFailure, match=r"version of wasmtime makes it.*infra/setup\.py.*'49'"):
        QueryCompiler(blog.SCHEMA, module=other)
    with pytest.raises(CompilerFailure, match=r"infra/setup\.py.*No such file"):
        QueryCompiler(blog.SCHEMA, module=tmp_path / "none.cwasm")


def test_another_versions_imports_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name, imports = "__wbg_new_e17d9f43105b08be", QueryCompiler._imports
    monkeypatch.setattr(
        QueryCompiler,
        "_imports",
        lambda self: {each: of for each, of in imports(self).items() if each != name},
    )
    with pytest.raises(CompilerFailure, match=rf"imports of {re.escape(COMPILER)}.*{name}"):
        QueryCompiler(blog.SCHEMA).compile(FIND)


def test_a_refused_request_has_prismas_code_and_place() -> None:
    with pytest.raises(UserError, match="nope") as refusal:
        blog.compiler().compile(request(call("find_many", Post, where={"nope": 1})).text)
    assert refusal.value.code == "P2009"
    assert refusal.value.body["user_facing_error"]["meta"]["argumentPath"] == ["where", "nope"]
    assert blog.compiler().compile(FIND)["type"] == "dataMap"


def test_a_panic_is_a_failure() -> None:
    with pytest.raises(CompilerFailure, match=r"query-compiler-wasm 7.* panicked: panicked at"):
        QueryCompiler(blog.SCHEMA).compile('{"modelName":"User","action":"nope","query":{}}')


def test_what_no_javascript_number_holds_is_refused() -> None:
    query = {"arguments": {"query": "", "parameters": "[9007199254740993]"}, "selection": {}}
    with pytest.raises(UserError, match="9007199254740993 can't be represented") as refusal:
        blog.compiler().compile(json.dumps({"action": "queryRaw", "query": query}))
    assert refusal.value.code == "P2009"


def test_compiling_leaves_no_values_behind() -> None:
    made = QueryCompiler(blog.SCHEMA)
    made.compile(FIND)

    def room() -> tuple[int, int]:
        return made._values.size(made._store), made._memory.data_len(made._store)

    before = room()
    # The table of values grows by 128.
    for _ in range(140):
        with pytest.raises(UserError):
            made.compile('{"modelName":"Nope"}')
    for _ in range(10):
        made.compile(FIND)
    assert room() == before


def test_the_schema_of_postgres_is_in_the_sql() -> None:
    text = json.dumps(QueryCompiler(blog.SCHEMA, schema='o"ther').compile(FIND))
    assert r"FROM \"o\"ther\".\"Post\"" in text


def run(made: Any, *rows: Any) -> tuple[Any, Recorded]:
    """Compile a call and run its plan."""
    of = request(made)
    plan = blog.compiler().compile(of.text)
    plan = with_pages(plan, {number: name for name, number in of.pages.items()})
    database = Recorded(*rows)
    return asyncio.run(Plan(plan, typed=of.typed).run(database, of.values)), database


def test_a_page_of_a_query() -> None:
    found, database = run(
        call("find_many", Post, where={"title": "a"}, take=20, skip=3, orderBy={"id": "asc"}),
        [{"id": 1, "title": "a", "views": 2, "authorId": None}],
    )
    assert found == [{"id": 1, "title": "a", "views": 2, "authorId": None}]
    [(sql, values)] = database.statements
    assert sql.endswith('ORDER BY "public"."Post"."id" ASC LIMIT $2 OFFSET $3')
    assert values == ["a", 20, 3]


def test_each_parent_has_a_page_of_children() -> None:
    rows = [
        {"id": 5, "authorId": 2},
        {"id": 4, "authorId": 1},
        {"id": 3, "authorId": 2},
        {"id": 2, "authorId": 1},
    ]
    posts = [{"title": "t", "views": 0, **row} for row in rows]
    include = {"posts": {"take": 1, "skip": 1, "order_by": {"id": "desc"}}}
    found, database = run(call("find_many", User, include=include), [USER, {**USER, "id": 2}], posts)
    assert [[each["id"] for each in user["posts"]] for user in found] == [[2], [3]]
    assert [values for _, values in database.statements] == [["0"], [1, 2, "0"]]


def test_a_nested_create_is_one_transaction() -> None:
    row = {"id": 7, "title": "a", "views": 0, "authorId": None}
    data = {"title": "a", "labels": {"create": [{"name": "x"}]}}
    found, database = run(call("create", Post, data=data), [{"id": 7}], [{"name": "x"}], 1, [row])
    assert found == row
    assert database.events == ["BEGIN", "INSERT", "INSERT", "INSERT", "SELECT", "COMMIT"]
    assert database.statements[2][1] == [7, "x"]


def test_upserts_that_compare_values_are_native() -> None:
    where = {"page_no": {"page": 1, "no": 2}}
    row = {"page": 1, "no": 2, "text": "t"}
    native: Any = {"where": where, "create": {"page": 1, "no": 2, "text": "t"}, "update": {"text": "u"}}
    _, database = run(call("upsert", Line, **native), [row])
    assert "ON CONFLICT" in database.statements[0][0]
    other: Any = {**native, "create": {"page": 3, "no": 2, "text": "t"}}
    _, database = run(call("upsert", Line, **other), [row], [row], [row])
    assert "ON CONFLICT" not in database.statements[0][0]


def test_a_list_of_a_new_record_is_one_parameter() -> None:
    found, database = run(call("create", User, data={"email": "e", "tags": ["a", "b"], "metas": []}), [USER])
    assert ["a", "b"] in database.statements[0][1]
    assert found["tags"] == ["a"]


def deep(levels: int) -> Any:
    include: dict[str, Any] = {"posts": True}
    for _ in range(levels):
        include = {"posts": {"include": {"author": {"include": include}}}}
    return call("find_many", User, include=include)


def test_deep_calls_are_run_or_refused_by_the_compiler() -> None:
    post = {"id": 1, "title": "t", "views": 0, "authorId": 1}
    _, database = run(deep(15), *([USER], [post]) * 16)
    assert len(database.statements) == 32
    with pytest.raises(UserError, match="recursion limit"):
        blog.compiler().compile(request(deep(40)).text)


@pytest.mark.parametrize(
    "made",
    [
        call("find_first", Post, skip=2),
        call("find_many", Post, take=5, skip=2, cursor={"id": 3}, orderBy={"title": "asc"}),
        call("find_many", Post, take=5, distinct=["title"]),
        call("find_many", Post, take=5, include={"labels": {"take": 2, "skip": 1, "cursor": {"name": "x"}}}),
        call("find_unique", User, where={"id": 1}, include={"posts": {"take": 2, "skip": 1}}),
        call("find_many", User, skip=3, include={"posts": {"take": 2, "include": {"labels": {"take": 7}}}}),
        call("count", Post, ["_count { _all }"], take=5, skip=2),
        call("group_by", Post, ["title"], by=["title"], orderBy={"title": "asc"}, take=5, skip=2),
    ],
)
def test_a_plan_with_pages_is_the_one_with_their_numbers(made: Any) -> None:
    with_parameters = request(made)
    pages = {number: name for name, number in with_parameters.pages.items()}
    plan = with_pages(blog.compiler().compile(with_parameters.text), pages)
    literal = blog.compiler().compile(request(made, frozenset(pages.values())).text)

    def numbers(value: Any) -> Any:
        if isinstance(value, dict) and value.get("prisma__type") == "param":
            name = value["prisma__value"]["name"]
            return str(with_parameters.values[name]) if name in with_parameters.pages else value
        if isinstance(value, dict):
            return {key: numbers(each) for key, each in value.items()}
        if isinstance(value, list):
            return [numbers(each) for each in value]
        return str(value) if type(value) is int else value

    assert pages
    assert numbers(plan) == numbers(literal)
