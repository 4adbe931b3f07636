"""Instants of Postgres, in and out of what a datetime can hold."""

import datetime as dt
from typing import Any

import pytest
from prisma_in_process.values import CODECS, Beyond, coder

EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


# Microseconds since 2000, and how such an instant is shown.
INSTANTS = [
    (0, EPOCH),
    (-1, EPOCH - dt.timedelta(microseconds=1)),
    (252_455_615_999_999_999, dt.datetime.max.replace(tzinfo=dt.UTC)),
    (-63_082_281_600_000_000, dt.datetime.min.replace(tzinfo=dt.UTC)),
    (252_455_616_000_000_000, "9999-12-31T23:59:59.999999+00:00"),
    (2**63 - 1, "9999-12-31T23:59:59.999999+00:00"),
    (-63_082_281_600_000_001, "0001-01-01T00:00:00+00:00"),
    (-(2**63), "0001-01-01T00:00:00+00:00"),
]


@pytest.mark.parametrize(("microseconds", "instant"), INSTANTS)
def test_an_instant_is_written_as_it_was_read(microseconds: int, instant: Any) -> None:
    write, read, _ = CODECS["timestamp"]
    value = read((microseconds,))
    assert value.isoformat() == instant if isinstance(instant, str) else value == instant
    assert isinstance(value, Beyond) is isinstance(instant, str)
    assert write(value) == (microseconds,)


def test_a_datetime_without_a_zone_is_in_utc() -> None:
    fit, (write, _, _) = coder("timestamp"), CODECS["timestamp"]
    assert fit
    assert write(fit(EPOCH.replace(tzinfo=None))) == (0,)
    assert write(fit(EPOCH.astimezone(dt.timezone(dt.timedelta(hours=9))))) == (0,)


def test_instants_beyond_are_equal_only_to_themselves() -> None:
    late, last = Beyond.at(252_455_616_000_000_000), Beyond.at(2**63 - 1)
    assert late != last
    assert late != dt.datetime.max.replace(tzinfo=dt.UTC)
    assert len({late, last, Beyond.at(2**63 - 1)}) == 2
