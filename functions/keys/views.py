"""Keys as programs read them, and moments and numbers as people do; the key itself is in none of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from functions.shared.keys import Key
from functions.shared.refusals import counted


def key_record(key: Key, now: float) -> dict[str, Any]:
    """Return a key for programs."""
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "status": state(key, now),
        "models": sorted(key.models),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "concurrent": key.concurrent,
        "budget_tokens": key.budget_tokens,
        "budget_period": key.budget_period,
        "budget_timezone": key.budget_timezone,
        "extra_tokens": key.extra_tokens,
        "extra_period": key.extra_period or None,
        "on_outage": key.on_outage,
        "note": key.note,
        "tags": sorted(key.tags),
        "created_at": iso_time(key.created_at),
        "created_by": key.created_by or None,
        "changed_at": _iso_time(key.changed_at),
        "changed_by": key.changed_by or None,
        "expires_at": _iso_time(key.expires_at),
        "deleted_at": _iso_time(key.deleted_at),
        "kept_until": _iso_time(key.kept_until),
    }


def state(key: Key, now: float) -> str:
    """Return `active`, `disabled`, `expired` or `deleted`."""
    if key.deleted_at is not None:
        return "deleted"
    if key.disabled:
        return "disabled"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def iso_time(seconds: float) -> str:
    """Write a moment as `2026-11-22T10:15:30Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso_time(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(seconds)


def iso_day(seconds: float) -> str:
    """Write the day of a moment, in UTC, as `2026-11-22`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def clock(seconds: float) -> str:
    """Write a moment for people, as `2026-11-22 10:15 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def length(seconds: float) -> str:
    """Write a duration, rounded to its largest unit: `90 days`, `1 hour`, `less than a minute`."""
    for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= unit:
            return counted(round(seconds / unit), name)
    return "less than a minute"


def ago(seconds: float) -> str:
    """Write how long ago something was, shortly: `5m ago`, `3d ago`, `just now`."""
    for name, unit in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= unit:
            return f"{int(seconds // unit)}{name} ago"
    return "just now"


def short(number: int) -> str:
    """Write a count shortly where nothing is lost by it: `20k`, `1.5M`; else whole: `1,234,567`."""
    for name, unit in (("M", 10**6), ("k", 10**3)):
        if number >= unit and number % (unit // 10) == 0:
            return f"{number / unit:,.1f}".removesuffix(".0") + name
    return f"{number:,}"
