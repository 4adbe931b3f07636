"""The table, on moto's DynamoDB."""

import asyncio
import logging
from dataclasses import replace
from itertools import count, cycle
from typing import Any

import pytest
from hypothesis import settings
from moto import mock_aws

from functions.keys.store import KeyTable
from functions.shared import dynamodb, limit_items, usage_items
from functions.shared import table as table_module
from functions.shared.items import SCHEMA
from functions.shared.key_text import digest
from functions.shared.keys import Key, KeyRefused, Keyring, KeysUnavailable, KeyTaken, KeyThrottled
from functions.shared.limits import Allowance, Counts, Ledger, LimitReached, Reservation, Running, died
from functions.shared.usage import UsageRecord, UsageSum
from tests.aws import boto_of
from tests.integration.shared.conftest import NAME
from tests.unit.keys.store import a_change
from tests.unit.shared.ledger import LedgerMachine

NOW = 1_795_572_000.0
ALICE = Key(
    id="key_1",
    digest=digest("alice"),
    name="alice",
    models=frozenset({"default", "tiny"}),
    requests_per_minute=3,
    tokens_per_minute=100,
    budget_tokens=1000,
    created_at=int(NOW),
    expires_at=int(NOW) + 90,
    hint="sk-…Ab3d",
)
FREE = Key(id="key_2", digest=digest("bob"), name="bob", created_at=int(NOW) + 1)
RECORD = UsageRecord(
    request_id="req_1",
    key_id=ALICE.id,
    model="tiny",
    prompt_tokens=7,
    duration_ms=1.5,
    outcome="ok",
    started_at=int(NOW * 1000) + 123,
)
DAY = (RECORD.started_at, RECORD.started_at)

numbers = count()


def request(tokens: int, **changes: Any) -> Running:
    """Return a new request of so many tokens."""
    running = Running(
        request_id=f"req_{next(numbers):06}",
        model="tiny",
        tokens=tokens,
        most=tokens,
        prompt=tokens,
        started_at=int(NOW * 1000),
        expires_at=int(NOW) + 900,
    )
    return replace(running, **changes)


def ended(running: Running | None, tokens: int, **changes: Any) -> UsageRecord:
    """Return the record of a request that has used so many tokens."""
    assert running
    return replace(
        died(ALICE.id, running), prompt_tokens=0, completion_tokens=tokens, outcome="ok", **changes
    )


class CountingTable(KeyTable):
    """Records its calls of DynamoDB."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.calls: list[str] = []

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        self.calls.append(operation)
        return super()._call(operation, idempotent=idempotent, **parameters)


@pytest.fixture
def counting(table: KeyTable) -> CountingTable:  # noqa: ARG001 - it makes the table
    return CountingTable()


# keys


def test_a_key_that_was_added_is_found(table: KeyTable) -> None:
    table.add(ALICE)
    table.add(FREE)
    assert asyncio.run(table.key(ALICE.digest)) == ALICE
    assert asyncio.run(table.key("0" * 64)) is None
    assert table.find(FREE.id) == FREE
    assert table.find("key_3") is None
    assert table.all_keys() == [ALICE, FREE]


def test_no_keys_is_an_empty_list(table: KeyTable) -> None:
    assert table.all_keys() == []


def test_the_table_does_not_hold_the_key(table: KeyTable) -> None:
    table.add(ALICE)
    assert "'alice-text'" not in str(boto_of(table).scan(TableName=NAME)["Items"])


@pytest.mark.parametrize("taken", [{"digest": ALICE.digest}, {"id": ALICE.id}])
def test_a_key_is_never_written_over(table: KeyTable, taken: dict[str, Any]) -> None:
    table.add(ALICE)
    with pytest.raises(KeyTaken):
        table.add(replace(FREE, **taken))
    assert table.all_keys() == [ALICE]


def test_more_keys_than_one_response_holds_are_listed(
    moto: None,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hesitating(KeyTable):
        """Leaves the last key of each call to the next, as DynamoDB may."""

        def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
            left: dict[str, Any] = {}
            if operation == "batch_get_item" and len(parameters["RequestItems"][NAME]["Keys"]) > 1:
                left = {NAME: {"Keys": [parameters["RequestItems"][NAME]["Keys"].pop()]}}
            response = super()._call(operation, idempotent=idempotent, **parameters)
            return {**response, "UnprocessedKeys": left} if left else response

    monkeypatch.setattr(dynamodb, "_BATCH", 4)
    table = Hesitating(NAME)
    boto_of(table).create_table(TableName=NAME, **SCHEMA)
    keys = [replace(FREE, id=f"key_{n}", digest=digest(str(n)), created_at=n) for n in range(10)]
    for key in keys:
        table.add(key)
    assert table.all_keys() == keys


def test_a_keyring_looks_keys_up_in_the_table(table: KeyTable) -> None:
    async def play() -> None:
        moment = [NOW]
        keyring = Keyring(table, now=lambda: moment[0])
        assert await keyring.authenticate("Bearer alice") == ALICE
        table.change(ALICE.id, lambda key: replace(key, disabled=True), a_change())
        assert await keyring.authenticate("Bearer alice") == ALICE
        moment[0] += 30
        with pytest.raises(KeyRefused, match="disabled"):
            await keyring.authenticate("Bearer alice")

    table.add(ALICE)
    asyncio.run(play())


# limits


class TwoEnvironments:
    """Uses the same table in turn through two that have seen different windows."""

    def __init__(self) -> None:
        self.tables = cycle([KeyTable(NAME), KeyTable(NAME)])
        boto_of(next(self.tables)).create_table(TableName=NAME, **SCHEMA)

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        return await next(self.tables).reserve(key, request, now)

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        await next(self.tables).settle(record, running, period)

    async def peek(self, key: Key, now: float) -> Allowance:
        return await next(self.tables).peek(key, now)

    async def touch(self, key_id: str, now: float) -> None:
        await next(self.tables).touch(key_id, now)


class TableMachine(LedgerMachine):
    """The same requests, against the table."""

    def make_ledger(self) -> Ledger:
        self.mock = mock_aws()
        self.mock.start()
        return TwoEnvironments()

    def counts(self) -> Counts | None:
        assert isinstance(self.ledger, TwoEnvironments)
        return next(self.ledger.tables).counts(self.key.id)

    def recorded(self) -> dict[str, int]:
        assert isinstance(self.ledger, TwoEnvironments)
        table = next(self.ledger.tables)
        records = {record.request_id: record.tokens for record in table.usage(self.key.id, 0, 10**15)}
        summed = [used for _, _, used in table.sums(self.key.id, *self.times_ms())]
        assert sum(each.requests for each in summed) == len(records)
        assert sum(each.prompt_tokens + each.completion_tokens for each in summed) == sum(records.values())
        return records

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "mock"):
            self.mock.stop()


TestTable = pytest.mark.nightly(TableMachine.TestCase)
TestTable.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)


async def refusal(table: KeyTable, key: Key, tokens: int, now: float) -> LimitReached:
    with pytest.raises(LimitReached) as reached:
        await table.reserve(key, request(tokens), now)
    return reached.value


def test_one_call_reserves_and_two_settle(counting: CountingTable) -> None:
    async def play() -> None:
        """So it is in a minute, in the next one, and in a later one."""
        for now in (NOW, NOW + 1, NOW + 100, NOW + 101, NOW + 300, NOW + 301):
            reservation = await counting.reserve(ALICE, request(10), now)
            assert counting.calls == ["update_item"]
            await counting.settle(ended(reservation.running, 5), reservation.running)
            assert counting.calls == ["update_item", "transact_write_items", "update_item"]
            counting.calls.clear()

    asyncio.run(play())


def test_a_refusal_takes_one_call(counting: CountingTable) -> None:
    async def play() -> None:
        for _ in range(3):
            await counting.reserve(ALICE, None, NOW)
        counting.calls.clear()
        reached = await refusal(counting, ALICE, 0, NOW)
        assert (reached.kind, reached.retry_after_s) == ("requests", 80)
        assert counting.calls == ["update_item"]

    asyncio.run(play())


def test_a_refused_request_is_in_the_sums_and_leaves_no_record(counting: CountingTable) -> None:
    for _ in range(2):
        asyncio.run(counting.settle(replace(RECORD, outcome="refused", prompt_tokens=0)))
    assert counting.calls == ["update_item"] * 2
    assert list(counting.usage(ALICE.id, 0, 10**14)) == []
    ((day, model, used),) = counting.sums(ALICE.id, *DAY)
    assert (day, model, used) == ("2026-11-25", "tiny", UsageSum(requests=2, refused=2))


def test_a_key_without_limits_is_counted_and_never_refused(table: KeyTable) -> None:
    async def play() -> None:
        reservation = await table.reserve(FREE, request(10**9), NOW)
        assert table.spent(FREE.id) == 10**9
        await table.settle(ended(reservation.running, 5, key_id=FREE.id), reservation.running)
        assert table.spent(FREE.id) == 5
        allowance = await table.peek(FREE, NOW)
        assert (allowance.limit_requests, allowance.limit_tokens) == (None, None)

    asyncio.run(play())


def test_two_environments_share_a_window_whichever_clock_is_ahead(table: KeyTable) -> None:
    async def play() -> None:
        ahead, behind = table, KeyTable(NAME)
        await behind.reserve(ALICE, request(10), NOW - 0.2)
        first = await ahead.reserve(ALICE, request(10), NOW + 0.2)
        second = await behind.reserve(ALICE, request(10), NOW - 0.1)
        windows = [each.running.window for each in (first, second) if each.running]
        assert windows == [NOW // 60, NOW // 60]
        assert (first.allowance.remaining_requests, second.allowance.remaining_requests) == (1, 0)
        assert second.allowance.requests_reset_in_s == 120.1
        assert (await refusal(ahead, ALICE, 10, NOW + 0.3)).kind == "requests"
        assert (await refusal(behind, ALICE, 10, NOW - 0.05)).kind == "requests"
        assert (await behind.peek(ALICE, NOW - 0.05)).remaining_tokens == 70

    asyncio.run(play())


def test_an_environment_that_is_new_joins_the_window(table: KeyTable) -> None:
    async def play() -> None:
        await table.reserve(ALICE, request(10), NOW)
        joined = await KeyTable(NAME).reserve(ALICE, request(10), NOW)
        assert (joined.allowance.remaining_requests, joined.allowance.remaining_tokens) == (1, 80)

    asyncio.run(play())


def test_a_table_that_was_emptied_counts_again(table: KeyTable) -> None:
    async def play() -> None:
        lost = await table.reserve(ALICE, request(10), NOW)
        boto_of(table).delete_item(TableName=NAME, Key=limit_items.limits_place(ALICE.id))
        await table.settle(ended(lost.running, 5), lost.running)
        assert table.spent(ALICE.id) == 0, "and with them what was spent"
        assert (await table.reserve(ALICE, request(20), NOW)).allowance.remaining_tokens == 80

    asyncio.run(play())


def test_a_settlement_corrects_the_minute_in_which_it_reserved(table: KeyTable) -> None:
    async def play() -> None:
        late = await table.reserve(ALICE, request(80), NOW)
        await table.reserve(ALICE, request(50), NOW + 90)
        assert (await table.peek(ALICE, NOW + 90)).remaining_tokens == 100 - 50 - 40
        await table.settle(ended(late.running, 6), late.running)
        assert (await table.peek(ALICE, NOW + 90)).remaining_tokens == 100 - 50 - 3
        assert table.spent(ALICE.id) == 56

    asyncio.run(play())


def test_a_settlement_two_minutes_late_corrects_the_budget_alone(table: KeyTable) -> None:
    async def play() -> None:
        late = await table.reserve(ALICE, request(80), NOW)
        await table.reserve(ALICE, request(50), NOW + 120)
        await table.settle(ended(late.running, 6), late.running)
        assert (await table.peek(ALICE, NOW + 120)).remaining_tokens == 50
        assert table.spent(ALICE.id) == 56

    asyncio.run(play())


def test_the_minute_before_counts_as_much_as_is_left_of_this_one(table: KeyTable) -> None:
    async def play() -> None:
        await table.reserve(ALICE, request(80), NOW + 59)
        reached = await refusal(table, ALICE, 60, NOW + 60)
        assert (reached.kind, reached.retry_after_s) == ("tokens", 30)
        assert (await refusal(table, ALICE, 60, NOW + 89.999)).retry_after_s == 0.001
        await table.reserve(ALICE, request(60), NOW + 90)

    asyncio.run(play())


def test_an_environment_that_knows_too_much_of_the_minute_before_is_corrected(table: KeyTable) -> None:
    """Another one has settled meanwhile, for less or for more than was reserved."""

    async def play() -> None:
        key, other = replace(ALICE, requests_per_minute=None), KeyTable(NAME)
        reserved = [(await table.reserve(key, request(40), NOW)).running for _ in range(2)]
        await table.reserve(key, request(0), NOW + 60)
        await other.settle(ended(reserved[0], 0), reserved[0])
        await table.reserve(key, request(60), NOW + 60)
        await other.settle(ended(reserved[1], 50), reserved[1])
        assert (await refusal(table, key, 1, NOW + 60)).kind == "tokens"
        assert (await table.peek(key, NOW + 60)).remaining_tokens == 0

    asyncio.run(play())


def test_a_request_that_dies_counts_as_long_as_others_and_in_the_budget(table: KeyTable) -> None:
    async def play() -> None:
        await table.reserve(ALICE, request(80), NOW)
        assert (await refusal(table, ALICE, 21, NOW + 59)).kind == "tokens"
        assert (await refusal(table, ALICE, 21, NOW + 60)).kind == "tokens"
        await table.reserve(ALICE, request(21), NOW + 120)
        assert table.spent(ALICE.id) == 101

    asyncio.run(play())


@pytest.mark.parametrize("first", [None, request(0)], ids=["a todo", "of no tokens"])
def test_a_budget_lets_requests_pass_though_nothing_of_it_is_spent_yet(
    first: Running | None, table: KeyTable
) -> None:
    asyncio.run(table.reserve(ALICE, first, NOW))
    for now in (NOW, NOW + 60):
        assert asyncio.run(table.reserve(ALICE, request(10), now)).running


def test_an_exhausted_budget_refuses_in_a_new_window_too(table: KeyTable) -> None:
    async def play() -> None:
        key = replace(ALICE, budget_tokens=100)
        await table.reserve(key, request(95), NOW)
        for now in (NOW, NOW + 60, NOW + 3600):
            reached = await refusal(table, key, 6, now)
            assert (reached.kind, reached.retry_after_s) == ("budget", None)
        assert (await table.reserve(key, request(5), NOW + 3600)).running

    asyncio.run(play())


def test_a_retry_of_a_reservation_reserves_once(table: KeyTable) -> None:
    """The response to the first call was lost."""

    async def play() -> None:
        running = request(30)
        first = await table.reserve(ALICE, running, NOW)
        second = await table.reserve(ALICE, running, NOW)
        assert first.running == second.running
        assert table.spent(ALICE.id) == 30
        full = replace(ALICE, requests_per_minute=1, budget_tokens=30, concurrent=1)
        assert (await table.reserve(full, running, NOW)).running == first.running

    asyncio.run(play())


@pytest.mark.parametrize("known", [True, False], ids=["its reservation known", "its reservation lost"])
def test_a_retry_of_a_settlement_counts_once(table: KeyTable, known: bool) -> None:
    async def play() -> None:
        running = (await table.reserve(ALICE, request(30), NOW)).running
        for _ in range(3):
            await table.settle(ended(running, 5), running if known else None)
        assert table.spent(ALICE.id) == 5
        assert (await table.peek(ALICE, NOW)).remaining_tokens == 95
        (_, _, used), *others = table.sums(ALICE.id, *DAY)
        assert (used.requests, used.completion_tokens, others) == (1, 5, [])
        assert table.running(ALICE.id, NOW) == []

    asyncio.run(play())


def test_what_was_never_reserved_is_spent_when_its_record_comes(table: KeyTable) -> None:
    for _ in range(2):
        table.put_usage(RECORD)
    assert (table.spent(ALICE.id), table.running(ALICE.id, NOW)) == (7, [])


def test_a_request_that_died_is_cut_at_what_it_reserved_once_it_is_read(table: KeyTable) -> None:
    async def play() -> None:
        running = (await table.reserve(ALICE, request(30, most=80, prompt=50), NOW)).running
        assert running
        assert table.running(ALICE.id, NOW + 899) == [running]
        assert list(table.usage(ALICE.id, 0, 10**14)) == []
        assert table.running(ALICE.id, NOW + 900) == []
        (record,) = table.usage(ALICE.id, 0, 10**14)
        assert (record.outcome, record.prompt_tokens, record.completion_tokens) == ("cut", 50, 30)
        assert table.spent(ALICE.id) == record.tokens == 80
        (_, _, used) = table.sums(ALICE.id, *DAY)[0]
        assert (used.cut, used.prompt_tokens) == (1, 50)

    asyncio.run(play())


def test_the_truth_takes_the_place_of_what_was_assumed(table: KeyTable) -> None:
    async def play() -> None:
        running = (await table.reserve(ALICE, request(30), NOW)).running
        assert table.running(ALICE.id, NOW + 900) == []
        for late in (running, None, None):
            await table.settle(ended(running, 4), late)
            assert [record.outcome for record in table.usage(ALICE.id, 0, 10**14)] == ["ok"]
            assert table.spent(ALICE.id) == 4
        ((_, _, used),) = table.sums(ALICE.id, *DAY)
        assert used == UsageSum(requests=1, ok=1, completion_tokens=4)

    asyncio.run(play())


def test_a_request_that_died_gives_its_place_to_the_next(table: KeyTable) -> None:
    async def play() -> None:
        key = replace(FREE, concurrent=2)
        running = [(await table.reserve(key, request(10), NOW)).running for _ in range(2)]
        reached = await refusal(table, key, 10, NOW + 899)
        assert (reached.kind, reached.retry_after_s) == ("concurrent", 1)
        await table.settle(ended(running[0], 1, key_id=key.id), running[0])
        await table.reserve(key, request(10), NOW)
        assert (await refusal(table, key, 10, NOW)).kind == "concurrent"
        await table.reserve(key, request(10, expires_at=int(NOW) + 2000), NOW + 900)
        assert len(table.running(key.id, NOW + 901)) == 1

    asyncio.run(play())


def test_a_request_that_died_is_settled_by_the_next_one(table: KeyTable) -> None:
    async def play() -> None:
        await table.reserve(ALICE, request(10), NOW)
        await table.reserve(ALICE, request(10, expires_at=int(NOW) + 2000), NOW + 900)
        assert [record.outcome for record in table.usage(ALICE.id, 0, 10**14)] == ["cut"]

    asyncio.run(play())


def test_windows_of_many_keys_are_remembered_within_bounds(
    table: KeyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "_REMEMBERED", 3)

    async def play() -> None:
        for number in range(10):
            await table.reserve(replace(ALICE, id=f"key_{number}"), request(1), NOW)
            assert len(table._seen) <= 3

    asyncio.run(play())


# usage


def test_usage_is_found_by_key_and_time(table: KeyTable) -> None:
    at = RECORD.started_at
    records = [replace(RECORD, request_id=f"r{n}", started_at=at + n) for n in (2, 0, 1)]
    for record in records:
        asyncio.run(table.settle(record))
    table.put_usage(replace(RECORD, key_id="key_2"))
    first, second, third = sorted(records, key=lambda record: record.started_at)
    assert list(table.usage(ALICE.id, 0, at + 10)) == [first, second, third]
    assert list(table.usage(ALICE.id, at, at + 2)) == [first, second]
    assert list(table.usage(ALICE.id, at + 1, at + 2)) == [second]
    assert list(table.usage(ALICE.id, at + 3, at + 10**6)) == []
    assert list(table.usage("key_3", 0, at + 10)) == []
    assert list(table.usage(ALICE.id, 0, at + 10, newest=2)) == [third, second]
    assert list(table.usage(ALICE.id, 0, at + 10, newest=9)) == [third, second, first]


def test_a_true_record_is_never_replaced(table: KeyTable) -> None:
    table.put_usage(RECORD)
    table.put_usage(replace(RECORD, outcome="cut", completion_tokens=900))
    assert list(table.usage(ALICE.id, 0, 10**14)) == [RECORD]
    assert table.spent(ALICE.id) == RECORD.tokens


def test_sums_are_of_whole_days_by_model(table: KeyTable) -> None:
    day_ms = 86_400_000
    midnight = RECORD.started_at // day_ms * day_ms
    for number, (at, model) in enumerate(
        [(midnight - 1, "tiny"), (midnight, "tiny"), (midnight + 5, "big#2"), (midnight + day_ms, "tiny")]
    ):
        table.put_usage(replace(RECORD, request_id=f"r{number}", started_at=at, model=model))

    def sums(since_ms: int, until_ms: int) -> list[tuple[str, str, int]]:
        return [(day, model, used.requests) for day, model, used in table.sums(ALICE.id, since_ms, until_ms)]

    today = [("2026-11-25", "big#2", 1), ("2026-11-25", "tiny", 1)]
    assert sums(midnight + 1000, midnight + 2000) == today
    assert sums(midnight - 1, midnight) == [("2026-11-24", "tiny", 1), *today]
    assert sums(midnight, midnight + day_ms) == [*today, ("2026-11-26", "tiny", 1)]


def test_sums_are_read_without_the_records_by_a_query_for_each_day(counting: CountingTable) -> None:
    for number in range(40):
        counting.put_usage(replace(RECORD, request_id=f"r{number}"))
    counting.calls.clear()
    ((_, _, used),) = counting.sums(ALICE.id, *DAY, books=2)
    assert (used.requests, counting.calls) == (40, ["query"])
    (query,) = usage_items.summed(ALICE.id, *DAY)
    read = boto_of(counting).query(TableName=NAME, **query)
    assert [item["sk"]["S"] for item in read["Items"]] == ["key_1#tiny#0"]
    counting.calls.clear()
    assert len(counting.sums(ALICE.id, DAY[0] - 29 * 86_400_000, DAY[1], books=2)) == 1
    assert counting.calls == ["query"] * 30


def test_a_record_that_conflicts_is_counted_in_another_part(table: KeyTable) -> None:
    class Conflicting(KeyTable):
        """Part 0 is being written by another transaction."""

        conflict = ""

        def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
            if "#tiny#0'" in str(parameters):
                raise KeyThrottled(self.conflict)
            return super()._call(operation, idempotent=idempotent, **parameters)

    conflicting = Conflicting(NAME)
    conflicting.conflict = "TransactionConflict"
    asyncio.run(conflicting.settle(RECORD))
    conflicting.conflict = "TransactionConflictException"
    asyncio.run(conflicting.settle(replace(RECORD, outcome="refused")))
    asyncio.run(table.settle(replace(RECORD, request_id="r2")))
    ((_, _, used),) = table.sums(ALICE.id, *DAY)
    assert (used.requests, used.ok, used.refused) == (3, 2, 1)


def test_the_sums_of_others_are_not_those_of_a_key(table: KeyTable) -> None:
    """Neither where an id begins as another does, nor where one holds the separator."""
    others = [f"{ALICE.id}0", f"{ALICE.id}#tiny", "-"]
    for number, key_id in enumerate([ALICE.id, *others]):
        table.put_usage(replace(RECORD, key_id=key_id, prompt_tokens=10**number))
    for number, key_id in enumerate([ALICE.id, *others]):
        ((_, model, used),) = table.sums(key_id, *DAY)
        assert (model, used.prompt_tokens) == ("tiny", 10**number)


# what 0.4 stored

OLD_RECORD = {
    "pk": {"S": "usage#key_1"},
    "sk": {"S": "2026-11-25T02:00:00.123Z#old"},
    "request_id": {"S": "old"},
    "key_id": {"S": "key_1"},
    "model": {"S": "tiny"},
    "prompt_tokens": {"N": "7"},
    "completion_tokens": {"N": "0"},
    "cached_tokens": {"N": "0"},
    "duration_ms": {"N": "1.5"},
    "outcome": {"S": "ok"},
    "started_at": {"N": "1795572000123"},
}
OLD_SUMS = [
    {
        "pk": {"S": "usage#key_1#sums"},
        "sk": {"S": sk},
        "requests": {"N": "3"},
        "ok": {"N": "2"},
        "cut": {"N": "1"},
        "prompt_tokens": {"N": prompt},
    }
    for sk, prompt in (
        ("2026-11-24#0#tiny", "1000"),
        ("2026-11-25#0#tiny", "100"),
        ("2026-11-25#7#tiny", "10"),
        ("2026-11-25#7#big#2", "5"),
    )
]


def tokens_of(table: KeyTable, books: int = 1) -> dict[tuple[str, str], tuple[int, int]]:
    sums = table.sums(ALICE.id, DAY[0] - 86_400_000, DAY[1], books=books)
    return {(day, model): (used.requests, used.prompt_tokens) for day, model, used in sums}


def test_sums_of_0_4_are_read_beside_those_of_this_version(table: KeyTable) -> None:
    for item in OLD_SUMS:
        boto_of(table).put_item(TableName=NAME, Item=item)
    table.put_usage(RECORD)
    assert tokens_of(table) == {
        ("2026-11-24", "tiny"): (3, 1000),
        ("2026-11-25", "big#2"): (3, 5),
        ("2026-11-25", "tiny"): (7, 117),
    }
    assert tokens_of(table, books=2) == {("2026-11-25", "tiny"): (1, 7)}


def test_records_and_sums_of_0_4_are_recounted_once(table: KeyTable) -> None:
    client = boto_of(table)
    for item in [OLD_RECORD, *OLD_SUMS]:
        client.put_item(TableName=NAME, Item=item)
    table.add(ALICE)
    table.put_usage(RECORD)
    before = tokens_of(table)
    assert [table.recount(table.all_keys(), 10**14) for _ in range(2)] == [1, 0]
    assert tokens_of(table) == tokens_of(table, books=2) == {**before, ("2026-11-25", "tiny"): (8, 124)}
    place = {name: OLD_RECORD[name] for name in ("pk", "sk")}
    assert "ttl" in client.get_item(TableName=NAME, Key=place)["Item"]
    assert table.all_keys() == [replace(ALICE, books=2)]
    assert not [item for item in client.scan(TableName=NAME)["Items"] if item["pk"]["S"].endswith("#sums")]


def test_all_sums_are_those_of_each_key_and_of_none(table: KeyTable) -> None:
    for item in OLD_SUMS:
        boto_of(table).put_item(TableName=NAME, Item=item)
    for key_id in (ALICE.id, FREE.id, "-", "key_gone"):
        table.put_usage(replace(RECORD, key_id=key_id))
    found: dict[str, int] = {}
    for key_id, _, _, used in table.sums_of_all([ALICE, replace(FREE, books=2)], *DAY):
        found[key_id] = found.get(key_id, 0) + used.prompt_tokens
    assert found == {ALICE.id: 7 + 115, FREE.id: 7, "-": 7, "key_gone": 7}


def test_sums_are_moved_whole_while_a_function_of_0_4_adds_to_them(
    table: KeyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, move, left = boto_of(table), usage_items.move, [1, 2]
    for item in OLD_SUMS:
        client.put_item(TableName=NAME, Item=item)

    def moved_late(item: Any, part: int) -> Any:
        if left:
            client.update_item(
                TableName=NAME,
                Key={name: item[name] for name in ("pk", "sk")},
                UpdateExpression="ADD requests :one, #t :one",
                ExpressionAttributeNames={"#t": ("timeout", "ok")[left.pop() - 1]},
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        return move(item, part)

    monkeypatch.setattr(usage_items, "move", moved_late)
    before = sum(requests for requests, _ in tokens_of(table).values())
    assert table.recount([ALICE], 10**14) == 0
    assert sum(requests for requests, _ in tokens_of(table, books=2).values()) == before + 2


@pytest.mark.slow
def test_usage_of_more_than_one_response_is_found(table: KeyTable) -> None:
    """A response of DynamoDB has at most 1 MB."""
    records = [
        replace(RECORD, request_id=f"{n:04}" + "x" * 200, code="c" * 2000, started_at=n) for n in range(600)
    ]
    for record in records:
        item = usage_items.keep(record, request(1), 90)[0]["Put"]["Item"]
        boto_of(table).put_item(TableName=NAME, Item=item)
    assert list(table.usage(ALICE.id, 0, 1000)) == records


# around it


def test_a_missing_table_is_reported_by_its_code_alone(
    moto: None,  # noqa: ARG001
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "table"), pytest.raises(KeysUnavailable) as unavailable:
        asyncio.run(KeyTable("nope").key(ALICE.digest))
    assert str(unavailable.value) == "ResourceNotFoundException"
    assert unavailable.value.__cause__ is None
    assert [record.getMessage() for record in caplog.records] == ["AWS: ResourceNotFoundException"]
