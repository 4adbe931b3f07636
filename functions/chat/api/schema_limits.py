"""JSON Schemas that callers send, as far as an engine's grammar can bear them: they are sent on as they came.

A grammar tries all its alternatives at every token, and llama.cpp takes limits that contradict each other for
a number of 64 bits: one such request would stop the engine for every caller.

Source: OpenAI's guide "Structured model outputs", "Limitations on enum size", read 2026-11-26.
"""

from __future__ import annotations

import re
from typing import Any

from functions.chat.api import faults
from functions.chat.api.checks import Map
from functions.chat.api.faults import Path
from functions.chat.errors import InvalidRequest

# In all of a schema: values and alternatives, and properties that may be left out.
MOST_ALTERNATIVES, MOST_OPTIONAL = 1000, 500
_ALTERNATIVES = ("enum", "anyOf", "oneOf")
_LIMITS = (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum"))
# Most of a schema has none of what is looked at.
_READ = frozenset(("pattern", "properties", *_ALTERNATIVES, *(name for pair in _LIMITS for name in pair)))
# llama.cpp keeps 32 bits of a count; what is left may be less than the other limit.
_LARGEST = 2**31 - 1
_REPEATED = re.compile(r"\{\s*([0-9]{1,99})\s*,\s*([0-9]{1,99})\s*\}")


class JsonSchema(Map):
    """A JSON Schema of bounded size, whose limits do not contradict each other."""

    def check(self, value: Any, path: Path) -> Any:
        super().check(value, path)
        alternatives = optional = 0
        nodes = [value]
        while nodes:
            node = nodes.pop()
            if isinstance(node, dict) and not _READ.isdisjoint(node):
                alternatives += sum(len(_list(node, name)) for name in _ALTERNATIVES)
                alternatives += _text(node, "pattern").count("|")
                properties = node.get("properties")
                if isinstance(properties, dict):
                    optional += max(len(properties) - len(_list(node, "required")), 0)
                if why := _contradiction(node):
                    raise _invalid(path, why)
            nodes += (
                each
                for each in (node.values() if isinstance(node, dict) else node)
                if isinstance(each, (dict, list))
            )
        if alternatives > MOST_ALTERNATIVES:
            why = f"alternatives in `enum`, `anyOf`, `oneOf` and `pattern`, but got {alternatives}"
            raise _invalid(path, f"Expected at most {MOST_ALTERNATIVES} {why}.")
        if optional > MOST_OPTIONAL:
            why = f"properties that are not `required`, but got {optional}"
            raise _invalid(path, f"Expected at most {MOST_OPTIONAL} {why}.")
        return value


def _list(node: dict[str, Any], name: str) -> list[Any]:
    value = node.get(name)
    return value if isinstance(value, list) else []


def _text(node: dict[str, Any], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _contradiction(node: dict[str, Any]) -> str:
    """Return which limits of a schema no value can keep, "" if there are none."""
    for low, high in _LIMITS:
        least, most = node.get(low), node.get(high)
        if isinstance(least, (int, float)) and isinstance(most, (int, float)) and least > most:
            return f"Expected `{low}` to be no more than `{high}`."
        if isinstance(least, int) and isinstance(most, int) and most > _LARGEST and low != "minimum":
            return f"Expected `{high}` to be no more than {_LARGEST} beside `{low}`."
    for least, most in _REPEATED.findall(_text(node, "pattern")):
        if int(least) > int(most):
            return "Expected `{m,n}` of a `pattern` to have m no more than n."
    return ""


def _invalid(path: Path, why: str) -> InvalidRequest:
    error = faults.invalid(path)
    return InvalidRequest(f"Invalid schema for '{error.param}'. {why}", param=error.param, code=error.code)
