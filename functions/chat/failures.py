"""What callers get when the function itself fails: at its deadline, or when an exception escapes the app."""

from __future__ import annotations

from typing import Protocol

from .app import render_end
from .errors import ApiError, InvalidRequest, ServerError, UpstreamTimeout
from .json_text import dump

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ERRORS: dict[str, type[ApiError]] = {"malformed": InvalidRequest, "deadline": UpstreamTimeout}


class Failure(Protocol):
    """What the streaming layer knows of a failed reply."""

    @property
    def kind(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def last(self) -> bytes: ...


def error_body(failure: Failure) -> bytes:
    """Return the body of an error reply."""
    return dump(_error(failure).body())


def end_of_stream(failure: Failure) -> bytes:
    """Return the last two events of a started stream, and before them the end of an event left open."""
    if failure.content_type.partition(";")[0] != "text/event-stream":
        return b""
    gap = b"" if not failure.last or failure.last.endswith(_EVENT_ENDS) else b"\n\n"
    return gap + render_end(_error(failure))


def _error(failure: Failure) -> ApiError:
    return _ERRORS.get(failure.kind, ServerError)(failure.message)
