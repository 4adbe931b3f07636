"""A ledger in memory, and what every ledger has to do: a machine plays requests against a simple model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from itertools import count
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
    Running,
    allowance_of,
    counts_in,
    died,
    limit_reached,
    never_fits,
    window_of,
)
from functions.shared.usage import UsageRecord


@dataclass
class MemoryLedger:
    """Counts and records in memory, by the same arithmetic as the table."""

    stored: dict[str, Counts] = field(default_factory=dict)
    records: dict[tuple[str, str], UsageRecord] = field(default_factory=dict)
    assumed: set[tuple[str, str]] = field(default_factory=set)
    refused: int = 0

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        counts = counts_in(window_of(now), self.stored.get(key.id))
        if request and request.request_id in counts.running:
            return Reservation(
                allowance=allowance_of(key, counts, now), running=counts.running[request.request_id]
            )
        if limit_reached(key, counts, request) == "concurrent":
            self.bury(key.id, now)
            counts = counts_in(window_of(now), self.stored.get(key.id))
        reached = never_fits(key, request) or limit_reached(key, counts, request)
        if reached:
            raise LimitReached(reached, allowance_of(key, counts, now))
        counts = replace(counts, requests=counts.requests + 1)
        running = None
        if request:
            running = replace(request, window=counts.window)
            counts = replace(
                counts,
                tokens=counts.tokens + request.tokens,
                spent=counts.spent + request.most,
                running={**counts.running, request.request_id: running},
            )
        self.stored[key.id] = counts
        return Reservation(allowance=allowance_of(key, counts, now), running=running)

    async def settle(self, record: UsageRecord, running: Running | None = None) -> None:  # noqa: ARG002
        if record.outcome == "refused":
            self.refused += 1
        else:
            self._settle(record)

    async def peek(self, key: Key, now: float) -> Allowance:
        return allowance_of(key, counts_in(window_of(now), self.stored.get(key.id)), now)

    def spent(self, key_id: str) -> int:
        return self.stored[key_id].spent if key_id in self.stored else 0

    def bury(self, key_id: str, now: float) -> None:
        for each in list(self.stored.get(key_id, Counts(window=0)).running.values()):
            if each.expires_at <= now:
                self._settle(died(key_id, each), assumed=True)

    def _settle(self, record: UsageRecord, *, assumed: bool = False) -> None:
        counts = self.stored.get(record.key_id, Counts(window=0))
        place = record.key_id, record.request_id
        before, listed = self.records.get(place), counts.running.get(record.request_id)
        if not before or (place in self.assumed and not assumed):
            self.records[place] = record
            (self.assumed.add if assumed else self.assumed.discard)(place)
        kept = self.records[place]
        counted = listed.most if listed else before.tokens if before else 0
        in_window = listed and counts.window == listed.window
        self.stored[record.key_id] = replace(
            counts,
            tokens=counts.tokens + (kept.tokens - listed.tokens if listed and in_window else 0),
            spent=counts.spent + kept.tokens - counted,
            running={name: each for name, each in counts.running.items() if each != listed},
        )


@dataclass
class Request:
    """One that was accepted: the model keeps them all, and adds them up each time."""

    window: int
    tokens: int
    spent: int
    expires_at: int
    settled: bool = False


limits = st.none() | st.integers(1, 8)
token_limits = st.none() | st.integers(0, 60)
amounts = st.integers(0, 40)
EXPIRY_S = 300


class LedgerMachine(RuleBasedStateMachine):
    """Plays one key's requests against a ledger, from environments whose clocks differ."""

    unsettled = Bundle("unsettled")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = 1_795_000_000.0
        self.requests: dict[str, Request] = {}
        self.window = 0
        self.numbers = count()

    def make_ledger(self) -> Ledger:
        return MemoryLedger()

    def spent(self) -> int:
        assert isinstance(self.ledger, MemoryLedger)
        return self.ledger.spent(self.key.id)

    def recorded(self) -> dict[str, int]:
        """Return the tokens of each record."""
        assert isinstance(self.ledger, MemoryLedger)
        return {request_id: record.tokens for (_, request_id), record in self.ledger.records.items()}

    def teardown(self) -> None:
        self.runner.close()

    @initialize(
        rpm=limits,
        tpm=token_limits,
        budget=st.none() | st.integers(0, 300),
        concurrent=st.none() | st.integers(1, 4),
    )
    def begin(self, rpm: int | None, tpm: int | None, budget: int | None, concurrent: int | None) -> None:
        self.key = Key(
            id="key_1",
            digest="d",
            name="",
            requests_per_minute=rpm,
            tokens_per_minute=tpm,
            budget_tokens=budget,
            concurrent=concurrent,
            created_at=0,
        )
        self.ledger = self.make_ledger()

    @rule(seconds=st.floats(0, 25) | st.sampled_from([60.0, 600.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=unsettled, tokens=amounts, more=amounts, behind_s=st.sampled_from([0.0, 0.0, 0.5, 70.0]))
    def reserve(self, tokens: int, more: int, behind_s: float) -> Running | None:
        now = self.now - behind_s
        request = Running(
            request_id=f"req_{next(self.numbers):04}",
            model="tiny",
            tokens=tokens,
            most=tokens + more,
            prompt=tokens,
            started_at=round(now * 1000),
            expires_at=int(self.now) + EXPIRY_S,
        )
        window = max(window_of(now), self.window)
        expected = self.verdict(window, request, now)
        result = self.run(self.outcome(self.ledger.reserve(self.key, request, now)))
        if isinstance(result, LimitReached):
            assert result.kind == expected
            self.check(result.allowance, window, now)
            return None
        assert expected is None
        assert result.running == replace(request, window=window)
        self.window = window
        self.requests[request.request_id] = Request(window, tokens, tokens + more, request.expires_at)
        self.check(result.allowance, window, now)
        assert self.run(self.ledger.reserve(self.key, request, now)).running == result.running, "a retry"
        running: Running = result.running
        return running

    @rule(one=consumes(unsettled), tokens=amounts, times=st.integers(1, 2), known=st.booleans())
    def settle(self, one: Running | None, tokens: int, times: int, known: bool) -> None:
        """Settle a request, for more or less than it reserved, once or again."""
        if one is None:
            return
        record = replace(died(self.key.id, one), prompt_tokens=0, completion_tokens=tokens, outcome="ok")
        for _ in range(times):
            self.run(self.ledger.settle(record, one if known else None))
        request = self.requests[one.request_id]
        request.tokens = request.spent = tokens
        request.settled = True

    @rule()
    def peek(self) -> None:
        window = max(window_of(self.now), self.window)
        self.check(self.run(self.ledger.peek(self.key, self.now)), window, self.now)

    @invariant()
    def nothing_leaks(self) -> None:
        if not hasattr(self, "key"):
            return
        assert self.spent() == sum(request.spent for request in self.requests.values())
        recorded = self.recorded()
        for request_id, request in self.requests.items():
            if request.settled or request_id in recorded:
                assert recorded.pop(request_id) == request.spent
                assert request.settled or request.expires_at <= self.now
        assert not recorded

    async def outcome(self, call: Coroutine[Any, Any, Reservation]) -> Reservation | LimitReached:
        try:
            return await call
        except LimitReached as reached:
            return reached

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def used(self, window: int) -> tuple[int, int]:
        requests = [request for request in self.requests.values() if request.window == window]
        return len(requests), sum(request.tokens for request in requests)

    def verdict(self, window: int, request: Running, now: float) -> str | None:
        """Return what has to be refused, by adding up all that was accepted."""
        requests, in_window = self.used(window)
        key, spent = self.key, sum(each.spent for each in self.requests.values())
        running = [each for each in self.requests.values() if not each.settled and each.expires_at > now]
        if key.budget_tokens is not None and request.most > key.budget_tokens:
            return "budget"
        if key.tokens_per_minute is not None and request.tokens > key.tokens_per_minute:
            return "too_large"
        if key.budget_tokens is not None and spent + request.most > key.budget_tokens:
            return "budget"
        if key.requests_per_minute is not None and requests + 1 > key.requests_per_minute:
            return "requests"
        if key.tokens_per_minute is not None and in_window + request.tokens > key.tokens_per_minute:
            return "tokens"
        return "concurrent" if key.concurrent is not None and len(running) >= key.concurrent else None

    def check(self, allowance: Allowance, window: int, now: float) -> None:
        requests, tokens = self.used(window)
        rpm, tpm = self.key.requests_per_minute, self.key.tokens_per_minute
        assert (allowance.limit_requests, allowance.limit_tokens) == (rpm, tpm)
        assert allowance.remaining_requests == (None if rpm is None else max(rpm - requests, 0))
        assert allowance.remaining_tokens == (None if tpm is None else max(tpm - tokens, 0))
        assert allowance.resets_in_s == (window + 1) * 60 - now > 0
