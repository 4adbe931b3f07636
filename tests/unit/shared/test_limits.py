"""The arithmetic of windows and budgets."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

from functions.shared.keys import Key
from functions.shared.limits import (
    Allowance,
    Counts,
    LimitReached,
    Running,
    allowance_of,
    counts_at,
    died,
    limit_reached,
    never_fits,
    period_at,
    refusal,
)
from tests.unit.shared.ledger import LedgerMachine

FREE = Key(id="key_1", digest="d", name="alice", created_at=0)
REQUEST = Running(
    request_id="req_1", model="tiny", tokens=0, most=0, prompt=0, started_at=1000, expires_at=900
)
NOW = 60.0
KEY = replace(FREE, requests_per_minute=3, tokens_per_minute=100, budget_tokens=1000)

TestMemoryLedger = LedgerMachine.TestCase
TestMemoryLedger.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_the_minute_before_is_kept_and_none_before_it() -> None:
    busy = {"req_1": REQUEST}
    stored = Counts(
        window=5, requests=3, tokens=90, requests_before=1, tokens_before=7, spent=700, running=busy
    )
    assert counts_at(300, stored) == stored
    next_minute = Counts(window=6, requests_before=3, tokens_before=90, spent=700, running=busy)
    assert counts_at(360, stored) == next_minute, "what is running runs on"
    assert counts_at(420, stored) == Counts(window=7, spent=700, running=busy)
    assert counts_at(360, None) == Counts(window=6)


def test_a_stored_minute_ahead_of_ours_stands() -> None:
    stored = Counts(window=5, requests=1, requests_before=2, spent=700)
    assert counts_at(299, stored) == stored
    allowance = allowance_of(KEY, stored, 299.0)
    assert (allowance.remaining_requests, allowance.requests_reset_in_s) == (0, 121), "as at its begin"
    assert limit_reached(KEY, stored, None, 299.0) == "requests"
    assert refusal("requests", KEY, stored, None, 299.0).retry_after_s == 31


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
    assert limit_reached(KEY, Counts(window=1, **counts), request, NOW) == reached
    assert limit_reached(FREE, Counts(window=1, **counts), request, NOW) is None


def test_what_is_reserved_of_the_budget_may_be_more_than_in_the_minute() -> None:
    counts = Counts(window=1, tokens=50, spent=900)
    assert limit_reached(KEY, counts, replace(REQUEST, tokens=50, most=100), NOW) is None
    assert limit_reached(KEY, counts, replace(REQUEST, tokens=50, most=101), NOW) == "budget"


def test_a_request_alone_counts_no_tokens() -> None:
    used_up = Counts(window=1, requests=2, tokens=10**6, spent=10**6, running={"req_1": REQUEST})
    assert limit_reached(replace(KEY, concurrent=1), used_up, None, NOW) is None
    assert limit_reached(KEY, replace(used_up, requests=3), None, NOW) == "requests"


@pytest.mark.parametrize(
    ("concurrent", "running", "reached"), [(2, 1, None), (2, 2, "concurrent"), (None, 999, None)]
)
def test_concurrent_requests_are_limited(concurrent: int | None, running: int, reached: str | None) -> None:
    counts = Counts(window=1, running={str(number): REQUEST for number in range(running)})
    assert limit_reached(replace(FREE, concurrent=concurrent), counts, REQUEST, NOW) == reached


def test_no_key_has_more_requests_running_than_its_item_can_hold() -> None:
    counts = Counts(window=1, running={str(number): REQUEST for number in range(1000)})
    assert limit_reached(FREE, counts, REQUEST, NOW) == "concurrent"


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
    assert never_fits(key, replace(REQUEST, tokens=tokens, most=most), NOW) == reached
    assert never_fits(key, None, NOW) is None


def test_what_is_left_is_never_below_nothing() -> None:
    allowance = allowance_of(KEY, Counts(window=1, requests=9, tokens=900, spent=2000), 100.0)
    assert (allowance.remaining_requests, allowance.remaining_tokens, allowance.remaining_budget) == (0, 0, 0)
    assert (allowance.limit_requests, allowance.limit_tokens, allowance.limit_budget) == (3, 100, 1000)
    assert (allowance.requests_reset_in_s, allowance.tokens_reset_in_s) == (80, 80)


def test_limits_reset_when_nothing_counts_that_was_used() -> None:
    counts = Counts(window=1, requests=1, tokens_before=5)
    allowance = allowance_of(KEY, counts, 100.0)
    assert (allowance.requests_reset_in_s, allowance.tokens_reset_in_s) == (80, 20)
    assert allowance_of(KEY, counts, 119.999).remaining_tokens == 99, "a share is rounded up"
    assert allowance_of(KEY, Counts(window=1), 100.0).requests_reset_in_s == 0


def test_an_allowance_has_what_a_key_may_do() -> None:
    key = replace(KEY, budget_period="month", extra_tokens=50, extra_period="month:19700101", concurrent=4)
    running = {"dead": REQUEST, "live": replace(REQUEST, expires_at=2000)}
    counts = Counts(window=16, spent=5000, periods={"month": (19700101, 300)}, running=running)
    allowance = allowance_of(key, counts, 1000.0)
    assert (allowance.limit_budget, allowance.remaining_budget) == (1050, 750)
    assert allowance.budget_resets_at == 31 * 86400
    assert (allowance.limit_concurrent, allowance.running) == (4, 1)
    free = allowance_of(replace(FREE, budget_period="month"), counts, 1000.0)
    assert (free.limit_budget, free.remaining_budget, free.budget_resets_at) == (None, None, None)


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ({}, ("day:19700102", 0)),
        ({"day": (19700101, 9)}, ("day:19700102", 0)),
        ({"day": (19700102, 9)}, ("day:19700102", 9)),
        ({"day": (19700103, 9)}, ("day:19700103", 9)),
        ({"month": (19700101, 9)}, ("day:19700102", 0)),
    ],
)
def test_a_budget_counts_in_its_period(periods: Any, expected: tuple[str, int]) -> None:
    key, counts = replace(KEY, budget_period="day"), Counts(window=1, spent=10**6, periods=periods)
    assert period_at(key, counts, 90_000) == expected
    assert period_at(KEY, counts, 90_000) == ("", 10**6)
    request = replace(REQUEST, most=992)
    assert limit_reached(key, counts, request, 90_000) == ("budget" if expected[1] else None)


@pytest.mark.parametrize(
    ("now", "counts", "tokens", "wait"),
    [
        (60.0, {"requests_before": 3}, 0, 20),  # when one of the three no longer counts
        (90.5, {"requests": 1, "requests_before": 3}, 0, 9.5),
        (60.0, {"requests": 3}, 0, 80),
        (60.0, {"requests": 3, "requests_before": 3}, 0, 80),
        (119.0, {"requests": 2, "requests_before": 1}, 0, 1),
        (60.0, {"tokens_before": 100}, 70, 42),
        (60.0, {"tokens": 100}, 100, 120),
        (60.0, {"tokens": 40, "tokens_before": 90}, 61, 61.5),  # in the next minute
        (60.0, {"tokens": 40, "tokens_before": 90}, 60, 60),
        (60.0, {"requests_before": 3, "tokens_before": 100}, 70, 42),  # the limit that takes longer
    ],
)
def test_a_request_passes_when_it_was_said_to_and_not_before(
    now: float, counts: dict[str, Any], tokens: int, wait: float
) -> None:
    stored, request = Counts(window=1, **counts), replace(REQUEST, tokens=tokens)
    reached = limit_reached(KEY, stored, request, now)
    assert reached
    assert refusal(reached, KEY, stored, request, now).retry_after_s == wait
    at = now + wait
    assert limit_reached(KEY, counts_at(at, stored), request, at) is None
    assert limit_reached(KEY, counts_at(at - 0.001, stored), request, at - 0.001)


@pytest.mark.parametrize(
    ("kind", "retry_after_s"),
    [("requests", 80), ("tokens", 80), ("concurrent", 1), ("budget", None), ("too_large", None)],
)
def test_waiting_is_advised_where_it_helps(kind: Any, retry_after_s: float | None) -> None:
    reached = refusal(kind, KEY, Counts(window=1, requests=3), REQUEST, 60.0)
    assert (reached.kind, reached.retry_after_s) == (kind, retry_after_s)
    assert reached.allowance.remaining_requests == 0
    assert LimitReached("throttled", Allowance()).retry_after_s == 1


def test_a_request_that_died_counts_as_what_it_had_reserved() -> None:
    record = died("key_1", replace(REQUEST, tokens=30, most=90, prompt=40))
    assert (record.key_id, record.request_id, record.outcome) == ("key_1", "req_1", "cut")
    assert (record.prompt_tokens, record.completion_tokens, record.tokens) == (40, 50, 90)
