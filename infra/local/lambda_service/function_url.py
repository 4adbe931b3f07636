"""An HTTP request as the event that a Lambda Function URL makes of it: payload format version 2.0.

Source: AWS Lambda Developer Guide, "Invoking Lambda function URLs", read 2026-11-22; that the path stays
percent-encoded was checked against captures of real events.
"""

import base64
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from infra.local.settings import MAX_REQUEST_BYTES

MAX_BYTES = MAX_REQUEST_BYTES
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


def encode_event(
    scope: Mapping[str, Any], body: bytes, *, request_id: str, trace_id: str, now_s: float
) -> bytes:
    """Return the event for one request.

    Shape:  JSON; `body` and `cookies` only where the request has them.
    """
    headers = _headers(scope, trace_id)
    cookies = headers.pop("cookie", "")
    query = scope["query_string"].decode("latin-1")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": scope["raw_path"].decode("latin-1"),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": _context(scope, headers, request_id, now_s),
    }
    if cookies:
        event["cookies"] = [cookie.strip() for cookie in cookies.replace(",", ";").split(";")]
    if query:
        event["queryStringParameters"] = _joined(parse_qsl(query, keep_blank_values=True))
    event |= _body(body, headers.get("content-type", ""))
    return orjson.dumps(event)


def _headers(scope: Mapping[str, Any], trace_id: str) -> dict[str, str]:
    pairs = ((name.decode("latin-1").lower(), _text(value)) for name, value in scope["headers"])
    return _joined(pair for pair in pairs if pair[0] not in _HOP_BY_HOP) | {
        "x-amzn-trace-id": trace_id,
        "x-forwarded-for": scope["client"][0],
        "x-forwarded-port": str(scope["server"][1]),
        "x-forwarded-proto": scope["scheme"],
    }


def _text(value: bytes) -> str:
    """Read a header's value: UTF-8, as browsers and clients send it, or else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _context(
    scope: Mapping[str, Any], headers: Mapping[str, str], request_id: str, now_s: float
) -> dict[str, Any]:
    domain = headers.get("host", "localhost").rsplit(":", 1)[0]
    return {
        "accountId": "anonymous",
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.split(".", 1)[0],
        "http": {
            "method": scope["method"],
            "path": scope["raw_path"].decode("latin-1"),
            "protocol": f"HTTP/{scope['http_version']}",
            "sourceIp": scope["client"][0],
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now_s)),
        "timeEpoch": int(now_s * 1000),
    }


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return a body as text where its type says so and it is UTF-8, else in base64."""
    if not body:
        return {"isBase64Encoded": False}
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type.startswith("text/") or media_type in _TEXT_TYPES:
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
