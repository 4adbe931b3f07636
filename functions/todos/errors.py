"""What can go wrong, as the caller sees it: the `extensions.code` of a GraphQL error.

    ApiError                      code                       status of a request that was not executed
    ├── BadRequest                BAD_REQUEST                400
    │   ├── MethodNotAllowed                                 405
    │   ├── NotAcceptable                                    406
    │   ├── BodyTooLarge                                     413
    │   └── UnsupportedMediaType                             415
    ├── PersistedQueryNotSupported PERSISTED_QUERY_NOT_SUPPORTED 400
    ├── ParseFailed               GRAPHQL_PARSE_FAILED       400
    ├── ValidationFailed          GRAPHQL_VALIDATION_FAILED  400
    ├── Unauthenticated           UNAUTHENTICATED            401
    ├── BadUserInput              BAD_USER_INPUT             400
    ├── NotFound                  NOT_FOUND                  –
    ├── RateLimited               RATE_LIMITED               429
    └── InternalError             INTERNAL_SERVER_ERROR      500
        ├── DatabaseUnavailable                              –
        └── ServiceUnavailable                               503

Only `execution.py` and `graphql_http.py` render them. A message says what was wrong, what was expected and
what to do next, and never quotes the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from functions.shared.limit_headers import NODE_WAITS_S, retry_after


class ApiError(Exception):
    """An error with a code by which clients recognise it."""

    code: ClassVar[str] = "INTERNAL_SERVER_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class BadRequest(ApiError):
    """The HTTP request holds no GraphQL request."""

    code = "BAD_REQUEST"
    status = 400


class MethodNotAllowed(BadRequest):
    """The method does not fit; `Allow` lists those that do."""

    status = 405

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message, headers={"allow": allow})


class NotAcceptable(BadRequest):
    """The caller accepts no media type that can be written here."""

    status = 406


class BodyTooLarge(BadRequest):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaType(BadRequest):
    """The body is not declared as JSON in UTF-8."""

    status = 415


class PersistedQueryNotSupported(ApiError):
    """The request has the hash of a query in its place. By this code and text, clients send the query."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    status = 400

    def __init__(self) -> None:
        super().__init__("PersistedQueryNotSupported", headers={"cache-control": "no-store"})


class ParseFailed(ApiError):
    """The document is not GraphQL."""

    code = "GRAPHQL_PARSE_FAILED"
    status = 400


class ValidationFailed(ApiError):
    """The document does not fit the schema, or exceeds a limit."""

    code = "GRAPHQL_VALIDATION_FAILED"
    status = 400


class Unauthenticated(ApiError):
    """There is no API key, or an invalid one."""

    code = "UNAUTHENTICATED"
    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"www-authenticate": "Bearer"})


class BadUserInput(ApiError):
    """A value that the caller gave is wrong."""

    code = "BAD_USER_INPUT"
    status = 400


class NotFound(ApiError):
    """There is no such todo."""

    code = "NOT_FOUND"
    status = 404


class RateLimited(ApiError):
    """This key's requests of this minute are used up."""

    code = "RATE_LIMITED"
    status = 429

    def __init__(self, message: str, *, retry_after_s: float, headers: Mapping[str, str]) -> None:
        super().__init__(message, headers={**headers, **retry_after(retry_after_s, most_s=NODE_WAITS_S)})


class InternalError(ApiError):
    """A fault of ours."""


class DatabaseUnavailable(InternalError):
    """The database was not reached in time, or failed to answer twice in a row."""

    def __init__(self) -> None:
        super().__init__("The database cannot be reached right now. Send the same again in a moment.")


class ServiceUnavailable(InternalError):
    """Something that the request needs is unavailable: send the same again in a moment."""

    status = 503

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, headers=retry_after(retry_after_s))
