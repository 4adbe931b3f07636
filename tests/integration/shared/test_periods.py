"""Budgets of days, weeks and months, in the table."""

import asyncio
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from functions.keys.store import KeyTable
from functions.shared.keys import Key
from functions.shared.limits import LimitReached, Reservation, Running, died
from tests.integration.shared.conftest import NAME

KEY = Key(
    id="key_1",
    digest="d",
    name="alice",
    budget_tokens=100,
    budget_period="month",
    budget_timezone="Europe/Berlin",
    created_at=0,
)
TURN = datetime(2026, 12, 1, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
numbers = count()


class CountingTable(KeyTable):
    """Counts its calls of DynamoDB."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.calls = 0

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        self.calls += 1
        return super()._call(operation, idempotent=idempotent, **parameters)


def reserve(table: KeyTable, tokens: int, now: float, key: Key = KEY) -> Reservation:
    running = Running(
        request_id=f"req_{next(numbers):04}",
        model="tiny",
        tokens=tokens,
        most=tokens,
        prompt=tokens,
        started_at=int(now * 1000),
        expires_at=int(now) + 900,
    )
    return asyncio.run(table.reserve(key, running, now))


def settle(table: KeyTable, reservation: Reservation, tokens: int) -> None:
    assert reservation.running
    record = replace(
        died(KEY.id, reservation.running), prompt_tokens=0, completion_tokens=tokens, outcome="ok"
    )
    asyncio.run(table.settle(record, reservation.running))


def periods(table: KeyTable) -> dict[str, tuple[int, int]]:
    counts = table.counts(KEY.id)
    assert counts
    return dict(counts.periods)


def refusal(table: KeyTable, tokens: int, now: float, key: Key = KEY) -> LimitReached:
    with pytest.raises(LimitReached) as reached:
        reserve(table, tokens, now, key)
    assert (reached.value.kind, reached.value.retry_after_s) == ("budget", None)
    return reached.value


def test_one_call_reserves_at_the_turn_of_a_period_too(table: KeyTable) -> None:  # noqa: ARG001
    counting = CountingTable()
    for now in (TURN - 61, TURN - 61, TURN - 1, TURN, TURN + 1, TURN + 600):
        reserve(counting, 1, now)
        assert counting.calls == 1
        counting.calls = 0


def test_a_budget_begins_again_at_midnight_of_its_time_zone(table: KeyTable) -> None:
    reserve(table, 90, TURN - 1)
    allowance = refusal(table, 11, TURN - 0.1).allowance
    assert (allowance.limit_budget, allowance.remaining_budget) == (100, 10)
    assert allowance.budget_resets_at == TURN
    allowance = reserve(table, 100, TURN).allowance
    assert (allowance.remaining_budget, allowance.budget_resets_at) == (0, TURN + 31 * 86400)
    behind = refusal(KeyTable(NAME), 1, TURN - 1).allowance  # by its clock
    assert behind.budget_resets_at == TURN + 31 * 86400
    assert (periods(table), table.spent(KEY.id)) == ({"month": (20261201, 100)}, 190)


def test_a_settlement_corrects_the_period_in_which_it_reserved(table: KeyTable) -> None:
    first, late = reserve(table, 40, TURN - 2), reserve(table, 50, TURN - 1)
    settle(table, first, 5)
    assert periods(table) == {"month": (20261101, 55)}
    reserve(table, 30, TURN)
    settle(table, late, 5)
    assert periods(table) == {"month": (20261201, 30)}, "the other one is over"
    assert table.spent(KEY.id) == 40


@pytest.mark.parametrize("period", ["month", None])
def test_the_truth_corrects_the_period_in_which_a_request_died(table: KeyTable, period: Any) -> None:
    key, now = replace(KEY, budget_period=period), TURN - 10_000
    late = reserve(table, 60, now, key)
    assert table.running(KEY.id, now + 900) == []
    assert asyncio.run(table.peek(key, now)).remaining_budget == 40
    settle(table, late, 5)
    assert asyncio.run(table.peek(key, now)).remaining_budget == 95


def test_no_budget_begins_again_because_its_kind_of_period_was_changed(table: KeyTable) -> None:
    """Functions learn it within 30 s, one after the other."""
    day, other = replace(KEY, budget_period="day"), KeyTable(NAME)
    now = TURN - 1000
    for _ in range(3):
        reserve(table, 20, now)
        reserve(other, 10, now, day)
    assert periods(table) == {"month": (20261101, 60), "day": (20261130, 30)}
    refusal(table, 41, now)
    refusal(other, 71, now, day)
    whole_life = replace(KEY, budget_period=None)
    assert refusal(table, 11, now, whole_life).allowance.remaining_budget == 10


def test_no_budget_begins_twice_because_its_time_zone_was_changed(table: KeyTable) -> None:
    tokyo, other = replace(KEY, budget_timezone="Asia/Tokyo"), KeyTable(NAME)
    reserve(table, 90, TURN - 1, tokyo)  # where it is December
    assert refusal(other, 11, TURN - 1).allowance.budget_resets_at == TURN + 31 * 86400
    refusal(other, 11, TURN)
    assert periods(table) == {"month": (20261201, 90)}


def test_what_was_added_is_there_in_its_period_alone(table: KeyTable) -> None:
    key = replace(KEY, extra_tokens=50, extra_period="month:20261101")
    assert reserve(table, 150, TURN - 1, key).allowance.remaining_budget == 0
    assert refusal(table, 101, TURN, key).allowance.limit_budget == 100


def test_of_requests_at_once_no_more_pass_than_a_new_period_has(server: str) -> None:
    key = replace(KEY, id="key_of_periods")
    tables = [KeyTable(NAME, endpoint_url=server) for _ in range(4)]
    reserve(tables[0], 90, TURN - 1, key)

    async def play() -> list[Any]:
        calls = (asyncio.to_thread(reserve, each, 30, TURN, key) for each in tables * 2)
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = asyncio.run(play())
    assert sum(isinstance(end, Reservation) for end in ends) == 3
    counts = tables[0].counts(key.id)
    assert counts
    assert counts.periods == {"month": (20261201, 90)}


def test_what_was_let_through_uncounted_counts_in_its_period(table: KeyTable) -> None:
    reserve(table, 10, TURN - 100)
    for number, (at, period) in enumerate([(TURN - 1, "month:20261101"), (TURN, "month:20261201")]):
        running = Running("late", "tiny", 0, 0, 7, int(at * 1000), int(at))
        record = replace(
            died(KEY.id, running), request_id=f"late_{number}", completion_tokens=0, outcome="ok"
        )
        for _ in range(2):
            asyncio.run(table.settle(record, None, period))
    assert (periods(table), table.spent(KEY.id)) == ({"month": (20261201, 7)}, 24)
    assert table.put_usage(replace(record, request_id="old"), period="month:20261101")
    assert (periods(table), table.spent(KEY.id)) == ({"month": (20261201, 7)}, 31)
