"""What a recording holds: calls and answers as JSON, with types that JSON lacks under `$` names.

2**60, 1.0, None, "text", [..], {..}        as they are
{"$time": "2024-02-29T12:00:00+00:00"}      a datetime; "now": within minutes of the call
{"$decimal": "1.50"}  {"$json": ..}  {"$bytes": "base64"}  {"$text": ..}  anything else, as str() writes it
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import re
from decimal import Decimal
from enum import Enum
from typing import Any

_NOW_WITHIN = dt.timedelta(minutes=10)
# Of generators with random results, by their shape; the values that calls give look otherwise.
_MADE = (
    ("uuid", re.compile(r"(?!0{8})[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")),
    ("cuid", re.compile(r"c[0-9a-z]{24}")),
    ("nanoid", re.compile(r"[\w-]{21}", re.ASCII)),
)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


class Reader:
    """Notation to values, in the types of one generated client."""

    def __init__(self, package: str) -> None:
        fields = importlib.import_module(f"{package}.fields")
        self._types: dict[str, Any] = {
            "$time": dt.datetime.fromisoformat,
            "$decimal": Decimal,
            "$json": fields.Json,
            "$bytes": fields.Base64,
        }

    def value(self, noted: Any) -> Any:
        if isinstance(noted, list):
            return [self.value(each) for each in noted]
        if not isinstance(noted, dict):
            return noted
        if len(noted) == 1:
            [(name, each)] = noted.items()
            if name in self._types:
                return self._types[name](each)
        return {name: self.value(each) for name, each in noted.items()}


def time(value: dt.datetime) -> dict[str, str]:
    return {"$time": value.isoformat()}


def decimal(value: object) -> dict[str, str]:
    return {"$decimal": str(value)}


def note(value: Any) -> Any:
    """Note an answer."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [note(each) for each in value]
    if isinstance(value, dict):
        return {str(name): note(each) for name, each in value.items()}
    if isinstance(value, dt.datetime):
        return {"$time": "now" if _is_recent(value.isoformat()) else value.isoformat()}
    if isinstance(value, Decimal):
        return decimal(value)
    if hasattr(value, "model_dump"):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: note(each) for name, each in fields.items() if each is not None}
    if type(value).__name__ == "Base64":
        return {"$bytes": str(value)}
    return {"$text": str(value)}


def _text(value: str) -> str:
    if _MOMENT.match(value) and _is_recent(value):
        return "<now>"
    made = next((name for name, shape in _MADE if shape.fullmatch(value)), None)
    return f"<{made}>" if made else value


def _is_recent(text: str) -> bool:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return abs(dt.datetime.now(dt.UTC) - aware) < _NOW_WITHIN


def canonical(value: Any) -> str:
    """Write an answer such that equal ones are equal: 14 is 14.0, true is not 1."""
    return json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False)


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_canonical(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
