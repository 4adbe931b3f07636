"""The periods of budgets, at their turns."""

import logging
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.budgets import budget_of, period_of, resets_at, zone
from functions.shared.keys import Key

KEY = Key(id="key_1", digest="d", name="alice", budget_tokens=100, budget_period="month", created_at=0)
# Half and quarter hours, both hemispheres, clocks that are set at midnight, and days that were left out.
ZONES = (
    "UTC",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "America/Asuncion",
)


@pytest.mark.parametrize(
    ("zone_name", "kind", "local", "period", "end"),
    [
        ("UTC", "day", "2026-11-27T23:59:59", "day:20261127", "2026-11-28T00:00"),
        ("UTC", "week", "2026-11-29T23:59:59", "week:20261123", "2026-11-30T00:00"),
        ("UTC", "week", "2026-11-30T00:00:00", "week:20261130", "2026-12-07T00:00"),
        ("UTC", "week", "2027-01-01T12:00:00", "week:20261228", "2027-01-04T00:00"),
        ("UTC", "month", "2026-12-31T23:59:59", "month:20261201", "2027-01-01T00:00"),
        ("UTC", "month", "2027-02-28T23:59:59", "month:20270201", "2027-03-01T00:00"),
        ("UTC", "month", "2028-02-29T12:00:00", "month:20280201", "2028-03-01T00:00"),
        ("UTC", "day", "2028-02-28T23:59:59", "day:20280228", "2028-02-29T00:00"),
        ("Asia/Kolkata", "month", "2026-12-01T00:00:00", "month:20261201", "2026-12-31T18:30"),
        ("Asia/Kathmandu", "day", "2026-11-27T00:00:00", "day:20261127", "2026-11-27T18:15"),
        ("Europe/Berlin", "month", "2026-10-31T23:59:59", "month:20261001", "2026-10-31T23:00"),
        ("Europe/Berlin", "month", "2026-03-31T23:59:59", "month:20260301", "2026-03-31T22:00"),
        ("America/New_York", "day", "2026-11-01T12:00:00", "day:20261101", "2026-11-02T05:00"),
        ("America/New_York", "day", "2026-03-08T12:00:00", "day:20260308", "2026-03-09T04:00"),
        # Midnight is left out: clocks are set from 0:00 to 1:00, and the day begins as they are.
        ("Asia/Beirut", "day", "2026-03-28T12:00:00", "day:20260328", "2026-03-28T22:00"),
        # The hour before midnight comes twice, or the one after it.
        ("America/Sao_Paulo", "day", "2018-02-17T12:00:00", "day:20180217", "2018-02-18T03:00"),
        ("America/Havana", "day", "2026-10-31T12:00:00", "day:20261031", "2026-11-01T04:00"),
        # A day was left out whole.
        ("Pacific/Apia", "day", "2011-12-29T12:00:00", "day:20111229", "2011-12-30T10:00"),
    ],
)
def test_a_period_is_one_of_the_local_calendar(
    zone_name: str, kind: Any, local: str, period: str, end: str
) -> None:
    key = replace(KEY, budget_period=kind, budget_timezone=zone_name)
    now = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone_name)).timestamp()
    assert period_of(key, now) == period
    resets = resets_at(key, period)
    assert resets == datetime.fromisoformat(end).replace(tzinfo=UTC).timestamp()
    assert period_of(key, resets - 1) == period
    assert period_of(key, resets) > period


@given(
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(ZONES),
    st.floats(0, 4e9, allow_nan=False),
)
def test_a_period_lasts_until_it_is_reset_and_labels_sort_by_time(
    kind: Any, zone_name: str, now: float
) -> None:
    key = replace(KEY, budget_period=kind, budget_timezone=zone_name)
    period = period_of(key, now)
    resets = resets_at(key, period)
    assert resets
    assert now < resets <= now + timedelta(days={"day": 2, "week": 8, "month": 32}[kind]).total_seconds()
    assert period_of(key, resets - 1) == period
    assert period_of(key, resets) > period


def test_a_budget_for_a_whole_life_has_no_period() -> None:
    key = replace(KEY, budget_period=None, extra_tokens=50)
    assert (period_of(key, 0), resets_at(key, ""), budget_of(key, "")) == ("", None, 100)


def test_what_was_added_is_there_in_its_period_alone() -> None:
    key = replace(KEY, extra_tokens=50, extra_period="month:20261101")
    assert [budget_of(key, f"month:20261{month}01") for month in (0, 1, 2)] == [100, 150, 100]
    assert budget_of(key, "day:20261101") == 100
    assert budget_of(replace(key, budget_tokens=None), "month:20261101") is None


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../../etc/passwd", "Europe", "\0", "x" * 5000])
def test_a_budget_of_an_unknown_time_zone_is_one_of_utc(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """It may be known where the key was made, and it may come from a newer database of zones."""
    zone.cache_clear()
    with caplog.at_level(logging.ERROR):
        assert [period_of(replace(KEY, budget_timezone=name), 0) for _ in range(3)] == ["month:19700101"] * 3
    assert len(caplog.records) == 1, "a line for each zone, not for each request"


def test_time_zones_are_not_imported_before_a_key_has_one() -> None:
    """Not to be paid for at each cold start."""
    program = (
        "import functions.shared.table, functions.shared.refusals, sys; print('zoneinfo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
