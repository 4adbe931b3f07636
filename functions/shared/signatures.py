"""AWS's Signature Version 4.

It is made here because botocore takes longer to import than all of a function
(`docs/decisions/0038-aws-without-boto3.md`). A test compares it with botocore's own.

Source: "Signature Version 4 signing process", AWS; aws-bedrock-token-generator 1.1.0; read 2026-11-27.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import quote, urlsplit

from .frozen import Frozen

_ALGORITHM = "AWS4-HMAC-SHA256"
_TOKEN_HOST = "bedrock.amazonaws.com"


class RoleKeys(Frozen):
    """The keys of a role, or of a user: then without a session's token."""

    id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def signed_headers(
    keys: RoleKeys,
    *,
    method: str,
    url: str,
    body: bytes,
    service: str,
    region: str,
    at: float,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers that sign a request.

    Shape:  `url` has no query. `headers`: others to be sent, by names in lower case, which are signed, too.
    Units:  `at`: s since 1970.
    """
    parts = urlsplit(url)
    stamp = _stamp(at)
    signed = {**(headers or {}), "host": parts.netloc, "x-amz-date": stamp}
    if keys.session_token:
        signed["x-amz-security-token"] = keys.session_token
    signed = dict(sorted(signed.items()))
    names = ";".join(signed)
    request = [
        *(method, quote(parts.path or "/", safe="/~"), ""),
        *(f"{name}:{value}" for name, value in signed.items()),
        *("", names, hashlib.sha256(body).hexdigest()),
    ]
    scope, signature = _signature(keys, stamp, region, service, request)
    del signed["host"]
    credential = f"Credential={keys.id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": f"{_ALGORITHM} {credential}"}


def bedrock_token(keys: RoleKeys, *, region: str, at: float, expires_s: int) -> str:
    """Return a key for Bedrock in a region: a presigned request that only says whose it is.

    Units:  `at`: s since 1970. `expires_s` at most 43,200; it ends with the role's session at the latest.
    """
    stamp = _stamp(at)
    query = {
        "Action": "CallWithBearerToken",
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{keys.id}/{stamp[:8]}/{region}/bedrock/aws4_request",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": keys.session_token} if keys.session_token else {}),
    }
    pairs = [f"{name}={quote(value, safe='-_.~')}" for name, value in query.items()]
    no_body = hashlib.sha256(b"").hexdigest()
    request = ["POST", "/", "&".join(sorted(pairs)), f"host:{_TOKEN_HOST}", "", "host", no_body]
    _, signature = _signature(keys, stamp, region, "bedrock", request)
    url = f"{_TOKEN_HOST}/?{'&'.join(pairs)}&X-Amz-Signature={signature}&Version=1"
    return f"bedrock-api-key-{base64.b64encode(url.encode()).decode()}"


def _signature(keys: RoleKeys, stamp: str, region: str, service: str, lines: list[str]) -> tuple[str, str]:
    """Return the scope of a signature, and the signature of a canonical request."""
    day = stamp[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = f"AWS4{keys.secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signed = "\n".join((_ALGORITHM, stamp, scope, digest))
    return scope, hmac.digest(key, signed.encode(), "sha256").hex()


def _stamp(at: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
