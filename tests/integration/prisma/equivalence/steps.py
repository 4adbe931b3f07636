"""A step is what a program does with a client, as data; running one gives its answer, as data.

A step:
    {"on": "user", "call": "find_many", "with": {"where": ..}}    a model's method
    {"call": "query_raw", "with": ["SELECT $1", ..]}              a method of the client
    {"batch": [step, ..]}                                         all or nothing
    {"tx": [step, ..], "end": "commit"}                           a transaction, up to what fails in it
    {.., "end": "go on" | "raise" | "expire"}                     one that goes on, or ends otherwise
    {"sql": ".."}                                                 what psql does meanwhile
An answer:
    {"value": ..}   {"tx": [answer, ..], ..}
    {"error": "UniqueViolationError", "code": "P2002", "target": ["email"]}
"""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

from tests.integration.prisma.equivalence.notation import Reader, note

Step = dict[str, Any]
# What makes a P2009 one that names a field.
_UNKNOWN = ("UnknownArgument", "UnknownInputField", "UnknownSelectionField")
_EXPIRES = dt.timedelta(milliseconds=700)


def call(on: str, method: str, **given: Any) -> Step:
    """Make a step of a model's method."""
    return {"on": on, "call": method, "with": given}


def raw(method: str, *given: Any) -> Step:
    """Make a step of a method of the client."""
    return {"call": method, "with": list(given)}


class Ended(Exception):
    """Ends a transaction."""


async def run(client: Any, reader: Reader, step: Step) -> Any:
    """Run a step. Shape: its answer; whatever a client raises is one."""
    try:
        if "batch" in step:
            async with client.batch_() as batch:
                for each in step["batch"]:
                    _call(batch, reader, each)
            return {"value": "committed"}
        if "tx" in step:
            return await _transaction(client, reader, step)
        return {"value": note(await _call(client, reader, step))}
    except Exception as error:  # noqa: BLE001 - it is the answer
        return failure(error)


async def _transaction(client: Any, reader: Reader, step: Step) -> Any:
    answers: list[Any] = []
    end = step["end"]
    try:
        async with client.tx(timeout=_EXPIRES if end == "expire" else dt.timedelta(seconds=30)) as tx:
            for each in step["tx"]:
                answers.append(await run(tx, reader, each))
                if end == "commit" and "error" in answers[-1]:
                    raise Ended
            if end == "expire":
                await asyncio.sleep(2 * _EXPIRES.total_seconds())
                answers.append(await run(tx, reader, step["tx"][0]))
            if end == "raise":
                raise Ended
    except Exception as error:  # noqa: BLE001 - it is the answer
        return {"tx": answers, **failure(error)}
    return {"tx": answers}


def _call(client: Any, reader: Reader, step: Step) -> Any:
    given = reader.value(step["with"])
    method = getattr(getattr(client, step["on"]) if "on" in step else client, step["call"])
    return method(*given) if isinstance(given, list) else method(**given)


def failure(error: BaseException) -> dict[str, Any]:
    """Describe an error by what a program can rely on: its class, its code, the fields it names."""
    described: dict[str, Any] = {"error": type(error).__name__}
    if code := getattr(error, "code", None):
        described["code"] = code
    meta = getattr(error, "meta", None) or {}
    if target := meta.get("target"):
        described["target"] = target
    if (kind := meta.get("kind")) in _UNKNOWN:
        described["kind"] = kind
    return described
