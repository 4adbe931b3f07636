"""A function's reply as bytes → status, headers and body, in the three forms that a Function URL accepts.

A decoder is fed what arrives and returns the body in it; it knows the head once it can, and is flushed once.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Protocol

from infra.local.lambda_service.failures import FunctionFailed, ReplyTooLong

MAX_BUFFERED_BYTES = 6 * 1024 * 1024
MAX_STREAMED_BYTES = 200 * 1024 * 1024
PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
_BYTES = "application/octet-stream"
_PRELUDE_END = bytes(8)
_MAX_PRELUDE_BYTES = 64 * 1024
# About the connection to the client, which is the gateway's.
_NOT_PASSED = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "server",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


@dataclass(frozen=True)
class ReplyHead:
    """A reply's status and headers, ready for ASGI."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]

    @property
    def bodiless(self) -> bool:
        return self.status in (204, 304)


class Decoder(Protocol):
    """One reply, decoded as it comes.

    Raises: FunctionFailed, from `feed` and `flush`, where the reply cannot be passed on.
    """

    head: ReplyHead | None

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class RawDecoder:
    """A streamed body without a prelude."""

    head: ReplyHead | None = None
    _size = 0

    def __init__(self, content_type: str) -> None:
        self.head = _head({"headers": {"content-type": content_type or _BYTES}}, _BYTES)

    def feed(self, data: bytes) -> bytes:
        self._size += len(data)
        if self._size > MAX_STREAMED_BYTES:
            raise ReplyTooLong(MAX_STREAMED_BYTES)
        return data

    def flush(self) -> bytes:
        return b""


class PreludeDecoder(RawDecoder):
    """A JSON prelude, eight NUL bytes, then the body as it is made."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        if self.head:
            return super().feed(data)
        self._held += data
        prelude, end, body = self._held.partition(_PRELUDE_END)
        if len(prelude) > _MAX_PRELUDE_BYTES:
            raise FunctionFailed("malformed reply: no prelude")
        if not end:
            return b""
        self._held = b""
        self.head = _head(_parsed(prelude), _BYTES)
        return super().feed(body)

    def flush(self) -> bytes:
        if self.head is None:
            raise FunctionFailed("malformed reply: the prelude does not end")
        return b""


class BufferedDecoder:
    """One JSON document: `{"statusCode": …}`, or any other, which then is the body."""

    def __init__(self) -> None:
        self.head: ReplyHead | None = None
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        self._held += data
        if len(self._held) > MAX_BUFFERED_BYTES:
            raise ReplyTooLong(MAX_BUFFERED_BYTES)
        return b""

    def flush(self) -> bytes:
        reply = _parsed(bytes(self._held))
        if not isinstance(reply, dict) or "statusCode" not in reply:
            reply = {"body": reply if isinstance(reply, str) else self._held.decode()}
        body = reply.get("body") or ""
        try:
            body = base64.b64decode(body, validate=True) if reply.get("isBase64Encoded") else body.encode()
        except (AttributeError, TypeError, binascii.Error) as error:
            raise FunctionFailed("malformed reply: expected a text as body") from error
        head = _head(reply, "application/json")
        length = () if head.bodiless else ((b"content-length", b"%d" % len(body)),)
        self.head = ReplyHead(head.status, head.headers + length)
        return body


def _parsed(document: bytes) -> Any:
    try:
        return json.loads(document)
    except ValueError as error:
        raise FunctionFailed("malformed reply: expected JSON") from error


def _head(reply: Any, default_type: str) -> ReplyHead:
    try:
        status = int(reply.get("statusCode", 200))
        headers = {name.lower(): str(value) for name, value in (reply.get("headers") or {}).items()}
        pairs = [*headers.items(), *(("set-cookie", cookie) for cookie in reply.get("cookies") or ())]
    except (AttributeError, TypeError, ValueError) as error:
        raise FunctionFailed("malformed reply: statusCode, headers or cookies") from error
    if not 200 <= status <= 599:
        raise FunctionFailed(f"malformed reply: statusCode {status}")
    if "content-type" not in headers and status not in (204, 304):
        pairs.append(("content-type", default_type))
    for name, value in pairs:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise FunctionFailed("malformed reply: a header that HTTP forbids")
    passed = ((name, value) for name, value in pairs if name not in _NOT_PASSED)
    return ReplyHead(
        status, tuple((name.encode(), value.encode("utf-8", "replace")) for name, value in passed)
    )
