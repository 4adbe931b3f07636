"""Where everything is stored in the table, and the calls that read and write it."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.keys import key_writes
from functions.keys.key_writes import Stored
from functions.shared import items, key_items, limit_items, usage_items
from functions.shared.budgets import period_of
from functions.shared.items import item_of
from functions.shared.key_text import digest
from functions.shared.keys import Key
from functions.shared.limits import Counts, Running
from functions.shared.usage import UsageRecord, UsageSum
from tests.unit.keys.store import a_change
from tests.unit.shared.records import RECORD, records

RUNNING = Running(
    request_id="req_1", model="tiny", tokens=30, most=90, prompt=40, started_at=1000, expires_at=900
)
IN_MONTH = replace(RUNNING, period="month:20261101")
KEY = Key(id="key_1", digest="d" * 64, name="alice", created_at=0)
# A few of those that DynamoDB refuses in an expression.
RESERVED = {"window", "name", "disabled", "token", "limit", "usage", "model", "digest", "key", "id"}

optional = st.none() | st.integers(0, 10**12)
keys = st.builds(
    Key,
    id=st.text(min_size=1),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    name=st.text(),
    models=st.frozensets(st.text(min_size=1), max_size=3),
    requests_per_minute=optional,
    tokens_per_minute=optional,
    budget_tokens=optional,
    budget_period=st.sampled_from([None, "month"]),
    concurrent=optional,
    created_at=st.integers(0, 2**40),
    expires_at=optional,
    deleted_at=optional,
    kept_until=optional,
    tags=st.frozensets(st.text(min_size=1), max_size=3),
    note=st.text(),
    change=st.text(),
    disabled=st.booleans(),
    hint=st.text(),
)
amounts = st.integers(0, 10**9)


@given(keys)
def test_a_key_is_read_as_it_was_kept(key: Key) -> None:
    item = key_items.key_item(key)
    assert key_items.key_of(item) == key
    assert {name: item[name] for name in ("pk", "sk")} == key_items.key_place(key.digest)
    assert item["pk"] == {"S": f"key#{key.digest}"}
    listed = key_items.listed_item(key)
    assert key_items.digest_of(listed) == key.digest
    assert {name: listed[name] for name in ("pk", "sk")} == key_items.listed_place(key.id)


@given(records)
def test_a_usage_record_is_read_as_it_was_kept(record: UsageRecord) -> None:
    (put, _) = usage_items.keep(record, RUNNING, 90)
    item = put["Put"]["Item"]
    assert usage_items.usage_of(item) == record
    assert {name: item[name] for name in ("pk", "sk")} == usage_items.usage_place(record)
    assert item["ttl"] == {"N": str(record.started_at // 1000 + 90 * 86400)}
    assert usage_items.is_counted(item)
    assert not usage_items.is_assumed(item)


def test_a_record_may_be_assumed() -> None:
    (put, _) = usage_items.keep(RECORD, RUNNING, 90, assumed=True)
    assert usage_items.is_assumed(put["Put"]["Item"])


def test_what_is_counted_is_read_as_it_was_kept() -> None:
    running = replace(RUNNING, window=29926200, period="month:20261101", cost=5)
    numbers = {"window": 1, "requests": 2, "tokens": 3, "requests_before": 4, "tokens_before": 5, "spent": 6}
    listed = limit_items.reserve(replace(KEY, budget_period="month"), running, 1_795_572_000, None)
    item = {
        **limit_items.limits_place("key_1"),
        **items.item_of({**numbers, "running": 1, "used_at": 8, "month": 20261101, "spent_month": 9}),
        "run#req_1": listed["ExpressionAttributeValues"][":run"],
        "more#req_1": listed["ExpressionAttributeValues"][":more"],
    }
    assert limit_items.counts_of(item) == Counts(
        **numbers, used_at=60, periods={"month": (20261101, 9)}, running={"req_1": running}
    )
    assert limit_items.counts_of(limit_items.limits_place("key_1")) == Counts(window=0), (
        "an item of an earlier version"
    )
    assert limit_items.counts_of(None) is None
    marked = limit_items.counts_of({**item, **items.item_of({"used_at": 90})})
    assert marked
    assert marked.used_at == 90, "later than the minute in which it last reserved"


@given(records, st.integers(0, 40))
def test_the_sums_of_a_day_have_all_that_a_record_has(record: UsageRecord, part: int) -> None:
    update = usage_items.count(record, part=part)
    added = {
        name.removeprefix("#"): update["ExpressionAttributeValues"][f":{name.removeprefix('#')}"]
        for name in update["ExpressionAttributeNames"]
    }
    day = items.instant(record.started_at)[:10]
    item = {**update["Key"], **added}
    assert usage_items.sum_of(item) == (record.key_id, day, record.model, UsageSum.of(record))
    assert item["sk"]["S"].endswith(f"#{part}")


def test_the_sums_of_a_day_are_in_a_few_partitions() -> None:
    records = [replace(RECORD, key_id=f"key_{number}") for number in range(100)]
    found = {usage_items.count(record)["Key"]["pk"]["S"] for record in records}
    assert found == {f"sums#2026-11-25#{shard}" for shard in range(4)}
    queries = usage_items.summed_of_all(RECORD.started_at, RECORD.started_at)
    assert found == {each["ExpressionAttributeValues"][":pk"]["S"] for each in queries}


def test_no_day_before_the_first_release_is_read() -> None:
    assert len(list(usage_items.summed("key_1", 0, 1_767_225_600_000))) == 1


def kept(record: UsageRecord) -> items.Item:
    item: items.Item = usage_items.keep(record, RUNNING, 90)[0]["Put"]["Item"]
    return item


def test_a_record_in_place_of_another_changes_the_sums_by_the_difference() -> None:
    assumed = replace(RECORD, outcome="cut", completion_tokens=50)
    update = usage_items.keep(RECORD, RUNNING, 90, instead_of=kept(assumed))[1]["Update"]
    assert update["ExpressionAttributeValues"] == {
        ":ok": {"N": "1"},
        ":cut": {"N": "-1"},
        ":completion_tokens": {"N": "-47"},
    }
    other = usage_items.keep(RECORD, RUNNING, 90, instead_of=kept(replace(assumed, model="big")))
    places = [each["Update"]["Key"]["sk"]["S"] for each in other[1:]]
    assert places == ["key_1#tiny#0", "key_1#big#0"]
    same = usage_items.keep(RECORD, RUNNING, 90, instead_of=kept(RECORD))[1]["Update"]
    assert same["ExpressionAttributeValues"] == {":requests": {"N": "0"}}


def test_members_of_a_later_version_are_left_out() -> None:
    key = Key(id="k", digest=digest("k"), name="k", created_at=0)
    assert key_items.key_of({**key_items.key_item(key), "region": {"S": "x"}, "tags": {"L": []}}) == key


@pytest.mark.parametrize(
    ("epoch_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_572_000_007, "2026-11-25T02:00:00.007Z"),
        (-1, "1970-01-01T00:00:00.000Z"),
        (10**30, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_text_in_utc(epoch_ms: int, text: str) -> None:
    assert items.instant(epoch_ms) == text


@given(st.lists(st.integers(0, 10**14)))
def test_instants_sort_as_times_do(times: list[int]) -> None:
    assert sorted(map(items.instant, times)) == [items.instant(time) for time in sorted(times)]


@given(keys, st.integers(0, 10**8), st.none() | st.just(RUNNING), records)
def test_every_call_names_what_it_uses_and_nothing_else(
    key: Key, window: int, request: Running | None, record: UsageRecord
) -> None:
    """DynamoDB refuses names and values that are missing or not used, and its reserved words."""
    stored = Stored(key_items.key_item(key), key_items.listed_item(key))
    together = [
        *key_writes.additions(key, a_change()),
        *key_writes.changes(stored, replace(key, digest="0" * 64), [], a_change()),
        *key_writes.changes(stored, replace(key, name="bob"), [], a_change()),
        *usage_items.keep(record, RUNNING, 90),
        *usage_items.keep(record, RUNNING, 90, instead_of=kept(replace(record, model="other"))),
        *usage_items.count_old(record, 90),
        *usage_items.move(usage_items.count(record)["Key"] | item_of({"requests": 1, "ok": 1})),
    ]
    now, current = 60.0 * window, period_of(replace(key, budget_period="month"), 60.0 * window)
    states = [
        None,
        *(
            Counts(window=stored, periods=periods)
            for stored in (window, window - 1, window - 2, RUNNING.window, RUNNING.window + 1)
            for periods in ({}, {"month": (int(current[6:]), 5)}, {"month": (20261101, 5)})
        ),
    ]
    calls: list[dict[str, Any]] = [
        *(limit_items.reserve(key, request, now, assumed) for assumed in states),
        *(limit_items.release(key.id, one, 7, assumed) for assumed in states for one in (RUNNING, IN_MONTH)),
        *(limit_items.list_again(key.id, one, assumed) for assumed in states for one in (RUNNING, IN_MONTH)),
        limit_items.touch(key.id, now),
        key_items.listed(),
        usage_items.used(key.id, window, window),
        *usage_items.summed(key.id, 10**13, 10**13),
        *usage_items.summed_of_all(10**13, 10**13),
        usage_items.summed_before(key.id, window, window),
        *(write for each in together for write in each.values()),
    ]
    for call in calls:
        text = " ".join(value for name, value in call.items() if name.endswith("Expression"))
        assert set(re.findall(r"#\w+", text)) == set(call.get("ExpressionAttributeNames", ()))
        assert set(re.findall(r":\w+", text)) == set(call.get("ExpressionAttributeValues", ()))
        words = re.findall(r"(?<![#:\w])[a-z_]+", text)
        assert not RESERVED & set(words)
