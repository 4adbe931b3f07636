"""JSON as engines send it and as callers get it."""

from __future__ import annotations

import json
from typing import Any


def parse(text: bytes) -> Any:
    """Parse what an engine sent.

    Raises: ValueError, also for NaN and Infinity; RecursionError.
    """
    return _DECODER.decode(text.decode())


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def dump(value: dict[str, Any]) -> bytes:
    """Write compact JSON; half a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
