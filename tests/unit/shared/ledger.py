"""A ledger in memory, and what every ledger has to do: a machine plays requests against a simple model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from math import ceil
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from functions.shared.budgets import budget_of, period_of
from functions.shared.keys import Key
from functions.shared.limits import (
    Allowance,
    Counts,
    Ledger,
    LimitReached,
    Reservation,
    Running,
    allowance_of,
    counts_at,
    died,
    limit_reached,
    never_fits,
    period_at,
    refusal,
)
from functions.shared.usage import UsageRecord


@dataclass
class MemoryLedger:
    """Counts and records in memory, by the same arithmetic as the table."""

    stored: dict[str, Counts] = field(default_factory=dict)
    records: dict[tuple[str, str], UsageRecord] = field(default_factory=dict)
    assumed: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: int = 0

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        counts = counts_at(now, self.stored.get(key.id))
        if request and request.request_id in counts.running:
            return Reservation(
                allowance=allowance_of(key, counts, now), running=counts.running[request.request_id]
            )
        if limit_reached(key, counts, request, now) == "concurrent":
            self.bury(key.id, now)
            counts = counts_at(now, self.stored.get(key.id))
        reached = never_fits(key, request, now) or limit_reached(key, counts, request, now)
        if reached:
            raise refusal(reached, key, counts, request, now)
        counts = replace(counts, requests=counts.requests + 1, used_at=counts.window * 60)
        running = None
        if request:
            period, spent = period_at(key, counts, now)
            kind, _, label = period.partition(":")
            running = replace(request, window=counts.window, period=period)
            counts = replace(
                counts,
                tokens=counts.tokens + request.tokens,
                spent=counts.spent + request.most,
                periods={**counts.periods, **({kind: (int(label), spent + request.most)} if kind else {})},
                running={**counts.running, request.request_id: running},
            )
        self.stored[key.id] = counts
        return Reservation(allowance=allowance_of(key, counts, now), running=running)

    async def settle(
        self,
        record: UsageRecord,
        running: Running | None = None,  # noqa: ARG002
        period: str = "",
    ) -> None:
        if record.outcome == "refused":
            self.refused += 1
        else:
            self._settle(record, period)

    async def peek(self, key: Key, now: float) -> Allowance:
        return allowance_of(key, counts_at(now, self.stored.get(key.id)), now)

    async def touch(self, key_id: str, now: float) -> None:
        counts = self.stored.get(key_id, Counts(window=0))
        self.stored[key_id] = replace(counts, used_at=int(now))

    def spent(self, key_id: str) -> int:
        return self.stored[key_id].spent if key_id in self.stored else 0

    def bury(self, key_id: str, now: float) -> None:
        for each in list(self.stored.get(key_id, Counts(window=0)).running.values()):
            if each.expires_at <= now:
                self._settle(died(key_id, each), assumed=True)

    def _settle(self, record: UsageRecord, period: str = "", *, assumed: bool = False) -> None:
        counts = self.stored.get(record.key_id, Counts(window=0))
        place = record.key_id, record.request_id
        before, listed = self.records.get(place), counts.running.get(record.request_id)
        period = listed.period if listed else self.assumed.get(place, period)
        if not before or (place in self.assumed and not assumed):
            self.records[place] = record
            self.assumed.pop(place, None)
            if assumed:
                self.assumed[place] = period
        kept = self.records[place]
        more = kept.tokens - (listed.most if listed else before.tokens if before else 0)
        corrected = replace(
            counts,
            spent=counts.spent + more,
            running={name: each for name, each in counts.running.items() if each != listed},
        )
        kind, _, label = period.partition(":")
        stored, spent = counts.periods.get(kind, (0, 0))
        if kind and stored < int(label):
            stored, spent = int(label), 0
        if kind and stored == int(label):
            corrected = replace(corrected, periods={**counts.periods, kind: (stored, spent + more)})
        if listed and counts.window == listed.window:
            corrected = replace(corrected, tokens=counts.tokens + kept.tokens - listed.tokens)
        elif listed and counts.window == listed.window + 1:
            corrected = replace(corrected, tokens_before=counts.tokens_before + kept.tokens - listed.tokens)
        self.stored[record.key_id] = corrected


@dataclass
class Request:
    """One that was accepted: the model keeps them all, and adds them up each time."""

    window: int
    period: str
    tokens: int
    spent: int
    expires_at: int
    settled: bool = False
    listed: bool = True


limits = st.none() | st.integers(1, 8)
token_limits = st.none() | st.integers(0, 60)
amounts = st.integers(0, 40)
periods = st.sampled_from([None, "day", "week", "month"])
zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"])
MINUTE_MS = 60_000
EXPIRY_S = 300
DAY_S = 86_400.0
END_OF_NOVEMBER = 1_796_083_200.0


class LedgerMachine(RuleBasedStateMachine):
    """Plays one key's requests against a ledger, from environments whose clocks differ, and step."""

    unsettled = Bundle("unsettled")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = self.earliest = self.latest = END_OF_NOVEMBER - 10
        self.requests: dict[str, Request] = {}
        self.window = 0
        self.labels: dict[str, int] = {}
        self.numbers = count()

    def make_ledger(self) -> Ledger:
        return MemoryLedger()

    def counts(self) -> Counts | None:
        assert isinstance(self.ledger, MemoryLedger)
        return self.ledger.stored.get(self.key.id)

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
        period=periods,
    )
    def begin(
        self, rpm: int | None, tpm: int | None, budget: int | None, concurrent: int | None, period: Any
    ) -> None:
        self.key = Key(
            id="key_1",
            digest="d",
            name="",
            requests_per_minute=rpm,
            tokens_per_minute=tpm,
            budget_tokens=budget,
            budget_period=period,
            concurrent=concurrent,
            created_at=0,
        )
        self.ledger = self.make_ledger()

    @rule(period=periods, zone=zones, extra=st.integers(0, 100))
    def change(self, period: Any, zone: str, extra: int) -> None:
        """Change the key's budget: its period, its time zone, and what is added in this period."""
        self.key = replace(self.key, budget_period=period, budget_timezone=zone, extra_tokens=extra)
        self.key = replace(self.key, extra_period=period_of(self.key, self.now))

    @rule(
        seconds=st.integers(0, 25_000).map(lambda ms: ms / 1000) | st.sampled_from([30.0, 60.0, 600.0, DAY_S])
    )
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.earliest, self.latest = min(self.now, self.earliest), max(self.now, self.latest)

    @rule(seconds=st.sampled_from([-DAY_S, -300.0, -61.0, 300.0]))
    def step(self, seconds: float) -> None:
        """Set the clock."""
        self.wait(seconds)

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
        expected = self.verdict(request, now)
        result = self.run(self.outcome(self.ledger.reserve(self.key, request, now)))
        if isinstance(result, LimitReached):
            assert result.kind == expected
            self.check(result.allowance, now)
            if result.kind in ("requests", "tokens"):
                assert result.retry_after_s
                assert self.fits(request, now + result.retry_after_s)
                assert not self.fits(request, now + result.retry_after_s - 0.001)
            return None
        assert expected is None
        window, period = self.window_at(now), self.period_at(now)
        assert result.running == replace(request, window=window, period=period)
        self.window = window
        if period:
            self.count_in(period)
        self.requests[request.request_id] = Request(window, period, tokens, tokens + more, request.expires_at)
        self.check(result.allowance, now)
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
        request.spent = tokens
        if request.listed:
            request.tokens = tokens
        request.settled, request.listed = True, False

    @rule(tokens=amounts, times=st.integers(1, 2))
    def settle_unreserved(self, tokens: int, times: int) -> None:
        """Settle a request that was let through while the ledger could not be reached."""
        request_id, period = f"req_{next(self.numbers):04}", period_of(self.key, self.now)
        record = UsageRecord(
            request_id=request_id,
            key_id=self.key.id,
            model="tiny",
            completion_tokens=tokens,
            duration_ms=5,
            outcome="ok",
            started_at=round(self.now * 1000),
        )
        for _ in range(times):
            self.run(self.ledger.settle(record, None, period))
        self.requests[request_id] = Request(-2, period, 0, tokens, 0, settled=True, listed=False)
        if period:
            self.count_in(self.period_at(self.now))

    @rule()
    def peek(self) -> None:
        self.check(self.run(self.ledger.peek(self.key, self.now)), self.now)

    @invariant()
    def nothing_leaks(self) -> None:
        if not hasattr(self, "key"):
            return
        recorded = self.recorded()
        for request_id, request in self.requests.items():
            if request.settled or request_id in recorded:
                assert recorded.pop(request_id) == request.spent
                assert request.settled or request.expires_at <= self.latest
                if request.listed:
                    self.bury(request)
        assert not recorded
        if counts := self.counts():
            assert counts.window == self.window
            assert (counts.requests, counts.tokens) == self.used(self.window)
            assert (counts.requests_before, counts.tokens_before) == self.used(self.window - 1)
            assert counts.spent == sum(request.spent for request in self.requests.values())
            spent = {kind: (label, self.spent(f"{kind}:{label}")) for kind, label in self.labels.items()}
            assert counts.periods == spent
            running = {name for name, request in self.requests.items() if request.listed}
            assert counts.running.keys() == running

    async def outcome(self, call: Coroutine[Any, Any, Reservation]) -> Reservation | LimitReached:
        try:
            return await call
        except LimitReached as reached:
            return reached

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def times_ms(self) -> tuple[int, int]:
        """Return when the first request can have begun, and the last one."""
        return int(self.earliest - 100) * 1000, int(self.latest + 1) * 1000

    def count_in(self, period: str) -> None:
        kind, _, label = period.partition(":")
        self.labels[kind] = int(label)

    def bury(self, request: Request) -> None:
        request.listed, request.tokens = False, request.spent

    def window_at(self, now: float) -> int:
        return max(round(now * 1000) // MINUTE_MS, self.window)

    def period_at(self, now: float) -> str:
        period = period_of(self.key, now)
        kind, _, label = period.partition(":")
        return f"{kind}:{max(int(label), self.labels.get(kind, 0))}" if period else ""

    def used(self, window: int) -> tuple[int, int]:
        """Return the requests and tokens of a minute."""
        requests = [request for request in self.requests.values() if request.window == window]
        return len(requests), sum(request.tokens for request in requests)

    def counted(self, now: float) -> tuple[int, int]:
        """Return the requests and tokens that count at a time."""
        window = self.window_at(now)
        left = Fraction(min((window + 1) * MINUTE_MS - round(now * 1000), MINUTE_MS), MINUTE_MS)
        in_this, in_last = self.used(window), self.used(window - 1)
        return in_this[0] + ceil(in_last[0] * left), in_this[1] + ceil(in_last[1] * left)

    def spent(self, period: str) -> int:
        """Return what was spent in a period, or ever."""
        return sum(each.spent for each in self.requests.values() if not period or each.period == period)

    def fits(self, request: Running, now: float) -> bool:
        return self.minute_verdict(request, now) is None

    def minute_verdict(self, request: Running, now: float) -> str | None:
        requests, tokens = self.counted(now)
        key = self.key
        if key.requests_per_minute is not None and requests + 1 > key.requests_per_minute:
            return "requests"
        if key.tokens_per_minute is not None and tokens + request.tokens > key.tokens_per_minute:
            return "tokens"
        return None

    def verdict(self, request: Running, now: float) -> str | None:
        """Return what has to be refused, by adding up all that was accepted."""
        key = self.key
        budget = budget_of(key, period_of(key, now))
        if budget is not None and request.most > budget:
            return "budget"
        if key.tokens_per_minute is not None and request.tokens > key.tokens_per_minute:
            return "too_large"
        period = self.period_at(now)
        budget = budget_of(key, period)
        if budget is not None and self.spent(period) + request.most > budget:
            return "budget"
        if reached := self.minute_verdict(request, now):
            return reached
        listed = [each for each in self.requests.values() if each.listed]
        if key.concurrent is None or len(listed) < key.concurrent:
            return None
        dead = [each for each in listed if each.expires_at <= now]
        for each in dead:
            self.bury(each)
        return self.minute_verdict(request, now) if dead else "concurrent"

    def check(self, allowance: Allowance, now: float) -> None:
        requests, tokens = self.counted(now)
        key, period, window = self.key, self.period_at(now), self.window_at(now)
        assert (allowance.limit_requests, allowance.limit_tokens) == (
            key.requests_per_minute,
            key.tokens_per_minute,
        )
        assert allowance.remaining_requests == left_of(key.requests_per_minute, requests)
        assert allowance.remaining_tokens == left_of(key.tokens_per_minute, tokens)
        assert allowance.limit_budget == budget_of(key, period)
        assert allowance.remaining_budget == left_of(budget_of(key, period), self.spent(period))
        for in_this, in_last, reset_in_s in (
            (self.used(window)[0], self.used(window - 1)[0], allowance.requests_reset_in_s),
            (self.used(window)[1], self.used(window - 1)[1], allowance.tokens_reset_in_s),
        ):
            minutes = 2 if in_this else 1 if in_last else 0
            assert reset_in_s == max((window + minutes) * MINUTE_MS - round(now * 1000), 0) / 1000


def left_of(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(limit - used, 0)
