"""Server-sent events, as bytes: cut into runs, unwrapped, written.

Source: WHATWG HTML, "Server-sent events", read 2026-11-22.
"""

from __future__ import annotations

from functions.chat.errors import UpstreamError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventSplitter:
    """Cut bytes into runs of whole events; `held` is what has come of the next one."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self.held: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are whole by now, in one piece; b"" if none is.

        Raises: UpstreamError if an event is larger than is allowed.
        """
        if self.held and self.held[-1].endswith((b"\r", b"\n")):
            chunk = self.held.pop() + chunk  # an end of a line may be cut in two
        half = b""
        if b"\r" in chunk:
            # A CR at the very end may be half of a CRLF: it waits for what comes next.
            half = b"\r" if chunk.endswith(b"\r") else b""
            chunk = chunk.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = chunk.rfind(b"\n\n") + 2
        if end < 2:
            self.held.append(chunk + half)
            if sum(map(len, self.held)) > self._max_event_bytes:
                raise UpstreamError(
                    f"The engine sent an event of more than {self._max_event_bytes} bytes. "
                    "Request less, or have the operator of this API raise MAX_EVENT_BYTES.",
                    retry=False,
                )
            return b""
        run = chunk if end == len(chunk) else chunk[:end]
        if self.held:
            run = b"".join([*self.held, run])
        rest = chunk[end:] + half
        self.held = [rest] if rest else []
        return run

    def flush(self) -> bytes:
        """Return what the end of the input left over, closed as an event."""
        rest = b"".join(self.held).replace(b"\r", b"\n").rstrip(b"\n")
        self.held.clear()
        return rest + b"\n\n" if rest else b""


def fields_of(event: bytes) -> tuple[bytes, bytes]:
    """Return an event's name, b"" where it has none, and its data; comments and other fields are left out.

    A line of bare JSON counts as data: some engines report errors so.
    Raises: UpstreamError, for an object in no field of an event, which would be lost.
    """
    if event.startswith(b"data: ") and b"\n" not in event:
        return b"", event[6:].strip()
    name, data, odd = b"", [], b""
    for line in event.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        field, _, value = (b"data", b":", line) if line.startswith(b"{") else line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
        elif field not in (b"", b"id", b"retry"):
            odd += line
    if b"{" in odd and not data:
        raise UpstreamError("The engine sent a line that is of no event.", retry=False)
    return name, b"\n".join(data).strip()


def event(payload: bytes) -> bytes:
    """Return the event that carries one line of JSON."""
    return b"data: " + payload + b"\n\n"
