"""An engine that does what it is told, and the settings around it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from functions.chat.completions import Call
from functions.chat.settings import Model, Settings

USER = {"role": "user", "content": "Hi"}


def model(name: str = "tiny", **changes: Any) -> Model:
    fields = {
        "id": name,
        "base_url": "http://engine/v1",
        "served_name": name,
        "key": None,
        "max_tokens_default": 64,
        "max_tokens_limit": 256,
    }
    return Model(**{**fields, **changes})


def settings(*models: Model, **changes: Any) -> Settings:
    return Settings(models={each.id: each for each in models or (model(),)}, **changes)


class FakeEngine:
    """Give a reply, or chunks; raise before them (`refuses`) or after (`breaks`)."""

    def __init__(
        self,
        reply: Any = None,
        chunks: Sequence[bytes] = (),
        *,
        refuses: Exception | None = None,
        breaks: Exception | None = None,
    ) -> None:
        self._reply = reply
        self._chunks = chunks
        self._refuses = refuses
        self._breaks = breaks
        self.calls: list[Call] = []
        self.open_streams = 0

    async def complete(self, call: Call) -> Any:
        self.calls.append(call)
        if self._refuses:
            raise self._refuses
        return self._reply

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        self.calls.append(call)
        if self._refuses:
            raise self._refuses
        self.open_streams += 1
        try:
            yield self._arriving()
        finally:
            self.open_streams -= 1

    async def _arriving(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._breaks:
            raise self._breaks

    async def aclose(self) -> None:
        """Nothing to close."""
