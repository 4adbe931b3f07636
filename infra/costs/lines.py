"""Lines of a bill."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infra.costs.prices import HOURS, usd


@dataclass(frozen=True, kw_only=True)
class Line:
    """What is paid for one thing.

    Shape:  `quantity` says how much of it, in words.
    Units:  `usd` US dollars, for the time or the requests that the whole bill is about.
    """

    what: str
    quantity: str
    usd: float


def hourly(what: str, name: str, count: float, quantity: str = "") -> Line:
    """Return the line of something that is paid by the hour, for a month."""
    return Line(what=what, quantity=quantity or f"{count:g}", usd=usd(name, count * HOURS))


def monthly(what: str, name: str, count: float, quantity: str = "") -> Line:
    """Return the line of something that is paid by the month."""
    return Line(what=what, quantity=quantity or f"{count:g}", usd=usd(name, count))


def total(lines: Iterable[Line]) -> float:
    """Return the sum."""
    return sum(line.usd for line in lines)
