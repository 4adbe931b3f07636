"""The socket of one streamed reply: the hot path.

What the app sends leaves at once. What follows within a millisecond leaves in one write when the event loop
turns, still one HTTP chunk per message: a turn costs as much as a write. `paused` is the back-pressure: true
while the Runtime API reads slower than the app sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import cast

from ._errors import CallerGone, Failure
from ._logger import logger
from ._reply import END, Headers, error_trailers, prelude

TOGETHER_S = 0.001
"""After a write: what is sent then waits for the loop to turn."""

FLUSH_BYTES = 64 * 1024
"""Held at most before a write, and handed to the socket uncopied from this size on."""

STALL_S = 60.0
"""How long a caller may take nothing of a reply, until it is dropped: it holds the environment."""


class ResponseStream(asyncio.Protocol):
    """Writes one reply as HTTP chunks and reads the Runtime API's answer to it.

    Shape: the request head, then `begin` once, `write` any number of times, `finish` or `cut` once. May be
           written to before it is connected. `answered` is the status, or None when the socket broke.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, head: bytes, request_id: str = "", stall_s: float = STALL_S
    ) -> None:
        self.answered: asyncio.Future[int | None] = loop.create_future()
        self.on_lost: Callable[[], None] = lambda: None
        self.finished = False
        self.status = 0
        self.paused = False
        self._loop = loop
        self._request_id = request_id
        self._stall_s = stall_s
        self._stall_timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._pending = [head]
        self._pending_bytes = 0
        self._flush_due = False
        self._flushed_at = 0.0
        self._answer = b""
        self._settled = False

    def begin(self, status: int, headers: Headers) -> None:
        """Send status and headers.

        Raises: AppMisbehaved: they cannot be sent.
        """
        framed = prelude(status, headers)
        self._pending += (b"%x\r\n" % len(framed), framed, b"\r\n")
        self._pending_bytes += len(framed)
        self.status = int(status)
        self._flushed_at = 0.0  # the request's head, written when the socket was there, holds nothing up
        self._loop.call_soon(self._flush)  # unless the first chunk takes it along

    def write(self, body: bytes) -> None:
        """Send one non-empty chunk, at the latest when the event loop next turns."""
        size = len(body)
        if size >= FLUSH_BYTES and self._transport is not None:
            self._write_large(body, size)
        else:
            self._pending += (b"%x\r\n" % size, body, b"\r\n")
            self._pending_bytes += size
        if self._pending_bytes >= FLUSH_BYTES:
            self._flush()
        elif not self._flush_due:
            if monotonic() - self._flushed_at > TOGETHER_S:
                self._flush()
            else:
                self._flush_due = True
                self._loop.call_soon(self._flush_turn)

    def finish(self, end: bytes = END) -> None:
        """Send what is held and the end of the reply, now."""
        self.finished = True
        self._pending.append(end)
        self._flush()
        self._watch()

    def cut(self, failure: Failure, headers: Headers, body: bytes) -> None:  # noqa: ARG002 - what was sent stays
        """Break the reply off, and report why in its trailers."""
        self.finish(error_trailers(failure, self._request_id))

    async def drain(self) -> None:
        """Wait until the socket takes more.

        Raises: CallerGone: it broke instead.
        """
        await self._writable.wait()
        if self.answered.done():
            raise CallerGone("the reply's socket broke")

    def abort(self) -> None:
        """Drop the socket and what it still holds."""
        self._settle(None)

    def _write_large(self, body: bytes, size: int) -> None:
        """Hand a large body to the socket as it is, without joining it to its frame."""
        self._pending.append(b"%x\r\n" % size)
        self._flush()
        if self._transport is not None:
            self._transport.write(body)
        self._pending.append(b"\r\n")

    def _flush_turn(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        """Write what is held; before the socket is there, only note that it is full."""
        if self._transport is None:
            if self._pending_bytes >= FLUSH_BYTES:
                self.pause_writing()
            return
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            self._flushed_at = monotonic()
            self._transport.write(data)

    def _watch(self, left_before: int | None = None) -> None:
        """Drop a reply of which nothing was taken since this was called last, `stall_s` ago."""
        left = self._transport.get_write_buffer_size() if self._transport else 0
        if left_before is not None and left >= left_before:
            logger.warning("the caller took nothing of its reply for %g s: dropping it", self._stall_s)
            self.abort()
        elif left:
            self._stop_watching()
            self._stall_timer = self._loop.call_later(self._stall_s, self._watch, left)

    def _stop_watching(self) -> None:
        if self._stall_timer:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _settle(self, status: int | None) -> None:
        """Note how the exchange ended, once, and end all waiting for the socket."""
        if self._settled:
            return
        self._settled = True
        self._stop_watching()
        if not self.answered.cancelled():
            self.answered.set_result(status)
        self.resume_writing()
        if self._transport is not None:
            self._transport.abort() if status is None else self._transport.close()
        if not self.finished:
            self.on_lost()

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have these methods, but are no subclass.
        self._transport = cast(asyncio.Transport, transport)
        self.resume_writing()
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if b"\r\n\r\n" in self._answer:
            self._settle(int(self._answer.split(maxsplit=2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._settle(None)

    def eof_received(self) -> None:
        self._settle(None)

    def pause_writing(self) -> None:
        self.paused = True
        self._writable.clear()
        self._watch()

    def resume_writing(self) -> None:
        self.paused = False
        self._writable.set()
        if not self.finished:
            self._stop_watching()
