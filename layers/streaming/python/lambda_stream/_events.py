"""Invocations: from the headers of `/next` to what a handler is given. Pure but for the clock.

All that belongs to one invocation is in one `Exchange`. `current` is that of the running handler or task, so
that log lines, and handlers that call other handlers, find it without any state that invocations share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ._errors import Fault
from ._event_json import load

if TYPE_CHECKING:
    from ._handler import StreamingHandler
    from ._requests import Request

_LONGEST_TIMEOUT_MS = 900_000
_W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class Invocation(NamedTuple):
    """One event and what Lambda says about it.

    Units:  `deadline_ms` is Unix time.
    Source: AWS Lambda, "Runtime API", Next invocation, read 2026-11-22.
    """

    request_id: str
    payload: bytes
    deadline_ms: int
    content_type: str = "application/json"
    function_arn: str | None = None
    trace_id: str | None = None
    tenant_id: str | None = None
    invocation_id: str | None = None
    client_context: str | None = None
    cognito_identity: str | None = None

    @classmethod
    def parse(cls, headers: Mapping[str, str], payload: bytes) -> Self:
        """Read an invocation from the lower-cased headers and the body of `/next`."""
        deadline = headers.get("lambda-runtime-deadline-ms")
        return cls(
            request_id=headers["lambda-runtime-aws-request-id"],
            payload=payload,
            deadline_ms=int(deadline) if deadline else int(time.time() * 1000) + _LONGEST_TIMEOUT_MS,
            content_type=headers.get("content-type", "application/json"),
            function_arn=headers.get("lambda-runtime-invoked-function-arn"),
            trace_id=headers.get("lambda-runtime-trace-id"),
            tenant_id=headers.get("lambda-runtime-aws-tenant-id"),
            invocation_id=headers.get("lambda-runtime-invocation-id"),
            client_context=headers.get("lambda-runtime-client-context"),
            cognito_identity=headers.get("lambda-runtime-cognito-identity"),
        )

    @property
    def seconds_left(self) -> float:
        """Seconds until Lambda stops the function, negative once it has passed."""
        return self.deadline_ms / 1000 - time.time()

    def event(self) -> Any:
        """Return the decoded event; one that is not declared as JSON comes as its bytes.

        Raises: Fault: the payload is not JSON.
        """
        if not self.content_type.startswith("application/json"):
            return self.payload
        try:
            return load(self.payload)
        except ValueError as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error


class Exchange:
    """One invocation while it is served.

    Shape: `adopt` starts a handler on the runtime's event loop; `run`, called from outside of that, runs a
           coroutine there. `stream` may be called once, and only for gateways in `streams` (None: for those
           that each handler names). `replied` is true from then on.
    """

    def __init__(
        self,
        invocation: Invocation,
        *,
        streams: frozenset[str] | None,
        adopt: Callable[[StreamingHandler], Coroutine[Any, Any, None]],
        run: Callable[[Coroutine[Any, Any, Any]], Any],
        stream: Callable[[Invocation, StreamingHandler, Request], Coroutine[Any, Any, int]],
    ) -> None:
        self.invocation = invocation
        self.streams = streams
        self.replied = False
        self.adopt = adopt
        self.run = run
        self._stream = stream

    def event(self) -> Any:
        """Return the event, once: contexts outlive invocations, in kept connections, but not its payload.

        Raises: Fault: it is not JSON.
        """
        invocation, self.invocation = self.invocation, self.invocation._replace(payload=b"")
        return invocation.event()

    async def stream(self, handler: StreamingHandler, request: Request) -> int:
        """Stream the reply to a request; returns its status once it has ended."""
        self.replied = True
        return await self._stream(self.invocation, handler, request)


current: ContextVar[Exchange | None] = ContextVar("lambda_stream.current", default=None)


def trace_id() -> str:
    """Return the X-Ray trace header of the invocation that this task or thread belongs to, "" without one.

    Where invocations are served one after the other, the variable `_X_AMZN_TRACE_ID` has the same.
    """
    exchange = current.get()
    found = exchange.invocation.trace_id if exchange else os.environ.get("_X_AMZN_TRACE_ID")
    return found or ""


class FunctionInfo(NamedTuple):
    """What the environment says of the function; the same for every invocation."""

    name: str | None
    version: str | None
    memory_mb: str | None
    log_group: str | None
    log_stream: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read Lambda's reserved variables."""
        return cls(
            name=environ.get("AWS_LAMBDA_FUNCTION_NAME"),
            version=environ.get("AWS_LAMBDA_FUNCTION_VERSION"),
            memory_mb=environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
            log_group=environ.get("AWS_LAMBDA_LOG_GROUP_NAME"),
            log_stream=environ.get("AWS_LAMBDA_LOG_STREAM_NAME"),
        )


class LambdaContext:
    """The second argument of a handler, field by field what the stock runtime gives.

    Source: AWS Lambda, "Using the Lambda context object", and awslambdaric 4.2.2, read 2026-11-22.
    """

    def __init__(self, invocation: Invocation, function: FunctionInfo) -> None:
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id
        self.function_name = function.name
        self.function_version = function.version
        self.memory_limit_in_mb = function.memory_mb
        self.log_group_name = function.log_group
        self.log_stream_name = function.log_stream
        client = _json_header(invocation.client_context, "Client Context")
        self._w3c = _w3c(client)
        self.client_context = _client_context(client)
        self.identity = _identity(_json_header(invocation.cognito_identity, "Cognito Identity"))
        self._deadline_ms = invocation.deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda stops the function, never below 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self) -> dict[str, str]:
        """Return the W3C trace context that came with the invocation."""
        return dict(self._w3c)

    def log(self, message: object) -> None:
        """Write one message to the function's log, as it is."""
        print(message, end="", flush=True)


def _json_header(value: str | None, name: str) -> dict[str, Any] | None:
    """Decode a header that holds a JSON object."""
    try:
        decoded = json.loads(value) if value else None
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {name} JSON: {error}") from error
    return decoded if isinstance(decoded, dict) else None


def _w3c(client: dict[str, Any] | None) -> dict[str, str]:
    """Take the trace context out of the client context."""
    fields = (client or {}).pop("w3c", None)
    if not isinstance(fields, dict):
        return {}
    return {name: fields[name] for name in _W3C_FIELDS if isinstance(fields.get(name), str)}


def _client_context(client: dict[str, Any] | None) -> SimpleNamespace | None:
    """Return the mobile SDK's client context."""
    if client is None:
        return None
    names = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
    device = client.get("client")
    return SimpleNamespace(
        custom=client.get("custom"),
        env=client.get("env"),
        client=SimpleNamespace(**{n: device.get(n) for n in names}) if isinstance(device, dict) else None,
    )


def _identity(cognito: dict[str, Any] | None) -> SimpleNamespace:
    """Return the Cognito identity, its fields None where there is none."""
    fields = cognito or {}
    return SimpleNamespace(
        cognito_identity_id=fields.get("cognitoIdentityId"),
        cognito_identity_pool_id=fields.get("cognitoIdentityPoolId"),
    )
