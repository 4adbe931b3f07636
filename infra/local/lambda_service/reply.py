"""One reply on its way from a function to the gateway; no sockets, no HTTP.

    waiting → open → over (ended | failed | abandoned)

What the function sends goes to the client in the same step; it is held before the head, and while the
client is full. Above HIGH_WATER the function's connection is not read, so a slow client slows the function
instead of filling memory. Pieces that came before a failure still reach the client. The first ending
counts, later ones are ignored.
"""

import asyncio
from typing import Protocol

from infra.local.lambda_service.decoders import Decoder, ReplyHead
from infra.local.lambda_service.failures import ClientDisconnected, FunctionFailed, RequestFailure

HIGH_WATER = 256 * 1024


class Source(Protocol):
    """The connection that a reply comes from."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


class Sink(Protocol):
    """Where a reply goes."""

    def write(self, data: bytes) -> None: ...

    @property
    def is_full(self) -> bool: ...

    async def drain(self) -> None: ...


class FunctionReply:
    """A function's reply: fed by the Runtime API, passed on by the gateway."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._changed = asyncio.Event()
        self.failure: RequestFailure | None = None
        self.over = False

    # the function's side

    @property
    def opened(self) -> bool:
        return self._decoder is not None

    def open(self, decoder: Decoder, source: Source) -> None:
        """Begin."""
        self._decoder, self._source = decoder, source
        self._changed.set()
        if self.over:
            source.abort()

    def feed(self, data: bytes) -> None:
        """Take bytes from the function."""
        if self.over or self._decoder is None:
            return
        try:
            self._hold(self._decoder.feed(data))
        except FunctionFailed as failure:
            self.fail(failure)

    def end(self, data: bytes = b"") -> None:
        """End as the function meant to, after the last bytes."""
        if self.over or self._decoder is None:
            return
        self._sink = None  # which gets them with the end
        try:
            self._hold(self._decoder.feed(data) + self._decoder.flush())
            self.over = True
        except FunctionFailed as failure:
            self.fail(failure)
        self._changed.set()

    def fail(self, failure: RequestFailure) -> None:
        """End with a failure, which `pass_to` raises after the last piece."""
        if not self.over:
            self.failure, self.over = failure, True
            self._changed.set()

    def _hold(self, body: bytes) -> None:
        if self._sink and body:
            self._sink.write(body)
            if not self._sink.is_full:
                return
            self._sink = None
        elif body:
            self._pieces.append(body)
            self._held_bytes += len(body)
            if self._held_bytes > HIGH_WATER and self._source:
                self._source.pause_reading()
        self._changed.set()

    # the gateway's side

    async def head(self) -> ReplyHead:
        """Return status and headers once they are known.

        Raises: RequestFailure, if the reply failed before.
        """
        while self._decoder is None or self._decoder.head is None:
            await self._change()
        return self._decoder.head

    @property
    def has_body(self) -> bool:
        """Whether some of the body is there already."""
        return bool(self._pieces)

    async def pass_to(self, sink: Sink) -> bytes:
        """Pass the body on as it arrives; return the bytes that came with its end.

        Raises: RequestFailure, where a failure is the end.
        """
        while True:
            if sink.is_full:
                await sink.drain()
            data = b"".join(self._pieces)
            self._pieces.clear()
            if self.over and self.failure is None:
                return data
            if data:
                sink.write(data)
                if self._held_bytes > HIGH_WATER and self._source:
                    self._source.resume_reading()
                self._held_bytes = 0
            else:
                self._sink = sink
                await self._change()

    def abandon(self) -> None:
        """Stop, as the client has disconnected: the function's connection breaks, now or when it replies."""
        if not self.over:
            self._pieces.clear()
            self._sink = None
            self.fail(ClientDisconnected())
            if self._source:
                self._source.abort()

    async def _change(self) -> None:
        if self.failure:
            raise self.failure
        self._changed.clear()
        await self._changed.wait()
