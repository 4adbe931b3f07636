"""Ids and moments that a plan makes."""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from collections import Counter
from typing import Any

import pytest
from prisma_in_process.generators import argument, new_scope


def generated(name: str, *args: Any, scope: dict[str, Any] | None = None) -> Any:
    call = {"prisma__type": "generatorCall", "prisma__value": {"name": name, "args": list(args)}}
    return argument(call)(new_scope({}) if scope is None else scope)


@pytest.mark.parametrize(
    ("name", "args", "pattern"),
    [
        ("uuid", [4], r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("uuid", [7], r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("cuid", [1], r"c[0-9a-z]{24}"),
        ("cuid", [2], r"[a-z][0-9a-z]{23}"),
        ("ulid", [], r"[0-7][0-9A-HJKMNP-TV-Z]{25}"),
        ("nanoid", [], r"[A-Za-z0-9_-]{21}"),
        ("nanoid", [64], r"[A-Za-z0-9_-]{64}"),
    ],
)
def test_an_id_has_its_form_and_is_unique(name: str, args: list[Any], pattern: str) -> None:
    made = {generated(name, *args) for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(pattern, each) for each in made)


@pytest.mark.parametrize(("name", "args", "base"), [("uuid", [7], 16), ("ulid", [], 32), ("cuid", [1], 36)])
def test_an_id_begins_with_its_time(name: str, args: list[Any], base: int) -> None:
    crockford = {
        each: "0123456789abcdefghijklmnopqrstuv"[i]
        for i, each in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    }
    before = time.time_ns() // 1_000_000
    made: str = generated(name, *args)
    after = time.time_ns() // 1_000_000
    text = {
        16: made.replace("-", "")[:12],
        32: "".join(crockford.get(each, "") for each in made[:10]),
        36: made[1:9],
    }
    assert before <= int(text[base], base) <= after


def test_the_parts_of_a_cuid() -> None:
    first, second = (generated("cuid", 1) for _ in range(2))
    assert int(second[9:13], 36) == int(first[9:13], 36) + 1
    assert first[13:17] == second[13:17]
    assert first[17:] != second[17:]


def test_every_letter_is_as_likely() -> None:
    letters = Counter(generated("nanoid", 1) for _ in range(6400))
    assert len(letters) == 64
    # 100 of each are expected: six standard deviations are 60.
    assert max(abs(count - 100) for count in letters.values()) < 60


def test_now_is_one_moment_of_a_plan_also_in_nested_scopes() -> None:
    scope = new_scope({"a": 1})
    inner = dict(scope)
    first = generated("now", scope=inner)
    time.sleep(0.002)
    assert generated("now", scope=scope) is first
    assert first.tzinfo is dt.UTC
    assert first.microsecond % 1000 == 0
    assert generated("now") > first


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2], [3, 4], [[1, 3], [1, 4], [2, 3], [2, 4]]),
        ([1, 2], 3, [[1, 3], [2, 3]]),
        (1, [2, 3], [[1, 2], [1, 3]]),
        (1, 2, [[1, 2]]),
        ([], [1], []),
    ],
)
def test_a_product_pairs_all(left: Any, right: Any, expected: Any) -> None:
    assert generated("product", left, right) == expected


def test_an_argument_may_be_a_parameter() -> None:
    scope = new_scope({"ids": [1, 2]})
    ids = {"prisma__type": "param", "prisma__value": {"name": "ids", "type": "Int"}}
    assert generated("product", ids, 9, scope=scope) == [[1, 9], [2, 9]]


@pytest.mark.parametrize(("name", "version"), [("uuid", 5), ("cuid", 3)])
def test_another_version_is_refused(name: str, version: int) -> None:
    with pytest.raises(NotImplementedError, match=rf"{name}\({version}\)"):
        generated(name, version)


def test_a_uuid_can_be_read() -> None:
    assert uuid.UUID(generated("uuid", 7)).variant == uuid.RFC_4122
