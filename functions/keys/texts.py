"""A key as people and programs read it; the key itself is in none of it."""

from __future__ import annotations

from typing import Any

from functions.shared.keys import Key

from .spans import clock, iso_day, iso_time, length
from .tables import Cell

COLUMNS = ("ID", "NAME", "KEY", "STATUS", "RPM", "TPM", "BUDGET", "MODELS")


def state(key: Key, now: float) -> str:
    """Return `active`, `disabled` or `expired`."""
    if key.disabled:
        return "disabled"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def row(key: Key, now: float) -> tuple[Cell, ...]:
    """Return a key's row below `COLUMNS`."""
    status = state(key, now)
    if status == "active" and key.expires_at is not None:
        status = f"until {iso_day(key.expires_at)}"
    limits = (key.requests_per_minute, key.tokens_per_minute, key.budget_tokens)
    return key.id, key.name, key.hint, status, *limits, _models(key)


def details(key: Key, spent: int, now: float) -> list[tuple[str, str]]:
    """Return all there is to say about a key, with its budget's state."""
    return [
        ("id", key.id),
        ("name", key.name),
        ("key", f"{key.hint} (the whole key is kept nowhere)"),
        ("status", state(key, now)),
        ("models", _models(key)),
        ("requests", _a_minute(key.requests_per_minute)),
        ("tokens", _a_minute(key.tokens_per_minute)),
        ("budget", _budget(key.budget_tokens, spent)),
        ("created", clock(key.created_at)),
        ("expires", _expiry(key.expires_at, now)),
    ]


def record(key: Key, now: float) -> dict[str, Any]:
    """Return a key for programs."""
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "status": state(key, now),
        "models": sorted(key.models),
        "requests_per_minute": key.requests_per_minute,
        "tokens_per_minute": key.tokens_per_minute,
        "budget_tokens": key.budget_tokens,
        "created_at": iso_time(key.created_at),
        "expires_at": None if key.expires_at is None else iso_time(key.expires_at),
    }


def _models(key: Key) -> str:
    return ", ".join(sorted(key.models)) or "all"


def _a_minute(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,} a minute"


def _budget(budget: int | None, spent: int) -> str:
    if budget is None:
        return f"no limit; {spent:,} tokens spent" if spent else "no limit"
    left = max(0, budget - spent)
    return f"{budget:,} tokens; {spent:,} spent, {left:,} left"


def _expiry(expires_at: int | None, now: float) -> str:
    if expires_at is None:
        return "never"
    ahead_s = expires_at - now
    return f"{clock(expires_at)} ({f'in {length(ahead_s)}' if ahead_s > 0 else f'{length(-ahead_s)} ago'})"
