"""The arithmetic of windows and budgets."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings

from functions.shared.keys import Key
from functions.shared.limits import (
    Counts,
    LimitReached,
    allowance_of,
    counts_in,
    is_too_large,
    limit_reached,
    uncounted,
    window_of,
)
from tests.unit.shared.ledger import LedgerMachine

FREE = Key(id="key_1", digest="d", name="alice", created_at=0)
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
    counts: dict[str, int], tokens: int, reached: str | None
) -> None:
    assert limit_reached(KEY, Counts(window=1, **counts), tokens) == reached
    assert limit_reached(FREE, Counts(window=1, **counts), tokens) is None


@pytest.mark.parametrize(
    ("limits", "tokens", "too_large"),
    [
        ({"tokens_per_minute": 100}, 100, False),
        ({"tokens_per_minute": 100}, 101, True),
        ({"budget_tokens": 100}, 100, False),
        ({"budget_tokens": 100}, 101, True),
        ({"budget_tokens": 0}, 0, False),
        ({"requests_per_minute": 1}, 10**12, False),
        ({"requests_per_minute": 0}, 0, True),
    ],
)
def test_what_can_never_be_let_through_is_too_large(
    limits: dict[str, Any], tokens: int, too_large: bool
) -> None:
    assert is_too_large(replace(FREE, **limits), tokens) is too_large


def test_what_is_left_is_never_below_nothing() -> None:
    allowance = allowance_of(KEY, Counts(window=1, requests=9, tokens=900), 100.0)
    assert (allowance.remaining_requests, allowance.remaining_tokens) == (0, 0)
    assert (allowance.limit_requests, allowance.limit_tokens, allowance.resets_in_s) == (3, 100, 20)


def test_a_key_without_limits_has_nothing_counted() -> None:
    reservation = uncounted(FREE, 50, 100.0)
    assert (reservation.counted, reservation.tokens, reservation.key_id) == (False, 50, FREE.id)
    allowance = reservation.allowance
    assert (allowance.limit_requests, allowance.remaining_tokens) == (None, None)


@pytest.mark.parametrize(
    ("kind", "retry_after_s"), [("requests", 20), ("tokens", 20), ("budget", None), ("too_large", None)]
)
def test_waiting_is_advised_where_it_helps(kind: Any, retry_after_s: float | None) -> None:
    reached = LimitReached(kind, allowance_of(KEY, Counts(window=1), 100.0))
    assert (reached.kind, reached.retry_after_s) == (kind, retry_after_s)
