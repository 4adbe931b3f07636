"""JSON as engines send it and as callers get it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# Some clients end a line at these, which JSON lets stand within a string.
LINE_SEPARATORS = re.compile("[\u0085\u2028\u2029]")


def parse(text: bytes) -> Any:
    """Parse what an engine sent.

    Raises: ValueError, also for NaN, Infinity and what is as large; RecursionError.
    """
    return _DECODER.decode(text.decode())


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def dump(value: dict[str, Any] | str) -> bytes:
    """Write compact JSON in one line; what clients could take for its end is escaped.

    So is all that is not ASCII where a text has half a surrogate pair, which UTF-8 cannot hold.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    text = LINE_SEPARATORS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
