"""What a key may use: requests and tokens in each minute of UTC, requests at once, and a budget of tokens.

A request reserves what it may use before the engine is called, and is settled once after it. Until then it is
running, and counts as what it reserved; one that is running past its expiry has died.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .keys import Key
from .usage import UsageRecord

WINDOW_S = 60
# When to come back for a place among the concurrent requests, or to a counter that is throttled.
BUSY_S = 1.0
# More would not fit into the item of a key.
MOST_RUNNING = 1000

Kind = Literal["requests", "tokens", "concurrent", "throttled", "budget", "too_large"]


@dataclass(frozen=True, slots=True)
class Running:
    """One request that has reserved and is not settled.

    Shape:  stored as the list of its members: later ones get a default, and come last. `listing`: a number of
            its own, where it is listed again so that a late record can be kept; else 0.
    Units:  tokens: `tokens` reserved in the minute, `most` of the budget, `prompt` of these for the prompt.
            `window`: the minute. `started_at`: ms, `expires_at`: s since 1970. `period`: that of the budget,
            as `budgets.period_of` has it. `cost`: of `most`, as records have it.
    """

    request_id: str
    model: str
    tokens: int
    most: int
    prompt: int
    started_at: int
    expires_at: int
    window: int = 0
    listing: int = 0
    period: str = ""
    cost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a key has used in the minute `window`, counted from 1970, in the one before, and ever (`spent`).

    Shape:  `periods`: for each kind of period that its budget has had, the last one's label and what was
            spent in it. `running`: by request id.
    """

    window: int
    requests: int = 0
    tokens: int = 0
    requests_before: int = 0
    tokens_before: int = 0
    spent: int = 0
    periods: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    running: Mapping[str, Running] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a key may still do in this minute, and of its budget; None where there is no limit.

    Units:  `…_reset_in_s`: s until nothing that was used counts any more; `budget_resets_at`: s since 1970,
            None for a budget that never resets.
    """

    limit_requests: int | None = None
    remaining_requests: int | None = None
    requests_reset_in_s: float = 0.0
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    tokens_reset_in_s: float = 0.0
    limit_budget: int | None = None
    remaining_budget: int | None = None
    budget_resets_at: int | None = None
    limit_concurrent: int | None = None
    running: int = 0
    resets_in_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One request that was accepted.

    Shape:  `running`: what it reserved, to be settled; None where only the request counts.
    """

    allowance: Allowance
    running: Running | None = None


class LimitReached(Exception):
    """The request is over a limit.

    Shape:  `requests`, `tokens`, `concurrent`, `throttled`: wait `retry_after_s`. `budget`, `too_large`: do
            not wait, it is None.
    """

    def __init__(self, kind: Kind, allowance: Allowance) -> None:
        super().__init__(kind)
        self.kind: Kind = kind
        self.allowance = allowance
        self.retry_after_s: float | None = BUSY_S
        if kind in ("requests", "tokens"):
            self.retry_after_s = allowance.resets_in_s
        elif kind in ("budget", "too_large"):
            self.retry_after_s = None


class Ledger(Protocol):
    """Where requests and tokens are counted and records are kept.

    Each method raises KeyThrottled, KeysRefused, or KeysUnavailable if it cannot be reached. Each may be
    called again after any failure: what was done already is not done twice.
    """

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Count one request, and reserve what it may use.

        Raises: LimitReached.
        """

    async def settle(self, record: UsageRecord, running: Running | None = None) -> None:
        """Keep a request's record, and count what was used instead of what was reserved, if it was."""

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it."""


def window_of(now: float) -> int:
    """Return the minute that a time is in."""
    return int(now // WINDOW_S)


def counts_in(window: int, stored: Counts | None) -> Counts:
    """Return what counts in a window; a newer one that is stored wins, for another clock is ahead of ours."""
    if stored and stored.window >= window:
        return stored
    if stored:
        return Counts(window=window, spent=stored.spent, running=stored.running)
    return Counts(window=window)


def never_fits(key: Key, request: Running | None) -> Kind | None:
    """Return the limit that a request would break even if nothing had been used."""
    if request and key.budget_tokens is not None and request.most > key.budget_tokens:
        return "budget"
    if request and key.tokens_per_minute is not None and request.tokens > key.tokens_per_minute:
        return "too_large"
    return None


def limit_reached(key: Key, counts: Counts, request: Running | None) -> Kind | None:
    """Return the limit that one more request would break, the budget first: there, waiting does not help."""
    if request and key.budget_tokens is not None and counts.spent + request.most > key.budget_tokens:
        return "budget"
    if key.requests_per_minute is not None and counts.requests >= key.requests_per_minute:
        return "requests"
    tokens = counts.tokens + (request.tokens if request else 0)
    if request and key.tokens_per_minute is not None and tokens > key.tokens_per_minute:
        return "tokens"
    if request and len(counts.running) >= (key.concurrent or MOST_RUNNING):
        return "concurrent"
    return None


def allowance_of(key: Key, counts: Counts, now: float) -> Allowance:
    """Return what remains of a key's limits."""
    return Allowance(
        limit_requests=key.requests_per_minute,
        remaining_requests=_remaining(key.requests_per_minute, counts.requests),
        limit_tokens=key.tokens_per_minute,
        remaining_tokens=_remaining(key.tokens_per_minute, counts.tokens),
        remaining_budget=_remaining(key.budget_tokens, counts.spent),
        resets_in_s=(counts.window + 1) * WINDOW_S - now,
    )


def died(key_id: str, running: Running) -> UsageRecord:
    """Return the record of a request that was never settled: cut, at what it had reserved."""
    return UsageRecord(
        request_id=running.request_id,
        key_id=key_id,
        model=running.model,
        prompt_tokens=running.prompt,
        completion_tokens=running.most - running.prompt,
        duration_ms=0,
        outcome="cut",
        cost=running.cost,
        started_at=running.started_at,
    )


def _remaining(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)
