"""What an engine is: a request goes in, typed events come out.

    Hedged?  Accepted  (Run | Chunks)*  End     a stream
    Accepted  Reply  End                        a whole reply

A `Failure` may take the place of any of them, the first included. Nothing follows a `Failure` or an `End`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from functions.chat.errors import ApiError
from functions.chat.models import Model
from functions.shared.frozen import Frozen


class Accepted(Frozen):
    """The request is taken: what fails from here on ends the stream.

    Shape:  `request` is the fallback that was taken; None, where it is the request itself.
    """

    request: EngineRequest | None = None


class Hedged(Frozen):
    """A second engine has accepted the same request, because the first is late: both runs are charged.

    It comes before the `Accepted` that names whose reply follows.
    """

    first: EngineRequest
    second: EngineRequest


@dataclass(slots=True)
class Run:
    """Whole server-sent events that may be sent unread; none, where what came is held back.

    Units:  `tokens`: how many of the events carry a piece of a completion.
    """

    data: bytes
    tokens: int


@dataclass(slots=True)
class Chunks:
    """Whole server-sent events that were read: the events to send, and the JSON of each, normalised.

    Shape:  `usage` is the engine's own count so far, once it has sent one.
    """

    data: bytes
    tokens: int
    values: list[dict[str, Any]]
    usage: Any = None


class Reply(Frozen):
    """A whole reply, normalised."""

    value: dict[str, Any]


class End(Frozen):
    """The reply is complete. `usage` is the engine's own count, where it sent one."""

    usage: Any = None


class Failure(Frozen):
    """The reply ends here and is not complete.

    Shape:  `request` is the fallback that failed in the place of being accepted; None, where it is the
            request itself.
    """

    error: ApiError
    usage: Any = None
    request: EngineRequest | None = None


Body: TypeAlias = bytes | Sequence[bytes | memoryview]
"""A body, or the pieces of one, which stay as they are until the request is over: none joins large images."""
Event: TypeAlias = Hedged | Accepted | Run | Chunks | Reply | End | Failure


class Reader(Protocol):
    """Turns the body of an engine's reply into events; one reader reads one reply.

    Shape:  `feed` takes each piece, `flush` the end of the body. Once either has returned an `End` or a
            `Failure`, `ended` is true and both return nothing more.
    """

    @property
    def ended(self) -> bool: ...

    def feed(self, data: bytes) -> Iterable[Event]: ...

    def flush(self) -> Iterable[Event]: ...


class EngineRequest(Frozen, kw_only=True):
    """One request to an engine.

    Shape:  `path` follows the engine's base URL; `body` is JSON; `reader` makes a reader of the reply.
            `assembled`: the engine streams, although the caller gets a whole reply. `headers` are sent beside
            our own: the caller's trace. `names`: what the caller calls the parameters of this request, where
            that is something else; "" for one that it does not have. `fallbacks`: the same for other models,
            in the order in which they may answer instead. `waits`: a stream may wait for an engine that
            starts.
    Units:  tokens: `about_prompt` returns about how many the prompt has, `most_of_prompt` how many at most;
            `max_completion` of all choices together.
    """

    model: Model
    path: str
    body: Body
    stream: bool
    reader: Callable[[], Reader]
    request_id: str
    about_prompt: Callable[[], int]
    most_of_prompt: Callable[[], int]
    max_completion: int
    assembled: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    fallbacks: tuple[EngineRequest, ...] = ()
    waits: bool = True

    @property
    def prompt_tokens(self) -> int:
        """About how many tokens the prompt has, counted at each call: it is needed at the end, if at all."""
        return self.about_prompt()

    @property
    def prompt_tokens_most(self) -> int:
        """How many tokens the prompt can have, counted at each call: only some keys have to know."""
        return self.most_of_prompt()

    @property
    def is_streamed(self) -> bool:
        """Whether the engine streams its reply."""
        return self.stream or self.assembled


def joined(body: Body) -> bytes:
    """Return a body in one piece: a copy, where it is in several."""
    return body if isinstance(body, bytes) else b"".join(body)


class Engine(Protocol):
    """What answers requests."""

    def open(self, request: EngineRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Send a request, and give the events of its reply; leaving the block stops the engine's work."""

    async def models(self, model: Model) -> Any:
        """Return the list of models that the model's engine gives, as parsed JSON; None if it gives none."""

    async def aclose(self) -> None:
        """Close every connection."""
