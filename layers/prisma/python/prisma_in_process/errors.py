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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .url import DatabaseUrl

_UNKNOWN = "(not available)"
_QUOTED = re.compile(r'["«»„“”‚‘’]([^"«»„“”‚‘’]+)')
# A column of an index in an error's detail: quoted, plain, or an expression.
_FIELD = re.compile(r'(?:"[^"]*"|\([^()]*\)|[^,"(])+')
_TRANSACTION = "Transaction API error: "


class UserError(Exception):
    """An error with Prisma's code, None where Prisma has none, as its engines report one.

    `stale`: a prepared statement is no longer what it was, and nothing was executed.
    """

    stale = False

    def __init__(self, code: str | None, message: str, meta: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        facing = {"is_panic": False, "message": message, "meta": meta or {}, "error_code": code}
        self.body: dict[str, Any] = {"error": message.removeprefix(_TRANSACTION), "user_facing_error": facing}


def transaction_failed(reason: str) -> UserError:
    """Return the error of an interactive transaction, which the client names by the reason's first words."""
    return UserError("P2028", _TRANSACTION + reason)


def connection_lost() -> UserError:
    """Return the error of a query whose connection was lost: it may have been executed."""
    return UserError("P1017", "Server has closed the connection.")


# Prisma's code and text for SQLSTATEs on the way to a connection, and for what else keeps from it.
_REFUSED = {
    "28P01": "P1000 Authentication failed against database server at `{address}`, the provided database "
    "credentials for `{user}` are not valid.",
    "3D000": "P1003 Database `{database}` does not exist on the database server at `{address}`.",
    "28000": "P1010 User `{user}` was denied access on the database `{database}`",
    "42501": "P1010 User `{user}` was denied access on the database `{database}`",
    "53300": "P2037 Too many database connections opened: the server has no more.",
    "TLS": "P1011 Error opening a TLS connection: {reason}.",
    "other": "P1001 Can't reach database server at `{address}`: please make sure that it is running "
    "({reason}).",
}
# What OpenSSL's codes say of a certificate; any other, that no authority is trusted that has signed it.
_OTHER_HOST = "is for another host"
_CERTIFICATE = {9: "is not valid yet", 10: "has expired", 62: _OTHER_HOST, 64: _OTHER_HOST}


def not_connected(error: Any, url: DatabaseUrl) -> UserError:
    """Name an error on the way to a connection."""
    state = getattr(error, "sqlstate", None)
    kind, reason = "TLS", state or type(error).__name__
    # By attributes: module `ssl` is not imported for this alone.
    if hasattr(error, "verify_code"):
        reason = f"the server's certificate {_CERTIFICATE.get(error.verify_code, 'has no trusted authority')}"
    elif hasattr(error, "library"):
        reason = f"{error.reason or 'the handshake failed'}".lower().replace("_", " ")
    elif isinstance(error, ConnectionError) and "SSL upgrade" in str(error) and url.tls != "prefer":
        reason = "the server has none, but `sslmode` demands it"
    else:
        kind = state if state in _REFUSED else "other"
    user = url.user or _UNKNOWN
    code, text = _REFUSED[kind].split(" ", 1)
    text = text.format(address=url.address, user=user, database=url.database, reason=reason)
    names = {"database_host": url.host, "database_port": url.port, "database_name": url.database}
    return UserError(code, text, {**names, "database_user": user, "message": reason})


# SQLSTATEs of queries: Prisma's code, a name in its `meta`, and its text, of that name and others.
_KNOWN = {
    "22001": "P2000 column_name The provided value for the column is too long for the column's type. "
    "Column: {column_name}",
    "23505": "P2002 target Unique constraint failed on the {fields}",
    "23001 23503": "P2003 field_name Foreign key constraint failed on the field: `{field_name}`",
    "23000 23514 23P01 44000": "P2004 database_error A constraint failed on the database: `{database_error}`",
    "22007 22021 22P02 22P05": "P2007 database_error Data validation error `{database_error}`",
    "23502": "P2011 constraint Null constraint violation on the fields: (`{column_name}`)",
    "22003 22008": "P2020 details Value out of range for the type. {details}",
    "42P01": "P2021 table The table `{table}` does not exist in the current database.",
    "42703": "P2022 column The column `{column}` does not exist in the current database.",
    "40001 40P01": "P2034 database_error Transaction failed due to a write conflict or a deadlock. "
    "Please retry your transaction",
}
_BY_STATE = {state: entry for states, entry in _KNOWN.items() for state in states.split()}


def query_failed(report: Any, *, raw: bool) -> UserError:
    """Name an error that Postgres reports about a query; `report` is a PostgresError of the driver's."""
    state, said = report.sqlstate, report.message
    if state.startswith("22"):  # its sentence, in any language, may quote a value: the driver's name for it
        said = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(report).__name__.removesuffix("Error")).lower()
    if state in ("26000", "42P05"):
        said += " (behind PgBouncer, add pgbouncer=true to the database's URL)"
    if raw:
        text = f"Raw query failed. Code: `{state}`. Message: `ERROR: {said}`"
        return UserError("P2010", text, {"code": state, "message": f"ERROR: {said}"})
    if state not in _BY_STATE:
        return UserError(None, f"Database error. Code: `{state}`. Message: `{said}`", {"code": state})
    code, key, text = _BY_STATE[state].split(" ", 2)
    index, column = report.constraint_name or _UNKNOWN, report.column_name or _UNKNOWN
    named = _QUOTED.search(said) or re.search(r"\S+ (\S+)", said)
    name = named[1] if named else _UNKNOWN
    found = re.search(r" \((.+?)\)=\(", report.detail or "")
    fields = [each.strip(' "') for each in _FIELD.findall(found[1])] if found else []
    details: dict[str, Any] = {
        **dict.fromkeys(("database_error", "details"), said),
        **dict.fromkeys(("table", "column"), name),
        "column_name": column,
        "constraint": [column],
        "field_name": f"{index} (index)",
        "target": fields or index,
        "fields": f"fields: (`{'`,`'.join(fields)}`)" if fields else f"constraint: `{index}`",
    }
    return UserError(code, text.format_map(details), {key: details[key]})


def unfit(expected: str, *, raw: bool, too_large: bool = False) -> UserError:
    """Return the error of a value that does not fit where it is used."""
    code, state = ("P2020", "22003") if too_large else ("P2023", "22P02")
    text = f"expected {expected}"
    if raw:
        said = f"Raw query failed. Code: `{state}`. Message: `{text}`"
        return UserError("P2010", said, {"code": state, "message": text})
    return UserError(code, f"Inconsistent column data: {text}", {"message": text})


# What a plan's `validate` says: its code, and its text with the context's names.
_MISSING = "An operation failed because it depends on one or more records that were required but not found. "
_VALIDATIONS = {
    "MISSING_RECORD": f"P2025 {_MISSING}No record was found for {{operation}}.",
    "MISSING_RELATED_RECORD": f"P2025 {_MISSING}No '{{model}}' record{{hint}} was found for {{operation}} on "
    "{relationType} relation '{relation}'.",
    "INCOMPLETE_CONNECT_INPUT": f"P2025 {_MISSING}Expected {{expectedRows}} records to be connected, found "
    "only {found}.",
    "INCOMPLETE_CONNECT_OUTPUT": "P2018 The required connected records were not found. Expected "
    "{expectedRows} records to be connected after connect operation on {relationType} relation '{relation}', "
    "found {found}.",
    "RECORDS_NOT_CONNECTED": "P2017 The records for relation `{relation}` between the `{parent}` and "
    "`{child}` models are not connected.",
    "RELATION_VIOLATION": "P2014 The change you are trying to make would violate the required relation "
    "'{relation}' between the `{modelA}` and `{modelB}` models.",
}


def validation(identifier: str, context: dict[str, Any], found: Any) -> UserError:
    code, text = _VALIDATIONS[identifier].split(" ", 1)
    hint = f" (needed to {context['neededFor']})" if context.get("neededFor") else ""
    count = len(found) if isinstance(found, list) else found
    return UserError(code, text.format_map({**context, "hint": hint, "found": count}), context)
