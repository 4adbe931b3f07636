"""JSON as engines send it and as callers get it.

orjson reads and writes what both sides can hold; what it refuses, or would change, goes through the standard
library, which has no limits (`docs/decisions/0035-large-requests.md`).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

# Some clients end a line at these, which JSON lets stand within a string.
LINE_SEPARATORS = re.compile("[\u0085\u2028\u2029]")
_SEPARATORS = [(each.encode(), b"\\u%04x" % ord(each)) for each in "\u0085\u2028\u2029"]
# orjson makes a float of an integer that 64 bits do not hold: 20 digits, or 19 below zero.
_NUMBERS = bytes.maketrans(b"123456789,[ \n\r\t", b"000000000::::::")
_LONG_INTEGERS = (b":" + b"0" * 20, b"-" + b"0" * 19)
# Of 19 bytes one after the other, two are among every ninth.
_EVERY, _TWO = 9, b"00"


def parse(text: bytes, *, exact: bool = True) -> Any:
    """Parse what an engine sent, an object or an array.

    Shape:  `exact`: integers of more than 64 bits are integers, too.
    Raises: ValueError, also for NaN, Infinity and what is as large; RecursionError.
    """
    if exact and _TWO in text[::_EVERY].translate(_NUMBERS):
        numbers = text.translate(_NUMBERS)
        if any(each in numbers for each in _LONG_INTEGERS):
            return _DECODER.decode(text.decode())
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # half of a surrogate pair is read, too
        return _DECODER.decode(text.decode())


def is_text(inside: bytes) -> bool:
    """Return whether this is the inside of a JSON string of whole characters, without line separators."""
    try:
        orjson.loads(b'"%b"' % inside)
    except orjson.JSONDecodeError:
        return False
    return inside.isascii() or not LINE_SEPARATORS.search(inside.decode())


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def dump(value: dict[str, Any] | str) -> bytes:
    """Write compact JSON in one line; what clients could take for its end is escaped.

    So is all that is not ASCII where a text has half a surrogate pair, which UTF-8 cannot hold.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:  # such a half, or an integer of more than 64 bits
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            text = json.dumps(value, separators=(",", ":")).encode()
    if not text.isascii():
        for separator, escape in _SEPARATORS:
            text = text.replace(separator, escape)
    return text
