"""What can go wrong, as the caller sees it.

    ApiError                    status  type                       code
    ├── InvalidRequest          400     invalid_request_error      missing_required_parameter, invalid_type, …
    ├── InvalidKey              401     invalid_request_error      invalid_api_key
    ├── ModelNotAllowed         403     invalid_request_error      model_not_allowed
    ├── ModelNotFound           404     invalid_request_error      model_not_found
    ├── ModelNotServed          404     invalid_request_error      model_not_served
    ├── UnknownUrl              404     invalid_request_error      –
    ├── NotConfigured           404     invalid_request_error      not_configured
    ├── MethodNotAllowed        405     invalid_request_error      –
    ├── BodyTooLarge            413     invalid_request_error      –
    ├── UnsupportedMediaType    415     invalid_request_error      –
    ├── RateLimited             429     requests                   rate_limit_exceeded
    │   ├── TokensLimited               tokens
    │   └── RequestTooLarge             tokens
    ├── QuotaExhausted          429     insufficient_quota         insufficient_quota
    ├── ServerError             500     server_error               –
    ├── UpstreamError           502     server_error               upstream_error
    │   ├── EngineUnreachable
    │   └── EngineDraining
    ├── ServiceUnavailable      503     service_unavailable_error  keys_unavailable
    │   ├── Overloaded                                             server_is_overloaded
    │   ├── ModelWarming                                           model_warming
    │   └── ModelUnavailable                                       model_unavailable
    └── UpstreamTimeout         504     server_error               timeout

An engine's work is not done twice: what may have run carries `x-should-retry: false` (`retry=False`, and any
failure of this function itself); so does what would only fail again. `docs/api.md` has the table.

Any module raises; `app.py` alone renders. A message says what was wrong, what was expected and
what to do next; it never quotes an engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import ClassVar

from functions.shared.limit_headers import NODE_WAITS_S, retry_after
from functions.shared.limits import BUSY_S, LimitReached

# Official SDKs obey it, whatever the status.
NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}


class ApiError(Exception):
    """An error in the shape of OpenAI's API.

    Source: openai/openai-openapi 2.3.0, `ErrorResponse`, read 2026-11-22.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "invalid_request_error"
    default_code: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.headers = dict(headers or {})

    def rename(self, names: Mapping[str, str]) -> None:
        """Spell the names of parameters as the caller does, in `param` and where the message quotes them.

        A sentence about one that its endpoint does not have, whose name is "", is left out.
        """
        for name, spelt in names.items():
            if not spelt:
                self.message = re.sub(rf"(?:(?<=\. )|^)[^.]*'{name}'[^.]*\.( |$)", "", self.message).rstrip()
            self.message = re.sub(rf"(['`]){name}(?=['`.\[])", rf"\1{spelt}", self.message)
            self.param = self.param and re.sub(rf"^{name}(?=$|[.\[])", spelt, self.param)

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return the JSON body: all four keys are always there."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(ApiError):
    """The request itself is wrong: sending it again will not help."""

    status = 400


class InvalidKey(ApiError):
    """There is no key, or an unknown one."""

    status = 401
    default_code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"www-authenticate": "Bearer"})


class ModelNotAllowed(ApiError):
    """The key is valid, but not for this model."""

    status = 403
    default_code = "model_not_allowed"


class ModelNotFound(ApiError):
    """No model of this name is served."""

    status = 404
    default_code = "model_not_found"

    def __init__(self, name: str, *, advice: str = "") -> None:
        super().__init__(f"The model `{name}` does not exist or you do not have access to it.{advice}")


class ModelNotServed(ApiError):
    """The model exists, but not at this endpoint."""

    status = 404
    default_code = "model_not_served"

    def __init__(self, message: str) -> None:
        super().__init__(message, param="model")


class UnknownUrl(ApiError):
    """No route has this path."""

    status = 404


class NotConfigured(ApiError):
    """The route exists, but this API runs without what it is about: keys, or a table of what they used."""

    status = 404
    default_code = "not_configured"


class MethodNotAllowed(ApiError):
    """The path exists, but not for this method; `Allow` lists the methods that it has."""

    status = 405


class BodyTooLarge(ApiError):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaType(ApiError):
    """The body is not declared as JSON in UTF-8."""

    status = 415


class RateLimited(ApiError):
    """Too many requests at this moment: wait `retry_after_s` and send the same again."""

    status = 429
    type = "requests"
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message, headers=retry_after(retry_after_s, most_s=NODE_WAITS_S))


class TokensLimited(RateLimited):
    """Too many tokens in this minute."""

    type = "tokens"


class RequestTooLarge(TokensLimited):
    """More tokens than the limit of a whole minute: waiting does not help."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = dict(NO_RETRY)


class QuotaExhausted(ApiError):
    """The budget is used up: waiting does not help, and `x-should-retry` keeps SDKs from retrying."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=NO_RETRY)


def limit_error(reached: LimitReached, text: str, *, needs_less: bool) -> ApiError:
    """Return the error for a limit of a key; `needs_less`: fewer tokens for the reply would help."""
    less = " A lower 'max_tokens' helps as well." if needs_less else ""
    wait_s = reached.retry_after_s or BUSY_S
    match reached.kind:
        case "budget":
            return QuotaExhausted(text + less)
        case "too_large":
            return RequestTooLarge(text + less)
        case "tokens":
            return TokensLimited(text + less, retry_after_s=wait_s)
    return RateLimited(text, retry_after_s=wait_s)


class ServerError(ApiError):
    """The fault is ours."""

    status = 500
    type = "server_error"


class UpstreamError(ServerError):
    """The engine could not be reached, or its reply was broken or incomplete.

    Shape:  `retry` is false wherever the engine may have run the request: SDKs then do not send it again.
    """

    status = 502
    default_code = "upstream_error"

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message, headers=None if retry else NO_RETRY)


class EngineUnreachable(UpstreamError):
    """Nothing answers at the engine's address: no request has reached an engine."""


class EngineDraining(UpstreamError):
    """The engine is shutting down and has refused the request, before any work."""

    def __init__(self) -> None:
        super().__init__("The engine is shutting down. Try again.")


class ServiceUnavailable(ApiError):
    """Something that the request needs is unavailable: wait `retry_after_s` and send the same again."""

    status = 503
    type = "service_unavailable_error"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, code: str | None = None) -> None:
        super().__init__(message, code=code, headers=retry_after(retry_after_s))


class Overloaded(ServiceUnavailable):
    """The engine takes no more work right now."""

    default_code = "server_is_overloaded"


class ModelWarming(ServiceUnavailable):
    """The engine was scaled to zero and is starting: wait `retry_after_s` and send the same again."""

    default_code = "model_warming"

    def __init__(self, model: str, *, retry_after_s: float, advice: str = "") -> None:
        super().__init__(
            f"The model `{model}` is starting, which takes minutes. "
            f"Try again in {math.ceil(retry_after_s)} s.{advice}",
            retry_after_s=retry_after_s,
        )


class ModelUnavailable(ServiceUnavailable):
    """The engine is scaled to zero and cannot start, for a cause that the operator has to change.

    Shape:  `retry_after_s`: None: the same request would fail again.
    """

    default_code = "model_unavailable"

    def __init__(self, model: str, cause: str, *, retry_after_s: float | None) -> None:
        advice = "Its operator has to change that first."
        if retry_after_s is not None:
            advice = f"Try again in {math.ceil(retry_after_s)} s, or use another model."
        super().__init__(
            f"The model `{model}` cannot start: {cause}. {advice}", retry_after_s=retry_after_s or 1.0
        )
        if retry_after_s is None:
            self.headers = dict(NO_RETRY)


class UpstreamTimeout(ServerError):
    """The engine stayed silent for too long.

    Shape:  `retry` is false wherever the engine may have run the request: SDKs then do not send it again.
    """

    status = 504
    default_code = "timeout"

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message, headers=None if retry else NO_RETRY)
