"""The JSON of an event, which may hold a body of megabytes in one string.

`json` reads a string character by character, 10 ms for Lambda's 6 MB, in which nothing else can run. So long
runs of characters that need no reading are cut out first, and put back into what is parsed.
"""

from __future__ import annotations

import json
from typing import Any

_LARGE, _STRIDE = 64 * 1024, 4 * 1024
# Of a rest that is not so many times shorter, less is saved than it takes to put the value together.
_SHARE = 4
# The end of an escape that began before a run: `\uffff`.
_ESCAPE = 8
# What stands for a run is a number between two of these. Outside of a string it is no JSON; where a payload
# has one of its own, as it is or as an escape, nothing is cut out.
_MARK, _ESCAPED = b"\x7f", b"\\u007"

# The text of the last event that was put together, and its bytes, until a request takes them.
_last: tuple[str, bytes] | None = None


def load(payload: bytes) -> Any:
    """Return the value that a payload holds, as `json.loads` does.

    Shape:  faster, where the long strings of a large payload are members of its object, and it is UTF-8. In a
            long run of ASCII, control characters are let through.
    Raises: ValueError, RecursionError.
    """
    global _last
    _last = None
    if len(payload) > _LARGE and payload[:1] == b"{" and b"\0" not in payload[:4]:
        rest, runs = _cut(payload)
        if len(rest) * _SHARE < len(payload) and rest.count(_MARK) == 2 * len(runs) and _ESCAPED not in rest:
            try:
                value = json.loads(rest)
            except (ValueError, RecursionError):
                return json.loads(payload)  # for the error
            left = len(runs)
            for name, text in value.items():
                if isinstance(text, str) and "\x7f" in text:
                    texts = text.split("\x7f")
                    left -= len(texts) // 2
                    value[name], _last = _put_together(texts, runs)
            if not left:
                return value
            _last = None
    return json.loads(payload)


def utf8_of(text: str) -> bytes:
    """Return the bytes of a text; those of the last event's are there already, and are kept no longer.

    Raises: UnicodeEncodeError.
    """
    global _last
    known, _last = _last, None
    return known[1] if known and known[0] is text else text.encode()


def _cut(payload: bytes) -> tuple[bytes, list[memoryview]]:
    """Cut out the runs in which neither a string nor an escape begins or ends."""
    pieces: list[bytes] = []
    runs: list[memoryview] = []
    kept = at = end = 0
    is_ascii = payload.isascii()
    while at < len(payload):
        at += _STRIDE
        if payload.find(b'"', at - _STRIDE, at) >= 0 or payload.find(b"\\", at - _STRIDE, at) >= 0:
            continue
        begin = at - _STRIDE + _ESCAPE
        if end < at and (end := payload.find(b'"', at)) < 0:
            break
        escape = payload.find(b"\\", at, end)
        at = end if escape < 0 else escape
        if is_ascii or payload[begin:at].isascii():
            pieces += payload[kept:begin], b"\x7f%d\x7f" % len(runs)
            runs.append(memoryview(payload)[begin:at])
            kept = at
    return b"".join([*pieces, payload[kept:]]), runs


def _put_together(texts: list[str], runs: list[memoryview]) -> tuple[str, tuple[str, bytes] | None]:
    """Return a text, and beside it its bytes, where it has them: every second part is the number of a run."""
    errors = "strict"
    try:
        pieces: list[bytes | memoryview] = [each.encode() for each in texts]
    except UnicodeEncodeError:  # half of a surrogate pair
        errors = "surrogatepass"
        pieces = [each.encode(errors=errors) for each in texts]
    pieces[1::2] = [runs[int(each)] for each in texts[1::2]]
    utf8 = b"".join(pieces)
    text = utf8.decode(errors=errors)
    return text, (text, utf8) if errors == "strict" else None
