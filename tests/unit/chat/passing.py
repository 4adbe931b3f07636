"""Feed a stream's reader with bytes, and keep the events that it returned."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from functions.chat.engines.engine import Chunks, End, Event, Failure, Run
from functions.chat.errors import ApiError
from functions.chat.streams.chat import ChatStream
from functions.chat.streams.sse import DONE
from tests.unit.chat.chunks import MODEL


@dataclass(frozen=True)
class Passed:
    """What a stream let through and how it ended."""

    events: list[Event]

    @property
    def out(self) -> bytes:
        """The bytes that the caller gets, before those of a failure."""
        return sent(self.events) + (DONE if self.done else b"")

    @property
    def done(self) -> bool:
        return isinstance(self.events[-1], End)

    @property
    def failure(self) -> ApiError | None:
        last = self.events[-1]
        return last.error if isinstance(last, Failure) else None

    @property
    def usage(self) -> dict[str, Any] | None:
        last = self.events[-1]
        assert isinstance(last, End | Failure)
        return last.usage  # type: ignore[no-any-return]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        lines = self.out.decode().removesuffix("\n\n").split("\n\n") if self.out else []
        return [json.loads(line.removeprefix("data: ")) for line in lines if not line.endswith("[DONE]")]


def passed(
    parts: bytes | Iterable[bytes], *, model: str = MODEL, n: int = 1, usage: bool = False, **more: bool
) -> Passed:
    stream = ChatStream(model=model, n=n, include_usage=usage, **more)
    events: list[Event] = []
    for part in [parts] if isinstance(parts, bytes) else parts:
        events += stream.feed(part)
    events += stream.flush()
    assert [isinstance(event, End | Failure) for event in events] == [False] * (len(events) - 1) + [True]
    assert stream.ended
    return Passed(events)


def sent(events: Iterable[Event]) -> bytes:
    """Return the bytes of runs and chunks."""
    return b"".join(each.data for each in events if isinstance(each, Run | Chunks))
