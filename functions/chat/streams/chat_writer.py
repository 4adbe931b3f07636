"""Chat completions, and all that is streamed as they are: events leave as their reader wrote them."""

from __future__ import annotations

from typing import Any

from functions.chat.engines.engine import Chunks, End, Failure, Run
from functions.chat.json_text import dump

from .sse import DONE, event


class ChatWriter:
    """Write a reply whose reader has brought it into its shape."""

    def write(self, event: Run | Chunks) -> bytes:
        """Return the events as they are."""
        return event.data

    def end(self, event: End | Failure) -> bytes:
        """Return the end of the stream, after the error that it failed with."""
        return (error_event(event) if isinstance(event, Failure) else b"") + DONE

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return the reply as it is."""
        return reply


def error_event(failure: Failure) -> bytes:
    """Return the event that reports a failure."""
    return event(dump(failure.error.body()))
