"""Fake engines that send given events or bytes, and settings for them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from functions.chat.engines.engine import Accepted, EngineRequest, Event, Failure
from functions.chat.errors import ApiError
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.chat import ChatReply, ChatStream

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


def engine_request(of: Model | None = None, *, stream: bool = True, **changes: Any) -> EngineRequest:
    of = of or model()
    reader = (
        partial(ChatStream, model=of.id) if stream else partial(ChatReply, model=of.id, n=1, request_id="abc")
    )
    estimate = len(changes.get("body", b"{}")) // 4 + 1
    fields: dict[str, Any] = {
        "path": "chat/completions",
        "body": b"{}",
        "reader": reader,
        "request_id": "r",
        "max_completion": 8,
    }
    about = changes.pop("prompt_tokens", estimate)
    most = changes.pop("prompt_tokens_most", 4 * estimate)
    fields |= {"about_prompt": lambda: about, "most_of_prompt": lambda: most}
    return EngineRequest(model=of, stream=stream, **{**fields, **changes})


class EventsEngine:
    """Send events as given; an exception among them is raised."""

    def __init__(self, *events: Event | Exception) -> None:
        self._events = events
        self.requests: list[EngineRequest] = []
        self.open_streams = 0

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        self.requests.append(request)
        return aclosing(self._reply(request))

    async def _reply(self, _: EngineRequest) -> AsyncGenerator[Event, None]:
        self.open_streams += 1
        try:
            for event in self._events:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.open_streams -= 1

    async def models(self, _: Model) -> Any:
        """It has no list of models."""

    async def aclose(self) -> None:
        """Nothing to close."""


class FakeEngine(EventsEngine):
    """Feed pieces of a body to the request's reader; fail before (`refuses`) or after (`breaks`)."""

    def __init__(
        self, *pieces: bytes, refuses: ApiError | None = None, breaks: Exception | None = None
    ) -> None:
        super().__init__()
        self._pieces, self._refuses, self._breaks = pieces, refuses, breaks

    async def _reply(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        if self._refuses:
            yield Failure(self._refuses)
            return
        self.open_streams += 1
        reader = request.reader()
        try:
            yield Accepted()
            for piece in self._pieces:
                for event in reader.feed(piece):
                    yield event
            if isinstance(self._breaks, ApiError) and not reader.ended:
                yield Failure(self._breaks)
            elif self._breaks and not reader.ended:
                raise self._breaks
            else:
                for event in reader.flush():
                    yield event
        finally:
            self.open_streams -= 1
