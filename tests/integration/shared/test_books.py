"""The books balance in the table, whichever of its calls is killed, fails, or loses its response."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from itertools import count
from threading import Lock
from typing import Any, ClassVar

import pytest

from functions.keys.store import KeyTable
from functions.shared import usage_items
from functions.shared.items import SCHEMA
from functions.shared.keys import Key, KeyClosed, KeysUnavailable, KeyThrottled
from functions.shared.limiter import LEDGER_PAUSE_S, Limiter
from functions.shared.limits import Running, died
from functions.shared.usage import UsageRecord, UsageSum
from tests.aws import boto_of
from tests.integration.shared.conftest import NAME

NOW = 1_795_572_000
LATER = NOW + 10_000
KEY = Key(id="key_1", digest="d" * 64, name="alice", budget_tokens=1000, concurrent=5, created_at=0)
REQUEST = Running(
    "req_1", "tiny", tokens=100, most=150, prompt=100, started_at=NOW * 1000, expires_at=NOW + 900
)
RECORD = replace(died(KEY.id, REQUEST), prompt_tokens=30, completion_tokens=12, outcome="ok", duration_ms=5)


class Killed(BaseException):
    """Nothing more happens in this environment."""


class Fault(Enum):
    """What becomes of a call, and whether it is done all the same."""

    KILLED_BEFORE = (Killed, False)
    KILLED_AFTER = (Killed, True)
    UNREACHABLE = (KeysUnavailable, False)
    NO_RESPONSE = (KeysUnavailable, True)
    THROTTLED = (KeyThrottled, False)


class OtherTable(KeyTable):
    """The same table in another environment: by the same client, which takes 0.1 s to make."""

    def __init__(self, table: KeyTable) -> None:
        super().__init__(NAME)
        self._service = table._service


class FaultyTable(OtherTable):
    """Has a fault in one of its calls, and in those after it while it lasts."""

    def __init__(self, table: KeyTable, fault: Fault, at: int, lasts: int = 1) -> None:
        super().__init__(table)
        self._fault, self._at, self._lasts, self._calls = fault, at, lasts, count()

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        error, is_done = self._fault.value
        is_faulty = self._at <= next(self._calls) < self._at + self._lasts
        if is_faulty and not is_done:
            raise error("fault")
        response = super()._call(operation, idempotent=idempotent, **parameters)
        if is_faulty:
            raise error("fault")
        return response


async def request(table: KeyTable) -> None:
    """Reserve and settle, as a function does."""
    running = None
    try:
        running = (await table.reserve(KEY, REQUEST, NOW)).running
    except KeyThrottled:
        return
    except KeysUnavailable:
        pass
    await table.settle(RECORD, running)


async def request_alone(table: KeyTable) -> None:
    """Settle what was never reserved: the table could not be reached."""
    await table.settle(RECORD)


async def late_request(table: KeyTable) -> None:
    """Settle what has died meanwhile."""
    running = (await OtherTable(table).reserve(KEY, REQUEST, NOW)).running
    OtherTable(table).running(KEY.id, LATER)
    await table.settle(RECORD, running)


async def dead_request(table: KeyTable) -> None:
    """Bury a request that has died."""
    await OtherTable(table).reserve(KEY, REQUEST, NOW)
    table.running(KEY.id, LATER)


async def next_request(table: KeyTable) -> None:
    """Reserve, and so bury a request that has died."""
    await OtherTable(table).reserve(KEY, replace(REQUEST, request_id="req_0"), NOW)
    await request(table)


def check(table: KeyTable) -> list[UsageRecord]:
    """Check that what is spent is recorded or running, and that the sums are those of the records."""
    counts = table.counts(KEY.id)
    records = list(table.usage(KEY.id, 0, 10**15))
    if counts:
        assert len({each.request_id for each in records} | set(counts.running)) <= 2
        by_request = {each.request_id: each.tokens for each in records}
        by_request |= {each.request_id: each.most for each in counts.running.values()}
        assert counts.spent == sum(by_request.values())
    total = UsageSum()
    for _, _, used in table.sums(KEY.id, RECORD.started_at, RECORD.started_at):
        total.add(used)
    expected = UsageSum()
    for record in records:
        expected.add(UsageSum.of(record))
    assert total == expected
    return records


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "lasts"),
    [
        *(pytest.param(fault, 1, id=f"{fault.name.lower()}-once") for fault in Fault),
        *(
            pytest.param(fault, 100, id=f"{fault.name.lower()}-for good", marks=pytest.mark.nightly)
            for fault in Fault
            if fault.value[0] is not Killed
        ),
    ],
)
@pytest.mark.parametrize(
    "play",
    [request, request_alone, late_request, dead_request, next_request],
    ids=lambda play: play.__name__,
)
def test_the_books_balance_whichever_call_fails(
    play: Callable[[KeyTable], Any], fault: Fault, lasts: int, table: KeyTable
) -> None:
    for at in count():
        faulty = FaultyTable(table, fault, at, lasts)
        with suppress(Killed, KeysUnavailable):
            asyncio.run(play(faulty))
        check(table)
        running = table.running(KEY.id, NOW)
        recorded = sum(record.tokens for record in check(table))
        assert table.spent(KEY.id) == recorded + sum(each.most for each in running)
        table.running(KEY.id, LATER)
        assert table.running(KEY.id, 2**40) == []
        before = check(table)
        assert len(before) <= (2 if play is next_request else 1)
        for _ in range(2):
            table.put_usage(RECORD)
            after = {each.request_id: each for each in check(table)}
            assert after[RECORD.request_id] == RECORD, "its line is replayed"
        if next(faulty._calls) <= at:
            return
        boto_of(table).delete_table(TableName=NAME)
        boto_of(table).create_table(TableName=NAME, **SCHEMA)


def test_what_a_closed_key_has_reserved_without_a_response_is_released(table: KeyTable) -> None:
    """Its caller got 503; with its next request, the books balance."""
    closed, moment = replace(KEY, on_outage="closed"), [float(NOW)]

    async def play() -> None:
        limiter = Limiter(FaultyTable(table, Fault.NO_RESPONSE, 0), lambda: moment[0], lambda: moment[0])
        with pytest.raises(KeyClosed):
            await limiter.reserve(closed, REQUEST)
        assert table.spent(KEY.id) == REQUEST.most
        moment[0] += LEDGER_PAUSE_S
        reservation = await limiter.reserve(closed, replace(REQUEST, request_id="req_0"))
        assert reservation
        await limiter.settle(replace(RECORD, request_id="req_0"), reservation.running)

    asyncio.run(play())
    check(table)
    assert table.running(KEY.id, NOW) == []
    assert table.spent(KEY.id) == RECORD.tokens


class InterruptedTable(OtherTable):
    """Lets another do all its work between two of its calls."""

    def __init__(self, table: KeyTable, at: int, other: Callable[[], Any]) -> None:
        super().__init__(table)
        self._at, self._other, self._calls = at, other, count()

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        if next(self._calls) == self._at:
            with suppress(KeysUnavailable):
                self._other()
        return super()._call(operation, idempotent=idempotent, **parameters)


def settle(table: KeyTable) -> None:
    table.put_usage(RECORD, replace(REQUEST, window=NOW // 60))


def replay(table: KeyTable) -> None:
    table.put_usage(RECORD)


def bury(table: KeyTable) -> None:
    table.running(KEY.id, LATER)


@pytest.mark.slow
@pytest.mark.parametrize(
    "buried", [False, pytest.param(True, marks=pytest.mark.nightly)], ids=["running", "buried"]
)
@pytest.mark.parametrize(
    "reserved", [True, pytest.param(False, marks=pytest.mark.nightly)], ids=["reserved", "not reserved"]
)
@pytest.mark.parametrize("other", [settle, replay, bury], ids=lambda each: each.__name__)
@pytest.mark.parametrize("one", [settle, replay, bury], ids=lambda each: each.__name__)
def test_they_balance_if_another_comes_between(
    one: Callable[[KeyTable], None],
    other: Callable[[KeyTable], None],
    reserved: bool,
    buried: bool,
    table: KeyTable,
) -> None:
    if not reserved and settle in (one, other):
        return
    for at in range(20):
        if reserved:
            asyncio.run(table.reserve(KEY, REQUEST, NOW))
        if buried:
            bury(table)
        interrupted = InterruptedTable(table, at, lambda: other(OtherTable(table)))
        with suppress(KeysUnavailable):
            one(interrupted)
        bury(table)
        table.running(KEY.id, 2**40)
        check(table)
        replay(table)
        assert check(table) == [RECORD]
        assert table.spent(KEY.id) == RECORD.tokens
        if next(interrupted._calls) <= at:
            return
        boto_of(table).delete_table(TableName=NAME)
        boto_of(table).create_table(TableName=NAME, **SCHEMA)


class ContendingTable(KeyTable):
    """Refuses a transaction while another one writes to an item of it, as DynamoDB does and moto does not."""

    writing: ClassVar[Counter[str]] = Counter()
    guard, moto = Lock(), Lock()

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        if operation == "transact_write_items":
            sums = [each["Update"] for each in parameters["TransactItems"] if "Update" in each]
            places = [str(each["Key"]) for each in sums]
            with self.guard:
                if any(self.writing[place] for place in places):
                    raise KeyThrottled("TransactionConflict")
                self.writing.update(places)
            time.sleep(0.005)
            with self.guard:
                self.writing.subtract(places)
        with self.moto:
            return super()._call(operation, idempotent=idempotent, **parameters)


@pytest.mark.nightly
def test_no_record_is_lost_where_fifty_end_at_once(table: KeyTable) -> None:
    ended = [
        (replace(RECORD, request_id=f"req_{number}"), replace(REQUEST, request_id=f"req_{number}"))
        for number in range(50)
    ]
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda each: ContendingTable(NAME).put_usage(*each), ended))
    ((_, _, used),) = table.sums(KEY.id, RECORD.started_at, RECORD.started_at)
    assert (used.requests, len(list(table.usage(KEY.id, 0, 10**15)))) == (50, 50)
    (query,) = usage_items.summed(KEY.id, RECORD.started_at, RECORD.started_at)
    assert 1 < len(boto_of(table).query(TableName=NAME, **query)["Items"]) <= 32
