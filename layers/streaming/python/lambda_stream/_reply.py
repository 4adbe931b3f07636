"""The bytes of one streamed reply. Pure.

request head · chunk(prelude) · chunk(body)* · end, or request head · … · error trailers.

Source: AWS Lambda, "Building a custom runtime", Response streaming; API Gateway, "Lambda proxy
        integration with payload response streaming", both read 2026-11-22.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ._errors import AppMisbehaved, Failure
from ._report import error_report

API = "/2018-06-01/runtime"
END = b"0\r\n\r\n"
PRELUDE_MAX_BYTES = 16 * 1024
ERROR_HEADERS = [(b"content-type", b"application/json")]
SSE_DONE = b"data: [DONE]\n\n"

_DELIMITER = b"\0" * 8
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")

# Of one hop, or of a body whose framing and coding are Lambda's business from here on.
_DROPPED = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "content-encoding", "content-length"),
    )
)

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
    """Return status, headers and cookies as Lambda's front doors read them, with the delimiter.

    Raises: AppMisbehaved: the body is encoded, or the prelude is over 16 KiB.
    """
    joined, cookies = _split_cookies(headers)
    coding = joined.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise AppMisbehaved(
            f"expected a body without content-encoding but got {coding!r}: {_ENCODING_ADVICE}"
        )
    kept = {name: value for name, value in joined.items() if name not in _DROPPED}
    fields: dict[str, Any] = {"statusCode": int(status), "headers": kept, "cookies": cookies}
    encoded = json.dumps(fields, separators=(",", ":")).encode() + _DELIMITER
    if len(encoded) > PRELUDE_MAX_BYTES:
        raise AppMisbehaved(
            f"expected status and headers within 16 KiB but got {len(encoded)} bytes: send fewer"
        )
    return encoded


_ENCODING_ADVICE = "a streamed reply leaves Lambda as it is, so send it unencoded"


def _split_cookies(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """Join repeated headers and set cookies apart, names in lower case."""
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        else:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined, cookies


def is_event_stream(headers: Headers) -> bool:
    """Say whether the body is Server-Sent Events."""
    return any(
        name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
        for name, value in headers
    )


def error_body(failure: Failure) -> bytes:
    """Return the failure as OpenAI's error object, the caller's share of it only."""
    error = {
        "message": failure.message,
        "type": _error_kind(failure.status),
        "param": None,
        "code": failure.code,
    }
    return json.dumps({"error": error}, separators=(",", ":")).encode()


def _error_kind(status: int) -> str:
    """Return OpenAI's error type for a status."""
    return "server_error" if status >= 500 else "invalid_request_error"


def error_events(failure: Failure, last: bytes) -> bytes:
    """Return the failure as final events, after completing an event that `last` left open."""
    gap = b"" if last.endswith(_EVENT_ENDS) or not last else b"\n\n"
    return b"%sdata: %s\n\n%s" % (gap, error_body(failure), SSE_DONE)


def error_trailers(failure: Failure, request_id: str) -> bytes:
    """Return the end of a reply that failed after its start."""
    from base64 import b64encode

    report = error_report(failure.error_type, failure.cause, list(failure.frames), request_id)
    return (
        b"0\r\nLambda-Runtime-Function-Error-Type: %s\r\nLambda-Runtime-Function-Error-Body: %s\r\n\r\n"
    ) % (failure.error_type.encode("ascii", "replace"), b64encode(report))
