"""Replays in any order, and however often: the table then has the records that closed the requests."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.keys.store import KeyTable
from functions.shared.items import SCHEMA
from functions.shared.keys import KeysUnavailable
from functions.shared.usage import UsageRecord
from tests.aws import boto_of
from tests.integration.shared.conftest import NAME
from tests.integration.shared.test_books import (
    KEY,
    LATER,
    NOW,
    RECORD,
    REQUEST,
    Fault,
    FaultyTable,
    Killed,
    OtherTable,
    check,
)

REQUESTS = [replace(REQUEST, request_id=f"req_{number}") for number in range(2)]
# Versions up to 0.2 logged it when the table could not be reached as a request began.
OPENING = replace(RECORD, outcome="cut", prompt_tokens=100, completion_tokens=50, duration_ms=2)
# One ended, the other's caller left.
CLOSING = [
    replace(RECORD, request_id="req_0"),
    replace(RECORD, request_id="req_1", outcome="cut", prompt_tokens=100, completion_tokens=3),
]
LOG = [*CLOSING, *(replace(OPENING, request_id=each.request_id) for each in CLOSING)]
Step = Callable[[KeyTable], None]


def replay(record: UsageRecord) -> Step:
    def step(table: KeyTable) -> None:
        table.put_usage(record)

    return step


def reserve(table: KeyTable) -> None:
    for request in REQUESTS:
        asyncio.run(table.reserve(KEY, request, NOW))


def settle(number: int) -> Step:
    """Settle as the function does that has reserved, if it has."""

    def step(table: KeyTable) -> None:
        counts = table.counts(KEY.id)
        running = counts.running.get(f"req_{number}") if counts else None
        table.put_usage(CLOSING[number], running if running and not running.listing else None)

    return step


def bury(table: KeyTable) -> None:
    table.running(KEY.id, LATER)


steps = st.one_of(
    st.sampled_from(LOG).map(replay),
    st.integers(0, 1).map(settle),
    st.just(bury),
)
faults = st.none() | st.tuples(st.sampled_from(Fault), st.integers(0, 5))


@pytest.fixture
def empty(table: KeyTable) -> Callable[[], KeyTable]:
    def empty() -> KeyTable:
        client = boto_of(table)
        client.delete_table(TableName=NAME)
        client.create_table(TableName=NAME, **SCHEMA)
        return table

    return empty


def check_closed(table: KeyTable, records: Sequence[UsageRecord]) -> None:
    assert sorted(check(table), key=lambda each: each.request_id) == list(records)
    assert table.spent(KEY.id) == sum(each.tokens for each in records)


@pytest.mark.parametrize("more", [[], LOG, LOG[::-1]], ids=["once", "again", "backwards"])
@pytest.mark.parametrize("order", [LOG, LOG[::-1], LOG[1:3] + LOG[::3]], ids=["closed", "opened", "mixed"])
def test_any_order_of_opening_and_closing_records_gives_the_closing_ones(
    order: list[UsageRecord], more: list[UsageRecord], table: KeyTable
) -> None:
    written = [record for record in (*order, *more) if table.put_usage(record)]
    check_closed(table, CLOSING)
    assert set(CLOSING) <= set(written)
    assert len(written) == len(set(written)), "nothing is written again"


@pytest.mark.slow
@pytest.mark.timeout(180)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    first=st.none() | faults,
    plan=st.lists(st.tuples(steps, faults), max_size=5),
    order=st.permutations(LOG),
)
def test_nor_does_a_crash_an_outage_or_a_late_function_change_that(
    first: tuple[Fault, int] | None,
    plan: list[tuple[Step, tuple[Fault, int] | None]],
    order: list[UsageRecord],
    empty: Callable[[], KeyTable],
) -> None:
    table = empty()
    for step, fault in [(reserve, first), *plan]:
        with suppress(Killed, KeysUnavailable):
            step(FaultyTable(table, *fault) if fault else OtherTable(table))
        check(table)
    for record in order:
        table.put_usage(record)
    bury(table)
    table.running(KEY.id, 2**40)
    check_closed(table, CLOSING)
