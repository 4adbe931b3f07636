"""The errors for a faulty request, with OpenAI's texts, params and codes.

Source: recorded replies of the OpenAI API to faulty requests (`docs/api.md`, "Errors").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from functions.chat.api.body import kind, shown
from functions.chat.errors import InvalidRequest

# Where a value is: its container's path, then its own name or index. None is the body itself.
Path = tuple["Path", int | str] | None
MAX_PARAM = 200


def spell(path: Path) -> str:
    """Spell a path as OpenAI does: `messages[0].content[1].text`."""
    spelled = ""
    while path:
        path, step = path
        spelled = f"[{step}]{spelled}" if isinstance(step, int) else f".{step}{spelled}"
    return spelled[1 : MAX_PARAM + 1]


def missing(path: Path) -> InvalidRequest:
    """Return the error for a required member that is absent."""
    param = spell(path)
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def unknown(path: Path, name: str, why: str = "") -> InvalidRequest:
    """Return the error for a member that is not accepted; `why` is a sentence or more."""
    text = f"Unknown parameter: {shown(spell((path, name)))}. {why}"
    return InvalidRequest(text.rstrip(), param=spell((path, name)), code="unknown_parameter")


def not_served(path: Path, why: str, code: str = "unsupported_parameter") -> InvalidRequest:
    """Return the error for a member that is known, but not served; `why` is a sentence or more."""
    param = spell(path)
    return InvalidRequest(f"Unsupported parameter: '{param}'. {why}", param=param, code=code)


def value_not_served(value: str, path: Path, why: str) -> InvalidRequest:
    """Return the error for a value that is known, but not served; `why` is a sentence or more."""
    return InvalidRequest(
        f"Unsupported value: {shown(value)}. {why}", param=spell(path), code="unsupported_value"
    )


def wrong_type(expected: str, value: Any, path: Path) -> InvalidRequest:
    """Return the error for a value of another type; `expected` comes with its article."""
    param = spell(path)
    return InvalidRequest(
        f"Invalid type for '{param}': expected {expected}, but got {kind(value)} instead.",
        param=param,
        code="invalid_type",
    )


def unsupported(value: Any, supported: Iterable[str], path: Path) -> InvalidRequest:
    """Return the error for a value that is none of those supported."""
    values = ", ".join(f"'{each}'" for each in supported)
    return InvalidRequest(
        f"Invalid value: {shown(value)}. Supported values are: {values}.",
        param=spell(path),
        code="invalid_value",
    )


def above_maximum(sort: str, value: float, maximum: float, path: Path) -> InvalidRequest:
    """Return the error for an "integer" or "decimal" that is too large."""
    return _out_of_range(sort, "above_max", f"<= {maximum}", value, path)


def below_minimum(sort: str, value: float, minimum: float, path: Path) -> InvalidRequest:
    """Return the error for an "integer" or "decimal" that is too small."""
    return _out_of_range(sort, "below_min", f">= {minimum}", value, path)


def _out_of_range(sort: str, where: str, expected: str, value: float, path: Path) -> InvalidRequest:
    param = spell(path)
    return InvalidRequest(
        f"Invalid '{param}': {sort} {where.replace('_', ' ')}imum value. "
        f"Expected a value {expected}, but got {shown(value)[1:-1]} instead.",
        param=param,
        code=f"{sort}_{where}_value",
    )


def empty(sort: str, path: Path) -> InvalidRequest:
    """Return the error for an empty "string" or "array"."""
    param = spell(path)
    return InvalidRequest(
        f"Invalid '{param}': empty {sort}. Expected a length of at least 1.",
        param=param,
        code=f"empty_{sort}",
    )


def too_long(sort: str, maximum: int, path: Path) -> InvalidRequest:
    """Return the error for a "string", "array" or "object" that is too long."""
    param = spell(path)
    return InvalidRequest(
        f"Invalid '{param}': {sort} too long. Expected a length of at most {maximum}.",
        param=param,
        code=f"{sort}_above_max_length",
    )


def unmatched(value: str, pattern: str, path: Path) -> InvalidRequest:
    """Return the error for a string of another form."""
    param = spell(path)
    return InvalidRequest(
        f"Invalid '{param}': expected a string that matches {pattern}, but got {shown(value)} instead.",
        param=param,
        code="invalid_value",
    )


def invalid(path: Path, expected: str = "") -> InvalidRequest:
    """Return the error for a value; `expected` is a sentence, where more can be said of it."""
    param = spell(path)
    message = f"Invalid value for '{param}'. {expected}".rstrip()
    return InvalidRequest(message, param=param, code="invalid_value")
