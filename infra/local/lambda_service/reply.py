"""One reply on its way from a function to its caller; no sockets, no HTTP.

    waiting → open → over (ended | failed | abandoned)

What the function sends is held until the caller has taken it. Above HIGH_WATER the function's connection is
not read, so a slow caller slows the function instead of filling memory. Pieces that came before a failure
still reach the caller. The first ending counts, later ones are ignored.
"""

import asyncio
from typing import Protocol

from infra.local.errors import CallerLeft, Failure, FunctionFailed
from infra.local.lambda_service.decoders import Decoder, Head

HIGH_WATER = 256 * 1024


class Source(Protocol):
    """The connection a reply comes from."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


class Reply:
    """A function's reply: fed at one end, read at the other."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._source: Source | None = None
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._changed = asyncio.Event()
        self.failure: Failure | None = None
        self.over = False

    @property
    def opened(self) -> bool:
        return self._decoder is not None

    def open(self, decoder: Decoder, source: Source) -> None:
        """Begin, on the function's side."""
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

    def end(self) -> None:
        """End as the function meant to."""
        if self.over or self._decoder is None:
            return
        try:
            self._hold(self._decoder.flush())
            self.over = True
        except FunctionFailed as failure:
            self.fail(failure)
        self._changed.set()

    def fail(self, failure: Failure) -> None:
        """End with a failure, of which the caller learns after the last piece."""
        if not self.over:
            self.failure, self.over = failure, True
            self._changed.set()

    async def head(self) -> Head:
        """Return status and headers once they are known.

        Raises: Failure, if the reply failed before.
        """
        while self._decoder is None or self._decoder.head is None:
            await self._change()
        return self._decoder.head

    async def read(self) -> bytes:
        """Return all that came since the last call, b"" at the end.

        Raises: Failure, where a failure is the end.
        """
        while not self._pieces:
            if self.over and self.failure is None:
                return b""
            await self._change()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._release()
        return data

    def abandon(self) -> None:
        """Stop on the caller's behalf: the function's connection breaks, now or when it begins its reply."""
        if not self.over:
            self._pieces.clear()
            self.fail(CallerLeft())
            if self._source:
                self._source.abort()

    def _hold(self, body: bytes) -> None:
        if body:
            self._pieces.append(body)
            self._held_bytes += len(body)
            if self._held_bytes > HIGH_WATER and self._source:
                self._source.pause_reading()
        self._changed.set()

    def _release(self) -> None:
        if self._held_bytes > HIGH_WATER and self._source:
            self._source.resume_reading()
        self._pieces.clear()
        self._held_bytes = 0

    async def _change(self) -> None:
        if self.failure:
            raise self.failure
        self._changed.clear()
        await self._changed.wait()
