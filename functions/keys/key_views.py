"""Keys as people read them in a list and one by one, with what is left of their limits, and their history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.shared.budgets import budget_of, zone
from functions.shared.key_items import Replaced
from functions.shared.keys import Key
from functions.shared.limits import Allowance, Counts, allowance_of, counts_at, period_at
from functions.shared.refusals import counted

from . import change_views
from .history import Change
from .session import PROGRAM
from .tables import Cell, Details, Rows
from .views import ago, clock, iso_time, key_record, length, short, state

_COLUMNS = (
    *("ID", "NAME", "KEY", "STATUS", "EXPIRES (UTC)", "RPM", "TPM", "BUDGET", "LEFT", "USED", "TAGS"),
    "MODELS",
)
_SPARSE = ("EXPIRES (UTC)", "RPM", "TPM", "BUDGET", "LEFT", "USED", "TAGS", "MODELS")
_NONE = Counts(window=0)


def keys_table(keys: Iterable[Key], counts: Mapping[str, Counts], now: float) -> Rows:
    """Return a row for each key."""
    rows: list[Sequence[Cell]] = []
    for key in keys:
        used = counts.get(key.id, _NONE)
        budget = None
        if key.budget_tokens is not None:
            budget = short(key.budget_tokens) + (f"/{key.budget_period}" if key.budget_period else "")
        rows.append(
            (
                key.id,
                key.name,
                key.hint,
                state(key, now),
                None if key.expires_at is None else clock(key.expires_at).removesuffix(" UTC"),
                key.requests_per_minute,
                key.tokens_per_minute,
                budget,
                _allowance(key, used, now).remaining_budget,
                None if used.used_at is None else ago(now - used.used_at),
                ", ".join(sorted(key.tags)) or None,
                ", ".join(sorted(key.models)) or None,
            )
        )
    return Rows(_COLUMNS, rows, ("NAME", "TAGS", "MODELS"), _SPARSE, heading=2)


def listed_record(key: Key, counts: Counts | None, now: float) -> dict[str, Any]:
    """Return a key for programs, as it is listed."""
    used = counts or _NONE
    return {
        **key_record(key, now),
        "budget_left": _allowance(key, used, now).remaining_budget,
        "last_used_at": None if used.used_at is None else iso_time(used.used_at),
    }


def key_details(key: Key, counts: Counts | None, replaced: Sequence[Replaced], now: float) -> Details:
    """Return all that is known of a key, with what is left of its limits now."""
    counts = counts or _NONE
    left = _allowance(key, counts, now)
    reserved = sum(each.most for each in counts.running.values())
    running = f"{counted(len(counts.running), 'request')}, {counted(reserved, 'token')} reserved"
    used_at, status, expires = counts.used_at, state(key, now), "never"
    if key.deleted_at is not None and key.kept_until is not None:
        status += f" {clock(key.deleted_at)}, kept until {clock(key.kept_until)}"
    if key.expires_at is not None:
        ahead_s = key.expires_at - now
        expires = f"in {length(ahead_s)}" if ahead_s > 0 else f"{length(-ahead_s)} ago"
        expires = f"{clock(key.expires_at)} ({expires})"
    finish = f"once the newer key is in use, end it: {PROGRAM} rotate {key.id} --finish"
    earlier = [
        f"{each.hint} is accepted, too"
        + (f"; {finish}" if each.until is None else f", until {clock(each.until)}")
        for each in replaced
        if each.is_accepted(now)
    ]
    rows = {
        "id": key.id,
        "name": key.name,
        "key": f"{key.hint} (the whole key is stored nowhere)",
        "earlier keys": "; ".join(earlier),
        "status": status,
        "models": ", ".join(sorted(key.models)) or "all",
        "requests": _a_minute(key.requests_per_minute, left.remaining_requests, left.requests_reset_in_s),
        "tokens": _a_minute(key.tokens_per_minute, left.remaining_tokens, left.tokens_reset_in_s),
        "at once": "no limit" if key.concurrent is None else counted(key.concurrent, "request"),
        "running": running,
        "budget": _budget(key, counts, left, now),
        "spent": f"{counted(counts.spent, 'token')} since it was created",
        "on outage": _ON_OUTAGE[key.on_outage],
        "note": key.note,
        "tags": ", ".join(sorted(key.tags)),
        "created": _by(key.created_at, key.created_by),
        "changed": "" if key.changed_at is None else _by(key.changed_at, key.changed_by),
        "last used": "never" if used_at is None else f"{clock(used_at)} ({ago(now - used_at)})",
        "expires": expires,
    }
    return Details({name: value for name, value in rows.items() if value})


def detailed_record(
    key: Key, counts: Counts | None, replaced: Sequence[Replaced], now: float
) -> dict[str, Any]:
    """Return all that is known of a key, for programs."""
    counts = counts or _NONE
    left = _allowance(key, counts, now)
    return {
        **listed_record(key, counts, now),
        "earlier_keys": [
            {"hint": each.hint, "accepted_until": None if each.until is None else iso_time(each.until)}
            for each in replaced
            if each.is_accepted(now)
        ],
        "requests_left": left.remaining_requests,
        "requests_reset_in_s": left.requests_reset_in_s,
        "tokens_left": left.remaining_tokens,
        "tokens_reset_in_s": left.tokens_reset_in_s,
        "budget": left.limit_budget,
        "budget_resets_at": None if left.budget_resets_at is None else iso_time(left.budget_resets_at),
        "spent_tokens": counts.spent,
        "running_requests": len(counts.running),
        "reserved_tokens": sum(each.most for each in counts.running.values()),
    }


def history_table(changes: Iterable[tuple[Key, Change]], *, of_one: bool) -> Rows:
    """Return a row for each change of a key, or of many."""
    rows = [
        (
            clock(change.at_ms / 1000).removesuffix(" UTC"),
            change.by or None,
            change.command,
            *(() if of_one else (key.id, key.name)),
            change_views.summary(change.members),
        )
        for key, change in changes
    ]
    columns = ("WHEN (UTC)", "WHO", "COMMAND", *(() if of_one else ("ID", "NAME")), "WHAT")
    return Rows(columns, rows, ("WHO", "NAME", "WHAT"), heading=3)


def change_record(key: Key, change: Change) -> dict[str, Any]:
    """Return a change for programs."""
    return {
        "at": iso_time(change.at_ms / 1000),
        "by": change.by,
        "command": change.command,
        "key_id": key.id,
        "name": key.name,
        "changed": change_views.record(change.members),
    }


_ON_OUTAGE = {
    "open": "open: requests are accepted while limits cannot be counted",
    "closed": "closed: requests are refused while limits cannot be counted",
}


def _allowance(key: Key, counts: Counts, now: float) -> Allowance:
    return allowance_of(key, counts_at(now, counts), now)


def _budget(key: Key, counts: Counts, left: Allowance, now: float) -> str:
    if key.budget_tokens is None:
        return "no limit"
    period, spent = period_at(key, counts_at(now, counts), now)
    total = budget_of(key, period) or 0
    each = f" a {key.budget_period}" if key.budget_period else ""
    added = f", and {total - key.budget_tokens:,} more in this one" if total != key.budget_tokens else ""
    said = f"{key.budget_tokens:,} tokens{each}{added}; {spent:,} spent, {left.remaining_budget:,} left"
    if left.budget_resets_at is not None:
        where = zone(key.budget_timezone)
        begins = datetime.fromtimestamp(left.budget_resets_at, where)
        said += f"; begins again {begins:%Y-%m-%d %H:%M} {where}"
        said += f" (in {length(left.budget_resets_at - now)})"
    return said


def _a_minute(limit: int | None, left: int | None, reset_in_s: float) -> str:
    if limit is None:
        return "no limit"
    said = f"{limit:,} a minute; {left:,} left"
    return said if left == limit else f"{said}, all of them in {reset_in_s:.0f} s"


def _by(moment: int, who: str) -> str:
    return clock(moment) + (f" by {who}" if who else "")
