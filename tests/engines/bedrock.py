"""Bedrock's endpoint for OpenAI's API, and a Function URL with IAM: what they check, recomputed by botocore.

What is documented is strict here: who signed, what, when, and for how long. Replies have the shape of
recordings (docs/decisions/0023-bedrock-and-hosted-models.md): reasoning in tags, in every piece of a
stream. A field that is on no list is refused, as some report.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.engines import events
from tests.engines.behaviours import Chat, Completion, Sse, Status
from tests.engines.wire import Behaviour, Reply, Request

REGION = "eu-central-1"
KEYS = Credentials("ASIAEXAMPLE", "secret/+=", "session//token+=")
# The variables by which a function has these keys.
ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": KEYS.access_key,
    "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
    "AWS_SESSION_TOKEN": KEYS.token,
}
FIELDS = {
    *("model", "messages", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "logprobs"),
    *("stream", "stream_options", "presence_penalty", "frequency_penalty", "top_logprobs", "tools"),
    *("tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
}
LONGEST_S, SKEW = 43_200, timedelta(minutes=5)


def error(status: int, name: str, message: str, **headers: str) -> Status:
    """Answer with an error in AWS's own shape."""
    named = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    return Status(status, json.dumps({"message": message}).encode(), headers={**named, **headers})


def invalid(message: str) -> Status:
    """Refuse a request as invalid: OpenAI's shape, whose message holds the model's own error."""
    own = {"code": "validation_error", "message": message, "param": None, "type": "invalid_request_error"}
    return Status(400, json.dumps({"error": {**own, "message": json.dumps({"error": own})}}).encode())


def wrong_token(token: str, region: str = REGION, keys: Credentials = KEYS) -> str | None:
    """Return what is wrong with a key for Bedrock; None if it is right."""
    prefix = "bedrock-api-key-"
    if not token.startswith(prefix):
        return "no key for Bedrock"
    url = base64.b64decode(token.removeprefix(prefix), validate=True).decode()
    host, _, query = url.partition("/?")
    values = dict(parse_qsl(query, strict_parsing=True))
    signed_at = _time(values["X-Amz-Date"])
    expires_s = int(values["X-Amz-Expires"])
    expected = {
        "Action": "CallWithBearerToken",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.access_key}/{signed_at:%Y%m%d}/{region}/bedrock/aws4_request",
        "X-Amz-Date": values["X-Amz-Date"],
        "X-Amz-Expires": values["X-Amz-Expires"],
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": keys.token} if keys.token else {}),
        "X-Amz-Signature": values["X-Amz-Signature"],
        "Version": "1",
    }
    if host != "bedrock.amazonaws.com" or values != expected:
        return "another request than CallWithBearerToken in this region"
    if not (0 < expires_s <= LONGEST_S and _now() - SKEW <= signed_at + timedelta(seconds=expires_s)):
        return "expired"
    request: Any = AWSRequest("POST", f"https://{host}/", params={"Action": expected["Action"]})
    request.context["timestamp"] = values["X-Amz-Date"]
    signer: Any = SigV4QueryAuth(keys, "bedrock", region, expires=expires_s)
    signer._modify_request_before_signing(request)
    return None if _signature(signer, request) == values["X-Amz-Signature"] else "a wrong signature"


def wrong_signature(
    method: str, path: str, headers: Mapping[str, str], body: bytes, keys: Credentials = KEYS
) -> str | None:
    """Return what is wrong with a request to a Function URL; None if it is right."""
    form = (
        r"AWS4-HMAC-SHA256 Credential=(?P<scope>\S+), SignedHeaders=(?P<names>\S+), Signature=(?P<value>\w+)"
    )
    signed = re.fullmatch(form, headers.get("authorization", ""))
    if not signed:
        return "no signature"
    signed_at = _time(headers["x-amz-date"])
    if signed["scope"] != f"{keys.access_key}/{signed_at:%Y%m%d}/{REGION}/lambda/aws4_request":
        return "signed for something else"
    if abs(_now() - signed_at) > SKEW or headers.get("x-amz-security-token") != keys.token:
        return "expired"
    names = signed["names"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        return "too little is signed"
    kept = {name: headers[name] for name in names}
    request: Any = AWSRequest(method, f"https://{headers['host']}{path}", headers=kept, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(keys, "lambda", REGION)
    return None if _signature(signer, request) == signed["value"] else "a wrong signature"


def _signature(signer: Any, request: Any) -> Any:
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Bedrock:
    """Answers as gpt-oss does, with reasoning in tags, once the key and the fields are right.

    Shape:  `refused`: tokens that are no longer accepted. `counts`: it counts what it has used.
    """

    reasoning: str = "They want a capital."
    text: str = "The capital of France is Paris."
    counts: bool = True
    region: str = REGION
    refused: set[str] = field(default_factory=set)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Check the request, then answer it."""
        await self._behaviour(request)(request, reply)

    def _behaviour(self, request: Request) -> Behaviour:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.refused:
            return error(
                403, "ExpiredTokenException", "The security token included in the request is expired"
            )
        if wrong := wrong_token(token, self.region):
            return error(403, "UnrecognizedClientException", f"The token is invalid: {wrong}")
        if unknown := sorted(request.fields.keys() - FIELDS):
            return invalid(f"Unknown extra_body field: {unknown[0]}")
        if request.path != "/openai/v1/chat/completions":
            return error(404, "UnknownOperationException", "")
        whole = f"<reasoning>{self.reasoning}</reasoning>{self.text}"
        without = () if self.counts else ("usage",)
        return Chat(Sse(self._stream), Completion(content=whole, without=without))

    def _stream(self, request: Request) -> Iterator[events.Piece]:
        pieces = [f"<reasoning>{word}</reasoning>" for word in re.findall(r"\S+\s*", self.reasoning)]
        pieces += re.findall(r"\S+\s*", self.text)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"role": None, "content": piece} for piece in [*pieces, None]]
        for number, delta in enumerate(deltas):
            yield self._chunk(request, delta, number, "stop" if delta["content"] is None else None)
        if self.counts and (request.fields.get("stream_options") or {}).get("include_usage"):
            yield events.Chunks(request).usage(8)
        yield events.DONE

    @staticmethod
    def _chunk(request: Request, delta: dict[str, Any], number: int, finish: str | None) -> bytes:
        said = {**delta, "function_call": None, "refusal": None, "tool_calls": None}
        choice = {"index": 0, "delta": said, "finish_reason": finish, "logprobs": None}
        chunk = {
            "id": events.completion_id(request),
            "choices": [{**choice, "obfuscation": "Kp8o" * (number % 5 + 1)}],
            "created": events.CREATED,
            "model": request.fields["model"],
            "object": "chat.completion.chunk",
            "service_tier": "default",
            "system_fingerprint": None,
            "usage": None,
        }
        return events.event(events.dumps(chunk))


@dataclass(frozen=True)
class FunctionUrl:
    """A function behind a URL with AWS_IAM: answers with `then` once the signature is right."""

    then: Behaviour = field(default_factory=Chat)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Check the signature, then pass on."""
        wrong = wrong_signature(request.method, request.path, request.headers, request.raw)
        await (FORBIDDEN if wrong else self.then)(request, reply)


# What Lambda itself answers, before and after a function.
FORBIDDEN = Status(403, b'{"Message":"Forbidden"}', headers={"x-amzn-errortype": "AccessDeniedException"})
THROTTLED = Status(
    429,
    b'{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}',
    headers={"x-amzn-errortype": "TooManyRequestsException"},
)
CRASHED = Status(502, b'{"Message":"Internal Server Error"}')
