"""Which keys are accepted, and when they are looked up in the store."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared import keys
from functions.shared.environment import SettingsError
from functions.shared.key_text import digest, new_key
from functions.shared.keys import (
    Key,
    KeyClosed,
    KeyRefused,
    Keyring,
    KeysUnavailable,
    StaticKeys,
    authorization_in,
    keys_from,
    refused_because,
)

KEYS = {
    digest("sk-all"): frozenset[str](),
    digest("sk-one"): frozenset({"one"}),
    digest("your_api_key_here"): frozenset({"default"}),
}
ALICE = Key(id="key_1", digest=digest("alice"), name="alice", created_at=0)


class FakeStore:
    """Knows some keys; counts lookups, and fails or holds its results back where a test sets that."""

    def __init__(self, *known: Key) -> None:
        self.known = {key.digest: key for key in known}
        self.lookups: list[str] = []
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def key(self, digest: str) -> Key | None:
        self.lookups.append(digest)
        await self.gate.wait()
        if self.down:
            raise KeysUnavailable("ReadTimeoutError")
        return self.known.get(digest)


class Clock:
    """Two clocks, as they are set: of the day, and since the start."""

    def __init__(self) -> None:
        self.now, self.steady = 1_795_000_000.0, 0.0

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        self.steady += seconds


class Bench:
    """A keyring on fakes."""

    def __init__(self, *known: Key) -> None:
        self.store, self.clock = FakeStore(*known or (ALICE,)), Clock()
        self.keyring = Keyring(self.store, now=lambda: self.clock.now, steady=lambda: self.clock.steady)

    async def authenticate(self, key: str = "alice") -> Key | None:
        return await self.keyring.authenticate(f"Bearer {key}")

    async def refusal(self, key: str = "alice") -> str:
        with pytest.raises(KeyRefused) as refused:
            await self.authenticate(key)
        return str(refused.value)

    @property
    def lookups(self) -> int:
        return len(self.store.lookups)


Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


def played(scenario: Scenario) -> Callable[[], None]:
    """Make a test of a scenario on a bench."""

    def test() -> None:
        async def play() -> None:
            await scenario(Bench())

        asyncio.run(play())

    test.__doc__ = scenario.__doc__
    return test


def static(header: str | None) -> Key | None:
    return asyncio.run(Keyring(StaticKeys(KEYS)).authenticate(header))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"authorization": "Bearer a"}, "Bearer a"),
        ({"authorization": "Bearer a", "x-api-key": "b"}, "Bearer a"),
        ({"authorization": "Bearer a", "x-api-key": "b", "api-key": "c"}, "Bearer a"),
        ({"authorization": "Basic eDp5", "api-key": "c"}, "Basic eDp5"),
        ({"x-api-key": "b"}, "Bearer b"),
        ({"api-key": "c"}, "Bearer c"),
        ({"x-api-key": "b", "api-key": "c"}, "Bearer b"),
        ({"authorization": "", "api-key": "c"}, "Bearer c"),
        ({"x-api-key": "", "api-key": "c"}, "Bearer c"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x", "x-api-key": "b"}, "Bearer b"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x", "api-key": "c"}, "Bearer c"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, "AWS4-HMAC-SHA256 Credential=x"),
    ],
    ids=str,
)
def test_the_key_is_the_first_that_is_sent(headers: dict[str, str], expected: str | None) -> None:
    assert authorization_in(headers) == expected


@pytest.mark.parametrize("header", [None, "", "Bearer anything", "Basic eDp5", "\xff"])
def test_without_keys_any_caller_is_accepted(header: str | None) -> None:
    assert asyncio.run(Keyring(None).authenticate(header)) is None


@pytest.mark.parametrize(
    ("header", "models"),
    [
        ("Bearer sk-all", set()),
        ("bearer sk-all", set()),
        ("BEARER sk-all", set()),
        ("Bearer   sk-all", set()),
        ("Bearer sk-all ", set()),
        ("Bearersk-all", set()),
        ("Bearer sk-one", {"one"}),
        ("beareryour_api_key_here", {"default"}),
    ],
)
def test_a_known_key_is_accepted(header: str, models: set[str]) -> None:
    key = static(header)
    assert key
    assert key.models == models


def test_a_static_key_has_a_name_of_its_own_and_no_limits() -> None:
    key = static("Bearer sk-one")
    assert key
    assert key.id == f"static_{hashlib.sha256(b'sk-one').hexdigest()[:16]}"
    assert not key.limited


WRONG = [
    "Bearer sk-",
    "Bearer SK-ALL",
    "Bearer sk-all,sk-one",
    "Bearer sk-all sk-one",
    "Bearer",
    "Bearer ",
    f"Bearer {digest('sk-all')}",
    "Bearer \xe9\xff",
    "Bearer \x00",
    "Bearer sk-all\x00",
    "Bearer \ud800\udc00",
    "Bearer ключ",
    "Bearer " + "x" * 10_000,
    "Bearer " + "x" * 1_000_000,
    "Bearer Bearer sk-all",
]


@pytest.mark.parametrize("header", WRONG, ids=lambda header: ascii(header[:30]))
def test_an_unknown_key_is_not(header: str) -> None:
    with pytest.raises(KeyRefused, match="Incorrect API key") as raised:
        static(header)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        (None, "Authorization: Bearer YOUR_KEY"),
        ("", "Authorization: Bearer YOUR_KEY"),
        (" ", "does not begin with `Bearer`"),
        ("Basic eDp5", "does not begin with `Bearer`"),
        ("sk-all", "does not begin with `Bearer`"),
        ("Token sk-all", "does not begin with `Bearer`"),
        ("\xff", "does not begin with `Bearer`"),
        ("\ud800", "does not begin with `Bearer`"),
        ("AWS4-HMAC-SHA256 Credential=x", "x-api-key"),
    ],
    ids=ascii,
)
def test_a_missing_key_has_a_text_of_its_own(header: str | None, advice: str) -> None:
    with pytest.raises(KeyRefused, match="didn't provide an API key") as raised:
        static(header)
    assert advice in str(raised.value)


@given(
    st.text(st.characters(exclude_categories=[])), st.sampled_from(["", "Bearer ", "bearer", "Bearer sk-"])
)
def test_no_header_is_too_much(text: str, scheme: str) -> None:
    with pytest.raises(KeyRefused):
        static(scheme + text)


@played
async def test_a_typing_mistake_is_found_without_a_lookup(bench: Bench) -> None:
    key = new_key()
    wrong = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    assert "typing mistake" in await bench.refusal(wrong)
    assert bench.lookups == 0
    assert "Incorrect" in await bench.refusal(key)


LATER = 1_796_040_000  # 2026-11-30 12:00
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"disabled": True}, "This API key has been disabled. Ask the operator of this API for another."),
    ({"deleted_at": 1}, "This API key has been deleted. Ask the operator of this API for another."),
    (
        {"expires_at": LATER},
        "This API key expired on 2026-11-30 at 12:00 UTC. Ask the operator of this API for another.",
    ),
    (
        {"replaced_at": LATER},
        "This API key was replaced by another on 2026-11-30 at 12:00 UTC. Send the new one.",
    ),
]


@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=str)
def test_a_key_that_is_no_longer_accepted_has_a_text_of_its_own(changes: dict[str, Any], text: str) -> None:
    key = replace(ALICE, **changes)
    assert refused_because(key, LATER) == text
    assert refused_because(key, LATER - 0.1) == ("" if LATER in changes.values() else text)
    assert refused_because(replace(key, disabled=True, deleted_at=1), LATER) == REFUSED[1][1]


@played
async def test_a_key_ends_at_its_time_though_it_is_kept(bench: Bench) -> None:
    ending = replace(ALICE, expires_at=int(bench.clock.now) + 10)
    bench.store.known[ALICE.digest] = ending
    assert await bench.authenticate() == ending
    bench.clock.pass_(9.9)
    assert await bench.authenticate() == ending
    bench.clock.pass_(0.1)
    assert "expired" in await bench.refusal()
    assert bench.lookups == 1


def test_every_refusal_has_a_text_of_its_own_that_quotes_no_key() -> None:
    async def play() -> None:
        canary = "canary-canary-canary"
        known = Key(id="k", digest=digest(canary), name=canary, created_at=0)
        texts = {
            await Bench(key).refusal(canary)
            for key in (
                replace(known, disabled=True),
                replace(known, expires_at=1),
                replace(known, replaced_at=1),
            )
        }
        texts.add(await Bench().refusal(canary))
        texts.add(await Bench().refusal(new_key()[:-1] + "!"))
        with pytest.raises(KeyRefused) as refused:
            await Bench().keyring.authenticate(f"Basic {canary}")
        texts.add(str(refused.value))
        assert len(texts) == 6
        assert not any("canary" in text for text in texts)

    asyncio.run(play())


@played
async def test_a_store_that_returns_another_key_is_not_trusted(bench: Bench) -> None:
    bench.store.known[digest("mallory")] = ALICE
    assert "Incorrect" in await bench.refusal("mallory")


@played
async def test_a_known_key_is_looked_up_again_after_30_s(bench: Bench) -> None:
    for elapsed, lookups in ((0, 1), (29.9, 1), (0.1, 2), (29, 2), (1, 3), (10**9, 4)):
        bench.clock.pass_(elapsed)
        assert await bench.authenticate() == ALICE
        assert bench.lookups == lookups


@played
async def test_an_unknown_key_is_looked_up_again_after_5_s(bench: Bench) -> None:
    for elapsed, lookups in ((0, 1), (4.9, 1), (0.1, 2)):
        bench.clock.pass_(elapsed)
        await bench.refusal("bob")
        assert bench.lookups == lookups
    bench.store.known[digest("bob")] = Key(id="k", digest=digest("bob"), name="bob", created_at=0)
    bench.clock.pass_(5)
    assert await bench.authenticate("bob")


@pytest.mark.parametrize("jump_s", [-3600, -29, -1, 3600])
def test_a_clock_that_is_set_keeps_no_revoked_key_alive(jump_s: float) -> None:
    @played
    async def play(bench: Bench) -> None:
        await bench.authenticate()
        await bench.refusal("bob")
        bench.store.known = {digest("bob"): Key(id="k", digest=digest("bob"), name="bob", created_at=0)}
        bench.clock.pass_(15)
        bench.clock.now += jump_s
        bench.clock.pass_(15)
        await bench.refusal()
        assert await bench.authenticate("bob")

    play()


@played
async def test_time_passes_while_the_environment_is_frozen(bench: Bench) -> None:
    await bench.authenticate()
    bench.store.known.clear()
    bench.clock.now += 30
    await bench.refusal()


@played
async def test_a_clock_that_is_set_all_the_time_does_not_keep_a_key_alive(bench: Bench) -> None:
    await bench.authenticate()
    for _ in range(31):
        bench.clock.now += 1
        await bench.authenticate()
        bench.clock.now -= 1
        await bench.authenticate()
    assert bench.lookups == 2


@played
async def test_a_revoked_key_is_refused_within_30_s_and_stays_so(bench: Bench) -> None:
    await bench.authenticate()
    bench.store.known.clear()
    bench.clock.pass_(29.9)
    await bench.authenticate()
    bench.clock.pass_(0.1)
    await bench.refusal()
    bench.store.down = True
    bench.clock.pass_(5)
    with pytest.raises(KeysUnavailable):
        await bench.authenticate()


@played
async def test_a_closed_key_is_not_accepted_without_the_store(bench: Bench) -> None:
    bench.store.known[ALICE.digest] = replace(ALICE, on_outage="closed")
    await bench.authenticate()
    bench.store.down = True
    bench.clock.pass_(29.9)
    await bench.authenticate()
    bench.clock.pass_(0.1)
    for _ in range(2):
        with pytest.raises(KeyClosed, match="ReadTimeoutError") as closed:
            await bench.authenticate()
        assert closed.value.retry_after_s == keys.PAUSE_S
    bench.store.down = False
    await bench.authenticate()


@played
async def test_a_known_key_is_accepted_for_5_minutes_without_the_store(bench: Bench) -> None:
    await bench.authenticate()
    bench.store.down = True
    for elapsed in (30, 100, 169.9):
        bench.clock.pass_(elapsed)
        assert await bench.authenticate() == ALICE
    bench.clock.pass_(0.1)
    with pytest.raises(KeysUnavailable):
        await bench.authenticate()
    bench.store.down = False
    assert await bench.authenticate() == ALICE


@played
async def test_a_store_that_is_down_is_not_waited_for_at_each_request(bench: Bench) -> None:
    await bench.authenticate()
    bench.store.down = True
    bench.clock.pass_(30)
    for elapsed, lookups in ((0, 2), (4.9, 2), (0.1, 3), (4, 3)):
        bench.clock.pass_(elapsed)
        await bench.authenticate()
        assert bench.lookups == lookups
    bench.store.down = False
    bench.clock.pass_(1)
    await bench.authenticate()
    assert bench.lookups == 4
    bench.clock.pass_(29)
    await bench.authenticate()
    assert bench.lookups == 4


@played
async def test_a_pause_does_not_outlast_the_5_minutes(bench: Bench) -> None:
    await bench.authenticate()
    bench.store.down = True
    bench.clock.pass_(298)
    await bench.authenticate()
    bench.clock.pass_(2)
    with pytest.raises(KeysUnavailable):
        await bench.authenticate()


@played
async def test_no_unknown_key_is_accepted_without_the_store(bench: Bench) -> None:
    bench.store.down = True
    with pytest.raises(KeysUnavailable):
        await bench.authenticate()
    bench.store.down = False
    assert await bench.authenticate() == ALICE, "a failure is not remembered"


@played
async def test_a_burst_with_one_new_key_is_one_lookup(bench: Bench) -> None:
    bench.store.gate.clear()
    burst = [asyncio.create_task(bench.authenticate()) for _ in range(50)]
    other = asyncio.create_task(bench.refusal("bob"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.store.gate.set()
    assert await asyncio.gather(*burst) == [ALICE] * 50
    assert "Incorrect" in await other
    assert sorted(bench.store.lookups) == sorted([digest("alice"), digest("bob")])


@played
async def test_a_burst_shares_a_failure(bench: Bench) -> None:
    bench.store.down = True
    burst = await asyncio.gather(*(bench.authenticate() for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in burst} == {KeysUnavailable}
    assert bench.lookups == 1


@played
async def test_a_cancelled_caller_does_not_stop_the_lookup(bench: Bench) -> None:
    bench.store.gate.clear()
    first, second = asyncio.create_task(bench.authenticate()), asyncio.create_task(bench.authenticate())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    bench.store.gate.set()
    assert await second == ALICE
    assert bench.lookups == 1


@played
async def test_a_failure_without_a_caller_is_not_reported(bench: Bench) -> None:
    bench.store.gate.clear()
    bench.store.down = True
    task = asyncio.create_task(bench.authenticate())
    await asyncio.sleep(0)
    task.cancel()
    bench.store.gate.set()
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    await asyncio.gather(task, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not complaints


@played
async def test_the_caches_are_bounded(bench: Bench) -> None:
    for number in range(keys.MAX_CACHED + 50):
        key = Key(id="k", digest=digest(str(number)), name="", created_at=0)
        bench.store.known[key.digest] = key
        await bench.authenticate(str(number))
        await bench.refusal(f"unknown {number}")
    assert len(bench.keyring._known) == len(bench.keyring._unknown) == keys.MAX_CACHED
    assert not bench.keyring._lookups
    before = bench.lookups
    await bench.authenticate(str(keys.MAX_CACHED))
    assert bench.lookups == before


def test_a_key_does_not_show_its_digest() -> None:
    assert ALICE.digest not in repr(ALICE)


@pytest.mark.parametrize(
    ("limits", "limited"),
    [
        ({}, False),
        ({"requests_per_minute": 1}, True),
        ({"tokens_per_minute": 1}, True),
        ({"budget_tokens": 0}, True),
    ],
)
def test_a_key_with_any_limit_is_limited(limits: dict[str, Any], limited: bool) -> None:
    assert replace(ALICE, **limits).limited is limited


def test_static_keys_are_read_from_the_environment() -> None:
    sha256 = digest("sk-one")
    assert keys_from({"API_KEYS": f'{{"{sha256.upper()}": ["one"]}}'}) == {sha256: frozenset({"one"})}
    assert keys_from({}) == {}


@pytest.mark.parametrize("text", ['{"abc": []}', f'{{"{digest("k")}": "one"}}', f'{{"{digest("k")}": [1]}}'])
def test_static_keys_of_a_wrong_form_are_explained(text: str) -> None:
    with pytest.raises(SettingsError, match="API_KEYS: expected"):
        keys_from({"API_KEYS": text})
