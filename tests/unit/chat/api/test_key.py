"""`GET /v1/key` and `GET /v1/key/usage`: what callers see of their own key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from functions.chat.app import create_served_app
from functions.chat.usage import Meter
from functions.shared.key_text import digest
from functions.shared.keys import Key, Keyring, KeysUnavailable, KeyThrottled, StaticKeys
from functions.shared.limits import Allowance, Counts, Running, allowance_of
from functions.shared.usage import UsageSum
from functions.shared.windows import window_of
from tests.unit.chat.api.endpoint import error_of
from tests.unit.chat.fakes import FakeEngine, model, settings

pytestmark = pytest.mark.anyio
TEXT = "sk-test-0123456789abcdef"
NOW = 1_795_572_000.0  # 2026-11-25, 02:00 UTC
DAY_MS = 86_400_000
UNLIMITED = Key(
    id="key_8c1f0b7ad24e96b3",
    digest=digest(TEXT),
    name="alice",
    created_at=1_795_000_000,
    note="owes us money",
    tags=frozenset({"vip"}),
    created_by="operator@example.com",
    hint="cdef",
    books=2,
)
KEY = replace(
    UNLIMITED,
    models=frozenset({"one", "gone"}),
    expires_at=1_800_000_000,
    requests_per_minute=60,
    tokens_per_minute=20_000,
    concurrent=4,
    budget_tokens=1_000_000,
    budget_period="month",
    budget_timezone="Europe/Berlin",
)
ALLOWANCE = Allowance(
    limit_requests=60,
    remaining_requests=58,
    requests_reset_in_s=72.25,
    limit_tokens=20_000,
    remaining_tokens=0,
    tokens_reset_in_s=100.0,
    limit_budget=1_200_000,
    remaining_budget=200_000,
    budget_resets_at=1_796_083_200,
    limit_concurrent=4,
    running=1,
)
NOTHING = {"requests": 0, "ok": 0, "cut": 0, "error": 0, "timeout": 0, "refused": 0}
NO_TOKENS = {"prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0, "cost": 0.0}
WRONG_DAYS = ["0", "007", "-1", "367", "1000", "x", "", "1.5", "٣", "30&days=7", "99999999999999999999"]


@dataclass
class Store:
    """One key, and what is known of it."""

    key_: Key | None = KEY
    allowance: Allowance = ALLOWANCE
    used: list[tuple[str, str, UsageSum]] = field(default_factory=list)
    fails: KeysUnavailable | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def key(self, _: str) -> Key | None:
        return self.key_

    async def peek(self, key: Key, now: float) -> Allowance:
        self.calls.append(("peek", key.id, now))
        if self.fails:
            raise self.fails
        return self.allowance

    def sums(
        self, key_id: str, since_ms: int, until_ms: int, *, books: int
    ) -> list[tuple[str, str, UsageSum]]:
        self.calls.append(("sums", key_id, since_ms, until_ms, books))
        if self.fails:
            raise self.fails
        return self.used


async def get(path: str, store: Store, *, keyring: Keyring | None = None, sent: str = TEXT) -> httpx.Response:
    """Return the reply to the bearer of a key."""
    app = create_served_app(
        settings(model("one"), model("two")),
        FakeEngine(),
        keyring or Keyring(store, now=lambda: NOW),
        Meter(now=lambda: NOW),
        store,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat") as client:
        reply = await client.get(path, headers={"authorization": f"Bearer {sent}"} if sent else {})
        described = await client.get("/openapi.json")
    if reply.status_code == 200:
        document = described.json()
        operation = document["paths"][reply.url.path]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**document, **schema}).validate(reply.json())
    return reply


async def test_a_key_sees_what_it_may_do_and_what_is_left() -> None:
    store = Store()
    reply = await get("/v1/key", store)
    assert reply.json() == {
        "object": "key",
        "id": "key_8c1f0b7ad24e96b3",
        "name": "alice",
        "models": ["one"],
        "created_at": 1_795_000_000,
        "expires_at": 1_800_000_000,
        "replaced_at": None,
        "limits": {
            "requests_per_minute": {"limit": 60, "used": 2, "remaining": 58, "resets_in_s": 72.25},
            "tokens_per_minute": {"limit": 20_000, "used": 20_000, "remaining": 0, "resets_in_s": 100.0},
            "concurrent_requests": {"limit": 4, "used": 1, "remaining": 3},
            "budget": {
                "limit": 1_200_000,
                "used": 1_000_000,
                "remaining": 200_000,
                "period": "month",
                "timezone": "Europe/Berlin",
                "resets_at": 1_796_083_200,
            },
        },
    }
    assert store.calls == [("peek", KEY.id, NOW)]
    assert reply.headers["x-ratelimit-remaining-requests"] == "58"
    assert reply.headers["x-ratelimit-limit-tokens"] == "20000"
    assert reply.headers["cache-control"] == "no-store"


async def test_what_running_requests_reserved_is_used_and_what_was_added_is_there() -> None:
    key = replace(KEY, extra_tokens=5_000, extra_period="month:20261101")
    running = Running(
        request_id="req_1",
        model="one",
        tokens=300,
        most=700,
        prompt=100,
        started_at=int(NOW * 1000),
        expires_at=int(NOW) + 60,
        period="month:20261101",
    )
    counts = Counts(
        window=window_of(NOW),
        requests=3,
        tokens=300,
        spent=9_000,
        periods={"month": (20261101, 4_700)},
        running={"req_1": running},
    )
    limits = (await get("/v1/key", Store(key, allowance_of(key, counts, NOW)))).json()["limits"]
    assert limits["budget"] == {
        "limit": 1_005_000,
        "used": 4_700,
        "remaining": 1_000_300,
        "period": "month",
        "timezone": "Europe/Berlin",
        "resets_at": 1_796_079_600,
    }
    assert limits["concurrent_requests"] == {"limit": 4, "used": 1, "remaining": 3}
    assert (limits["requests_per_minute"]["used"], limits["tokens_per_minute"]["used"]) == (3, 300)
    assert 60 <= limits["requests_per_minute"]["resets_in_s"] <= 120


async def test_nothing_of_the_operators_is_shown() -> None:
    reply = await get("/v1/key", Store())
    for text in (KEY.note, "vip", KEY.created_by, KEY.digest, f'"{KEY.hint}"'):
        assert text not in reply.text


async def test_a_key_without_limits_is_not_looked_up_again() -> None:
    store = Store(UNLIMITED)
    reply = await get("/v1/key", store)
    assert set(reply.json()["limits"].values()) == {None}
    assert reply.json()["models"] == ["one", "two"]
    assert reply.json()["expires_at"] is None
    assert store.calls == []
    assert not [name for name in reply.headers if name.startswith("x-ratelimit")]


async def test_a_budget_for_ever_has_no_time_zone_and_never_resets() -> None:
    key = replace(UNLIMITED, budget_tokens=100)
    spent = Allowance(limit_budget=100, remaining_budget=0)
    reply = await get("/v1/key", Store(key, spent))
    assert reply.status_code == 200, "a spent budget keeps no key from seeing it"
    assert reply.json()["limits"]["budget"] == {
        "limit": 100,
        "used": 100,
        "remaining": 0,
        "period": None,
        "timezone": None,
        "resets_at": None,
    }


async def test_a_text_that_was_replaced_says_until_when_it_works() -> None:
    reply = await get("/v1/key", Store(replace(UNLIMITED, replaced_at=int(NOW) + 60)))
    assert reply.json()["replaced_at"] == int(NOW) + 60


def a_sum(**changes: int) -> UsageSum:
    return UsageSum(**{"requests": 1, "ok": 1, "prompt_tokens": 10, "completion_tokens": 5, **changes})


async def test_a_key_sees_what_it_has_used_by_day_and_model() -> None:
    used = [
        ("2026-11-24", "-", UsageSum(requests=1, refused=1)),
        ("2026-11-25", "one", a_sum(requests=3, ok=2, cut=1, cached_tokens=4, cost=1_250_000)),
        ("2026-11-25", "two", a_sum()),
    ]
    store = Store(used=used)
    reply = (await get("/v1/key/usage", store)).json()
    refused = {**NOTHING, **NO_TOKENS, "requests": 1, "refused": 1}
    tokens = {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5, "cost": 0.00125}
    one = {**NOTHING, **tokens, "requests": 3, "ok": 2, "cut": 1}
    assert reply["data"][:2] == [
        {"object": "key.usage", "date": "2026-11-24", "model": None, **refused},
        {"object": "key.usage", "date": "2026-11-25", "model": "one", **one},
    ]
    assert {name: reply[name] for name in ("object", "since", "until")} == {
        "object": "list",
        "since": "2026-10-27",
        "until": "2026-11-25",
    }
    assert reply["total"] == {
        **NOTHING,
        "requests": 5,
        "ok": 3,
        "cut": 1,
        "refused": 1,
        "prompt_tokens": 20,
        "cached_tokens": 4,
        "completion_tokens": 10,
        "cost": 0.00125,
    }


@pytest.mark.parametrize("days", [1, 7, 366])
async def test_the_last_days_are_read_today_included(days: int) -> None:
    store = Store(replace(KEY, created_at=0))
    reply = await get(f"/v1/key/usage?days={days}", store)
    today_ms = int(NOW) * 1000 // DAY_MS * DAY_MS
    assert store.calls == [("sums", KEY.id, today_ms - (days - 1) * DAY_MS, today_ms, 2)]
    assert (reply.json()["data"], reply.json()["total"]) == ([], {**NOTHING, **NO_TOKENS})


@pytest.mark.parametrize(("created_s", "first"), [(-3 * 86_400, 3), (60, 0), (-400 * 86_400, 29)])
async def test_no_day_is_read_before_the_key_was_made(created_s: int, first: int) -> None:
    store = Store(replace(UNLIMITED, created_at=int(NOW) + created_s))
    reply = await get("/v1/key/usage", store)
    today_ms = int(NOW) * 1000 // DAY_MS * DAY_MS
    assert store.calls == [("sums", KEY.id, today_ms - first * DAY_MS, today_ms, 2)]
    assert reply.json()["since"] == "2026-10-27"


@pytest.mark.parametrize("days", WRONG_DAYS)
async def test_a_number_of_days_that_is_none_is_an_error(days: str) -> None:
    store = Store()
    status, code, param, message = error_of(await get(f"/v1/key/usage?days={days}", store))
    assert (status, code, param) == (400, "invalid_value", "days")
    assert message.startswith("Invalid 'days': expected one whole number from 1 to 366, but got '")
    assert len(message) < 200
    assert store.calls == []


@pytest.mark.parametrize("path", ["/v1/key", "/v1/key/usage"])
@pytest.mark.parametrize("failure", [KeysUnavailable("TimeoutError"), KeyThrottled("Throttled")])
async def test_a_table_that_cannot_be_read_is_unavailable(path: str, failure: KeysUnavailable) -> None:
    reply = await get(path, Store(fails=failure))
    status, code, _, message = error_of(reply)
    assert (status, code, reply.headers["retry-after"]) == (503, "keys_unavailable", "1")
    assert message.endswith("cannot be read right now. Try again in a moment.")
    assert str(failure) not in reply.text


@pytest.mark.parametrize("path", ["/v1/key", "/v1/key/usage"])
async def test_without_keys_there_is_none_to_describe(path: str) -> None:
    reply = await get(path, Store(), keyring=Keyring(None))
    assert error_of(reply)[:2] == (404, "not_configured")
    assert "requires no key" in reply.text


@pytest.mark.parametrize("path", ["/v1/key", "/v1/key/usage"])
@pytest.mark.parametrize("sent", ["", "sk-another"])
async def test_a_key_that_is_not_accepted_sees_nothing(path: str, sent: str) -> None:
    reply = await get(path, Store(None), sent=sent)
    assert error_of(reply)[:2] == (401, "invalid_api_key")


async def test_a_key_of_a_variable_has_no_limits_and_no_usage() -> None:
    keyring = Keyring(StaticKeys({digest(TEXT): frozenset({"two"})}))
    app = create_served_app(settings(model("one"), model("two")), FakeEngine(), keyring)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat") as client:
        key, usage = [
            await client.get(path, headers={"x-api-key": TEXT}) for path in ("/v1/key", "/v1/key/usage")
        ]
    assert (key.json()["models"], key.json()["created_at"]) == (["two"], None)
    assert set(key.json()["limits"].values()) == {None}
    assert error_of(usage)[:2] == (404, "not_configured")
