"""A ledger in memory, and what every ledger has to do: a machine plays requests against a simple model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from functions.shared.keys import Key
from functions.shared.limits import (
    Allowance,
    Counts,
    Ledger,
    LimitReached,
    Reservation,
    allowance_of,
    counts_in,
    is_too_large,
    limit_reached,
    uncounted,
    window_of,
)


@dataclass
class MemoryLedger:
    """Counts in memory, by the same arithmetic as the table."""

    counts: dict[str, Counts] = field(default_factory=dict)

    async def reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        if not key.limited:
            return uncounted(key, tokens, now)
        if is_too_large(key, tokens):
            raise LimitReached("too_large", await self.peek(key, now))
        counts = counts_in(window_of(now), self.counts.get(key.id))
        reached = limit_reached(key, counts, tokens)
        if reached:
            raise LimitReached(reached, allowance_of(key, counts, now))
        counts = Counts(
            window=counts.window,
            requests=counts.requests + 1,
            tokens=counts.tokens + tokens,
            spent=counts.spent + tokens,
        )
        self.counts[key.id] = counts
        allowance = allowance_of(key, counts, now)
        return Reservation(key_id=key.id, window=counts.window, tokens=tokens, allowance=allowance)

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        if not reservation.counted:
            return
        counts = self.counts[reservation.key_id]
        more = tokens - reservation.tokens
        self.counts[reservation.key_id] = Counts(
            window=counts.window,
            requests=counts.requests,
            tokens=counts.tokens + (more if counts.window == reservation.window else 0),
            spent=counts.spent + more,
        )

    async def peek(self, key: Key, now: float) -> Allowance:
        return allowance_of(key, counts_in(window_of(now), self.counts.get(key.id)), now)

    def spent(self, key_id: str) -> int:
        return self.counts[key_id].spent if key_id in self.counts else 0


@dataclass
class Request:
    """One that was accepted: the model keeps them all, and adds them up each time."""

    window: int
    tokens: int


limits = st.none() | st.integers(1, 8)
token_limits = st.none() | st.integers(0, 60)
amounts = st.integers(0, 40)


class LedgerMachine(RuleBasedStateMachine):
    """Plays one key's requests against a ledger, from environments whose clocks differ."""

    unsettled = Bundle("unsettled")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = 1_795_000_000.0
        self.requests: list[Request] = []
        self.window = 0

    def make_ledger(self) -> Ledger:
        return MemoryLedger()

    def spent(self) -> int:
        assert isinstance(self.ledger, MemoryLedger)
        return self.ledger.spent(self.key.id)

    def teardown(self) -> None:
        self.runner.close()

    @initialize(rpm=limits, tpm=token_limits, budget=st.none() | st.integers(0, 300))
    def begin(self, rpm: int | None, tpm: int | None, budget: int | None) -> None:
        self.key = Key(
            id="key_1",
            digest="d",
            name="",
            requests_per_minute=rpm,
            tokens_per_minute=tpm,
            budget_tokens=budget,
            created_at=0,
        )
        self.ledger = self.make_ledger()

    @rule(seconds=st.floats(0, 25) | st.sampled_from([60.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=unsettled, tokens=amounts, behind_s=st.sampled_from([0.0, 0.0, 0.5, 70.0]))
    def reserve(self, tokens: int, behind_s: float) -> tuple[Reservation, Request] | None:
        now = self.now - behind_s
        window = max(window_of(now), self.window)
        expected = self.verdict(window, tokens)
        result = self.run(self.outcome(self.ledger.reserve(self.key, tokens, now)))
        if isinstance(result, LimitReached):
            waits = result.kind in ("requests", "tokens")
            assert result.kind == expected
            assert result.retry_after_s == (result.allowance.resets_in_s if waits else None)
            self.check(result.allowance, window, now)
            return None
        assert expected is None
        request = Request(window, tokens)
        if self.key.limited:
            assert result.window == window
            self.window = window
            self.requests.append(request)
        self.check(result.allowance, window, now)
        return result, request

    @rule(one=consumes(unsettled), tokens=amounts)
    def settle(self, one: tuple[Reservation, Request] | None, tokens: int) -> None:
        """Settle a request, for more or less than it reserved."""
        if one is None:
            return
        reservation, request = one
        self.run(self.ledger.settle(reservation, tokens))
        request.tokens = tokens

    @rule()
    def peek(self) -> None:
        window = max(window_of(self.now), self.window)
        self.check(self.run(self.ledger.peek(self.key, self.now)), window, self.now)

    @invariant()
    def nothing_leaks(self) -> None:
        if hasattr(self, "key"):
            assert self.spent() == sum(request.tokens for request in self.requests)

    async def outcome(self, call: Coroutine[Any, Any, Reservation]) -> Reservation | LimitReached:
        try:
            return await call
        except LimitReached as reached:
            return reached

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def used(self, window: int) -> tuple[int, int]:
        requests = [request for request in self.requests if request.window == window]
        return len(requests), sum(request.tokens for request in requests)

    def verdict(self, window: int, tokens: int) -> str | None:
        """Return what has to be refused, by adding up all that was accepted."""
        requests, in_window = self.used(window)
        rpm, tpm, budget = (
            self.key.requests_per_minute,
            self.key.tokens_per_minute,
            self.key.budget_tokens,
        )
        if (tpm is not None and tokens > tpm) or (budget is not None and tokens > budget):
            return "too_large"
        if budget is not None and sum(request.tokens for request in self.requests) + tokens > budget:
            return "budget"
        if rpm is not None and requests + 1 > rpm:
            return "requests"
        return "tokens" if tpm is not None and in_window + tokens > tpm else None

    def check(self, allowance: Allowance, window: int, now: float) -> None:
        requests, tokens = self.used(window)
        rpm, tpm = self.key.requests_per_minute, self.key.tokens_per_minute
        assert (allowance.limit_requests, allowance.limit_tokens) == (rpm, tpm)
        assert allowance.remaining_requests == (None if rpm is None else max(rpm - requests, 0))
        assert allowance.remaining_tokens == (None if tpm is None else max(tpm - tokens, 0))
        assert allowance.resets_in_s == (window + 1) * 60 - now > 0
