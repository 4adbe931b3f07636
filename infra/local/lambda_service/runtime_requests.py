"""The requests that a function sends to the Runtime API, as they arrive."""

import asyncio
import json
from collections.abc import Callable, Mapping

from infra.local.lambda_service.decoders import PRELUDE_TYPE, BufferedDecoder, PreludeDecoder, RawDecoder
from infra.local.lambda_service.failures import FunctionFailed, ReplyTooLong
from infra.local.lambda_service.reply import FunctionReply
from infra.local.lambda_service.runtime_connection import (
    ACCEPTED,
    RuntimeConnection,
    RuntimeResponse,
    error_response,
)

_ERROR_TYPE = "lambda-runtime-function-error-type"
# Of a body that is read whole: the report of an error is shorter, and nothing else is used.
_MAX_WHOLE_BYTES = 1_000_000
# A process that dies closes its connections first; its exit status says more than "broke off": wait for it.
_EXIT_STATUS_S = 0.1


class WholeRequest:
    """A request that is handled once it is complete: /next, the report of an error, a refused one."""

    def __init__(self, handle: Callable[[bytes], RuntimeResponse | None]) -> None:
        self._handle = handle
        self._body = b""

    def feed(self, data: bytes) -> None:
        if len(self._body) < _MAX_WHOLE_BYTES:
            self._body += data

    def finish(self, data: bytes, trailers: Mapping[str, str]) -> RuntimeResponse | None:  # noqa: ARG002
        self.feed(data)
        return self._handle(self._body)

    def lose(self) -> None:
        pass


class ResponseRequest:
    """POST invocation/{id}/response: the reply, in one piece or as it is made."""

    def __init__(
        self,
        headers: Mapping[str, str],
        connection: RuntimeConnection,
        reply: FunctionReply,
        replied: Callable[[], None],
    ) -> None:
        self._connection, self._reply, self._replied = connection, reply, replied
        self._streamed = headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming"
        content_type = headers.get("content-type", "")
        if not self._streamed:
            reply.open(BufferedDecoder(), connection)
        elif content_type == PRELUDE_TYPE:
            reply.open(PreludeDecoder(), connection)
        else:
            reply.open(RawDecoder(content_type), connection)

    def feed(self, data: bytes) -> None:
        self._reply.feed(data)
        if self._reply.over and self._streamed:
            self._connection.abort()

    def finish(self, data: bytes, trailers: Mapping[str, str]) -> RuntimeResponse | None:
        if _ERROR_TYPE in trailers:
            self._reply.feed(data)
            self._reply.fail(FunctionFailed(f"failed: {trailers[_ERROR_TYPE]}"))
        self._reply.end(data)
        self._replied()
        if isinstance(self._reply.failure, ReplyTooLong):
            return error_response(413, "Function.ResponseSizeTooLarge", str(self._reply.failure))
        return ACCEPTED

    def lose(self) -> None:
        if not self._reply.over:
            broken = FunctionFailed("broke off its reply")
            asyncio.get_running_loop().call_later(_EXIT_STATUS_S, self._reply.fail, broken)
        self._replied()


def reported_error(headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """Return the type and the message of an error that a function reports, from its headers or its body."""
    try:
        report = dict(json.loads(body))
    except (ValueError, TypeError):
        report = {}
    kind = headers.get(_ERROR_TYPE) or report.get("errorType") or "Runtime.Unknown"
    return str(kind), str(report.get("errorMessage", ""))
