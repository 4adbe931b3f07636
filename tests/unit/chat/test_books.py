"""The books balance, wherever a request is cancelled or killed, and whatever its table does.

spent = recorded + running, in the table and at all times; what the table has not taken is in the log
"""

import asyncio
import io
from contextlib import aclosing, redirect_stdout
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat.engines.engine import Accepted, Chunks, End, Event, Failure, Reply, Run
from functions.chat.errors import EngineUnreachable, InvalidRequest, UpstreamError
from functions.chat.usage import Meter
from functions.shared.keys import Key, KeysRefused, KeysUnavailable, KeyThrottled
from functions.shared.limits import Allowance, Reservation, Running
from functions.shared.usage import UsageRecord
from tests.unit.chat.fakes import EventsEngine, engine_request
from tests.unit.shared.ledger import MemoryLedger

NOW = 1_795_572_000.0
REQUEST = engine_request(prompt_tokens=100, prompt_tokens_most=400, max_completion=50)
LIMITED = Key(id="key_1", digest="d", name="alice", requests_per_minute=60, budget_tokens=1000, created_at=0)
FREE = replace(LIMITED, requests_per_minute=None, budget_tokens=None)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


class Does(Enum):
    """What the table does with a call."""

    RESPONDS = "responds"
    UNREACHABLE = "is unreachable"
    LOSES_THE_RESPONSE = "does it, and its response is lost"
    THROTTLES = "throttles"
    REFUSES = "refuses"


FAILURES = {
    Does.UNREACHABLE: KeysUnavailable,
    Does.LOSES_THE_RESPONSE: KeysUnavailable,
    Does.THROTTLES: KeyThrottled,
    Does.REFUSES: KeysRefused,
}


@dataclass
class OtherThreadLedger:
    """A ledger whose calls go on in another thread, whatever becomes of those who wait for them."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    plan: list[Does] = field(default_factory=list)
    reserve_turns: int = 2

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        reservation: Reservation = await self._call(
            partial(self.ledger.reserve, key, request, now), self.reserve_turns
        )
        return reservation

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        await self._call(partial(self.ledger.settle, record, running, period))

    async def peek(self, key: Key, now: float) -> Allowance:
        allowance: Allowance = await self._call(partial(self.ledger.peek, key, now))
        return allowance

    async def touch(self, key_id: str, now: float) -> None:
        await self._call(partial(self.ledger.touch, key_id, now))

    async def _call(self, work: Any, turns: int = 2) -> Any:
        does = self.plan.pop(0) if self.plan else Does.RESPONDS

        async def call() -> Any:
            for _ in range(turns):
                await asyncio.sleep(0)
            if does not in (Does.RESPONDS, Does.LOSES_THE_RESPONSE):
                raise FAILURES[does]
            result = await work()
            await asyncio.sleep(0)
            if does is not Does.RESPONDS:
                raise FAILURES[does]
            return result

        thread = asyncio.ensure_future(call())
        thread.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(thread)


@dataclass
class Books:
    """The account of one request, to its end or to the step at which it is cancelled or killed."""

    plan: list[Does] = field(default_factory=list)
    key: Key = LIMITED
    events: tuple[Event, ...] = (Accepted(), Run(b"", 2), Chunks(b"", 1, []), End(USAGE))
    cancelled_at: int | None = None
    cancels: int = 1
    killed_at: int | None = None
    reserve_turns: int = 2
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.table = OtherThreadLedger(plan=list(self.plan), reserve_turns=self.reserve_turns)
        self.ledger = self.table.ledger
        with redirect_stdout(self.log):
            self.steps = asyncio.run(self._play())

    async def _play(self) -> int:
        """Return how many turns of the loop it took."""
        meter = Meter(ledger=self.table, now=lambda: NOW, steady=lambda: 0.0)
        request = asyncio.create_task(self._request(meter))
        turns = 0
        while len(asyncio.all_tasks()) > 1:
            if turns == self.killed_at:
                break
            if (
                self.cancelled_at is not None
                and self.cancelled_at <= turns < self.cancelled_at + self.cancels
            ):
                request.cancel()
            await asyncio.sleep(0)
            turns += 1
        else:
            assert request.done()
        if request.done() and not request.cancelled():
            request.exception()
        return turns

    async def _request(self, meter: Meter) -> None:
        account = meter.account(self.key, "req_1", None)
        try:
            await account.admit(REQUEST)
            async with aclosing(account.run(EventsEngine(*self.events), REQUEST)) as events:
                async for _ in events:
                    await asyncio.sleep(0)
        finally:
            await account.end()

    @property
    def lines(self) -> list[UsageRecord]:
        return [UsageRecord.from_json(line) for line in self.log.getvalue().splitlines()]

    @property
    def running(self) -> list[Running]:
        stored = self.ledger.stored.get(self.key.id)
        return list(stored.running.values()) if stored else []

    def check(self) -> None:
        """Check that the books balance; then again once the dead are buried; and once the log is replayed."""
        records = self.ledger.records
        recorded = sum(record.tokens for record in records.values())
        reserved = bool(records or self.running)
        assert self.ledger.spent(self.key.id) == recorded + sum(each.most for each in self.running)
        assert len(records) + len(self.running) <= 1
        self.ledger.bury(self.key.id, NOW + 10_000)
        assert not self.running
        assert len(records) == reserved, "one record for each request that reserved"
        lines = self.lines
        for line in lines * 2:
            asyncio.run(self.ledger.settle(line))
        assert len(lines) <= 1
        for line in lines:
            assert records[self.key.id, "req_1"] == line
        assert self.ledger.spent(self.key.id) == sum(record.tokens for record in records.values())


plans = st.lists(st.sampled_from(Does), max_size=4)
replies = st.sampled_from(
    [
        (Accepted(), Run(b"", 2), Chunks(b"", 1, []), End(USAGE)),
        (Accepted(), Run(b"", 2), End()),
        (Accepted(), Run(b"", 2), Failure(UpstreamError("broken", retry=False))),
        (Accepted(), Reply({"choices": []}), End(USAGE)),
        (Failure(EngineUnreachable("no engine")),),
        (Failure(InvalidRequest("too long")),),
        (Accepted(), ZeroDivisionError()),
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    plans,
    st.sampled_from([LIMITED, FREE]),
    replies,
    st.none() | st.integers(0, 40),
    st.integers(1, 4),
    st.none() | st.integers(0, 40),
    st.integers(0, 12),
)
def test_the_books_balance(
    plan: list[Does],
    key: Key,
    events: Any,
    cancelled_at: int | None,
    cancels: int,
    killed_at: int | None,
    reserve_turns: int,
) -> None:
    Books(plan, key, events, cancelled_at, cancels, killed_at, reserve_turns).check()


@pytest.mark.parametrize("reserve_turns", [0, 2, 12])
@pytest.mark.parametrize("key", [LIMITED, FREE], ids=["limited", "free"])
def test_they_balance_wherever_a_request_is_cancelled(key: Key, reserve_turns: int) -> None:
    whole = Books(key=key, reserve_turns=reserve_turns)
    assert (whole.running, whole.lines, len(whole.ledger.records)) == ([], [], 1)
    for turn in range(whole.steps):
        for cancels in (1, 3):
            books = Books(key=key, cancelled_at=turn, cancels=cancels, reserve_turns=reserve_turns)
            assert (books.running, books.lines) == ([], []), (
                "nothing is left reserved, with a table that works"
            )
            books.check()


@pytest.mark.parametrize("key", [LIMITED, FREE], ids=["limited", "free"])
def test_they_balance_wherever_a_function_is_killed(key: Key) -> None:
    for turn in range(Books(key=key).steps):
        Books(key=key, killed_at=turn).check()


@pytest.mark.parametrize("does", list(Does), ids=str)
@pytest.mark.parametrize("call", [0, 1])
def test_they_balance_whichever_call_fails_and_wherever_it_is_cancelled(does: Does, call: int) -> None:
    plan = [Does.RESPONDS] * call + [does]
    for turn in range(Books(plan).steps):
        for cancelled in (turn, None):
            Books(plan, cancelled_at=cancelled).check()
