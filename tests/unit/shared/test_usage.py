"""Usage as lines of a log: for replay, and for CloudWatch."""

import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given

from functions.shared.usage import NONE, UsageRecord
from tests.unit.shared.records import RECORD, records


@given(records)
def test_a_logged_line_is_read_again(record: UsageRecord) -> None:
    line = record.to_json()
    assert UsageRecord.from_json(line) == record
    assert "\n" not in line
    assert line.isascii()


def test_a_line_is_what_it_says() -> None:
    assert json.loads(RECORD.to_json()) == {"usage": asdict(RECORD)}


def test_members_of_a_later_version_are_left_out() -> None:
    assert UsageRecord.from_values({**asdict(RECORD), "region": "x"}) == RECORD


def test_members_with_a_default_may_be_missing() -> None:
    record = UsageRecord.from_values({"request_id": "r", "duration_ms": 1, "outcome": "cut", "started_at": 2})
    assert (record.key_id, record.model, record.prompt_tokens, record.first_byte_ms) == (NONE, NONE, 0, None)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "1",
        "null",
        '{"usage":1}',
        '{"use":{}}',
        '{"usage":{}}',
        "[" * 100_000,
        "\x00",
        "\ud800",
    ],
    ids=lambda line: ascii(line[:12]),
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the text
        UsageRecord.from_json(line)


WRONG: dict[str, list[Any]] = {
    "request_id": ["", None, 1],
    "key_id": ["", None],
    "model": ["", [], None],
    "prompt_tokens": [-1, 1.5, True, None, "1", 10**400],
    "duration_ms": [-1, float("nan"), float("inf"), None, "1", 1e300],
    "first_byte_ms": [-0.1, float("nan"), False],
    "code": ["", 1],
    "outcome": ["OK", "", None, 1, []],
    "started_at": [-1, 1.5, 10**30, None],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_members_of_a_wrong_kind_are_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is of the wrong kind"):
        UsageRecord.from_values({**asdict(RECORD), name: value})


@pytest.mark.parametrize("name", ["request_id", "duration_ms", "outcome", "started_at"])
def test_what_must_be_there_must_be_there(name: str) -> None:
    values = asdict(RECORD)
    del values[name]
    with pytest.raises(ValueError, match="members are missing"):
        UsageRecord.from_values(values)


def test_neither_line_has_room_for_a_key_or_a_prompt() -> None:
    assert {each.name for each in fields(UsageRecord)} == {
        "request_id",
        "key_id",
        "model",
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "duration_ms",
        "first_byte_ms",
        "outcome",
        "code",
        "hedge",
        "cost",
        "started_at",
    }
