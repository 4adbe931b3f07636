"""The chat API called by web pages, as browsers check it, over a real server."""

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines.http import HttpEngine
from functions.shared.cors import with_cors
from tests.engines import events, schema
from tests.engines.behaviours import Sse
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.service import URL, body, served, settings_for

pytestmark = pytest.mark.anyio

PAGE = "http://localhost:3000"
KEYS = json.dumps({hashlib.sha256(b"key").hexdigest(): []})
# What openai-node sends from a browser.
HEADERS = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-retry-count"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": HEADERS,
}
Serve = Callable[..., str]


@pytest.fixture
def serve(engine: ScriptedEngine) -> Iterator[Serve]:
    """Return a function that starts a server, composed as the function's handler does."""
    with ExitStack() as servers:

        def start(**variables: Any) -> str:
            settings = settings_for(engine.base_url, **variables)
            app = with_cors(create_served_app(settings, HttpEngine(settings)), settings.cors_origins)
            running: AbstractContextManager[str] = served(app)
            return servers.enter_context(running)

        yield start


@asynccontextmanager
async def browser(address: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, headers=headers, trust_env=False, timeout=10) as client:
        yield client


@pytest.mark.parametrize("origins", [PAGE, f"https://a.example,{PAGE}", "*"])
async def test_a_preflight_needs_no_key(serve: Serve, origins: str) -> None:
    async with browser(serve(CORS_ORIGINS=origins, API_KEYS=KEYS)) as client:
        reply = await client.options(URL, headers=PREFLIGHT)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == ("*" if origins == "*" else PAGE)
    assert reply.headers["access-control-allow-headers"] == HEADERS
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in reply.headers


LOCAL_NETWORK = {"access-control-request-private-network": "true"}


async def test_a_preflight_of_a_page_of_the_internet_reaches_the_local_network(serve: Serve) -> None:
    page = "https://a.example"
    async with browser(serve(CORS_ORIGINS=page)) as client:
        reply = await client.options(URL, headers={**PREFLIGHT, **LOCAL_NETWORK, "origin": page})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, page)
    assert reply.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("more", [{}, LOCAL_NETWORK], ids=["", "local network"])
async def test_a_preflight_of_another_page_allows_nothing(serve: Serve, more: dict[str, str]) -> None:
    async with browser(serve(CORS_ORIGINS=PAGE)) as client:
        reply = await client.options(URL, headers={**PREFLIGHT, **more, "origin": "https://evil.example"})
    assert reply.status_code == 400
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 200), ({"stream": True}, 200), ({"temperature": 3}, 400), ({"model": "none"}, 404)],
    ids=["whole", "stream", "wrong", "unknown"],
)
async def test_replies_can_be_read_whatever_their_status(serve: Serve, fields: Any, status: int) -> None:
    async with browser(serve(CORS_ORIGINS=PAGE), origin=PAGE) as client:
        reply = await client.post(URL, json=body(**fields))
    assert reply.status_code == status
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "origin" in reply.headers["vary"].lower()
    assert reply.headers.get_list("access-control-expose-headers") == [
        reply.headers["access-control-expose-headers"]
    ]
    assert "x-request-id" in reply.headers["access-control-expose-headers"]


async def test_a_refusal_without_a_key_can_be_read(serve: Serve) -> None:
    async with browser(serve(CORS_ORIGINS=PAGE, API_KEYS=KEYS), origin=PAGE) as client:
        reply = await client.post(URL, json=body())
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (401, PAGE)
    assert reply.json()["error"]["code"] == "invalid_api_key"


async def test_a_crash_can_be_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(HttpEngine, "open", crash)
    async with browser(serve(CORS_ORIGINS="*"), origin=PAGE) as client:
        reply = await client.post(URL, json=body())
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (500, "*")


async def test_another_page_cannot_read_a_reply(serve: Serve) -> None:
    async with browser(serve(CORS_ORIGINS=PAGE), origin="https://evil.example") as client:
        reply = await client.post(URL, json=body())
    assert reply.status_code == 200
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
async def test_without_the_setting_no_page_can(serve: Serve, method: str) -> None:
    async with browser(serve(), **PREFLIGHT) as client:
        reply = await client.request(method, URL, json=body())
    assert reply.status_code == (405 if method == "OPTIONS" else 200)
    assert "access-control-allow-origin" not in reply.headers


async def test_events_arrive_when_the_engine_sends_them(engine: ScriptedEngine, serve: Serve) -> None:
    engine.behaviour = Sse(events.tokens(5, pace_s=0.05))
    async with (
        browser(serve(CORS_ORIGINS=PAGE), origin=PAGE) as client,
        client.stream("POST", URL, json=body(stream=True)) as reply,
    ):
        arrivals = [(time.monotonic(), data) async for data in reply.aiter_raw()]
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert arrivals[-1][0] - arrivals[0][0] >= 0.2
    assert len(arrivals) >= 6
    schema.validate_stream(b"".join(data for _, data in arrivals))
