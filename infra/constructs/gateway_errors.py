"""API Gateway's own error responses, in the shape of OpenAI's errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_apigateway as apigateway

# API Gateway replaces this by its own text, in quotes.
_OWN_TEXT = "$context.error.messageString"


@dataclass(frozen=True, kw_only=True)
class GatewayError:
    """One error response, as functions/chat/errors.py has them for the function's own.

    Shape:  `message`: None is API Gateway's own text. `headers` by name.
    """

    kind: apigateway.ResponseType
    status: int | None = None
    message: str | None = None
    type: str = "invalid_request_error"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> str:
        """Return the template of the JSON body."""
        message = json.dumps(self.message) if self.message else _OWN_TEXT
        rest = json.dumps({"type": self.type, "param": None, "code": self.code})
        return f'{{"error": {{"message": {message}, {rest[1:]}}}'


ERRORS = {
    "Client": GatewayError(kind=apigateway.ResponseType.DEFAULT_4_XX),
    "Server": GatewayError(kind=apigateway.ResponseType.DEFAULT_5_XX, type="server_error"),
    "Throttled": GatewayError(
        kind=apigateway.ResponseType.THROTTLED,
        message="Too many requests at once for this deployment. Try again in a second.",
        type="requests",
        code="rate_limit_exceeded",
        headers={"retry-after": "1"},
    ),
    "Timeout": GatewayError(
        kind=apigateway.ResponseType.INTEGRATION_TIMEOUT,
        message="No response came in time. Try again, or request a stream.",
        type="server_error",
        code="timeout",
    ),
    "Firewall": GatewayError(
        kind=apigateway.ResponseType.WAF_FILTERED,
        message="The firewall blocked this request. If it should not have, report its time to the operator.",
        code="request_blocked",
    ),
}


def add_gateway_errors(api: apigateway.RestApi, *, cors_origins: Sequence[str], firewall: bool) -> None:
    """Give an API these responses; where web pages may call, any page may read them: they hold no data."""
    cors = {"access-control-allow-origin": "*"} if cors_origins else {}
    for name, error in ERRORS.items():
        if name == "Firewall" and not firewall:
            continue
        api.add_gateway_response(
            name,
            type=error.kind,
            response_headers={header: f"'{text}'" for header, text in {**cors, **error.headers}.items()},
            templates={"application/json": error.body()},
        )
