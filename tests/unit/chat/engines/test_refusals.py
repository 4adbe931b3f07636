"""What Bedrock, Lambda and this API behind a Function URL refuse: the caller's error, and where it goes."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.chat.engines.fallback import has_not_run
from functions.chat.engines.refusals import judge
from functions.chat.errors import ApiError, EngineUnreachable, Overloaded, RateLimited, UpstreamError
from tests.engines.bedrock import invalid
from tests.unit.chat.fakes import model

CANARY = "arn:aws:bedrock:eu-central-1:123456789012:foundation-model/canary"


@dataclass(frozen=True)
class Row:
    """A refusal, and what it comes to.

    Shape:  `moves`: another engine may answer. `param` of the caller's error.
    """

    status: int
    body: Any
    expected: tuple[int, str]
    moves: bool = False
    name: str = ""
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    least_s: float | None = None


def aws(status: int, name: str, text: str, *expected: Any, moves: bool = False, **rest: Any) -> Row:
    return Row(status, {"message": f"{text} {CANARY}".strip()}, expected, moves, name, **rest)


BEDROCK = {
    "no access to the model": aws(
        403,
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID.",
        *(502, "upstream_error"),
        moves=True,
    ),
    "no right": aws(
        403, "AccessDeniedException", f"User: {CANARY} is not authorized", 502, "upstream_error", moves=True
    ),
    "token ended": aws(403, "ExpiredTokenException", "", 502, "upstream_error", moves=True),
    "token unknown": aws(403, "UnrecognizedClientException", "", 502, "upstream_error", moves=True),
    "no header": Row(403, {"Message": "Authentication failed"}, (502, "upstream_error"), moves=True),
    "in the body": Row(
        403,
        {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": CANARY},
        (502, "upstream_error"),
        moves=True,
    ),
    "throttled": aws(
        429,
        "ThrottlingException",
        "Too many tokens, please wait before trying again.",
        *(429, "rate_limit_exceeded"),
        moves=True,
        headers={"retry-after": "7"},
    ),
    "throttled, in OpenAI's shape": Row(
        429, {"error": {"message": CANARY, "code": "rate_limit_exceeded"}}, (429, "rate_limit_exceeded"), True
    ),
    "quota": aws(400, "ServiceQuotaExceededException", "", 429, "insufficient_quota", moves=True),
    "not ready": aws(429, "ModelNotReadyException", "", 503, "server_is_overloaded", moves=True),
    "unavailable": aws(
        503, "ServiceUnavailableException", "", 503, "server_is_overloaded", moves=True, least_s=0
    ),
    "timed out": aws(408, "ModelTimeoutException", "", 504, "timeout"),
    "model failed": aws(424, "ModelErrorException", "", 502, "upstream_error"),
    "failed": aws(500, "InternalServerException", "", 502, "upstream_error"),
    "invalid": aws(400, "ValidationException", "", 400, "invalid_value"),
    "unknown field": Row(
        400,
        {"error": {"message": CANARY, "code": "unknown_parameter", "param": "seed"}},
        (400, "unknown_parameter"),
        param="seed",
    ),
    "no images, as recorded": Row(
        400,
        json.loads(invalid(f"Model does not support image modality {CANARY}").body),
        (400, "invalid_value"),
        param="messages",
    ),
    "too long": aws(
        400,
        "ValidationException",
        "Input is too long for requested model.",
        *(400, "context_length_exceeded"),
        param="messages",
    ),
    "no stream": aws(
        400,
        "ValidationException",
        "The model is unsupported for streaming.",
        *(400, "unsupported_parameter"),
        param="stream",
    ),
    "no such model": aws(404, "ResourceNotFoundException", "", 404, "model_not_found"),
}


def ours(status: int, code: str | None, *expected: Any, moves: bool = False, **rest: Any) -> Row:
    """A refusal of this API's, as it leaves another function."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": f"about {CANARY}", "type": kind, "param": rest.get("param"), "code": code}
    return Row(status, {"error": error}, expected, moves, **rest)


AGAIN, NEVER = {"retry-after": "7"}, {"x-should-retry": "false"}
RELAYED = {
    "URL forbidden": aws(403, "AccessDeniedException", "", 502, "upstream_error", moves=True),
    "URL forbidden, without a header": Row(403, {"Message": "Forbidden"}, (502, "upstream_error"), True),
    "function busy": Row(
        429,
        {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
        (429, "rate_limit_exceeded"),
        moves=True,
        name="TooManyRequestsException",
    ),
    "function crashed": Row(502, {"Message": "Internal Server Error"}, (502, "upstream_error")),
    "function timed out": Row(504, {"Message": None}, (504, "timeout")),
    "too large for Lambda": Row(
        413,
        {"message": "Request must be smaller than 6291456 bytes"},
        (400, "invalid_value"),
        param="messages",
    ),
    "its engine did not get it": ours(502, "upstream_error", 502, "upstream_error", moves=True),
    "its engine failed": ours(502, "upstream_error", 502, "upstream_error", headers=NEVER),
    "its engine timed out": ours(504, "timeout", 504, "timeout", headers=NEVER),
    "its engine is full": ours(
        503, "server_is_overloaded", 503, "server_is_overloaded", moves=True, headers=AGAIN, least_s=7
    ),
    "its engine is limited": ours(
        429, "rate_limit_exceeded", 429, "rate_limit_exceeded", moves=True, headers=AGAIN
    ),
    "its engine's quota": ours(
        429, "insufficient_quota", 429, "insufficient_quota", moves=True, headers=NEVER
    ),
    "a bug of ours": ours(500, None, 502, "upstream_error", headers=NEVER),
    "too long": ours(400, "context_length_exceeded", 400, "context_length_exceeded", param="messages"),
    "a field": ours(400, "unsupported_parameter", 400, "unsupported_parameter", param="logprobs"),
    "too large": ours(413, None, 400, "invalid_value", param="messages"),
    "no such model": ours(404, "model_not_found", 404, "model_not_found"),
    "it requires a key": ours(401, "invalid_api_key", 502, "upstream_error", moves=True),
}
ROWS = [("bedrock", name, row) for name, row in BEDROCK.items()]
ROWS += [("function_url", name, row) for name, row in RELAYED.items()]


def judged(credentials: str, row: Row) -> tuple[ApiError, float | None, str]:
    headers = dict(row.headers)
    if row.name:
        headers["x-amzn-errortype"] = f"{row.name}:http://internal.amazon.com/coral/"
    of = model(credentials=credentials, engine="bedrock")
    return judge(of, row.status, headers, json.dumps(row.body).encode(), 0.2)


@pytest.mark.parametrize(("credentials", "row"), [each[::2] for each in ROWS], ids=[each[1] for each in ROWS])
def test_a_refusal_in_the_caller_s_terms(credentials: str, row: Row) -> None:
    error, least_s, hint = judged(credentials, row)
    assert (error.status, error.code, error.param) == (*row.expected, row.param)
    assert (has_not_run(error), least_s) == (row.moves, row.least_s)
    assert CANARY not in error.message + hint
    assert not isinstance(error, EngineUnreachable)
    if "retry-after" in row.headers:
        assert isinstance(error, Overloaded | RateLimited)
        assert error.headers["retry-after"] == row.headers["retry-after"]
    if isinstance(error, UpstreamError):
        assert ("x-should-retry" in error.headers) is not row.moves


def test_the_log_says_what_to_allow() -> None:
    _, _, hint = judged("bedrock", BEDROCK["no right"])
    assert "bedrock:InvokeModelWithResponseStream" in hint
    _, _, hint = judged("function_url", RELAYED["URL forbidden"])
    assert "lambda:InvokeFunctionUrl" in hint
    assert judged("bedrock", BEDROCK["invalid"])[2] == judged("key", BEDROCK["no right"])[2] == ""
