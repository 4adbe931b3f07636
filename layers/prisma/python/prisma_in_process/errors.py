"""Errors as Prisma's engines report them: a code, a sentence, and details. No text holds a value.

    before a query is sent   P1013 URL · P1001, P1011 not reached · P1000, P1003, P1010 refused ·
                             P2024, P2037 no connection free
    after it was sent        P1017 connection lost, P1008 no answer in time: it may have been executed
    of the query itself      P2xxx, or no code where Prisma has none

Source: prisma-engines, quaint, `postgres/error.rs`, and user-facing-errors, `quaint.rs`; prisma,
        client-engine-runtime, `user-facing-error.ts`; all read 2026-11-27. SQLSTATEs: from memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .url import DatabaseUrl

_UNKNOWN = "(not available)"
_QUOTED = re.compile(r'["«»„“”‚‘’]([^"«»„“”‚‘’]+)')
# A column of an index in an error's detail: quoted, plain, or an expression.
_FIELD = re.compile(r'(?:"[^"]*"|\([^()]*\)|[^,"(])+')
# Their messages quote values.
_DATA = "22"


class UserError(Exception):
    """An error with Prisma's code, None where Prisma has none, as its engines report one."""

    def __init__(
        self, code: str | None, message: str, meta: dict[str, Any] | None = None, *, error: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.body: dict[str, Any] = {
            "error": error or message,
            "user_facing_error": {
                "is_panic": False,
                "message": message,
                "meta": meta or {},
                "error_code": code,
            },
        }


class Report(Protocol):
    """An error that Postgres reports, as the driver has it."""

    sqlstate: str
    message: str
    detail: str | None
    column_name: str | None
    constraint_name: str | None


def connection_lost() -> UserError:
    """Return the error of a query whose connection was lost: it may have been executed."""
    return UserError("P1017", "Server has closed the connection.")


def not_connected(error: Exception, url: DatabaseUrl) -> UserError:
    """Name an error on the way to a connection."""
    user = url.user or _UNKNOWN
    meta = {
        "database_host": url.host,
        "database_port": url.port,
        "database_name": url.database,
        "database_user": user,
    }
    state = getattr(error, "sqlstate", None)
    if state == "28P01":
        text = f"Authentication failed against database server at `{url.address}`, the provided database"
        return UserError("P1000", f"{text} credentials for `{user}` are not valid.", meta)
    if state == "3D000":
        text = f"Database `{url.database}` does not exist on the database server at `{url.address}`."
        return UserError("P1003", text, meta)
    if state in ("28000", "42501"):
        return UserError("P1010", f"User `{user}` was denied access on the database `{url.database}`", meta)
    if state == "53300":
        return UserError("P2037", "Too many database connections opened: the server has no more.")
    if reason := _tls_reason(error):
        return UserError("P1011", f"Error opening a TLS connection: {reason}.", {"message": reason})
    text = f"Can't reach database server at `{url.address}`: please make sure that it is running"
    return UserError("P1001", f"{text} ({state or type(error).__name__}).", meta)


def _tls_reason(error: Any) -> str | None:
    # By attributes: module `ssl` is not imported for this alone.
    if hasattr(error, "verify_code"):
        reasons = {
            9: "is not valid yet",
            10: "has expired",
            62: "is for another host",
            64: "is for another host",
        }
        return f"the server's certificate {reasons.get(error.verify_code, 'has no trusted authority')}"
    if hasattr(error, "library"):
        return f"{error.reason or 'the handshake failed'}".lower().replace("_", " ")
    if isinstance(error, ConnectionError) and "SSL upgrade" in str(error):
        return "the server has none, but `sslmode` demands it"
    return None


_RETRY = "Transaction failed due to a write conflict or a deadlock. Please retry your transaction"
_TOO_LONG = "The provided value for the column is too long for the column's type. Column: {column}"
# SQLSTATEs, Prisma's code and text for them, what its `meta` holds, and which of the details that is.
_KNOWN = (
    ("22001", "P2000", _TOO_LONG, "column_name", "column"),
    ("23505", "P2002", "Unique constraint failed on the {fields}", "target", "target"),
    ("23001 23503", "P2003", "Foreign key constraint failed on the field: `{index}`", "field_name", "index"),
    (
        "23000 23514 23P01 44000",
        "P2004",
        "A constraint failed on the database: `{said}`",
        "database_error",
        "said",
    ),
    ("22007 22021 22P02 22P05", "P2007", "Data validation error `{said}`", "database_error", "said"),
    ("23502", "P2011", "Null constraint violation on the fields: (`{column}`)", "constraint", "columns"),
    ("22003 22008", "P2020", "Value out of range for the type. {said}", "details", "said"),
    ("42P01", "P2021", "The table `{name}` does not exist in the current database.", "table", "name"),
    ("42703", "P2022", "The column `{name}` does not exist in the current database.", "column", "name"),
    ("40001 40P01", "P2034", _RETRY, "database_error", "said"),
)
_BY_STATE = {state: known for states, *known in _KNOWN for state in states.split()}


def query_failed(report: Report, *, raw: bool) -> UserError:
    """Name an error that Postgres reports about a query."""
    state, said = report.sqlstate, report.message
    if state.startswith(_DATA):  # in any language: what Postgres calls the error, in place of its sentence
        said = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(report).__name__.removesuffix("Error")).lower()
    if state in ("26000", "42P05"):
        said += " (behind PgBouncer, add pgbouncer=true to the database's URL)"
    if raw:
        said = f"ERROR: {said}"
        text = f"Raw query failed. Code: `{state}`. Message: `{said}`"
        return UserError("P2010", text, {"code": state, "message": said}, error=said)
    if state not in _BY_STATE:
        return UserError(None, f"Database error. Code: `{state}`. Message: `{said}`", {"code": state})
    code, text, key, detail = _BY_STATE[state]
    index, column = report.constraint_name or _UNKNOWN, report.column_name or _UNKNOWN
    name = _QUOTED.search(said) or re.search(r"\S+ (\S+)", said)
    found = re.search(r" \((.+?)\)=\(", report.detail or "")
    fields = [each.strip(' "') for each in _FIELD.findall(found[1])] if found else []
    details: dict[str, Any] = {
        "said": said,
        "column": column,
        "columns": [column],
        "index": f"{index} (index)",
        "name": name[1] if name else _UNKNOWN,
        "target": fields or index,
        "fields": f"fields: ({','.join(f'`{each}`' for each in fields)})"
        if fields
        else f"constraint: `{index}`",
    }
    return UserError(code, text.format_map(details), {key: details[detail]})


def unfit(reason: str, code: str = "P2023", sqlstate: str = "22P02", *, raw: bool) -> UserError:
    """Return the error of a value that does not fit where it is used; `reason` says what was expected."""
    text = f"expected {reason}"
    if raw:
        said = f"Raw query failed. Code: `{sqlstate}`. Message: `{text}`"
        return UserError("P2010", said, {"code": sqlstate, "message": text})
    return UserError(code, f"Inconsistent column data: {text}", {"message": text})


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
        "The required connected records were not found. Expected {expectedRows} records to be connected "
        "after connect operation on {relationType} relation '{relation}', found {found}.",
    ),
    "RECORDS_NOT_CONNECTED": (
        "P2017",
        "The records for relation `{relation}` between the `{parent}` and `{child}` models "
        "are not connected.",
    ),
    "RELATION_VIOLATION": (
        "P2014",
        "The change you are trying to make would violate the required relation '{relation}' "
        "between the `{modelA}` and `{modelB}` models.",
    ),
}


def validation(identifier: str, context: dict[str, Any], found: Any) -> UserError:
    code, text = VALIDATIONS[identifier]
    hint = f" (needed to {context['neededFor']})" if context.get("neededFor") else ""
    count = len(found) if isinstance(found, list) else found
    return UserError(code, text.format_map({**context, "hint": hint, "found": count}), context)
