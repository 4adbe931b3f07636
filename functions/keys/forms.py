"""What people type, read: counts, spans of time, dates, budgets and texts.

Each function reads one form.
Raises: ValueError, with a text for the user that names the forms.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import UTC, datetime
from fractions import Fraction
from typing import cast
from zoneinfo import available_timezones

from functions.shared.key_text import holds_key
from functions.shared.keys import Period

MOST = 10**15
_LONGEST_NAME = 64
_LONGEST_NOTE = 200
_SHOWN = 60
_COUNT = re.compile(
    r"(?P<whole>[0-9]{1,16}|[0-9]{1,3}(?P<mark>[_,])[0-9]{3}(?:(?P=mark)[0-9]{3}){0,4})"
    r"(?:\.(?P<part>[0-9]{1,2}))?(?:e(?P<power>[0-9]{1,2})|(?P<unit>[kmgbKMGB]))?"
)
_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_SPANS = (
    (7 * 86400, "w|weeks?"),
    (86400, "d|days?"),
    (3600, "h|hours?"),
    (60, "m|mins?|minutes?"),
    (1, "s|secs?|seconds?"),
)
_SPAN = re.compile("".join(rf"(?:([0-9]{{1,9}}) ?(?:{names}) ?)?" for _, names in _SPANS))
_UNEVEN_SPAN = re.compile(r"[0-9]+ ?(?:mo|months?|y|years?)")
LONGEST_S = 36500 * 86400
_PERIODS: dict[str, Period] = {"day": "day", "week": "week", "month": "month"}


def name(text: str) -> str:
    """Read a name for a key: a line that tables and terminals can show."""
    stripped = normalised(text)
    if stripped.startswith("sk-") or holds_key(stripped):
        raise ValueError("expected a name that shows whose key it is, but got what looks like a key")
    return _line(stripped, _LONGEST_NAME, text)


def note(text: str) -> str:
    """Read a note: one line, or none."""
    if holds_key(text):
        raise ValueError("expected a note, but got one with what looks like a key")
    return _line(text.strip(), _LONGEST_NOTE, text) if text.strip() not in ("", "none") else ""


def tag(text: str) -> str:
    """Read a tag: a name without a comma."""
    if "," in text:
        raise ValueError(f"expected one tag, and --tag again for each further one, but got {shown(text)}")
    if text.strip() == "none":
        raise ValueError(
            "expected a tag, but got 'none'; to remove one of a key, --untag, as in --untag team-a"
        )
    return name(text)


def count(text: str) -> int:
    """Read a whole number from 1 to 10^15."""
    match = _COUNT.fullmatch(text)
    value = Fraction(0)
    if match and (not match["part"] or match["unit"] or match["power"]):
        whole = re.sub("[_,]", "", match["whole"])
        value = Fraction(f"{whole}.{match['part'] or 0}") * 10 ** int(match["power"] or 0)
        value *= _UNITS.get((match["unit"] or "").lower(), 1)
    if value.denominator != 1 or not 0 < value <= MOST:
        raise ValueError(
            "expected a whole number from 1 to 10^15, such as 500, 20k, 1.5M, 1_000_000 or 1e6, but got"
            f" {shown(text)}"
        )
    return int(value)


def budget(text: str) -> tuple[int, Period | None]:
    """Read a count of tokens, for ever or for each period: `1M`, `50k/day`, `1M/month`."""
    tokens, slash, period = (part.strip() for part in text.partition("/"))
    period = period.lower()
    if slash and period not in _PERIODS:
        raise ValueError(
            f"expected tokens for ever, or for each day, week or month, such as 1M, 50k/day or 1M/month,"
            f" but got {shown(text)}"
        )
    return count(tokens), _PERIODS[period] if slash else None


def timezone(text: str) -> str:
    """Read the name of a time zone."""
    zones = {zone.casefold(): zone for zone in available_timezones() if "/" in zone or zone == "UTC"}
    wanted = text.strip().replace(" ", "_").casefold()
    if wanted in zones:
        return zones[wanted]
    cities = {zone.rpartition("/")[2]: zone for zone in zones}
    near = [zones[cities[city]] for city in difflib.get_close_matches(wanted, cities, 3, 0.7)]
    near += [zones[zone] for zone in difflib.get_close_matches(wanted, zones, 3, 0.7)]
    raise ValueError(
        f"expected a time zone such as {' or '.join([*dict.fromkeys(near)][:3] or ['Europe/Berlin', 'UTC'])},"
        f" but got {shown(text)}"
    )


def models(text: str) -> list[str]:
    """Read names of models, separated by commas; `all` is none in particular."""
    names = [model.strip() for model in text.split(",")]
    if not all(model and model.isprintable() for model in names):
        raise ValueError(
            f"expected names of models, separated by commas, as in default,small, but got {shown(text)}"
        )
    words = {name.lower() for name in names}
    if "none" in words:
        raise ValueError("expected names of models, or all; to refuse the key altogether, disable it")
    if "all" in words and len(names) > 1:
        raise ValueError(f"expected names of models, or only the word all, but got {shown(text)}")
    return [] if words == {"all"} else names


def which(text: str) -> str:
    """Read what stands for a key: its id, the beginning of it, or its name."""
    if text.strip().startswith("sk-") or holds_key(text):
        raise ValueError(
            "expected an id or a name as `list` shows them, but got what looks like the key itself"
        )
    if not text.strip():
        raise ValueError("expected an id or a name as `list` shows them, but got none")
    return normalised(text)


def span(text: str) -> int:
    """Read a span of time, such as `90d`, `2w` or `1h30m`.

    Units:  s.
    """
    seconds = _seconds(text)
    if seconds is None or seconds > LONGEST_S:
        raise ValueError(
            f"expected a span of time such as 90d, 2w or 1h30m, but got {shown(text)}{_hint(text)}"
        )
    return seconds


def after(text: str, now: float) -> int:
    """Read a time in the future: a span from now, or an ISO date, in UTC unless it has a zone.

    Units:  s since 1970.
    """
    moment = _moment(text, now, 1)
    if not now < moment <= now + LONGEST_S:
        raise ValueError(f"expected a time in the future, within 100 years, but got {shown(text)}")
    return moment


def before(text: str, now: float) -> int:
    """Read a time in the past, of the same forms.

    Units:  s since 1970.
    """
    moment = _moment(text, now, -1)
    if not 0 <= moment <= now:
        raise ValueError(f"expected a time in the past, after 1970, but got {shown(text)}")
    return moment


def normalised(text: str) -> str:
    """Return a name as names are compared: two that look the same are."""
    return unicodedata.normalize("NFC", text.strip())


def shown(text: str) -> str:
    """Return what was typed as an error quotes it."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _moment(text: str, now: float, direction: int) -> int:
    seconds = _seconds(text)
    if seconds is not None:
        return int(now) + direction * seconds
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(
            f"expected a span such as 90d, 2w or 1h30m, or a date such as 2027-01-31, but got"
            f" {shown(text)}{_hint(text)}"
        ) from None


def _seconds(text: str) -> int | None:
    match = _SPAN.fullmatch(text.strip())
    if not match or not any(match.groups()):
        return None
    amounts = cast("tuple[str | None, ...]", match.groups())
    return sum(int(amount or 0) * seconds for amount, (seconds, _) in zip(amounts, _SPANS, strict=True))


def _hint(text: str) -> str:
    uneven = _UNEVEN_SPAN.fullmatch(text.strip())
    return "; months and years differ in length, so give days, as in 365d" if uneven else ""


def _line(stripped: str, longest: int, text: str) -> str:
    if not 0 < len(stripped) <= longest or not stripped.isprintable():
        raise ValueError(f"expected 1 to {longest} printable characters, but got {shown(text)}")
    return stripped
