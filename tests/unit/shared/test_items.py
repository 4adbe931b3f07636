"""Where everything is stored in the table, and the calls that read and write it."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared import items
from functions.shared.key_text import digest
from functions.shared.keys import Key
from functions.shared.limits import Reservation, uncounted
from functions.shared.usage import UsageRecord
from tests.unit.shared.records import records

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
    created_at=st.integers(0, 2**40),
    expires_at=optional,
    disabled=st.booleans(),
    hint=st.text(),
)
amounts = st.integers(0, 10**9)


@given(keys)
def test_a_key_is_read_as_it_was_kept(key: Key) -> None:
    item = items.key_item(key)
    assert items.key_of(item) == key
    assert {name: item[name] for name in ("pk", "sk")} == items.key_place(key.digest)
    assert item["pk"] == {"S": f"key#{key.digest}"}
    listed = items.listed_item(key)
    assert items.digest_of(listed) == key.digest
    assert {name: listed[name] for name in ("pk", "sk")} == items.listed_place(key.id)


@given(records)
def test_a_usage_record_is_read_as_it_was_kept(record: UsageRecord) -> None:
    assert items.usage_of(items.usage_item(record)) == record


def test_members_of_a_later_version_are_left_out() -> None:
    key = Key(id="k", digest=digest("k"), name="k", created_at=0)
    assert items.key_of({**items.key_item(key), "region": {"S": "x"}, "tags": {"L": []}}) == key


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


@given(keys, amounts, amounts, st.integers(-(10**9), 10**9))
def test_every_call_names_what_it_uses_and_nothing_else(
    key: Key, tokens: int, window: int, difference: int
) -> None:
    """DynamoDB refuses names and values that are missing or not used, and its reserved words."""
    reservation: Reservation = uncounted(key, tokens, window * 60.0)
    calls: list[dict[str, Any]] = [
        items.reserve_in_window(key, tokens, window),
        items.reserve_in_new_window(key, tokens, window),
        items.settle_in_window(reservation, difference),
        items.settle_after_window(reservation, difference),
        items.disable(key, True),
        items.listed(),
        items.used(key.id, tokens, window),
        *(write for each in items.additions(key) for write in each.values()),
        *(write for each in items.replacements(key, key) for write in each.values()),
    ]
    for call in calls:
        text = " ".join(value for name, value in call.items() if name.endswith("Expression"))
        assert set(re.findall(r"#\w+", text)) == set(call.get("ExpressionAttributeNames", ()))
        assert set(re.findall(r":\w+", text)) == set(call.get("ExpressionAttributeValues", ()))
        words = re.findall(r"(?<![#:\w])[a-z_]+", text)
        assert not RESERVED & set(words)
