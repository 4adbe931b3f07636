"""Where the engine in process answers otherwise than Prisma 5.17's did, and why that is right."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.integration.prisma.equivalence.notation import canonical

# Faults of a call, of which an engine names the one that it meets first.
FAULTS = frozenset({"P2002", "P2003", "P2011", "P2014", "P2017", "P2018", "P2025"})
_UNREAD = frozenset({"onemoney", "manymoney", "manyjson", "manyjsontext", "manytimetz", "manytimestamptz"})
_ROLLED_BACK = "committing a transaction that Postgres has rolled back is an error"


@dataclass(frozen=True)
class Case:
    step: dict[str, Any]
    today: Any
    here: Any

    @property
    def call(self) -> str:
        return str(self.step.get("call", ""))

    @property
    def codes(self) -> tuple[str | None, str | None]:
        return self.today.get("code"), self.here.get("code")


def reason(step: dict[str, Any], today: Any, here: Any) -> str | None:
    """Return why a difference is right, or None."""
    if "tx" in today and "tx" in here and len(today["tx"]) == len(here["tx"]):
        # An expired transaction is given its first step again.
        inner = zip([*step["tx"], *step["tx"][:1]], today["tx"], here["tx"], strict=False)
        reasons = [reason(*each) for each in inner if canonical(each[1]) != canonical(each[2])]
        if {**today, "tx": []} != {**here, "tx": []}:
            reasons.append(
                _ROLLED_BACK if here.get("error") == "TransactionError" and "error" not in today else None
            )
        return reasons[0] if reasons and all(reasons) else None
    case = Case(step, today, here)
    return next((text for text, holds in _REASONS.items() if holds(case)), None)


def _two_faults(case: Case) -> bool:
    return set(case.codes) <= (FAULTS | {"P2009"} if "batch" in case.step else FAULTS)


def _raw_type(case: Case) -> bool:
    a_time = case.call == "execute_raw" and "::time" in case.step["with"][0]
    if case.step.get("tables") in ("scalar: Time", "scalar: Timetz"):
        return True
    return (case.call.startswith("query_") or a_time) and case.codes[0] == "P2010" and "value" in case.here


def _wrong_value(case: Case) -> bool:
    both = (case.today, case.here)
    return (
        all(each.get("code") == "P2009" and "Missing" not in each["error"] for each in both)
        and "kind" not in case.today
    )


def _order_by_json(case: Case) -> bool:
    return (
        case.step.get("on") in ("onejson", "onejsontext")
        and case.codes[0] == "P2009"
        and "order" in case.step["with"]
    )


def _null_text(case: Case) -> bool:
    given = '{"$json": "null"}' in json.dumps(case.step)
    return given and canonical(case.today) == canonical(case.here).replace('"null"', "null")


def _digits(case: Case) -> bool:
    tolerance = 1e-6 if "real" in json.dumps(case.step).lower() else 1e-14

    def close(today: Any, here: Any) -> bool:
        if (
            isinstance(today, bool)
            or not isinstance(today, (int, float))
            or not isinstance(here, (int, float))
        ):
            return type(today) is type(here) and bool(today == here)
        return math.isclose(today, here, rel_tol=tolerance)

    return _same(case.today, case.here, close)


def _enum_list(case: Case) -> bool:
    def written(today: Any, here: Any) -> bool:
        if not isinstance(here, list):
            return bool(today == here)
        texts = ("NULL" if each is None else str(each) for each in here)
        return bool(str(today).replace('"', "") == "{" + ",".join(texts) + "}")

    return _same(case.today, case.here, written)


def _same(today: Any, here: Any, leaves: Callable[[Any, Any], bool]) -> bool:
    if isinstance(today, dict) and isinstance(here, dict):
        return today.keys() == here.keys() and all(_same(today[name], here[name], leaves) for name in today)
    if isinstance(today, list) and isinstance(here, list):
        return len(today) == len(here) and all(_same(*pair, leaves) for pair in zip(today, here, strict=True))
    return leaves(today, here)


_REASONS: dict[str, Callable[[Case], bool]] = {
    "errors of Postgres have codes that today's engine does not give": lambda case: (
        case.today == {"error": "DataError"} and "code" in case.here
    ),
    "of a call's two faults either is named": _two_faults,
    "update_many without changes counts the rows that it found": lambda case: (
        case.call == "update_many" and not case.step["with"]["data"] and case.today == {"value": 0}
    ),
    "raw queries take and return types that today's engine does not": _raw_type,
    "a value of the wrong type is a DataError of one class or another": _wrong_value,
    "floats, and numbers in Json, keep all their digits": _digits,
    "money below zero, lists of Json and of times with a zone can be read": lambda case: (
        case.step.get("on") in _UNREAD and case.codes[0] in ("P2023", "P2032") and "value" in case.here
    ),
    "whole numbers above 2**53 are floats where floats are expected": lambda case: (
        case.step.get("on") in ("onefloat", "onereal") and case.codes[0] == "P2009" and "value" in case.here
    ),
    "a text in Json that says null is no null": _null_text,
    "raw parameters and results that break today's client do not": lambda case: (
        case.today.get("error") in ("AttributeError", "TypeError", "ValidationError")
        and case.here.keys() & {"value", "code"} != set()
    ),
    "rows can be ordered and grouped by jsonb": _order_by_json,
    "raw lists of enums are lists": _enum_list,
    "lists of over 32,766 values, where they cannot be split, are refused": lambda case: (
        case.codes[1] == "P2029"
    ),
    "parameters without a place are an error of the query, not of the connection": lambda case: (
        case.codes == ("P1017", "P2010")
    ),
}
