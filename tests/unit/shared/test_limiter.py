"""What becomes of requests while limits cannot be counted, and how keys without limits are marked as used."""

from dataclasses import replace
from typing import Any

import pytest

from functions.shared.keys import Key, KeyClosed, KeysUnavailable
from functions.shared.limiter import LEDGER_PAUSE_S, MARK_S, Limiter
from functions.shared.limits import LimitReached, Reservation, Running, died
from functions.shared.usage import UsageRecord
from tests.unit.shared.ledger import MemoryLedger

pytestmark = pytest.mark.anyio
NOW = 1_795_572_000.0
KEY = Key(id="key_1", digest="d", name="alice", budget_tokens=100, created_at=0)
CLOSED = replace(KEY, on_outage="closed")
FREE = Key(id="key_2", digest="e", name="bob", created_at=0)
REQUEST = Running(
    "req_1", "tiny", tokens=40, most=40, prompt=30, started_at=int(NOW * 1000), expires_at=int(NOW) + 900
)


class UnreachableLedger(MemoryLedger):
    """Cannot be reached while it is `down`; what it was called for is done all the same if it is `deaf`."""

    def __init__(self) -> None:
        super().__init__()
        self.down = self.deaf = False
        self.down_after: int | None = None
        self.calls = 0

    async def _respond(self) -> None:
        self.calls += 1
        if self.down_after is not None:
            self.down, self.down_after = self.down_after == 0, self.down_after - 1
        if self.down:
            raise KeysUnavailable("ReadTimeoutError")

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        if self.deaf:
            await super().reserve(key, request, now)
        await self._respond()
        return await super().reserve(key, request, now)

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        await self._respond()
        await super().settle(record, running, period)

    async def touch(self, key_id: str, now: float) -> None:
        await self._respond()
        await super().touch(key_id, now)


class Bench:
    """A limiter on a ledger that may be unreachable."""

    def __init__(self) -> None:
        self.ledger, self.clock = UnreachableLedger(), [NOW]
        self.limiter = Limiter(self.ledger, lambda: self.clock[0], lambda: self.clock[0])

    @property
    def spent(self) -> dict[str, Any]:
        counts = self.ledger.stored[KEY.id]
        return {"spent": counts.spent, "running": list(counts.running), "periods": counts.periods}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_what_was_reserved_for_a_request_that_was_refused_is_released(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The response was lost, and the key is closed: its caller got 503, and must not be charged."""
    bench.ledger.down = bench.ledger.deaf = True
    with pytest.raises(KeyClosed):
        await bench.limiter.reserve(CLOSED, REQUEST)
    assert bench.spent == {"spent": 40, "running": ["req_1"], "periods": {}}
    line = capsys.readouterr().out
    lost = UsageRecord.from_json(line)
    assert (lost.request_id, lost.tokens, lost.outcome) == ("req_1", 0, "error")
    for _ in range(2):
        with pytest.raises(KeyClosed):
            await bench.limiter.reserve(CLOSED, replace(REQUEST, request_id="req_2"))
    assert capsys.readouterr().out == "", "what was not sent cannot be reserved"
    bench.ledger.down = bench.ledger.deaf = False
    bench.clock[0] += LEDGER_PAUSE_S
    reservation = await bench.limiter.reserve(CLOSED, replace(REQUEST, request_id="req_3"))
    assert reservation
    assert reservation.running
    record = replace(died(KEY.id, reservation.running), completion_tokens=0, outcome="ok")
    await bench.limiter.settle(record, reservation.running)
    assert bench.spent == {"spent": 30, "running": [], "periods": {}}
    assert bench.ledger.records[KEY.id, "req_1"] == lost
    await bench.ledger.settle(UsageRecord.from_json(line))
    assert bench.spent["spent"] == 30, "its line is replayed"


async def test_it_is_released_later_if_the_table_is_gone_again(bench: Bench) -> None:
    bench.ledger.down = bench.ledger.deaf = True
    with pytest.raises(KeyClosed):
        await bench.limiter.reserve(CLOSED, REQUEST)
    bench.ledger.down = bench.ledger.deaf = False
    bench.clock[0] += LEDGER_PAUSE_S
    refused = UsageRecord(request_id="req_2", key_id=KEY.id, duration_ms=1, outcome="refused", started_at=0)
    bench.ledger.down_after = 1
    await bench.limiter.settle(refused, None)
    assert bench.spent["spent"] == 40
    bench.ledger.down, bench.ledger.down_after = False, None
    await bench.limiter.settle(refused, None)
    assert bench.spent == {"spent": 0, "running": [], "periods": {}}


async def test_a_request_that_was_let_through_uncounted_counts_in_its_period(bench: Bench) -> None:
    key = replace(KEY, budget_period="month", budget_timezone="Asia/Kolkata")
    await bench.limiter.reserve(key, replace(REQUEST, request_id="req_0"))
    bench.ledger.down = True
    assert await bench.limiter.reserve(key, REQUEST) is None
    with pytest.raises(LimitReached):
        await bench.limiter.reserve(key, replace(REQUEST, most=101))
    bench.ledger.down = False
    bench.clock[0] += LEDGER_PAUSE_S
    record = replace(died(KEY.id, REQUEST), outcome="ok")
    await bench.limiter.settle(record, None)
    assert bench.spent == {"spent": 80, "running": ["req_0"], "periods": {"month": (20261101, 80)}}


async def test_a_key_without_limits_is_marked_as_used_now_and_then(bench: Bench) -> None:
    for later, calls in ((0, 1), (MARK_S - 1, 1), (1, 2), (0, 2)):
        bench.clock[0] += later
        assert await bench.limiter.reserve(FREE) is None
        assert bench.ledger.calls == calls
    assert bench.ledger.stored[FREE.id].used_at == NOW + MARK_S
    assert (bench.ledger.stored[FREE.id].requests, bench.ledger.stored[FREE.id].spent) == (0, 0)


async def test_a_mark_that_fails_is_of_no_consequence(bench: Bench) -> None:
    bench.ledger.down = True
    for _ in range(2):
        assert await bench.limiter.reserve(FREE) is None
    assert bench.ledger.calls == 1
    assert await Limiter(None).reserve(FREE) is None
