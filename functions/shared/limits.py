"""What a key may use: requests and tokens in each minute of UTC, and a budget of tokens in all.

A request reserves the most tokens that it can use before the engine is called, and is settled once after it.
Until then it counts as what it reserved; if it is never settled, in its minute until that ends, and in the
budget for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from .keys import Key

WINDOW_S = 60

Kind = Literal["requests", "tokens", "budget", "too_large"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a key has used: in the minute `window`, counted from 1970, and ever (`spent`)."""

    window: int
    requests: int = 0
    tokens: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a key may still do in this minute; None where there is no limit."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    resets_in_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """One request that was accepted, and the tokens reserved for it; to be settled once.

    Shape:  `counted` is false for a key without limits: nothing is written for it.
    """

    key_id: str
    window: int
    tokens: int
    allowance: Allowance
    counted: bool = True


class LimitReached(Exception):
    """The request is over a limit.

    Shape:  `requests`, `tokens`: wait `retry_after_s`. `budget`, `too_large`: do not wait, it is None.
    """

    def __init__(self, kind: Kind, allowance: Allowance) -> None:
        super().__init__(kind)
        self.kind: Kind = kind
        self.allowance = allowance
        self.retry_after_s = allowance.resets_in_s if kind in ("requests", "tokens") else None


class Ledger(Protocol):
    """Where requests and tokens are counted. Every method raises KeysUnavailable if it cannot be reached."""

    async def reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        """Count one request and reserve its tokens.

        Raises: LimitReached; KeysUnavailable.
        """

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Count what was used instead of what was reserved. To be called once: a second call counts again.

        Raises: KeysUnavailable: the request then counts as what it reserved.
        """

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it.

        Raises: KeysUnavailable.
        """


def window_of(now: float) -> int:
    """Return the minute that a time is in."""
    return int(now // WINDOW_S)


def counts_in(window: int, stored: Counts | None) -> Counts:
    """Return what counts in a window; a newer one that is stored wins, for another clock is ahead of ours."""
    if stored and stored.window >= window:
        return stored
    return Counts(window=window, spent=stored.spent if stored else 0)


def is_too_large(key: Key, tokens: int) -> bool:
    """Return whether a request would break a limit of this key even if nothing had been used."""
    return limit_reached(key, Counts(window=0), tokens) is not None


def limit_reached(key: Key, counts: Counts, tokens: int) -> Kind | None:
    """Return the limit that one more request would break, the budget first: there, waiting does not help."""
    if key.budget_tokens is not None and counts.spent + tokens > key.budget_tokens:
        return "budget"
    if key.requests_per_minute is not None and counts.requests >= key.requests_per_minute:
        return "requests"
    if key.tokens_per_minute is not None and counts.tokens + tokens > key.tokens_per_minute:
        return "tokens"
    return None


def allowance_of(key: Key, counts: Counts, now: float) -> Allowance:
    """Return what remains of a key's limits."""
    return Allowance(
        limit_requests=key.requests_per_minute,
        remaining_requests=_remaining(key.requests_per_minute, counts.requests),
        limit_tokens=key.tokens_per_minute,
        remaining_tokens=_remaining(key.tokens_per_minute, counts.tokens),
        resets_in_s=(counts.window + 1) * WINDOW_S - now,
    )


def uncounted(key: Key, tokens: int, now: float) -> Reservation:
    """Return the reservation of a key without limits."""
    window = window_of(now)
    allowance = allowance_of(key, Counts(window=window), now)
    return Reservation(key_id=key.id, window=window, tokens=tokens, allowance=allowance, counted=False)


def _remaining(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)
