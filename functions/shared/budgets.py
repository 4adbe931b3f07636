"""The periods of budgets: days, weeks and months of a time zone.

A period's label is the local date on which it began, as a number: 20261101 for a month, a Monday for a week.
Labels of one kind sort by time, whatever the time zone, which an operator may change.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from .keys import Key

logger = logging.getLogger("budgets")


def period_of(key: Key, now: float) -> str:
    """Return the period of a key's budget that a time is in, as `month:20261101`; "" for its whole life."""
    if not key.budget_period:
        return ""
    return f"{key.budget_period}:{_begin(key, now):%Y%m%d}"


def budget_of(key: Key, period: str) -> int | None:
    """Return a key's tokens for a period, with what was added for this one; None is no limit."""
    if key.budget_tokens is None:
        return None
    return key.budget_tokens + (key.extra_tokens if period and period == key.extra_period else 0)


def resets_at(key: Key, period: str) -> int | None:
    """Return when a period of a key's budget ends, which `period_of` has returned; None for its whole life.

    Shape:  where clocks are set forward over midnight, it ends as they are.
    Units:  s since 1970.
    """
    kind, _, label = period.partition(":")
    if not kind:
        return None
    end = date.fromisoformat(label) + timedelta(days={"day": 1, "week": 7, "month": 31}[kind])
    if kind == "month":
        end = end.replace(day=1)
    return int(datetime.combine(end, time(), zone(key.budget_timezone)).timestamp())


@lru_cache(maxsize=128)
def zone(name: str) -> tzinfo:
    """Return a time zone; UTC if it is unknown here, so that its budgets hold all the same."""
    if name == "UTC":
        return UTC
    # It takes time to import, and most functions start without it.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        logger.error("the time zone %r is unknown here: its budgets are reset by UTC", name)
        return UTC


def _begin(key: Key, now: float) -> date:
    today = datetime.fromtimestamp(now, zone(key.budget_timezone)).date()
    if key.budget_period == "month":
        return today.replace(day=1)
    return today - timedelta(days=today.weekday() if key.budget_period == "week" else 0)
