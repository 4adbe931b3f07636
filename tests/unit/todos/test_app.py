"""The ASGI application over the fake store: keys, routes, the lifespan, and errors that can be acted on."""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.types import Message

from functions.shared.cors import with_cors
from functions.shared.keys import Keyring
from functions.todos.app import EXPOSED, create_app
from functions.todos.graphql_http import GRAPHQL, JSON
from functions.todos.resolvers import create_schema
from functions.todos.settings import Settings
from tests.unit.todos.admitting import FakeKeys, FakeLedger, key
from tests.unit.todos.stores import NO_OWNER, FakeStore, todo

pytestmark = pytest.mark.anyio

NO_PAGE = "GraphiQL is not installed here: run infra/pages.py."
KEY = "secret-key"
KEYS = json.dumps({hashlib.sha256(KEY.encode()).hexdigest(): []})
TODOS = {"query": "{ todos { title } }"}


def settings(**variables: str) -> Settings:
    return Settings.from_environment({"DATABASE_URL": "postgresql://nowhere/todos", **variables})


@asynccontextmanager
async def client(
    store: FakeStore | None = None,
    keyring: Keyring | None = None,
    ledger: FakeLedger | None = None,
    **variables: str,
) -> AsyncIterator[httpx.AsyncClient]:
    given = settings(**variables)
    app = create_app(given, store or FakeStore([todo(1)]), keyring, ledger)
    transport = httpx.ASGITransport(with_cors(app, given.cors_origins, exposed=EXPOSED))
    async with httpx.AsyncClient(transport=transport, base_url="http://todos") as api:
        yield api


def code_of(reply: httpx.Response) -> str:
    body = reply.json()
    assert body.keys() == {"errors"}
    return str(body["errors"][0]["extensions"]["code"])


async def test_a_request_is_answered_by_post_and_by_get() -> None:
    answer = {"data": {"todos": [{"title": "Test Todo"}]}}
    async with client() as api:
        for reply in (await api.post("/graphql", json=TODOS), await api.get("/graphql", params=TODOS)):
            assert (reply.status_code, reply.json()) == (200, answer)
            assert reply.headers["content-type"] == "application/json; charset=utf-8"


async def test_a_mutation_by_get_is_refused() -> None:
    store = FakeStore()
    async with client(store) as api:
        query = {"query": 'mutation { createTodo(title: "x") { id } }'}
        reply = await api.get("/graphql", params=query)
        assert (reply.status_code, reply.headers["allow"], code_of(reply)) == (405, "POST", "BAD_REQUEST")
    assert store.queries == 0


REFUSED: list[tuple[str, dict[str, Any], int, str, dict[str, str]]] = [
    ("PUT", {"json": TODOS}, 405, "BAD_REQUEST", {"allow": "GET, HEAD, POST"}),
    ("POST", {"json": TODOS, "headers": {"accept": "text/html"}}, 406, "BAD_REQUEST", {}),
    ("POST", {"data": TODOS}, 415, "BAD_REQUEST", {}),
    ("POST", {"json": {"query": "x" * 2000}}, 413, "BAD_REQUEST", {}),
    ("POST", {"json": [TODOS]}, 400, "BAD_REQUEST", {}),
    ("POST", {"content": "{", "headers": {"content-type": JSON}}, 400, "BAD_REQUEST", {}),
    ("GET", {}, 400, "BAD_REQUEST", {}),
]


@pytest.mark.parametrize(("method", "options", "status", "code", "headers"), REFUSED, ids=str)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_what_is_no_graphql_request_has_a_status_of_its_own(
    method: str, options: dict[str, Any], status: int, code: str, headers: dict[str, str], accept: str
) -> None:
    async with client(MAX_BODY_BYTES="1000") as api:
        api.headers["accept"] = accept
        reply = await api.request(method, "/graphql", **options)
        assert (reply.status_code, code_of(reply)) == (status, code)
        assert headers.items() <= dict(reply.headers).items()
        unacceptable = options.get("headers", {}).get("accept")
        assert reply.headers["content-type"].startswith(JSON if unacceptable else accept)


async def test_a_wrong_query_is_200_in_plain_json_and_400_in_its_own_media_type() -> None:
    async with client() as api:
        for accept, status in ((JSON, 200), ("*/*", 200), (GRAPHQL, 400)):
            reply = await api.post("/graphql", json={"query": "{"}, headers={"accept": accept})
            assert (reply.status_code, code_of(reply)) == (status, "GRAPHQL_PARSE_FAILED")


@pytest.mark.parametrize("authorization", [f"Bearer {KEY}", f"bearer  {KEY}", f"beARER{KEY}"])
async def test_a_known_key_is_let_in(authorization: str) -> None:
    async with client(API_KEYS=KEYS) as api:
        reply = await api.post("/graphql", json=TODOS, headers={"authorization": authorization})
        assert reply.status_code == 200


async def test_a_key_may_stand_beside_a_signature() -> None:
    async with client(API_KEYS=KEYS) as api:
        headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x", "x-api-key": KEY}
        assert (await api.post("/graphql", json=TODOS, headers=headers)).status_code == 200


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        (None, "You didn't provide an API key."),
        ("", "You didn't provide an API key."),
        (f"Basic {KEY}", "You didn't provide an API key."),
        ("AWS4-HMAC-SHA256 Credential=x", "You didn't provide an API key. Beside AWS's signature"),
        ("Bearer", "Incorrect API key provided."),
        ("Bearer wrong", "Incorrect API key provided."),
        (f"Bearer {KEY}x", "Incorrect API key provided."),
    ],
)
async def test_without_a_known_key_nothing_is_read(
    authorization: str | None, message: str, accept: str
) -> None:
    store = FakeStore()
    async with client(store, API_KEYS=KEYS) as api:
        headers = {"accept": accept} | ({} if authorization is None else {"authorization": authorization})
        for reply in (
            await api.post("/graphql", json=TODOS, headers=headers),
            await api.post("/graphql", content=b"{", headers=headers),
            await api.get("/graphql", params=TODOS, headers=headers),
        ):
            assert (reply.status_code, code_of(reply)) == (401, "UNAUTHENTICATED")
            assert reply.headers["www-authenticate"] == "Bearer"
            assert reply.json()["errors"][0]["message"].startswith(message)
    assert store.queries == 0


ALICE, BOB = ({"authorization": f"Bearer {name}"} for name in ("alice", "bob"))
THEIRS, NONE = str(UUID(int=1)), str(UUID(int=99))
# Every field of the root. `%s` is an id.
BY_ID = [
    'query { todo(id: "%s") { title } }',
    'mutation { updateTodo(id: "%s", title: "x") { title } }',
    'mutation { completeTodo(id: "%s") { title } }',
    'mutation { deleteTodo(id: "%s") { title } }',
]
PAGE = "totalCount edges { cursor node { title } } pageInfo { startCursor }"
LISTED = f"{{ todos {{ title }} todosConnection {{ {PAGE} }} }}"


async def execute(api: httpx.AsyncClient, query: str, headers: dict[str, str], **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    reply = await api.post("/graphql", json=body, headers=headers)
    assert reply.status_code == 200
    return reply.json()


async def test_each_keys_todos_are_its_own() -> None:
    store = FakeStore([todo(9, "of no owner")])
    async with client(store, Keyring(FakeKeys(key("alice"), key("bob")))) as api:
        for title in ("first", "second"):
            await execute(api, f'mutation {{ createTodo(title: "{title}") {{ id }} }}', ALICE)
        hers = (await execute(api, LISTED, ALICE))["data"]
        assert {each["title"] for each in hers["todos"]} == {"first", "second"}
        assert hers["todosConnection"]["totalCount"] == 2
        nothing = {"totalCount": 0, "edges": [], "pageInfo": {"startCursor": None}}
        assert (await execute(api, LISTED, BOB))["data"] == {"todos": [], "todosConnection": nothing}
        for edge in hers["todosConnection"]["edges"]:
            for arguments in ("after: $at", "before: $at, last: 1", 'after: $at, filter: {title: "s"}'):
                paged = f"query($at: String) {{ page: todosConnection({arguments}) {{ {PAGE} }} }}"
                assert (await execute(api, paged, BOB, at=edge["cursor"]))["data"] == {"page": nothing}
    assert {owner for owner, _ in store.todos} == {NO_OWNER, "key_alice"}


@pytest.mark.parametrize("query", BY_ID)
async def test_anothers_todo_is_as_if_it_did_not_exist(query: str) -> None:
    store = FakeStore([todo(9)])
    store.todos["key_alice", UUID(int=1)] = todo(1, "hers")
    async with client(store, Keyring(FakeKeys(key("alice"), key("bob")))) as api:
        replies = []
        for missing in (THEIRS, str(UUID(int=9)), NONE):
            began = store.queries
            reply = await execute(api, query % missing, BOB)
            assert [error["extensions"]["code"] for error in reply["errors"]] == ["NOT_FOUND"]
            replies.append((json.dumps(reply).replace(missing, "ID"), store.queries - began))
        assert len(set(replies)) == 1
        assert store.todos == {(NO_OWNER, UUID(int=9)): todo(9), ("key_alice", UUID(int=1)): todo(1, "hers")}
        assert "errors" not in await execute(api, query % THEIRS, ALICE)


def test_every_field_of_the_root_is_among_these() -> None:
    covered = " ".join((*BY_ID, LISTED, "createTodo("))
    for kind in (create_schema().query_type, create_schema().mutation_type):
        assert kind
        assert [name for name in kind.fields if not re.search(rf"\b{name}\b", covered)] == []


async def test_a_key_that_was_rotated_keeps_its_todos() -> None:
    store, keys = FakeStore(), FakeKeys(key("alice"))
    async with client(store, Keyring(keys)) as api:
        await execute(api, 'mutation { createTodo(title: "x") { id } }', ALICE)
    keys = FakeKeys(replace(key("bob"), id=key("alice").id))
    async with client(store, Keyring(keys)) as api:
        assert (await execute(api, "{ todos { title } }", BOB))["data"] == {"todos": [{"title": "x"}]}


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_keys_that_cannot_be_checked_are_503(accept: str) -> None:
    store = FakeStore()
    async with client(store, Keyring(FakeKeys(key("alice"), down=True))) as api:
        reply = await api.post("/graphql", json=TODOS, headers={"accept": accept, **ALICE})
        assert (reply.status_code, code_of(reply)) == (503, "INTERNAL_SERVER_ERROR")
        assert reply.headers["retry-after"] == "1"
        assert reply.headers["content-type"].startswith(accept)
    assert store.queries == 0


@pytest.mark.parametrize("accept", [JSON, GRAPHQL])
async def test_requests_over_a_keys_limit_are_429_and_every_reply_has_what_is_left(accept: str) -> None:
    store = FakeStore()
    keys = FakeKeys(key("alice", requests_per_minute=3), key("bob"))
    async with client(store, Keyring(keys), FakeLedger()) as api:
        api.headers["accept"] = accept
        for content, left in ((TODOS, "2"), ({"query": "{"}, "1"), ([], "0")):
            reply = await api.post("/graphql", json=content, headers=ALICE)
            assert reply.status_code in (200, 400)
            assert reply.headers["x-ratelimit-remaining-requests"] == left
        queries = store.queries
        reply = await api.post("/graphql", json=TODOS, headers=ALICE)
        assert (reply.status_code, code_of(reply)) == (429, "RATE_LIMITED")
        assert (reply.headers["retry-after"], reply.headers["retry-after-ms"]) == ("18", "17250")
        assert reply.headers["x-ratelimit-limit-requests"] == "3"
        assert store.queries == queries
        reply = await api.post("/graphql", json=TODOS, headers=BOB)
        assert reply.status_code == 200
        assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("path", ["/", "/graphql/", "/graphqlx", "/graphql/assets/x.js", "/GRAPHQL", "/docs"])
async def test_there_is_nothing_elsewhere(path: str) -> None:
    async with client() as api:
        reply = await api.post(path, json=TODOS)
        assert reply.status_code in (307, 404)
        assert (await api.get("/graphql", headers={"accept": "text/html"})).status_code == 406


async def test_where_there_is_no_graphiql_its_page_says_so_and_queries_work(tmp_path: Path) -> None:
    async with client(GRAPHIQL=str(tmp_path / "none")) as api:
        page = await api.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.text) == (
            404,
            "GraphiQL is not installed here: run infra/pages.py.",
        )
        assert (await api.get("/graphql/assets/x.js")).status_code == 404
        assert (await api.get("/graphql", params=TODOS)).status_code == 200


async def test_the_store_is_open_for_as_long_as_the_application_runs() -> None:
    store = FakeStore()
    app = create_app(settings(), store)
    sent: list[Message] = []
    states: list[bool] = []

    async def receive() -> Message:
        states.append(store.is_open)
        return {"type": "lifespan.startup" if len(states) == 1 else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "lifespan", "asgi": {}}, receive, send)
    assert (states, store.is_open) == ([False, True], False)
    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


WEB_PAGE = "http://localhost:3000"


async def test_a_preflight_request_of_an_allowed_page_needs_no_key() -> None:
    preflight = {
        "origin": WEB_PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    async with client(CORS_ORIGINS=WEB_PAGE, API_KEYS=KEYS) as api:
        allowed = await api.options("/graphql", headers=preflight)
        refused = await api.options("/graphql", headers={**preflight, "origin": "https://evil.example"})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, WEB_PAGE)
    assert allowed.headers["access-control-allow-headers"] == "authorization,content-type"
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)


@pytest.mark.parametrize(
    ("variables", "headers", "status"),
    [
        ({}, {}, 200),
        ({"API_KEYS": KEYS}, {}, 401),
        ({"MAX_BODY_BYTES": "3"}, {}, 413),
        ({}, {"accept": "x/y"}, 406),
    ],
)
async def test_an_allowed_page_can_read_every_reply(
    variables: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    async with client(CORS_ORIGINS=WEB_PAGE, **variables) as api:
        reply = await api.post("/graphql", json=TODOS, headers={"origin": WEB_PAGE, **headers})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, WEB_PAGE)
    assert {"retry-after", "x-ratelimit-remaining-requests"} <= set(
        reply.headers["access-control-expose-headers"].split(", ")
    )


async def test_limits_and_introspection_are_settings() -> None:
    async with client(INTROSPECTION="off", MAX_ALIASES="1", MAX_TOKENS="12") as api:
        for query, message in (
            ("{ __schema { types { name } } }", "introspection"),
            ("{ a: __typename b: __typename }", "at most 1 aliases"),
            ("{ " + "__typename " * 12 + "}", "more than 12 tokens"),
        ):
            reply = await api.post("/graphql", json={"query": query})
            assert message in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"query": 'mutation { createTodo(title: "  ") { id } }'},
            "`title`: expected 1 to 200 characters after trimming, but got 0.",
        ),
        ({"query": "{ todos(first: 1000) { id } }"}, "`first`: expected 0 to 100, but got 1000."),
        (
            {"query": "{ a: __typename }", "operationName": "b"},
            '`operationName`: expected one that the document has ((anonymous)), but got "b".',
        ),
    ],
)
async def test_an_error_says_what_was_expected_and_what_came(body: dict[str, str], message: str) -> None:
    async with client() as api:
        reply = await api.post("/graphql", json=body)
        (error,) = reply.json()["errors"]
        assert error["message"] == message
        assert re.search(r"expected .* but got ", error["message"])


DEEP = " ".join(
    f"fragment f{number} on Query {{ {'a { ' * 180} ...f{number + 1} {'}' * 180} }}" for number in range(5)
)
NASTY = [
    {"query": '{ todo(id: "\ud800") { id } }'},
    {"query": "query($id: ID!) { todo(id: $id) { id } }", "variables": {"id": "\ud800"}},
    {"query": "query($t: String!) { todos(filter: {title: $t}) { id } }", "variables": {"t": "\ud800"}},
    {"query": "query($t: Int) { todos(first: $t) { id } }", "variables": {"t": "\ud800"}},
    {"query": "query($t: Int) { todos(first: $t) { id } }", "variables": {"\ud800": 1}},
    {"query": "{ todos { id } }", "operationName": "\udfff"},
    {"query": "{a" * 700 + "}" * 700},
    {"query": f"{{ ...f0 }} {DEEP} fragment f5 on Query {{ id }}"},
    {"query": "{ ...f0 }" + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(240))},
]


@pytest.mark.parametrize("body", NASTY, ids=lambda body: ascii(body)[:60])
async def test_any_request_gets_a_graphql_reply(body: dict[str, Any]) -> None:
    async with client() as api:
        headers = {"accept": GRAPHQL, "content-type": JSON}
        reply = await api.post("/graphql", content=json.dumps(body), headers=headers)
        assert reply.status_code in (200, 400)
        assert "errors" in reply.json() or "\ud800" in body["variables"]
