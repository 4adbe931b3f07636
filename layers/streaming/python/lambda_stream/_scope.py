"""The ASGI scope of a request, from what an event holds of it. Pure.

Source: ASGI HTTP specification 2.4, "HTTP connection scope", read 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

if TYPE_CHECKING:
    from mangum.types import Scope

_UNCHANGED = "!\"$%&'()*+,-./:;<=>@[\\]^_`{|}~"
"""What stays as it is in a path that was encoded by the caller."""

_WITH_BODY = ("POST", "PUT", "PATCH")
_PORTS = {"http": 80, "https": 443}


def fields_of(single: Any, several: Any = None) -> dict[str, str]:
    """Return an event's headers by lower-cased name, repeated ones joined; either mapping may be null."""
    if single and not several and all(type(value) is str for value in single.values()):
        fields = {name.lower(): value for name, value in single.items()}
        if len(fields) == len(single):
            return fields
    fields = {}
    for mapping in (single, several):
        joined: dict[str, list[str]] = {}
        for name, value in (mapping or {}).items():
            values = value if isinstance(value, list) else [value]
            joined.setdefault(name.lower(), []).extend(str(each) for each in values if each is not None)
        for name, values in joined.items():
            if values:
                fields[name] = ("; " if name == "cookie" else ", ").join(values)
    return fields


def query_of(single: Any, several: Any = None) -> bytes:
    """Return the query string of decoded parameters; either mapping may be null."""
    pairs: list[tuple[str, str]] = []
    for name, value in (several or single or {}).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, "" if each is None else str(each)) for each in values]
    return urlencode(pairs).encode()


def paths_of(path: str, prefix: str = "", *, decoded: bool = False) -> dict[str, Any]:
    """Return `path`, `raw_path` and `root_path`; both paths begin with the prefix.

    Shape: `decoded` says that the event's path, unlike the one the caller sent, is no longer percent-encoded.
    """
    whole = prefix + (path or "/")
    whole = whole if whole.startswith("/") else f"/{whole}"
    if decoded:
        return {"path": whole, "raw_path": quote(whole, safe="/:@!$&'()*+,;=~").encode(), "root_path": prefix}
    raw = quote(whole, safe=_UNCHANGED).encode()
    return {"path": unquote(whole), "raw_path": raw, "root_path": unquote(prefix)}


def without_prefix(scope: Scope) -> Scope:
    """Return a scope whose paths begin behind the prefix, for a framework that does not know `root_path`."""
    prefix, raw = scope["root_path"], scope["raw_path"]
    depth = prefix.count("/")
    behind = b"/" + b"/".join(raw.split(b"/")[depth + 1 :])
    return {**scope, "path": scope["path"][len(prefix) :] or "/", "raw_path": behind, "root_path": ""}


def http_scope(
    event: Any,
    context: Any,
    *,
    method: str,
    paths: Mapping[str, Any],
    query_string: bytes,
    fields: Mapping[str, str],
    client: str | None,
) -> Scope:
    """Return the scope.

    Raises: ValueError: the request has no valid Host header.
    """
    scheme = fields.get("x-forwarded-proto", "https").split(",")[0].strip() or "https"
    host = fields.get("host") or event.get("requestContext", {}).get("domainName") or "localhost"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        **paths,
        "query_string": query_string,
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "server": _server(host, fields.get("x-forwarded-port", ""), scheme),
        "client": (client, 0) if client else None,
        "aws.event": event,
        "aws.context": context,
    }


def with_length(
    headers: Iterable[tuple[bytes, bytes]], method: str, body: bytes
) -> list[tuple[bytes, bytes]]:
    """Return the headers with the length that the body has; nothing else frames it any more."""
    framing = (b"content-length", b"transfer-encoding")
    kept, framed = [], bool(body) or method in _WITH_BODY
    for header in headers:
        if header[0] in framing:
            framed = True
        else:
            kept.append(header)
    return [*kept, (b"content-length", b"%d" % len(body))] if framed else kept


def _server(host: str, forwarded_port: str, scheme: str) -> tuple[str, int]:
    """Return name and port of a Host header.

    Source: RFC 3986, section 3.2: an IPv6 address stands in brackets, a port may be empty.
    """
    name, bracket, rest = host.partition("]")
    if not bracket:
        name, colon, port = host.partition(":")
        rest = colon + port
    port = rest.removeprefix(":")
    if bool(bracket) != host.startswith("[") or rest[:1] not in ("", ":") or not (port or "0").isdecimal():
        raise ValueError(f"expected a host and a port but got {host!r}")
    last_port = forwarded_port.split(",")[0].strip()
    default = int(last_port) if last_port.isdecimal() else _PORTS.get(scheme, 80)
    return name.removeprefix("["), int(port) if port else default
