"""A whole reply: collected, then returned. For the stock runtime, and for gateways that do not stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import _reply
from ._errors import Failure

if TYPE_CHECKING:
    from mangum.types import Response


class WholeReply:
    """Collects what an app sends."""

    paused = False

    def __init__(self) -> None:
        self.on_lost: Callable[[], None] = lambda: None
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    def begin(self, status: int, headers: _reply.Headers) -> None:
        """Take status and headers.

        Raises: AppMisbehaved: they cannot be sent.
        """
        self._headers = _reply.checked_head(status, headers)
        self._status = int(status)

    def write(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def finish(self) -> None:
        """End the reply: there is nothing to do."""

    def cut(self, failure: Failure, headers: _reply.Headers, body: bytes) -> None:
        """Replace a reply that has failed: its caller has seen nothing of it."""
        self._status, self._body = failure.status, bytearray(body)
        self._headers = _reply.checked_head(failure.status, headers)

    async def drain(self) -> None:
        """Wait for nothing: there is always room."""

    def response(self) -> Response:
        """Return the reply as Mangum takes it."""
        headers = [[name.encode(), value.encode()] for name, value in self._headers]
        return {"status": self._status, "headers": headers, "body": bytes(self._body)}
