"""The JSON of an event, which may hold a body of megabytes in one string.

`json` reads a string character by character, 10 ms for Lambda's 6 MB, in which nothing else can run. So long
runs of characters that need no reading are cut out first, and put back into what is parsed.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LARGE, _STRIDE = 64 * 1024, 4 * 1024
# What is left may have so many bytes: it is walked, value by value.
_MAX_REST = 64 * 1024
# The end of an escape that began before a run: `\uffff`.
_ESCAPE = 8
# Outside of a string it is no JSON.
_CUT, _PLACE = "@cut out ", re.compile(r"@cut out (\d+)@")
_SURROGATES = re.compile("[\ud800-\udfff]")

# The text of the last event that was put together, and its bytes, until a request takes them.


_last: tuple[str, bytes] | None = None


def load(payload: bytes) -> Any:
    """Return the value that a payload holds, as `json.loads` does.

    Shape:  of large payloads that are UTF-8. In a long run of ASCII, control characters are let through.
    Raises: ValueError, RecursionError.
    """
    global _last
    _last = None
    if len(payload) > _LARGE and payload[:1] == b"{" and b"\0" not in payload[:4]:
        rest, runs = _cut(payload)
        if runs and len(rest) <= _MAX_REST and rest.count(_CUT.encode()) == len(runs):
            try:
                return _restored(json.loads(rest), runs)
            except (ValueError, RecursionError):
                pass  # the whole is parsed for the error
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
    kept = at = 0
    is_ascii = payload.isascii()
    while at < len(payload):
        at += _STRIDE
        if payload.find(b'"', at - _STRIDE, at) >= 0 or payload.find(b"\\", at - _STRIDE, at) >= 0:
            continue
        begin, end = at - _STRIDE + _ESCAPE, payload.find(b'"', at)
        if end < 0:
            break
        escape = payload.find(b"\\", at, end)
        at = end if escape < 0 else escape
        if is_ascii or payload[begin:at].isascii():
            pieces += payload[kept:begin], f"{_CUT}{len(runs)}@".encode()
            runs.append(memoryview(payload)[begin:at])
            kept = at
    return b"".join([*pieces, payload[kept:]]), runs


def _restored(value: Any, runs: list[memoryview]) -> Any:
    global _last
    if isinstance(value, dict):
        return {_restored(name, runs): _restored(each, runs) for name, each in value.items()}
    if isinstance(value, list):
        return [_restored(each, runs) for each in value]
    if not isinstance(value, str) or _CUT not in value:
        return value
    texts = _PLACE.split(value)
    pieces: list[bytes | memoryview] = [each.encode("utf-8", "surrogatepass") for each in texts]
    pieces[1::2] = [runs[int(each)] for each in texts[1::2]]
    utf8 = b"".join(pieces)
    text = utf8.decode("utf-8", "surrogatepass")
    if not any(map(_SURROGATES.search, texts)):
        _last = text, utf8
    return text
