"""What a function says to the Runtime API, one class for each kind of request."""

import asyncio
import json
from collections.abc import Callable, Mapping

from infra.local.errors import FunctionFailed, ReplyTooLong
from infra.local.lambda_service.decoders import PRELUDE_TYPE, BufferedReply, Decoder, RawReply, StreamedReply
from infra.local.lambda_service.reply import Reply
from infra.local.lambda_service.runtime_connection import ACCEPTED, Answer, Connection, refusal

_ERROR_TYPE = "lambda-runtime-function-error-type"
# A process that dies breaks its connections first; its exit status says more than "broke off": wait for it.
_EXIT_NEWS_S = 0.1


class RefusedCall:
    """A request that is refused, whatever its body says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def feed(self, data: bytes) -> None:
        pass

    def finish(self, trailers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        return self._answer

    def lose(self) -> None:
        pass


class NextCall:
    """GET invocation/next: answered when there is an event."""

    def __init__(self, ask: Callable[[], Answer | None]) -> None:
        self._ask = ask

    def feed(self, data: bytes) -> None:
        pass

    def finish(self, trailers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        return self._ask()

    def lose(self) -> None:
        pass


class ReportCall:
    """POST init/error and invocation/{id}/error: the function says what went wrong."""

    def __init__(self, headers: Mapping[str, str], report: Callable[[str], None]) -> None:
        self._error_type = headers.get(_ERROR_TYPE, "")
        self._report = report
        self._body = b""

    def feed(self, data: bytes) -> None:
        self._body += data

    def finish(self, trailers: Mapping[str, str]) -> Answer | None:  # noqa: ARG002
        self._report(self._error_type or _error_type(self._body))
        return ACCEPTED

    def lose(self) -> None:
        pass


def _error_type(body: bytes) -> str:
    try:
        return str(json.loads(body)["errorType"])
    except (ValueError, TypeError, LookupError):
        return "Runtime.Unknown"


class ResponseCall:
    """POST invocation/{id}/response: the reply, as it is made or in one piece."""

    def __init__(
        self, headers: Mapping[str, str], connection: Connection, reply: Reply, replied: Callable[[], None]
    ) -> None:
        self._connection, self._reply, self._replied = connection, reply, replied
        self._streamed = headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming"
        reply.open(self._decoder(headers.get("content-type", "")), connection)

    def _decoder(self, content_type: str) -> Decoder:
        if not self._streamed:
            return BufferedReply()
        return StreamedReply() if content_type == PRELUDE_TYPE else RawReply(content_type)

    def feed(self, data: bytes) -> None:
        self._reply.feed(data)
        if self._reply.over and self._streamed:
            self._connection.abort()

    def finish(self, trailers: Mapping[str, str]) -> Answer | None:
        if _ERROR_TYPE in trailers:
            self._reply.fail(FunctionFailed(f"failed: {trailers[_ERROR_TYPE]}"))
        self._reply.end()
        self._replied()
        if isinstance(self._reply.failure, ReplyTooLong):
            return refusal(413, "Function.ResponseSizeTooLarge", str(self._reply.failure))
        return ACCEPTED

    def lose(self) -> None:
        if not self._reply.over:
            broken = FunctionFailed("broke off its reply")
            asyncio.get_running_loop().call_later(_EXIT_NEWS_S, self._reply.fail, broken)
        self._replied()
