"""What a change did to a key, as people and programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import views

_LABELS = {
    "requests_per_minute": "rpm",
    "tokens_per_minute": "tpm",
    "budget_tokens": "budget",
    "budget_period": "budget period",
    "budget_timezone": "timezone",
    "extra_tokens": "top-up",
    "extra_period": "top-up for",
    "on_outage": "on-outage",
    "expires_at": "expires",
    "deleted_at": "deleted",
    "kept_until": "kept until",
    "hint": "text",
    "replaced_texts": "earlier texts",
}
_EMPTY: tuple[Any, ...] = (None, "", [], ())
_TIMES = ("expires_at", "deleted_at", "kept_until")

Members = Mapping[str, tuple[Any, Any]]


def lines(members: Members) -> list[str]:
    """Return a line for each member: `rpm  60 -> 120`."""
    labels = {name: _LABELS.get(name, name) for name in members}
    width = max(map(len, labels.values()), default=0)
    return [
        f"  {labels[name]:<{width}}  {_text(name, old)} -> {_text(name, new)}"
        for name, (old, new) in members.items()
    ]


def summary(members: Members) -> str:
    """Return what was changed, in one line: `rpm 60 -> 120, note -> for the demo`."""
    return ", ".join(
        f"{_LABELS.get(name, name)} {'' if old in _EMPTY else f'{_text(name, old)} '}-> {_text(name, new)}"
        for name, (old, new) in members.items()
    )


def record(members: Members) -> dict[str, dict[str, Any]]:
    """Return what was changed, for programs."""
    return {
        name: {"old": _plain(name, old), "new": _plain(name, new)} for name, (old, new) in members.items()
    }


def _text(name: str, value: Any) -> str:
    if value in _EMPTY:
        return "all" if name == "models" else "never" if name == "expires_at" else "none"
    if name in _TIMES:
        return views.clock(value)
    if name == "replaced_texts":
        return ", ".join(f"{hint} until {views.clock(until)}" if until else hint for hint, until in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _plain(name: str, value: Any) -> Any:
    return views.iso_time(value) if name in _TIMES and value is not None else value
