"""Ids and moments that a plan makes."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import Counter
from typing import Any

import pytest
from prisma_in_process.generators import NOW, argument


def generated(name: str, *args: Any, **scope: Any) -> Any:
    call = {"prisma__type": "generatorCall", "prisma__value": {"name": name, "args": list(args)}}
    return argument(call)(scope)


@pytest.mark.parametrize(
    ("name", "args", "pattern"),
    [
        ("uuid", [4], r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("cuid", [1], r"c[0-9a-z]{24}"),
        ("nanoid", [], r"[A-Za-z0-9_-]{21}"),
        ("nanoid", [64], r"[A-Za-z0-9_-]{64}"),
    ],
)
def test_an_id_has_its_form_and_is_unique(name: str, args: list[Any], pattern: str) -> None:
    made = {generated(name, *args) for _ in range(500)}
    assert len(made) == 500
    assert all(re.fullmatch(pattern, each) for each in made)


def test_a_cuid_begins_with_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made: str = generated("cuid", 1)
    assert before <= int(made[1:9], 36) <= time.time_ns() // 1_000_000


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


def test_now_is_the_moment_of_the_plan_in_milliseconds() -> None:
    moment = dt.datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=dt.UTC)
    for microseconds in (0, 1, 500, 999):
        since = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        assert generated("now", **{NOW: (since + microseconds) * 1000}) == moment


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
    ids = {"prisma__type": "param", "prisma__value": {"name": "ids", "type": "Int"}}
    assert generated("product", ids, 9, ids=[1, 2]) == [[1, 9], [2, 9]]


@pytest.mark.parametrize(("name", "version"), [("uuid", 7), ("cuid", 2)])
def test_another_version_is_refused(name: str, version: int) -> None:
    with pytest.raises(NotImplementedError, match=rf"{name}\({version}\)"):
        generated(name, version)
