"""Who is let in, as whom, and how often."""

import logging
from dataclasses import replace

import pytest

from functions.shared.keys import Keyring, KeysRefused, KeysUnavailable, KeyThrottled, StaticKeys
from functions.shared.limiter import LEDGER_PAUSE_S
from functions.todos.admission import Admission, Caller
from functions.todos.errors import RateLimited, ServiceUnavailable, Unauthenticated
from tests.unit.todos.admitting import FakeKeys, FakeLedger, key

pytestmark = pytest.mark.anyio

ALICE, BOB = key("alice", requests_per_minute=2), key("bob")


class Clock:
    """A time that tests set."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


async def test_without_configured_keys_no_caller_has_an_owner() -> None:
    admission = Admission(Keyring(None), FakeLedger())
    for header in (None, "", "Bearer alice", "nonsense"):
        assert await admission.admit(header) == Caller("", {})


async def test_a_keys_holder_is_known_by_its_id() -> None:
    admission = Admission(Keyring(FakeKeys(ALICE, BOB)), None)
    assert (await admission.admit("Bearer alice")).owner == "key_alice"
    assert (await admission.admit("beareRbob")).owner == "key_bob"


async def test_keys_of_a_variable_are_owners_too() -> None:
    keys = StaticKeys({ALICE.digest: frozenset(), BOB.digest: frozenset()})
    admission = Admission(Keyring(keys), FakeLedger())
    owners = [(await admission.admit(f"Bearer {name}")).owner for name in ("alice", "bob")]
    assert owners == [f"static_{each.digest[:16]}" for each in (ALICE, BOB)]


async def test_a_refused_request_gets_the_reason_and_is_not_counted() -> None:
    ledger = FakeLedger()
    admission = Admission(Keyring(FakeKeys(ALICE)), ledger)
    for header in (None, "", "Basic alice", "Bearer carol"):
        with pytest.raises(Unauthenticated):
            await admission.admit(header)
    assert ledger.queries == 0


async def test_keys_that_cannot_be_checked_are_not_let_in() -> None:
    keys = FakeKeys(ALICE, down=True)
    admission = Admission(Keyring(keys), None)
    with pytest.raises(ServiceUnavailable) as refused:
        await admission.admit("Bearer alice")
    assert refused.value.headers == {"retry-after": "1", "retry-after-ms": "1000"}
    assert "Throttling" not in refused.value.message
    keys.down = False
    assert (await admission.admit("Bearer alice")).owner == "key_alice"


async def test_requests_are_counted_where_they_are_limited_whatever_else_is_used_up() -> None:
    ledger = FakeLedger()
    admission = Admission(Keyring(FakeKeys(ALICE, BOB)), ledger)
    for left in ("1", "0"):
        caller = await admission.admit("Bearer alice")
        assert caller.headers == {
            "x-ratelimit-limit-requests": "2",
            "x-ratelimit-remaining-requests": left,
            "x-ratelimit-reset-requests": "17.25s",
        }
    with pytest.raises(RateLimited) as refused:
        await admission.admit("Bearer alice")
    assert refused.value.message == (
        "This API key's limit of 2 requests a minute is reached: none is left. Try again in 17.3 s."
    )
    assert refused.value.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.value.headers["retry-after"] == "18"
    assert refused.value.headers["retry-after-ms"] == "17250"
    assert await admission.admit("Bearer bob") == Caller("key_bob", {})
    assert ledger.queries == 3


async def test_a_ledger_that_does_not_answer_is_left_alone_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, ledger = Clock(), FakeLedger(failure=KeysUnavailable("EndpointConnectionError"))
    admission = Admission(Keyring(FakeKeys(ALICE)), ledger, now=clock)
    for _ in range(5):
        assert await admission.admit("Bearer alice") == Caller("key_alice", {})
    assert ledger.queries == 1
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "limits are unreachable: key_alice is not counted for 10 s"
    ]
    ledger.failure = None
    clock.at += LEDGER_PAUSE_S
    assert (await admission.admit("Bearer alice")).headers["x-ratelimit-remaining-requests"] == "1"


async def test_a_closed_key_is_refused_while_its_table_is_unreachable() -> None:
    clock, ledger = Clock(), FakeLedger(failure=KeysUnavailable("EndpointConnectionError"))
    for each in (ALICE, BOB):
        closed = replace(each, on_outage="closed")
        admission = Admission(Keyring(FakeKeys(closed)), ledger, now=clock)
        for wait_s in ("10", "4"):
            with pytest.raises(ServiceUnavailable, match="the key is not accepted without it") as refused:
                await admission.admit(f"Bearer {each.name}")
            assert refused.value.headers["retry-after"] == wait_s
            clock.at += 6


async def test_a_throttled_key_and_a_table_that_refuses_the_call_refuse_callers() -> None:
    ledger = FakeLedger(failure=KeyThrottled("ThrottlingException"))
    admission = Admission(Keyring(FakeKeys(ALICE, BOB)), ledger)
    with pytest.raises(RateLimited, match="more requests at once than can be counted") as throttled:
        await admission.admit("Bearer alice")
    assert throttled.value.headers == {"retry-after": "1", "retry-after-ms": "1000"}
    ledger.failure = KeysRefused("AccessDeniedException")
    with pytest.raises(ServiceUnavailable):
        await admission.admit("Bearer alice")
