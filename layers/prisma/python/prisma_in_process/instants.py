"""Timestamps of Postgres, which reach further than a datetime: 4714 BC to 294276, and both infinities."""

from __future__ import annotations

import datetime as dt
from typing import Any, Self

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


class Beyond(dt.datetime):
    """The nearest datetime to an instant that none can hold. As a value of a query it is that instant.

    Units:  `microseconds` since 2000, as Postgres counts them; the least and the greatest are infinite.
    """

    microseconds: int

    @classmethod
    def at(cls, microseconds: int) -> Self:
        last = microseconds > 0
        instant = cls(9999, 12, 31, 23, 59, 59, 999999, dt.UTC) if last else cls(1, 1, 1, tzinfo=dt.UTC)
        instant.microseconds = microseconds
        return instant

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Beyond) and self.microseconds == other.microseconds

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.microseconds)


async def read_instants(connection: Any) -> None:
    """Have a connection of asyncpg read and write instants, those without a zone in UTC, and dates."""
    for name in ("timestamptz", "timestamp"):
        await connection.set_type_codec(
            name, schema="pg_catalog", format="tuple", encoder=_written, decoder=_read
        )
    # The driver's own codec writes the first and the last date that Python has as infinities.
    await connection.set_type_codec("date", schema="pg_catalog", format="tuple", encoder=_days, decoder=_date)


def _read(value: tuple[int]) -> dt.datetime:
    try:
        return _EPOCH + value[0] * _MICROSECOND
    except OverflowError:
        return Beyond.at(value[0])


def _written(value: dt.datetime) -> tuple[int]:
    if isinstance(value, Beyond):
        return (value.microseconds,)
    return ((value.replace(tzinfo=value.tzinfo or dt.UTC) - _EPOCH) // _MICROSECOND,)


def _days(value: dt.date) -> tuple[int]:
    return (value.toordinal() - _EPOCH.toordinal(),)


def _date(value: tuple[int]) -> dt.date:
    infinite = {2**31 - 1: dt.date.max, -(2**31): dt.date.min}.get(value[0])
    return infinite or dt.date.fromordinal(value[0] + _EPOCH.toordinal())
