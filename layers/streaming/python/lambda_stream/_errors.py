"""What can go wrong, and how it is described.

    OSError
    └── CallerGone       from `send`: the caller has disconnected
    RuntimeError
    ├── LifespanFailure  the app refused to start, or failed to shut down
    ├── AppMisbehaved    the app broke the ASGI protocol, or sent what Lambda cannot carry
    ├── MalformedEvent   an HTTP event that holds no valid request
    ├── RuntimeApiError  the Runtime API answered with something other than success
    └── Fault            the function cannot start; carries Lambda's error type

Texts of the app's own exceptions may hold its users' data: callers never see them, and the log only where the
handler is made with `tracebacks=True`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from mangum.types import Scope

_MAX_FRAMES = 20


class CallerGone(OSError):
    """The reply can no longer be delivered.

    Source: ASGI HTTP specification 2.4, "Disconnected client", read 2026-11-22.
    """


class LifespanFailure(RuntimeError):
    """The app refused to start, or failed to shut down."""


class AppMisbehaved(RuntimeError):
    """The app broke the ASGI protocol, or sent what Lambda cannot carry."""


class MalformedEvent(RuntimeError):
    """An HTTP event held no valid request."""


class RuntimeApiError(RuntimeError):
    """The Runtime API answered with something other than success."""


class Fault(RuntimeError):
    """The function cannot start.

    Shape: `error_type` is Lambda's, such as `Runtime.ImportModuleError`; `trace` is ready to print.
    """

    def __init__(self, error_type: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.trace = trace or []


class Failure(NamedTuple):
    """Why a reply failed, and how far it had come.

    Shape: `status` and `message` are safe to show to callers; `error` is the app's exception, if any.
           `scope` is the request's. `headers` are those that have been sent, empty before the start of the
           reply; `last` is the last piece of the body that has been sent. The other fields are for the log.
    """

    kind: Literal["raised", "misbehaved", "deadline", "malformed"]
    status: int
    message: str
    error_type: str
    cause: str
    frames: tuple[str, ...] = ()
    error: BaseException | None = None
    scope: Scope | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    last: bytes = b""

    @classmethod
    def raised(cls, error: BaseException) -> Self:
        """Describe an exception that the app let out: its type, and where it was raised."""
        misbehaved = isinstance(error, AppMisbehaved)
        leaf = error
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        frames, trace = [], leaf.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f'File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
            trace = trace.tb_next
        return cls(
            "misbehaved" if misbehaved else "raised",
            500,
            "The server had an error while processing your request.",
            type(leaf).__name__,
            str(error) if misbehaved else "the application raised",
            tuple(frames[-_MAX_FRAMES:]),
            error,
        )

    @property
    def content_type(self) -> str:
        """The media type of the body that has been started, without parameters; empty if there is none."""
        for name, value in self.headers:
            if name.lower() == b"content-type":
                return value.decode("latin-1").split(";")[0].strip().lower()
        return ""


def malformed(cause: str) -> Failure:
    """Describe an event that holds no valid request."""
    return Failure("malformed", 400, "The request could not be read.", "MalformedEvent", cause)


DEADLINE = Failure(
    "deadline",
    504,
    "The reply took longer than this function may run.",
    "Runtime.DeadlineExceeded",
    "the application was stopped shortly before Lambda's deadline: shorten the reply or raise the timeout",
)

FailureHook = Callable[[Failure], bytes]


class FailurePolicy:
    """What an application wants of failed replies; see `StreamingHandler`."""

    def __init__(
        self,
        on_failure: FailureHook | None = None,
        error_body: FailureHook | None = None,
        error_headers: Mapping[str, str] | None = None,
        tracebacks: bool = False,
    ) -> None:
        self.on_failure = on_failure
        self.error_body = error_body
        headers = {"content-type": "application/json", **(error_headers or {})}
        self.error_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.tracebacks = tracebacks
