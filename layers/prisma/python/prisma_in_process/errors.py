"""What Prisma calls the failures of Postgres and of the way to it."""

from __future__ import annotations

import re
from typing import Any


class UserError(Exception):
    """An error with Prisma's code, as its engines report one."""

    def __init__(
        self, code: str, message: str, meta: dict[str, Any] | None = None, *, error: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "error": error or message,
            "user_facing_error": {
                "is_panic": False,
                "message": message,
                "meta": meta or {},
                "error_code": code,
            },
        }


def from_postgres(error: Any, *, raw: bool) -> UserError:
    """Name an error that Postgres itself reported."""
    state, said = error.sqlstate or "N/A", error.message or str(error)
    if state == "28P01":
        return UserError("P1000", "Authentication failed: the database credentials are not valid")
    if state in ("57P03", "57P01", "57P02", "08006", "08003", "08001", "08004"):
        # starting, shutting down, connection lost
        return UserError("P1001" if state == "57P03" else "P1017", f"The database cannot be asked ({state})")
    if raw:
        said = error.detail or f"ERROR: {said}"
        meta = {"code": state, "message": said}
        return UserError("P2010", f"Raw query failed. Code: `{state}`. Message: `{said}`", meta, error=said)
    match = re.search(r"Key \(([^)]+)\)", error.detail or "")
    fields = [each.strip('" ') for each in match[1].split(",")] if match else None
    if state == "23505":
        names = ",".join(f"`{each}`" for each in fields or [])
        return UserError("P2002", f"Unique constraint failed on the fields: ({names})", {"target": fields})
    if state in ("23503", "23001"):
        name = error.constraint_name
        return UserError(
            "P2003", f"Foreign key constraint failed on the field: `{name} (index)`", {"field_name": name}
        )
    if state == "23502":
        return UserError("P2011", f"Null constraint violation on the fields: (`{error.column_name}`)", {})
    if state == "22001":
        return UserError("P2000", "The provided value for the column is too long for the column's type.")
    known = {
        "3D000": "P1003",
        "28000": "P1010",
        "22003": "P2020",
        "22P02": "P2007",
        "42P01": "P2021",
        "42703": "P2022",
        "40001": "P2034",
        "40P01": "P2034",
        "53300": "P2037",
    }.get(state)
    if known:
        return UserError(known, said, {})
    return UserError("P2039", f"Database error. Code: `{state}`. Message: `{said}`")


# What a plan's `validate` says: its code, and its text with the context's names.
_MISSING = "An operation failed because it depends on one or more records that were required but not found. "
VALIDATIONS = {
    "MISSING_RECORD": ("P2025", _MISSING + "No record was found for {operation}."),
    "MISSING_RELATED_RECORD": (
        "P2025",
        _MISSING
        + "No '{model}' record{hint} was found for {operation} on {relationType} relation '{relation}'.",
    ),
    "INCOMPLETE_CONNECT_INPUT": (
        "P2025",
        _MISSING + "Expected {expectedRows} records to be connected, found only {found}.",
    ),
    "INCOMPLETE_CONNECT_OUTPUT": (
        "P2018",
        "The required connected records were not found. Expected {expectedRows} records to be connected after "
        "connect operation on {relationType} relation '{relation}', found {found}.",
    ),
    "RECORDS_NOT_CONNECTED": (
        "P2017",
        "The records for relation `{relation}` between the `{parent}` and `{child}` models are not connected.",
    ),
    "RELATION_VIOLATION": (
        "P2014",
        "The change you are trying to make would violate the required relation '{relation}' between the `{modelA}` "
        "and `{modelB}` models.",
    ),
}


def validation(identifier: str, context: dict[str, Any], found: Any) -> UserError:
    code, text = VALIDATIONS[identifier]
    hint = f" (needed to {context['neededFor']})" if context.get("neededFor") else ""
    count = len(found) if isinstance(found, list) else found
    return UserError(code, text.format_map({**context, "hint": hint, "found": count}), context)
