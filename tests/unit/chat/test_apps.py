"""The app that a function serves and the complete one of FastAPI's: the same replies, also through Mangum."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from mangum import Mangum
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Scope

from functions.chat.api.paths import is_of_docs
from functions.chat.app import create_app, create_served_app
from functions.shared.cors import with_cors
from functions.shared.key_text import digest
from functions.shared.keys import Keyring
from tests.unit.chat.chunks import GOOD, dumps
from tests.unit.chat.fakes import USER, FakeEngine, settings

KEYS = Keyring.of({digest("sk-all"): frozenset()})
WHOLE = {
    "id": "chatcmpl-1",
    "created": 1795373005,
    "choices": [{"message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
}
CHAT = "/v1/chat/completions"
BODY = {"model": "default", "messages": [USER]}
KEY, PAGE = {"authorization": "Bearer sk-all"}, {"origin": "https://chat.example"}
PREFLIGHT = {**PAGE, "access-control-request-method": "POST", "access-control-request-headers": "x-own"}
REQUESTS: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "a completion": ("POST", CHAT, KEY | PAGE, BODY),
    "another spelling": ("POST", "//chat/completions/", KEY, BODY),
    "a stream": ("POST", CHAT, KEY, {**BODY, "stream": True}),
    "no key": ("POST", CHAT, PAGE, BODY),
    "an invalid body": ("POST", CHAT, KEY, {**BODY, "n": "one"}),
    "a model": ("GET", "/v1/models/tiny", KEY, None),
    "an unknown model": ("GET", "/v1/models/a/b", KEY, None),
    "the index": ("GET", "/", {}, None),
    "no path": ("GET", "/v1/nope", {}, None),
    "no page": ("GET", "/usage", {}, None),
    "a method": ("PUT", CHAT, PAGE, None),
    "a method of two": ("POST", "/health", {}, None),
    "HEAD": ("HEAD", "/health", {}, None),
    "OPTIONS": ("OPTIONS", "/v1/models", {}, None),
    "a preflight": ("OPTIONS", CHAT, PREFLIGHT, None),
    "a slash at the end": ("GET", "/health/", {}, None),
    "the documentation": ("GET", "/docs", PAGE, None),
    "its document": ("GET", "//openapi.json/", KEY, None),
    "its files": ("GET", "/static-offline-docs/swagger-ui.css", {}, None),
    "no file of it": ("GET", "/static-offline-docs/nope.css", {}, None),
    "its folder": ("GET", "/static-offline-docs/", {}, None),
    "its method": ("POST", "/docs", {}, None),
    "its HEAD": ("HEAD", "/docs", {}, None),
}


def made(create: Callable[..., ASGIApp], *chunks: bytes) -> ASGIApp:
    """Return an app with keys for pages of other origins."""
    return with_cors(create(settings(), FakeEngine(*chunks), KEYS), ("https://chat.example",))


async def reply_to(app: ASGIApp, name: str, root: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return a reply without what differs between two of one app."""
    method, path, headers, body = REQUESTS[name]
    transport = httpx.ASGITransport(app, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
        reply = await client.request(method, f"http://chat{root}{path}", headers=headers, json=body)
    own = {"x-request-id", "openai-processing-ms"}
    return (
        reply.status_code,
        sorted(each for each in reply.headers.multi_items() if each[0] not in own),
        reply.content,
    )


@pytest.mark.anyio
@pytest.mark.parametrize("root", ["", "/dev"], ids=["at the root", "below a stage"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_both_apps_reply_the_same(name: str, root: str) -> None:
    chunks = (GOOD,) if name == "a stream" else (dumps(WHOLE),)
    complete, served = [
        await reply_to(made(create, *chunks), name, root) for create in (create_app, create_served_app)
    ]
    assert complete == served
    assert complete[0] != 500


def test_all_that_fastapi_adds_to_the_routes_is_handed_to_it() -> None:
    paths = {
        f"{route.path}/x" if isinstance(route, Mount) else route.path
        for route in create_app(settings(), FakeEngine()).routes
        if isinstance(route, Mount | Route)
    }
    of_docs = {path for path in paths if is_of_docs({"path": path})}
    assert of_docs == {"/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs/x"}
    assert {path.split("/")[1] for path in paths - of_docs} == {"", "health", "page", "usage", "v1"}


@pytest.mark.anyio
async def test_first_requests_of_the_documentation_at_once_are_all_answered() -> None:
    app = made(create_served_app)
    names = ("the documentation", "its document", "its files")
    replies = await asyncio.gather(*(reply_to(app, name, "") for name in names))
    assert [status for status, _, _ in replies] == [200, 200, 200]


@pytest.mark.anyio
@pytest.mark.parametrize("create", [create_app, create_served_app])
async def test_the_engine_is_closed_once_when_an_app_shuts_down(create: Callable[..., ASGIApp]) -> None:
    engine = Closed()
    received = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": next(received)}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await create(settings(), engine)(scope, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert engine.closed == 1


class Closed(FakeEngine):
    """An engine that counts how often it is closed."""

    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", CHAT, BODY, "Paris"),
        ("POST", CHAT, {**BODY, "n": "one"}, "invalid_type"),
        ("GET", "/docs", None, "swagger-ui"),
    ],
)
def test_the_complete_app_is_served_through_mangum(method: str, path: str, body: Any, expected: str) -> None:
    app: Any = made(create_app, dumps(WHOLE))
    context: Any = None
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": "localhost", **KEY},
        "requestContext": {
            "domainName": "localhost",
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            "stage": "$default",
        },
        "body": json.dumps(body) if body else "",
        "isBase64Encoded": False,
    }
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())  # the one that Mangum takes
        reply = Mangum(app)(event, context)
    assert (reply["statusCode"], reply["headers"]["x-content-type-options"]) == (
        400 if expected == "invalid_type" else 200,
        "nosniff",
    )
    assert expected in reply["body"]
