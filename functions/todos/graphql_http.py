"""GraphQL over HTTP: reading requests and writing responses.

Source: GraphQL over HTTP, draft of 2025, read 2026-11-22.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from functions.shared.accept import by_quality, prefers_html

from .errors import (
    ApiError,
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NotAcceptable,
    PersistedQueryNotSupported,
    UnsupportedMediaType,
)
from .execution import Outcome, Request

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
_PARAMETERS = {"query": str, "operationName": str, "variables": dict, "extensions": dict}
# A HEAD is answered as its GET; the server leaves the body out.
_READING = ("GET", "HEAD")
_NAMES = {str: "a string", dict: "a JSON object"}


def media_type_for(accept: str) -> str:
    """Choose the media type of the response.

    Raises: NotAcceptable.
    """
    if not accept.strip():
        return JSON
    for accepted in by_quality(accept):
        if accepted in (GRAPHQL, JSON):
            return accepted
        if accepted in ("*/*", "application/*"):
            return JSON
    raise NotAcceptable(
        f"`Accept`: expected {GRAPHQL} or {JSON} among what you accept. There are no streams of results."
    )


def wants_page(request: HttpRequest) -> bool:
    """Return whether a browser opens the address, rather than a client with a query."""
    reads = request.method in _READING and "query" not in request.query_params
    return reads and prefers_html(request.headers.get("accept", ""))


async def read_request(request: HttpRequest, max_bytes: int) -> Request:
    """Read the GraphQL request in an HTTP request.

    Raises: BadRequest or a subclass, PersistedQueryNotSupported.
    """
    if "sec-websocket-key" in request.headers:  # `Upgrade` does not come through a gateway
        raise BadRequest(
            "Expected an operation by GET or POST. There are no WebSockets and no subscriptions."
        )
    if request.method in _READING:
        parameters = request.query_params
        given: dict[str, Any] = {name: parameters[name] for name in _PARAMETERS if name in parameters}
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = _json(given[name], f"`{name}`") if given[name] else None
        if given.get("operationName") == "":
            del given["operationName"]
        return _checked(given, only_query=True)
    if request.method == "POST":
        return _checked(await _from_body(request, max_bytes), only_query=False)
    raise MethodNotAllowed(
        f"Expected GET (queries only) or POST, but got {request.method[:20]}.", allow="GET, HEAD, POST"
    )


async def _from_body(request: HttpRequest, max_bytes: int) -> Any:
    name, _, parameters = request.headers.get("content-type", "").partition(";")
    if name.strip().lower() != JSON:
        raise UnsupportedMediaType(f"`Content-Type`: expected {JSON}, but got {name.strip()[:50] or 'none'}.")
    charset = re.search(r"charset\s*=\s*\"?([^\";\s]+)", parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"`Content-Type`: expected the charset utf-8, but got {charset[1][:20]}.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("`Content-Encoding`: expected none. Send the body as it is.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLarge(f"The body is too large. Expected at most {max_bytes} bytes.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadRequest("Expected a body in UTF-8.") from None
    return _json(text, "the body")


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadRequest(f"Expected {what} to be JSON, but it cannot be read as such.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _checked(given: Any, *, only_query: bool) -> Request:
    if isinstance(given, list):
        raise BadRequest("Expected one request, a JSON object, but got an array: there is no batching here.")
    if not isinstance(given, dict):
        raise BadRequest('Expected a JSON object such as {"query": "{ todos { id title } }"}.')
    for name, kind in _PARAMETERS.items():
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise BadRequest(f"`{name}`: expected {_NAMES[kind]}.")
    persisted = _is_persisted((given.get("extensions") or {}).get("persistedQuery"))
    if persisted and not given.get("query"):
        raise PersistedQueryNotSupported
    if not given.get("query"):
        raise BadRequest("`query` is missing. Expected a GraphQL document, such as `{ todos { id title } }`.")
    return Request(
        query=given["query"],
        operation_name=given.get("operationName"),
        variables=given.get("variables"),
        only_query=only_query,
    )


def _is_persisted(persisted: Any) -> bool:
    """Return whether there is the hash of a query. It is not compared with the query, as none is kept.

    Source: Apollo's specification of automatic persisted queries, from memory.
    """
    if persisted is None:
        return False
    name = "`extensions.persistedQuery`"
    if not isinstance(persisted, dict):
        raise BadRequest(f'{name}: expected a JSON object such as {{"version": 1, "sha256Hash": "…"}}.')
    if isinstance(persisted.get("version"), bool) or persisted.get("version") != 1:
        raise BadRequest(f"{name}: expected the `version` 1. Send the query itself.")
    if not isinstance(persisted.get("sha256Hash"), str) or not persisted["sha256Hash"]:
        raise BadRequest(f"{name}: expected `sha256Hash` to be a string. Send the query itself.")
    return True


def outcome_of(error: ApiError) -> Outcome:
    """Return the outcome of a request that was not executed.

    A hash in place of the query is a GraphQL request: some clients go on only if its status is 200.
    """
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    return Outcome(body, error.status, read=isinstance(error, PersistedQueryNotSupported))


def response_of(outcome: Outcome, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the HTTP response of an outcome.

    Half a surrogate pair, which UTF-8 cannot encode, stays the escape sequence that it was in the request.
    Clients that accept plain JSON expect 200 for everything that could be read as a GraphQL request.
    """
    text = json.dumps(outcome.body, ensure_ascii=False, separators=(",", ":"))
    return Response(
        text.encode("utf-8", "backslashreplace"),
        200 if media_type == JSON and outcome.read else outcome.status,
        headers=dict(headers or {}),
        media_type=f"{media_type}; charset=utf-8",
    )
