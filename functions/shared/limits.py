"""What a key may use: requests and tokens in a sliding minute, requests at once, and a budget of tokens.

A request reserves what it may use before the engine is called, and is settled once after it. Until then it is
running, and counts as what it reserved; one that is running past its expiry has died.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Literal, Protocol

from .budgets import budget_of, period_of, resets_at
from .frozen import Frozen
from .keys import Key
from .usage import UsageRecord
from .windows import fits_at, left_ms, ms, share, unused_at, window_of

# When to come back for a place among the concurrent requests, or to a counter that is throttled.
BUSY_S = 1.0
# More would not fit into the item of a key.
MOST_RUNNING = 1000

Kind = Literal["requests", "tokens", "concurrent", "throttled", "budget", "too_large"]


class Running(Frozen):
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


class Counts(Frozen, kw_only=True):
    """What a key has used in the minute `window`, counted from 1970, in the one before, and ever (`spent`).

    Shape:  `periods`: for each kind of period that its budget has had, the last one's label and what was
            spent in it. `running`: by request id. `used_at`: when it was last used, None if never.
    Units:  `used_at`: s since 1970, to the minute, or to ten for todos of a key without limits.
    """

    window: int
    requests: int = 0
    tokens: int = 0
    requests_before: int = 0
    tokens_before: int = 0
    spent: int = 0
    periods: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    running: Mapping[str, Running] = field(default_factory=dict)
    used_at: int | None = None


class Allowance(Frozen, kw_only=True):
    """What a key may still do now, and of its budget; None where there is no limit.

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


class Reservation(Frozen, kw_only=True):
    """One request that was accepted.

    Shape:  `running`: what it reserved, to be settled; None where only the request counts.
    """

    allowance: Allowance
    running: Running | None = None


class LimitReached(Exception):
    """The request is over a limit.

    Shape:  `requests`, `tokens`, `concurrent`, `throttled`: wait `retry_after_s`; after it, this very request
            passes if nothing else came. `budget`, `too_large`: do not wait, it is None.
    """

    def __init__(self, kind: Kind, allowance: Allowance, wait_s: float = BUSY_S) -> None:
        super().__init__(kind)
        self.kind: Kind = kind
        self.allowance = allowance
        self.retry_after_s = None if kind in ("budget", "too_large") else wait_s


class Ledger(Protocol):
    """Where requests and tokens are counted and records are kept.

    Each method raises KeyThrottled, KeysRefused, or KeysUnavailable if it cannot be reached. Each may be
    called again after any failure: what was done already is not done twice.
    """

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Count one request, and reserve what it may use.

        Raises: LimitReached.
        """

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        """Keep a request's record, and count what was used instead of what was reserved, if it was.

        Shape:  `period`: that of the budget in which it counts, if nothing was reserved.
        """

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it."""

    async def touch(self, key_id: str, now: float) -> None:
        """Mark a key as used, and count nothing."""


def counts_at(now: float, stored: Counts | None) -> Counts:
    """Return what counts at a time; a newer minute that is stored wins: another clock is ahead of ours."""
    window = window_of(now)
    if not stored:
        return Counts(window=window)
    if stored.window >= window:
        return stored
    before = (stored.requests, stored.tokens) if stored.window == window - 1 else (0, 0)
    return replace(
        stored, window=window, requests=0, tokens=0, requests_before=before[0], tokens_before=before[1]
    )


def period_at(key: Key, counts: Counts, now: float) -> tuple[str, int]:
    """Return the period of a key's budget that counts, as `period_of` has it, and what was spent in it.

    A newer one that is stored wins.
    """
    period = period_of(key, now)
    if not period:
        return period, counts.spent
    kind, _, label = period.partition(":")
    stored, spent = counts.periods.get(kind, (0, 0))
    return (f"{kind}:{stored}", spent) if stored >= int(label) else (period, 0)


def never_fits(key: Key, request: Running | None, now: float) -> Kind | None:
    """Return the limit that a request would break even if nothing had been used."""
    if not request:
        return None
    budget = budget_of(key, period_of(key, now))
    if budget is not None and request.most > budget:
        return "budget"
    if key.tokens_per_minute is not None and request.tokens > key.tokens_per_minute:
        return "too_large"
    return None


def limit_reached(key: Key, counts: Counts, request: Running | None, now: float) -> Kind | None:
    """Return the limit that one more request would break, the budget first: there, waiting does not help."""
    requests, tokens = _in_minute(counts, now)
    period, spent = period_at(key, counts, now)
    budget = budget_of(key, period)
    if request and budget is not None and spent + request.most > budget:
        return "budget"
    if key.requests_per_minute is not None and requests >= key.requests_per_minute:
        return "requests"
    if request and key.tokens_per_minute is not None and tokens + request.tokens > key.tokens_per_minute:
        return "tokens"
    if request and len(counts.running) >= (key.concurrent or MOST_RUNNING):
        return "concurrent"
    return None


def refusal(reached: Kind, key: Key, counts: Counts, request: Running | None, now: float) -> LimitReached:
    """Return the refusal of a request: what is left, and when it would pass if nothing else came."""
    times = [ms(now)]
    if (rpm := key.requests_per_minute) is not None:
        times.append(fits_at(rpm, 1, counts.requests, counts.requests_before, counts.window))
    if request and (tpm := key.tokens_per_minute) is not None:
        times.append(fits_at(tpm, request.tokens, counts.tokens, counts.tokens_before, counts.window))
    wait_s = BUSY_S if reached == "concurrent" else _seconds_to(max(times), now)
    return LimitReached(reached, allowance_of(key, counts, now), wait_s)


def allowance_of(key: Key, counts: Counts, now: float) -> Allowance:
    """Return what remains of a key's limits."""
    requests, tokens = _in_minute(counts, now)
    period, spent = period_at(key, counts, now)
    budget = budget_of(key, period)
    return Allowance(
        limit_requests=key.requests_per_minute,
        remaining_requests=_remaining(key.requests_per_minute, requests),
        requests_reset_in_s=_seconds_to(
            unused_at(counts.requests, counts.requests_before, counts.window), now
        ),
        limit_tokens=key.tokens_per_minute,
        remaining_tokens=_remaining(key.tokens_per_minute, tokens),
        tokens_reset_in_s=_seconds_to(unused_at(counts.tokens, counts.tokens_before, counts.window), now),
        limit_budget=budget,
        remaining_budget=_remaining(budget, spent),
        budget_resets_at=None if budget is None else resets_at(key, period),
        limit_concurrent=key.concurrent,
        running=sum(each.expires_at > now for each in counts.running.values()),
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


def _in_minute(counts: Counts, now: float) -> tuple[int, int]:
    """Return the requests and tokens that count at a time."""
    left = left_ms(counts.window, now)
    return (
        counts.requests + share(counts.requests_before, left),
        counts.tokens + share(counts.tokens_before, left),
    )


def _seconds_to(at_ms: int, now: float) -> float:
    return max(at_ms - ms(now), 0) / 1000


def _remaining(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)
