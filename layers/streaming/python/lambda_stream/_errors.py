"""What can go wrong, and what is said about it.

    OSError
    └── CallerGone       from `send`: nobody reads the reply any more
    RuntimeError
    ├── AppMisbehaved    the app broke the ASGI protocol, or sent what Lambda cannot carry
    ├── MalformedEvent   an HTTP event that holds no valid request
    ├── RuntimeApiError  the Runtime API answered with something other than success
    └── Fault            the function cannot start; carries Lambda's error type

Texts of the app's own exceptions may hold its users' data: they reach neither caller nor log here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

_MAX_FRAMES = 20


class CallerGone(OSError):
    """The reply can no longer be delivered.

    Source: ASGI HTTP specification 2.4, "Disconnected client", read 2026-11-22.
    """


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
    """One failed reply, as the caller (status, message, code) and Lambda (the rest) are told of it."""

    status: int
    message: str
    code: str | None
    error_type: str
    cause: str
    frames: tuple[str, ...] = ()

    @classmethod
    def raised(cls, error: BaseException) -> Self:
        """Describe an exception that the app let out, leaving its text aside."""
        cause = str(error) if isinstance(error, AppMisbehaved) else "the application raised"
        leaf = _leaf(error)
        return cls(500, _SERVER_ERROR, None, type(leaf).__name__, cause, tuple(_frames(leaf))[-_MAX_FRAMES:])


def malformed(cause: str) -> Failure:
    """Describe an event that holds no valid request."""
    return Failure(400, "The request could not be read.", None, "MalformedEvent", cause)


_SERVER_ERROR = "The server had an error while processing your request."

DEADLINE = Failure(
    504,
    "The reply took longer than this function may run.",
    "timeout",
    "Runtime.DeadlineExceeded",
    "the application was stopped shortly before Lambda's deadline: shorten the reply or raise the timeout",
)


def _leaf(error: BaseException) -> BaseException:
    """Return the first plain exception inside nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _frames(error: BaseException) -> Iterator[str]:
    """Yield where the exception passed, outermost first, without source lines or values."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f'File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}'
        trace = trace.tb_next
