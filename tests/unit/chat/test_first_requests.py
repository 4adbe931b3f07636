"""What people type first: other spellings of our paths, other methods, other places for the key, a trace."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from functions.chat.api.service import trace_in
from functions.chat.app import create_served_app
from functions.shared.key_text import digest
from functions.shared.keys import Keyring
from tests.engines import schema
from tests.unit.chat.chunks import dumps
from tests.unit.chat.fakes import USER, FakeEngine, model, settings

pytestmark = pytest.mark.anyio
KEY, NARROW = "sk-all", "sk-narrow"
KEYS = {digest(KEY): frozenset[str](), digest(NARROW): frozenset({"two"})}
REPLY = dumps(
    {
        "id": "chatcmpl-1",
        "created": 1795373005,
        "choices": [{"message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    }
)
BODY = {"model": "default", "messages": [USER]}
CHAT, MODELS = "POST {root}/v1/chat/completions", "GET {root}/v1/models"
RESPONSES = "POST {root}/v1/responses"
COMPLETIONS, EMBEDDINGS = "POST {root}/v1/completions", "POST {root}/v1/embeddings"
KEY_LEFT, KEY_USED = "GET {root}/v1/key for", "GET {root}/v1/key/usage"
BASE = "base URL of your client is {root}/v1"


@asynccontextmanager
async def client(
    root: str = "", *, keys: Mapping[str, frozenset[str]] | None = None, engine: FakeEngine | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_served_app(
        settings(model("one"), model("two")), engine or FakeEngine(REPLY), Keyring.of(keys or {})
    )
    transport = httpx.ASGITransport(app, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as each:
        yield each


# paths

SERVED = {
    "/v1/chat/completions": "chat.completion",
    "/v1/chat/completions/": "chat.completion",
    "/v1/chat/completions//": "chat.completion",
    "//v1/chat/completions": "chat.completion",
    "/v1//chat/completions": "chat.completion",
    "/chat/completions": "chat.completion",
    "//chat//completions/": "chat.completion",
    "/v1/models": "list",
    "/v1/models/": "list",
    "//v1//models": "list",
    "/models": "list",
    "/models/": "list",
    "/models/two": "model",
    "/v1/models/two/": "model",
    "/v1//models//two": "model",
}


@pytest.mark.parametrize("root", ["", "/dev"], ids=["at the root", "below a stage"])
@pytest.mark.parametrize("path", SERVED)
async def test_other_spellings_of_a_path_are_served(path: str, root: str) -> None:
    async with client(root) as caller:
        url = f"http://chat{root}{path}"
        reply = await (caller.post(url, json=BODY) if "chat" in path else caller.get(url))
    assert reply.status_code == 200
    assert reply.json()["object"] == SERVED[path]


MEANT = {
    "/v1/v1/chat/completions": (CHAT, BASE),
    "/api/v1/chat/completions": (CHAT, BASE),
    "/openai/v1/chat/completions": (CHAT, BASE),
    "/v1/openai/chat/completions": (CHAT, BASE),
    "/v2/chat/completions": (CHAT, BASE),
    "/v1/chat/completion": (CHAT, BASE),
    "/v1/chat": (CHAT, BASE),
    "/api/chat": (CHAT, BASE),
    "/V1/Chat/Completions": (CHAT, BASE),
    "/v1/chat/completions/chatcmpl-1": (CHAT, BASE),
    "/openai/deployments/gpt-4o/chat/completions": (CHAT, BASE),
    "/v1/engines/davinci/chat/completions": (CHAT, BASE),
    "/v1/v1/models": (MODELS, BASE),
    "/api/v1/models/two": (MODELS, BASE),
    "/v1/model": (MODELS, BASE),
    "/api/tags": (MODELS, BASE),
    "/v1/v1/responses": (RESPONSES, BASE),
    "/v1/response": (RESPONSES, BASE),
    "/v1/responses/resp_1": ("not kept", RESPONSES),
    "/v1/responses/resp_1/cancel": ("not kept", RESPONSES),
    "/v1/responses/input_tokens": ("not served here", RESPONSES),
    "/v1/responses/compact": ("not served here", RESPONSES),
    "/v1/conversations": ("not kept", RESPONSES),
    "/v1/assistants": ("not kept", RESPONSES),
    "/v1/threads/t_1/runs": ("not kept", RESPONSES),
    "/v1/completion": (COMPLETIONS,),
    "/v1/engines/davinci/completions": (COMPLETIONS,),
    "/openai/deployments/x/completions": (COMPLETIONS,),
    "/v1/embedding": (EMBEDDINGS,),
    "/api/embed": (EMBEDDINGS,),
    "/v1/engines/ada/embeddings": (EMBEDDINGS,),
    "/openai/deployments/x/embeddings": (EMBEDDINGS,),
    "/openai/deployments/x/responses": (RESPONSES,),
    "/v1/messages": ("not served here", CHAT),
    "/v1/messages/count_tokens": ("not served here", CHAT),
    "/api/generate": ("not served here", CHAT),
    "/v1/audio/speech": ("not served here", CHAT),
    "/v1/images/generations": ("not served here", CHAT),
    "/v1/files": ("not served here", CHAT),
    "/v1/batches": ("not served here", CHAT),
    "/key": (KEY_LEFT, KEY_USED),
    "/v1/keys": (KEY_LEFT, KEY_USED),
    "/key/info": (KEY_LEFT, KEY_USED),
    "/api/v1/auth/key": (KEY_LEFT, KEY_USED),
    "/v1/usage": (KEY_LEFT, KEY_USED),
    "/v1/key/used": (KEY_LEFT, KEY_USED),
    "/v1/organization/usage/completions": (KEY_LEFT, KEY_USED),
    "/v1/organization/costs": (KEY_LEFT, KEY_USED),
    "/v1/dashboard/billing/usage": (KEY_LEFT, KEY_USED),
    "/dashboard/billing/credit_grants": (KEY_LEFT, KEY_USED),
    "/v1/credits": (KEY_LEFT, KEY_USED),
    "/v1/health": ("GET {root}/health",),
    "/healthz": ("GET {root}/health",),
    "/v1/moderations": ("not served here", CHAT),
    "/": ("{root}/v1;", "{root}/docs"),
    "/v1": ("{root}/v1;", "{root}/docs"),
    "/v1/": ("{root}/v1;", "{root}/docs"),
    "/api/v1": ("{root}/v1;", "{root}/docs"),
    "/v1/x": ("{root}/docs",),
    "/favicon.ico": ("{root}/docs",),
    "/v1/" + "chat/" * 2000: ("{root}/docs",),
    "/v1" * 3000: ("{root}/v1;", "{root}/docs"),
}


@pytest.mark.parametrize("root", ["", "/dev"], ids=["at the root", "below a stage"])
@pytest.mark.parametrize("path", MEANT, ids=lambda path: path[:40])
async def test_a_path_that_is_not_served_names_the_one_to_call(path: str, root: str) -> None:
    async with client(root) as caller:
        reply = await caller.post(f"http://chat{root}{path}", json=BODY)
    error = schema.validate_error(reply.json())
    assert (reply.status_code, error["code"]) == (404, None)
    for text in MEANT[path]:
        assert text.format(root=root) in error["message"]
    assert f"(POST {root}{path[:20].rstrip('/') or '/'}" in error["message"]
    assert len(error["message"]) < 500


# methods


@pytest.mark.parametrize(
    "path", ["/health", "/v1/models", "/v1/models/two", "/docs", "/openapi.json", "/models/"]
)
async def test_head_has_the_headers_of_get_and_no_body(path: str) -> None:
    async with client() as caller:
        got, head = await caller.get(path), await caller.head(path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert head.content == b""
    own = {"x-request-id", "openai-processing-ms"}
    assert {key: value for key, value in head.headers.items() if key not in own} == {
        key: value for key, value in got.headers.items() if key not in own
    }
    assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("PUT", "/chat/completions/", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/models", "GET, HEAD"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/two", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_another_method_names_the_right_one(method: str, path: str, allow: str) -> None:
    async with client() as caller:
        reply = await caller.request(method, path)
    assert (reply.status_code, reply.headers["allow"]) == (405, allow)
    if method != "HEAD":
        assert f"Expected {allow}." in schema.validate_error(reply.json())["message"]


# keys


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": f"Bearer {KEY}"}, 200),
        ({"x-api-key": KEY}, 200),
        ({"api-key": KEY}, 200),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x", "api-key": KEY}, 200),
        ({"authorization": f"Bearer {KEY}", "api-key": "wrong"}, 200),
        ({"authorization": "Bearer wrong", "api-key": KEY}, 401),
        ({"api-key": "wrong"}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": "Basic eDp5"}, 401),
        ({}, 401),
    ],
    ids=str,
)
async def test_a_key_is_read_from_any_of_its_headers(headers: dict[str, str], status: int) -> None:
    async with client(keys=KEYS) as caller:
        replies = [
            await caller.post("/v1/chat/completions", json=BODY, headers=headers),
            await caller.get("/v1/models", headers=headers),
        ]
    assert [reply.status_code for reply in replies] == [status, status]


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "access_token"])
async def test_a_key_is_never_read_from_the_address(name: str) -> None:
    async with client(keys=KEYS) as caller:
        assert (await caller.get("/v1/models", params={name: KEY})).status_code == 401


# models


@pytest.mark.parametrize(
    ("key", "named", "unnamed"), [(None, "`default` exists", "`two`"), (KEY, "`default` exists", "`two`")]
)
async def test_an_unknown_model_names_one_that_exists(key: str | None, named: str, unnamed: str) -> None:
    await _unknown_model(key, named, unnamed)


async def test_an_unknown_model_names_only_what_the_key_may_use() -> None:
    await _unknown_model(NARROW, "`two` exists", "default")


async def _unknown_model(key: str | None, named: str, unnamed: str) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with client(keys=KEYS if key else None) as caller:
        replies = [
            await caller.post("/v1/chat/completions", json={**BODY, "model": "gpt-4o-mini"}, headers=headers),
            await caller.get("/v1/models/gpt-4o-mini", headers=headers),
        ]
    for reply in replies:
        error = schema.validate_error(reply.json())
        assert (reply.status_code, error["code"]) == (404, "model_not_found")
        assert "`gpt-4o-mini` does not exist" in error["message"]
        assert named in error["message"]
        assert "`GET /v1/models` lists" in error["message"]
        assert unnamed not in error["message"]


# bodies


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "text/plain;charset=UTF-8", "x"]
)
async def test_a_body_of_another_type_is_415_and_names_the_header(content_type: str) -> None:
    async with client() as caller:
        reply = await caller.post(
            "/v1/chat/completions", content=dumps(BODY), headers={"content-type": content_type}
        )
    error = schema.validate_error(reply.json())
    assert reply.status_code == 415
    assert "`Content-Type: application/json`" in error["message"]


# replies


async def test_json_is_not_kept_by_caches_nor_read_as_another_type() -> None:
    async with client(keys=KEYS) as caller:
        own = {"authorization": f"Bearer {KEY}"}
        replies = [
            await caller.post("/v1/chat/completions", json=BODY, headers=own),
            await caller.get("/v1/models", headers=own),
            await caller.get("/v1/models"),
            await caller.get("/nope"),
            await caller.get("/health"),
        ]
        page = await caller.get("/docs")
    for reply in replies:
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" not in page.headers


# traces

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACES: list[tuple[list[tuple[str, str]], dict[str, str]]] = [
    ([("traceparent", PARENT)], {"traceparent": PARENT}),
    (
        [("traceparent", PARENT), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")],
        {"traceparent": PARENT, "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
    ),
    (
        [("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b@c=2")],
        {"traceparent": PARENT, "tracestate": "a=1,b@c=2"},
    ),
    (
        [("traceparent", PARENT), ("tracestate", "a=1, b=2")],
        {"traceparent": PARENT, "tracestate": "a=1, b=2"},
    ),
    ([("traceparent", PARENT), ("tracestate", "")], {"traceparent": PARENT}),
    ([("traceparent", PARENT), ("tracestate", "A=1")], {"traceparent": PARENT}),
    ([("traceparent", PARENT), ("tracestate", "a=\xe9")], {"traceparent": PARENT}),
    ([("traceparent", PARENT), ("tracestate", "a=" + "x" * 600)], {"traceparent": PARENT}),
    ([("tracestate", "a=1")], {}),
    ([("traceparent", PARENT), ("traceparent", PARENT)], {}),
    ([("traceparent", PARENT.upper())], {}),
    ([("traceparent", PARENT + "-x")], {}),
    ([("traceparent", "ff" + PARENT[2:])], {}),
    ([("traceparent", f"00-{'0' * 32}-00f067aa0ba902b7-01")], {}),
    ([("traceparent", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01")], {}),
    ([("traceparent", "x"), ("tracestate", "a=1")], {}),
    ([], {}),
]


@pytest.mark.parametrize(("sent", "kept"), TRACES, ids=str)
async def test_a_valid_trace_reaches_the_engine(sent: list[tuple[str, str]], kept: dict[str, Any]) -> None:
    engine = FakeEngine(REPLY)
    async with client(engine=engine) as caller:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in sent]
        await caller.post("/v1/chat/completions", json=BODY, headers=httpx.Headers(raw))
    assert engine.requests[0].headers == kept
    assert trace_in(Headers(raw=raw)) == kept
