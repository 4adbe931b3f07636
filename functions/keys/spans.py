"""Times as people write them: `90d`, `12h`, `30m`, or an ISO date, which is UTC unless it says otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_SPAN = re.compile(r"([0-9]{1,9})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 36500 * 86400


def after(text: str, now: float) -> int:
    """Return the moment that a text names, which lies ahead of now.

    Units:  s since 1970.
    Raises: ValueError, with a text for the user.
    """
    moment = _moment(text, now, 1)
    if not now < moment <= now + _LONGEST_S:
        raise ValueError(f"expected a time ahead of now and within 100 years, but got {text!r}")
    return moment


def before(text: str, now: float) -> int:
    """Return the moment that a text names, which lies behind now.

    Units:  s since 1970.
    Raises: ValueError, with a text for the user.
    """
    moment = _moment(text, now, -1)
    if not 0 <= moment <= now:
        raise ValueError(f"expected a time before now and after 1970, but got {text!r}")
    return moment


def iso_time(seconds: float) -> str:
    """Write a moment as `2026-11-22T10:15:30Z`."""
    return _utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_day(seconds: float) -> str:
    """Write the day of a moment, in UTC, as `2026-11-22`."""
    return _utc(seconds).strftime("%Y-%m-%d")


def clock(seconds: float) -> str:
    """Write a moment for people, as `2026-11-22 10:15 UTC`."""
    return _utc(seconds).strftime("%Y-%m-%d %H:%M UTC")


def length(seconds: float) -> str:
    """Write how long something is, rounded to its largest unit: `90 days`, `1 hour`, `less than a minute`."""
    for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= unit:
            count = round(seconds / unit)
            return f"{count:,} {name}" + ("s" if count > 1 else "")
    return "less than a minute"


def _moment(text: str, now: float, direction: int) -> int:
    if span := _SPAN.fullmatch(text):
        return int(now) + direction * int(span[1]) * _SECONDS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"expected 90d, 12h, 30m or a date such as 2027-01-31, but got {text!r}") from None


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
