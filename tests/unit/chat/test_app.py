"""What the app adds to every reply, with a fake engine and limits in memory."""

import httpx
import pytest
from starlette.routing import Router

from functions.chat.app import create_served_app
from functions.chat.usage import Meter
from functions.shared.keys import Key, Keyring, KeysRefused
from functions.shared.limits import Reservation, Running
from tests.unit.chat.chunks import GOOD
from tests.unit.chat.fakes import USER, FakeEngine, settings
from tests.unit.shared.ledger import MemoryLedger

pytestmark = pytest.mark.anyio
NOW = 30.0


class OneKey:
    """A store that knows one key: two requests and 1,000 tokens a minute."""

    async def key(self, digest: str) -> Key | None:
        return Key(
            id="key_1",
            digest=digest,
            name="alice",
            requests_per_minute=2,
            tokens_per_minute=1000,
            created_at=0,
        )


async def test_every_reply_says_what_is_left_of_a_keys_limits() -> None:
    meter = Meter(ledger=MemoryLedger(), now=lambda: NOW)
    app = create_served_app(settings(), FakeEngine(GOOD), Keyring(OneKey()), meter)
    body = {"model": "default", "messages": [USER], "stream": True, "max_tokens": 10}
    headers = {"authorization": "Bearer sk-test-0123456789abcdef"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://chat", headers=headers
    ) as client:
        answered, invalid, refused = [
            await client.post("/v1/chat/completions", json=each)
            for each in (body, {**body, "n": "one"}, {**body, "max_tokens": 250, "n": 8})
        ]
    assert [reply.status_code for reply in (answered, invalid, refused)] == [200, 400, 429]
    for reply, left in ((answered, "1"), (invalid, "0"), (refused, "0")):
        assert reply.headers["x-ratelimit-limit-requests"] == "2"
        assert reply.headers["x-ratelimit-remaining-requests"] == left, "what is refused is counted, too"
        assert reply.headers["x-ratelimit-limit-tokens"] == "1000"
        assert reply.headers["x-ratelimit-reset-tokens"] == "1m30s"
        assert "x-ratelimit-remaining-tokens" in reply.headers["access-control-expose-headers"]


class Refusing(MemoryLedger):
    """A table that the function may not use."""

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:  # noqa: ARG002
        raise KeysRefused("AccessDeniedException")


async def test_limits_that_cannot_be_counted_for_good_let_no_request_through() -> None:
    app = create_served_app(settings(), FakeEngine(GOOD), Keyring(OneKey()), Meter(ledger=Refusing()))
    headers = {"authorization": "Bearer sk-test-0123456789abcdef"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://chat", headers=headers
    ) as client:
        reply = await client.post("/v1/chat/completions", json={"model": "default", "messages": [USER]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "keys_unavailable")
    assert "AccessDenied" not in reply.text


@pytest.mark.parametrize("root", ["", "/dev"])
async def test_what_may_be_streamed_needs_no_router(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a router calls would lie between each event of a stream and the socket."""

    async def fail(*_: object) -> None:
        raise AssertionError("expected no look through the routes")

    monkeypatch.setattr(Router, "__call__", fail)
    app = create_served_app(settings(), FakeEngine(GOOD))
    transport = httpx.ASGITransport(app, root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://chat{root}") as client:
        body = {"model": "default", "messages": [USER], "stream": True}
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        assert (await client.get("/v1/models/default")).status_code == 500
