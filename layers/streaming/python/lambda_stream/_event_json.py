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


def load(payload: bytes) -> Any:
    """Return the value that a payload holds, as `json.loads` does.

    Shape:  of large payloads that are UTF-8. In a long run of ASCII, control characters are let through.
    Raises: ValueError, RecursionError.
    """
    if len(payload) > _LARGE and payload[:1] == b"{" and b"\0" not in payload[:4]:
        rest, runs = _cut(payload)
        if runs and len(rest) <= _MAX_REST and rest.count(_CUT.encode()) == len(runs):
            try:
                return _restored(json.loads(rest), runs)
            except (ValueError, RecursionError):
                pass  # the whole is parsed for the error
    return json.loads(payload)


def _cut(payload: bytes) -> tuple[bytes, list[str]]:
    """Cut out the runs in which neither a string nor an escape begins or ends."""
    pieces: list[bytes] = []
    runs: list[str] = []
    kept = at = 0
    while at < len(payload):
        at += _STRIDE
        if payload.find(b'"', at - _STRIDE, at) >= 0 or payload.find(b"\\", at - _STRIDE, at) >= 0:
            continue
        begin, end = at - _STRIDE + _ESCAPE, payload.find(b'"', at)
        escape = payload.find(b"\\", at, end)
        at = end if escape < 0 else escape
        run = payload[begin:at] if end >= 0 else b""
        if not run:
            break
        if run.isascii():
            pieces += payload[kept:begin], f"{_CUT}{len(runs)}@".encode()
            runs.append(run.decode())
            kept = at
    return b"".join([*pieces, payload[kept:]]), runs


def _restored(value: Any, runs: list[str]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda found: runs[int(found[1])], value) if _CUT in value else value
    if isinstance(value, dict):
        return {_restored(name, runs): _restored(each, runs) for name, each in value.items()}
    return [_restored(each, runs) for each in value] if isinstance(value, list) else value
