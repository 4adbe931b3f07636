"""The bytes of one streamed reply. Pure.

request head · chunk(prelude) · chunk(body)* · end, or request head · … · error trailers.

Source: AWS Lambda, "Building a custom runtime", Response streaming; API Gateway, "Lambda proxy
        integration with payload response streaming", both read 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ._errors import AppMisbehaved, Failure
from ._report import error_report

API = "/2018-06-01/runtime"
END = b"0\r\n\r\n"
PRELUDE_MAX_BYTES = 16 * 1024

_DELIMITER = b"\0" * 8
_encode = json.JSONEncoder(separators=(",", ":")).encode

# Of one hop, or of a body whose framing and coding are Lambda's business from here on.
_DROPPED = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "content-encoding", "content-length"),
    )
)
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_breaks_line = re.compile(r"[\r\n\0]").search

Headers = Iterable[Iterable[bytes]]


def request_head(host: str, request_id: str, invocation_id: str | None) -> bytes:
    """Return the head of the POST that carries a streamed reply."""
    echoed = f"Lambda-Runtime-Invocation-Id: {invocation_id}\r\n" if invocation_id else ""
    return (
        f"POST {API}/invocation/{request_id}/response HTTP/1.1\r\n"
        f"Host: {host}\r\n"
        "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        "Transfer-Encoding: chunked\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        f"{echoed}"
        "Connection: close\r\n\r\n"
    ).encode("latin-1")


def prelude(status: int, headers: Headers) -> bytes:
    """Return status, headers and cookies as Lambda's gateways read them, with the delimiter.

    Raises: AppMisbehaved: a header is no valid one, the body is encoded, or the prelude is over 16 KiB.
    """
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in checked_head(status, headers):
        if name == "set-cookie":
            cookies.append(value)
        else:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    coding = joined.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise AppMisbehaved(
            f"expected a body without content-encoding but got {coding!r}: "
            "a streamed reply leaves Lambda as it is, so send it unencoded"
        )
    kept = {name: value for name, value in joined.items() if name not in _DROPPED}
    fields: dict[str, Any] = {"statusCode": int(status), "headers": kept, "cookies": cookies}
    encoded = _encode(fields).encode() + _DELIMITER
    if len(encoded) > PRELUDE_MAX_BYTES:
        raise AppMisbehaved(
            f"expected status and headers within 16 KiB but got {len(encoded)} bytes: send fewer"
        )
    return encoded


def checked_head(status: int, headers: Headers) -> list[tuple[str, str]]:
    """Return the headers of a reply as text, names in lower case; bytes that are not UTF-8 count as Latin-1.

    Raises: AppMisbehaved: the status is not final, or a header would break its line.
    """
    if status < 200:
        raise AppMisbehaved(f"expected a final status but got {status}: Lambda carries no others")
    checked = []
    for raw_name, raw_value in headers:
        name, value = _text(raw_name).lower(), _text(raw_value).strip(" \t")
        if not _is_token(name):
            raise AppMisbehaved(f"expected a header name but got {name!r}")
        if _breaks_line(value):
            raise AppMisbehaved(f"expected the header {name} on one line but got a line break or NUL in it")
        checked.append((name, value))
    return checked


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def error_body(failure: Failure) -> bytes:
    """Return the body of a reply that failed before its start, the caller's share of the failure only."""
    return _encode({"message": failure.message}).encode()


def error_trailers(failure: Failure, request_id: str) -> bytes:
    """Return the end of a reply that failed after its start."""
    from base64 import b64encode

    report = error_report(failure.error_type, failure.cause, list(failure.frames), request_id)
    return (
        b"0\r\nLambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n\r\n"
    ) % (failure.error_type.encode("ascii", "replace"), b64encode(report))
