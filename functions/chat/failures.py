"""What callers get when the function itself fails: at its deadline, or when an exception escapes the app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .engines.engine import Failure
from .errors import ApiError, InvalidRequest, ServerError, UpstreamTimeout
from .json_text import dump

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ERRORS: dict[str, type[ApiError]] = {"malformed": InvalidRequest, "deadline": UpstreamTimeout}


class FailedReply(Protocol):
    """What the streaming layer knows of a failed reply."""

    @property
    def kind(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def last(self) -> bytes: ...

    @property
    def scope(self) -> Mapping[str, Any] | None: ...


def error_body(failed: FailedReply) -> bytes:
    """Return the body of an error reply."""
    return dump(_error(failed).body())


def end_of_stream(failed: FailedReply) -> bytes:
    """Return the last events of a started stream, and before them the end of an event left open."""
    invocation = failed.scope["state"]["invocation"] if failed.scope else None
    if failed.content_type != "text/event-stream" or not (invocation and invocation.writer):
        return b""
    gap = b"" if not failed.last or failed.last.endswith(_EVENT_ENDS) else b"\n\n"
    end: bytes = invocation.writer.end(Failure(_error(failed)))
    return gap + end


def _error(failed: FailedReply) -> ApiError:
    return _ERRORS.get(failed.kind, ServerError)(failed.message)
