"""Server-sent events, as bytes: cut into runs, unwrapped, written.

Source: WHATWG HTML, "Server-sent events", read 2026-11-22.
"""

from __future__ import annotations

from functions.chat.errors import UpstreamError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventSplitter:
    """Cut bytes into runs of whole events; hold only the remainder."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are whole by now, in one piece; b"" if none is.

        Raises: UpstreamError if an event does not end within 4 MiB.
        """
        data = self._rest + chunk if self._rest else chunk
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for what comes next.
            held = data[-1:] == b"\r"
            data = (data[:-1] if held else data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = data.rfind(b"\n\n") + 2
            self._rest = (data[end:] if end > 1 else data) + (b"\r" if held else b"")
        else:
            end = data.rfind(b"\n\n") + 2
            self._rest = data[end:] if end > 1 else data
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamError("The engine sent an event without an end. Nothing after it can be trusted.")
        return data[:end] if end > 1 else b""

    def flush(self) -> bytes:
        """Return what the end of the input left over, closed as an event."""
        rest, self._rest = self._rest.replace(b"\r", b"\n").rstrip(b"\n"), b""
        return rest + b"\n\n" if rest else b""


def payload_of(event: bytes) -> bytes:
    """Return an event's data; other fields, and comments, are the engine's own business."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = event.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(data).strip()


def event(payload: bytes) -> bytes:
    """Return the event that carries one line of JSON."""
    return b"data: " + payload + b"\n\n"
