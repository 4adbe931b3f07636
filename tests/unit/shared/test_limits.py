"""The arithmetic of windows and budgets."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

from functions.shared.keys import Key
from functions.shared.limits import (
    Counts,
    LimitReached,
    Running,
    allowance_of,
    counts_in,
    died,
    limit_reached,
    never_fits,
    window_of,
)
from tests.unit.shared.ledger import LedgerMachine

FREE = Key(id="key_1", digest="d", name="alice", created_at=0)
REQUEST = Running(
    request_id="req_1", model="tiny", tokens=0, most=0, prompt=0, started_at=1000, expires_at=900
)
KEY = replace(FREE, requests_per_minute=3, tokens_per_minute=100, budget_tokens=1000)

TestMemoryLedger = LedgerMachine.TestCase
TestMemoryLedger.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("now", "window"), [(0, 0), (59.999, 0), (60, 1), (119.9, 1), (1_795_572_000, 29_926_200)]
)
def test_a_window_is_a_minute_of_utc(now: float, window: int) -> None:
    assert window_of(now) == window


def test_a_new_window_begins_with_nothing_but_what_was_spent() -> None:
    stored = Counts(window=5, requests=3, tokens=90, spent=700)
    assert counts_in(5, stored) == stored
    assert counts_in(6, stored) == Counts(window=6, spent=700)
    assert counts_in(6, None) == Counts(window=6)
    busy = replace(stored, running={"req_1": REQUEST})
    assert counts_in(6, busy).running == busy.running, "what is running runs on"


def test_a_stored_window_ahead_of_ours_stands() -> None:
    stored = Counts(window=5, requests=3, tokens=90, spent=700)
    assert counts_in(4, stored) == stored
    assert allowance_of(KEY, stored, 299.0).resets_in_s == 61


@pytest.mark.parametrize(
    ("counts", "tokens", "reached"),
    [
        ({}, 100, None),
        ({"requests": 2, "tokens": 60}, 40, None),
        ({"requests": 2, "tokens": 60}, 41, "tokens"),
        ({"requests": 3, "tokens": 60}, 41, "requests"),
        ({"requests": 3}, 0, "requests"),
        ({"requests": 3, "tokens": 100, "spent": 990}, 11, "budget"),
        ({"spent": 990}, 10, None),
        ({"spent": 1200, "tokens": 200}, 0, "budget"),
        ({"tokens": 200}, 0, "tokens"),
    ],
)
def test_the_limit_that_is_reported_first_is_the_one_that_lasts(
    counts: dict[str, Any], tokens: int, reached: str | None
) -> None:
    request = replace(REQUEST, tokens=tokens, most=tokens)
    assert limit_reached(KEY, Counts(window=1, **counts), request) == reached
    assert limit_reached(FREE, Counts(window=1, **counts), request) is None


def test_what_is_reserved_of_the_budget_may_be_more_than_in_the_minute() -> None:
    counts = Counts(window=1, tokens=50, spent=900)
    assert limit_reached(KEY, counts, replace(REQUEST, tokens=50, most=100)) is None
    assert limit_reached(KEY, counts, replace(REQUEST, tokens=50, most=101)) == "budget"


def test_a_request_alone_counts_no_tokens() -> None:
    used_up = Counts(window=1, requests=2, tokens=10**6, spent=10**6, running={"req_1": REQUEST})
    assert limit_reached(replace(KEY, concurrent=1), used_up, None) is None
    assert limit_reached(KEY, replace(used_up, requests=3), None) == "requests"


@pytest.mark.parametrize(
    ("concurrent", "running", "reached"), [(2, 1, None), (2, 2, "concurrent"), (None, 999, None)]
)
def test_concurrent_requests_are_limited(concurrent: int | None, running: int, reached: str | None) -> None:
    counts = Counts(window=1, running={str(number): REQUEST for number in range(running)})
    assert limit_reached(replace(FREE, concurrent=concurrent), counts, REQUEST) == reached


def test_no_key_has_more_requests_running_than_its_item_can_hold() -> None:
    counts = Counts(window=1, running={str(number): REQUEST for number in range(1000)})
    assert limit_reached(FREE, counts, REQUEST) == "concurrent"


@pytest.mark.parametrize(
    ("limits", "tokens", "most", "reached"),
    [
        ({"tokens_per_minute": 100}, 100, 900, None),
        ({"tokens_per_minute": 100}, 101, 101, "too_large"),
        ({"budget_tokens": 100}, 100, 100, None),
        ({"budget_tokens": 100}, 10, 101, "budget"),
        ({"budget_tokens": 0}, 0, 0, None),
        ({"requests_per_minute": 1}, 10**12, 10**12, None),
    ],
)
def test_what_can_never_be_let_through(
    limits: dict[str, Any], tokens: int, most: int, reached: str | None
) -> None:
    key = replace(FREE, **limits)
    assert never_fits(key, replace(REQUEST, tokens=tokens, most=most)) == reached
    assert never_fits(key, None) is None


def test_what_is_left_is_never_below_nothing() -> None:
    allowance = allowance_of(KEY, Counts(window=1, requests=9, tokens=900), 100.0)
    assert (allowance.remaining_requests, allowance.remaining_tokens) == (0, 0)
    assert (allowance.limit_requests, allowance.limit_tokens, allowance.resets_in_s) == (3, 100, 20)


@pytest.mark.parametrize(
    ("kind", "retry_after_s"),
    [
        ("requests", 20),
        ("tokens", 20),
        ("concurrent", 1),
        ("throttled", 1),
        ("budget", None),
        ("too_large", None),
    ],
)
def test_waiting_is_advised_where_it_helps(kind: Any, retry_after_s: float | None) -> None:
    reached = LimitReached(kind, allowance_of(KEY, Counts(window=1), 100.0))
    assert (reached.kind, reached.retry_after_s) == (kind, retry_after_s)


def test_a_request_that_died_counts_as_what_it_had_reserved() -> None:
    record = died("key_1", replace(REQUEST, tokens=30, most=90, prompt=40))
    assert (record.key_id, record.request_id, record.outcome) == ("key_1", "req_1", "cut")
    assert (record.prompt_tokens, record.completion_tokens, record.tokens) == (40, 50, 90)
